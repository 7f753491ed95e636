import asyncio
import errno
import socket
import struct
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st
from loopback import HOST, LOOPBACK, QNAME, LocalHost, echo, fails, free_port, query, response, run

from testbed import transports
from testbed.core.transport import Failure, Transport
from testbed.transports import dot, framing, sockets, tcp, udp

# -- finding ---------------------------------------------------------------------------------------


def test_transports_are_found_by_file_name():
    assert {"udp", "tcp", "dot"} <= set(transports.names())
    assert transports.load("dot") is dot
    for name in ("tls", "framing", "smoke-signals"):
        with pytest.raises(KeyError):
            transports.load(name)


# -- framing ---------------------------------------------------------------------------------------


@given(st.lists(st.binary(max_size=300), max_size=8), st.lists(st.integers(0, 2500), max_size=20))
def test_the_framer_does_not_care_about_fragments(messages, cuts):
    stream = b"".join(framing.frame(message) for message in messages)
    framer = framing.Framer()
    found = []
    for start, end in pairwise([0, *sorted(min(cut, len(stream)) for cut in cuts), len(stream)]):
        framer.feed(stream[start:end])
        while (message := framer.next_message()) is not None:
            found.append(message)
    assert found == messages
    assert len(framer) == 0


def test_frames_are_bounded():
    framer = framing.Framer()
    framer.feed(framing.frame(bytes(65535))[:-1])
    assert framer.next_message() is None
    assert len(framer) == 65536
    framer.feed(b"\0")
    assert framer.next_message() == bytes(65535)
    with pytest.raises(ValueError, match="65535"):
        framing.frame(bytes(65536))


def test_questions():
    assert framing.question(query(1)) == QNAME + b"\0\1\0\1"
    assert framing.question(query(2, QNAME.upper())) == QNAME + b"\0\1\0\1"
    assert framing.question(query(1, b"\x3f" + b"A" * 63 + b"\0")) == b"\x3f" + b"a" * 63 + b"\0\0\1\0\1"
    assert framing.question(query(1, b"\0")) == b"\0\0\1\0\1"
    assert framing.question(struct.pack("!6H", 1, 0, 0, 0, 0, 0)) is None
    assert framing.question(query(1, b"\xc0\x0c")) is None
    with pytest.raises(ValueError, match="12 octets"):
        framing.message_id(b"\0" * 11)


@given(st.binary(max_size=80))
def test_questions_of_anything(data):
    found = framing.question(data)
    assert found is None or len(found) >= 5
    for end in range(len(query(1))):
        assert framing.question(query(1)[:end]) is None


# -- UDP -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("address", [LOOPBACK, "::1"])
def test_udp_exchange(address):
    async def scenario():
        seen = []

        def handler(wire, transport, peer):
            seen.append((transport, peer))
            return [response(wire, bytes(3000))]

        port = free_port(address, socket.SOCK_DGRAM)
        listener = udp.serve(HOST, address, port, handler)
        source = free_port(address, socket.SOCK_DGRAM)
        wire = query(7)
        got = await udp.exchange(HOST, (address, source), (address, port), wire, lambda _: True, 3)
        assert got == response(wire, bytes(3000))
        assert seen == [(Transport.UDP, address)]
        assert (listener.messages, listener.connections, listener.handshakes, listener.open) == (1, 0, 0, 0)
        listener.close()
        listener.close()
        with fails(Failure.REFUSED):
            await udp.exchange(HOST, (address, 0), (address, port), wire, lambda _: True, 3)

    run(scenario())


def test_udp_ignores_what_is_not_accepted_and_what_comes_from_elsewhere():
    async def scenario():
        source = free_port(kind=socket.SOCK_DGRAM)

        def handler(wire, *_):
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as spoofer:
                spoofer.sendto(response(wire, b"from another port"), (LOOPBACK, source))
            return [response(query(8)), b"", response(wire, b"true"), response(wire, b"late")]

        port = free_port(kind=socket.SOCK_DGRAM)
        listener = udp.serve(HOST, LOOPBACK, port, handler)
        wire = query(7)
        got = await udp.exchange(
            HOST, (LOOPBACK, source), (LOOPBACK, port), wire, lambda data: data[:2] == wire[:2], 3
        )
        assert got == response(wire, b"true")
        listener.close()

    run(scenario())


