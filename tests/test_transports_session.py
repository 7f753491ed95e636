import asyncio
import socket
import struct

import pytest
from loopback import (
    HOST,
    LOOPBACK,
    QNAME,
    Dot,
    Tcp,
    both,
    echo,
    fails,
    free_port,
    peer,
    query,
    reset,
    response,
    run,
    scripted,
    until,
)

from testbed.core.transport import Failure
from testbed.transports import framing, tcp


def data_segments(sock):
    """(received, sent) segments with data, of struct tcp_info."""
    info = sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 192)
    return struct.unpack_from("=2I", info, 152)


@both
@pytest.mark.parametrize("address", [LOOPBACK, "::1"])
def test_exchanges(over, address):
    async def scenario():
        seen = []

        def handler(wire, transport, peer):
            seen.append((transport, peer))
            return [response(wire)]

        remote = address, free_port(address)
        listener = over.serve(*remote, handler)
        session = await over.connect(remote)
        for number in (1, 2, 1):
            assert await session.exchange(query(number), 3) == response(query(number))
        assert seen == [(over.name, address)] * 3
        assert (session.transport, session.remote) == (over.name, remote)
        assert (listener.connections, listener.messages, listener.open) == (1, 3, 1)
        assert listener.handshakes == (over is Dot)
        session.close()
        assert session.closed.result() is None
        with fails(Failure.CLOSED):
            await session.exchange(query(1), 3)
        await until(lambda: listener.open == 0)
        listener.close()
        with fails(Failure.REFUSED):
            await over.connect(remote)

    run(scenario())


@both
def test_pipelined_queries(over):
    async def scenario():
        remote = LOOPBACK, free_port()
        listener = over.serve(*remote, lambda wire, *_: [response(wire, wire[:2] * 500)])
        session = await over.connect(remote)
        answers = await asyncio.gather(*(session.exchange(query(n), 3) for n in range(300)))
        assert [answer[:2] for answer in answers] == [n.to_bytes(2) for n in range(300)]
        assert all(a.endswith(a[:2] * 500) for a in answers)
        session.close()
        listener.close()

    run(scenario())


@both
def test_a_zone_transfer(over):
    async def scenario():
        remote = LOOPBACK, free_port()
        parts = [bytes([n]) * 60000 for n in range(40)]
        listener = over.serve(*remote, lambda wire, *_: [response(wire, part) for part in parts])
        session = await over.connect(remote)
        got = await session.transfer(query(5), 5, lambda wire: wire.endswith(parts[-1]))
        assert got == [response(query(5), part) for part in parts]
        with pytest.raises(ZeroDivisionError):
            await session.transfer(query(6), 5, lambda _: 1 / 0)
        listener.close()

    run(scenario())


@both
def test_a_message_id_can_be_under_way_only_once(over):
    async def scenario():
        remote = LOOPBACK, free_port()
        listener = over.serve(*remote, lambda *_: [])
        session = await over.connect(remote)
        first = asyncio.ensure_future(session.exchange(query(5), 3))
        await asyncio.sleep(0)
        with pytest.raises(ValueError, match="5 is under way"):
            await session.exchange(query(5), 3)
        with fails(Failure.TIMEOUT, "no response"):
            await session.exchange(query(6), 0.02)
        first.cancel()
        await asyncio.sleep(0)
        with fails(Failure.TIMEOUT):
            await session.exchange(query(5), 0.02)
        with pytest.raises(ValueError, match="12 octets"):
            await session.exchange(b"short", 3)
        last = asyncio.ensure_future(session.exchange(query(5), 3))
        await asyncio.sleep(0)
        session.close()
        with fails(Failure.CLOSED, "by this side"):
            await last
        listener.close()

    run(scenario())


@both
def test_the_server_goes_away(over):
    async def scenario():
        remote = LOOPBACK, free_port()
        listener = over.serve(*remote, lambda *_: [])
        session = await over.connect(remote)
        waiting = [asyncio.ensure_future(session.exchange(query(n), 3)) for n in range(3)]
        await until(lambda: listener.messages == 3)
        listener.close()
        for task in waiting:
            with fails(Failure.RESET):
                await task
        assert (await session.closed).failure is Failure.RESET
        with fails(Failure.RESET):
            await session.exchange(query(9), 3)
        assert listener.open == 0

    run(scenario())


@both
def test_an_idle_connection_is_closed_in_good_order(over):
    async def scenario():
        remote = LOOPBACK, free_port()
        listener = over.serve(*remote, echo, idle_timeout=0.1)
        session = await over.connect(remote)
        for n in range(4):  # in use for longer than the idle timeout
            await asyncio.sleep(0.04)
            await session.exchange(query(n), 3)
        assert listener.open == 1
        assert await session.closed is None
        await until(lambda: listener.open == 0)
        with fails(Failure.CLOSED, "while idle"):
            await session.exchange(query(1), 3)
        listener.close()

    run(scenario())


@both
def test_the_idle_timeout_closes_before_a_response(over):
    async def scenario():
        remote = LOOPBACK, free_port()
        listener = over.serve(*remote, lambda *_: [], idle_timeout=0.05)
        session = await over.connect(remote)
        with fails(Failure.CLOSED, "before a response"):
            await session.exchange(query(1), 3)
        listener.close()

    run(scenario())


def test_a_drip_of_octets_does_not_keep_a_connection_open():
    async def scenario():
        remote = LOOPBACK, free_port()
        listener = tcp.serve(HOST, *remote, echo, idle_timeout=0.05)
        _, writer = await asyncio.open_connection(*remote)
        for octet in framing.frame(query(1)):
            writer.write(bytes([octet]))
            await asyncio.sleep(0.01)
            if not listener.open and listener.connections:
                break
        assert (listener.open, listener.messages) == (0, 0)
        writer.close()
        listener.close()

    run(scenario())


def test_answers_that_do_not_belong_to_the_query_are_ignored():
    async def scenario():
        wire = query(7)
        wrong = [
            response(query(8)),
            response(query(7, b"\4evil\0")),
            query(7),
            response(wire)[:-2] + b"\0\3",
        ]
        right = response(query(7, QNAME.upper()), b"true")
        stream = b"".join(framing.frame(message) for message in [*wrong, right])
        pieces = [stream[n : n + 1] for n in range(len(stream))]
        async with peer(scripted(*pieces)) as remote:
            session = await Tcp.connect(remote)
            assert await session.exchange(wire, 3) == right
            session.close()

    run(scenario())


def test_an_error_without_a_question_is_an_answer():
    async def scenario():
        formerr = struct.pack("!6H", 7, 0x8001, 0, 0, 0, 0)
        async with peer(scripted(framing.frame(formerr))) as remote:
            session = await Tcp.connect(remote)
            assert await session.exchange(query(7), 3) == formerr
            session.close()

    run(scenario())


@pytest.mark.parametrize(
    ("script", "failure", "detail"),
    [
        (scripted(b"\0\5", b"hello"), Failure.PROTOCOL, "12 octets"),
        (scripted(b"\0\0"), Failure.PROTOCOL, "12 octets"),
        (scripted(b"\xff\xff", bytes(1000), then=socket.socket.close), Failure.CLOSED, "before a response"),
        (scripted(then=socket.socket.close), Failure.CLOSED, "before a response"),
        (scripted(b"\0\40", then=reset), Failure.RESET, None),
        (scripted(), Failure.TIMEOUT, "no response"),
    ],
)
def test_how_an_exchange_fails(script, failure, detail):
    async def scenario():
        async with peer(script) as remote:
            session = await Tcp.connect(remote)
            with fails(failure, detail):
                await session.exchange(query(1), 0.2)
            assert session.closed.done() is (failure is not Failure.TIMEOUT)
            session.close()

    run(scenario())


def test_a_late_answer_does_not_answer_another_question():
    async def scenario():
        gate = asyncio.Event()

        async def script(loop, sock):
            await loop.sock_recv(sock, 65536)
            await gate.wait()
            await loop.sock_recv(sock, 65536)
            await loop.sock_sendall(sock, framing.frame(response(query(7))))
            await loop.sock_sendall(sock, framing.frame(response(query(7, b"\5other\0"))))
            await asyncio.sleep(60)

        async with peer(script) as remote:
            session = await Tcp.connect(remote)
            with fails(Failure.TIMEOUT):
                await session.exchange(query(7), 0.01)
            gate.set()
            other = query(7, b"\5other\0")
            assert await session.exchange(other, 3) == response(other)
            session.close()

    run(scenario())


def test_connecting_times_out():
    async def scenario():
        listener = socket.socket()
        listener.bind((LOOPBACK, 0))
        listener.listen(0)
        remote = listener.getsockname()
        # A full backlog drops further SYNs.
        fillers = [await tcp.connect(HOST, LOOPBACK, remote, timeout=3)]
        with fails(Failure.TIMEOUT, "TCP handshake"):
            while True:
                fillers.append(await tcp.connect(HOST, LOOPBACK, remote, timeout=0.1))
        for session in fillers:
            session.close()
        listener.close()

    run(scenario())


@both
def test_length_and_message_leave_in_one_segment_at_once(over):
    async def scenario():
        remote = LOOPBACK, free_port()
        listener = over.serve(*remote, echo)
        session = await over.connect(remote)
        await session.exchange(query(1), 3)
        (connection,) = listener.live
        for stream in (connection._stream, session._stream):
            assert stream._sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
        before = data_segments(connection._stream._sock)
        for n in range(5):
            await session.exchange(query(n), 3)
        after = data_segments(connection._stream._sock)
        assert [b - a for a, b in zip(before, after, strict=True)] == [5, 5]
        listener.close()

    run(scenario())