class ToldOfPathMtu(socket.socket):
    """A socket that first has news of the path's MTU, as ICMP brings them, for whoever reads from it."""

    told = False

    def recv(self, size):
        if not self.told:
            self.told = True
            raise OSError(errno.EMSGSIZE, "Message too long")
        return super().recv(size)


class HostOnASmallPath:
    def socket(self, family, kind, proto=0):
        sock = ToldOfPathMtu(family, kind, proto)
        sock.setblocking(False)
        return sock


def test_a_smaller_path_mtu_is_no_reason_to_give_a_query_up():
    """Anybody can send such news (RFC 5927 section 7), and the answer may well be on its way."""

    async def main():
        port, wire = free_port(kind=socket.SOCK_DGRAM), query(7)
        listener = udp.serve(HOST, LOOPBACK, port, lambda wire, transport, peer: [response(wire)])
        host = HostOnASmallPath()
        answer = await udp.exchange(host, (LOOPBACK, 0), (LOOPBACK, port), wire, lambda _: True, 2.0)
        listener.close()
        assert answer == response(wire)

    run(main())


def test_udp_timeout_and_silence():
    async def scenario():
        port = free_port(kind=socket.SOCK_DGRAM)
        listener = udp.serve(HOST, LOOPBACK, port, lambda *_: [])
        with fails(Failure.TIMEOUT, "no response"):
            await udp.exchange(HOST, (LOOPBACK, 0), (LOOPBACK, port), query(1), lambda _: True, 0.02)
        assert listener.messages == 1
        listener.close()

    run(scenario())


def test_udp_leaves_no_socket_behind():
    opened = []

    class Watched(LocalHost):
        def socket(self, family, kind, proto=0):
            opened.append(super().socket(family, kind, proto))
            return opened[-1]

    async def scenario():
        port = free_port(kind=socket.SOCK_DGRAM)
        listener = udp.serve(HOST, LOOPBACK, port, lambda *_: [])
        local, remote = (LOOPBACK, 0), (LOOPBACK, port)
        task = asyncio.ensure_future(udp.exchange(Watched(), local, remote, query(1), lambda _: True, 5))
        await asyncio.sleep(0.01)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        with fails(Failure.TIMEOUT):
            await udp.exchange(Watched(), local, remote, query(1), lambda _: True, 0.01)
        listener.close()
        with fails(Failure.REFUSED):
            await udp.exchange(Watched(), local, remote, query(1), lambda _: True, 5)

    run(scenario())
    assert len(opened) == 3
    assert all(sock.fileno() == -1 for sock in opened)


def test_what_fails_here_is_not_taken_for_the_network():
    async def scenario():
        with pytest.raises(OSError, match="assign") as caught:
            await udp.exchange(HOST, ("192.0.2.1", 0), (LOOPBACK, 9), query(1), lambda _: True, 1)
        assert caught.value.errno == errno.EADDRNOTAVAIL
        with pytest.raises(OSError, match="assign"):
            await tcp.connect(HOST, "192.0.2.1", (LOOPBACK, 9), timeout=1)
        with pytest.raises(OSError, match="assign"):
            tcp.serve(HOST, "192.0.2.1", 5353, echo)

    run(scenario())


def test_an_error_in_accept_reaches_the_caller():
    async def scenario():
        port = free_port(kind=socket.SOCK_DGRAM)
        listener = udp.serve(HOST, LOOPBACK, port, echo)
        with pytest.raises(ZeroDivisionError):
            await udp.exchange(HOST, (LOOPBACK, 0), (LOOPBACK, port), query(1), lambda _: 1 / 0, 3)
        listener.close()

    run(scenario())


def test_udp_unreachable():
    assert sockets.failure(OSError(errno.EHOSTUNREACH, "x")).failure is Failure.UNREACHABLE
    assert sockets.failure(OSError(errno.EACCES, "x")).failure is Failure.UNREACHABLE
    with pytest.raises(OSError, match="files"):
        sockets.failure(OSError(errno.EMFILE, "too many files"))
