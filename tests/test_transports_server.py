import asyncio
import contextlib
import socket

import pytest
from loopback import (
    CREDENTIAL,
    HOST,
    LOOPBACK,
    Dot,
    Tcp,
    both,
    drain,
    echo,
    everything,
    fails,
    free_port,
    peer,
    query,
    raw,
    reset,
    response,
    run,
    until,
)

from testbed.core.tls_messages import AlertDescription, alert_record
from testbed.core.transport import Failure
from testbed.transports import framing, server, tcp, tls


def test_a_client_that_sends_octet_by_octet():
    async def scenario():
        remote = LOOPBACK, free_port()
        listener = tcp.serve(HOST, *remote, echo)
        sock = await raw(remote)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for octet in framing.frame(query(1)) + framing.frame(query(2)):
            sock.send(bytes([octet]))
            await asyncio.sleep(0)
        sock.shutdown(socket.SHUT_WR)
        got = await everything(sock)
        assert got == framing.frame(response(query(1))) + framing.frame(response(query(2)))
        await until(lambda: listener.open == 0)
        sock.close()
        listener.close()

    run(scenario())


def test_a_client_that_half_closes_still_gets_all_answers(monkeypatch):
    monkeypatch.setattr(server, "OUTSTANDING", 1 << 30)

    async def scenario():
        remote = LOOPBACK, free_port()
        listener = tcp.serve(HOST, *remote, lambda wire, *_: [response(wire, bytes(60000))] * 400)
        sock = await raw(remote)
        sock.send(framing.frame(query(1)))
        sock.shutdown(socket.SHUT_WR)
        await until(lambda: listener.messages == 1)
        await asyncio.sleep(0.02)
        (connection,) = listener.live
        assert connection._stream.unsent > 0
        assert await everything(sock) == framing.frame(response(query(1), bytes(60000))) * 400
        await until(lambda: listener.open == 0)
        sock.close()
        listener.close()

    run(scenario())


def test_a_client_is_told_what_is_wrong_with_its_hello():
    async def scenario():
        remote = LOOPBACK, free_port()
        listener = Dot.serve(*remote, echo)
        sock = await raw(remote)
        sock.send(b"\x16\x03\x01\x00\x06\x01\x00\x00\x02\x03\x03")
        assert await everything(sock) == alert_record(AlertDescription.DECODE_ERROR)
        await until(lambda: listener.open == 0)
        assert listener.handshakes == 0
        sock.close()
        listener.close()

    run(scenario())


@both
@pytest.mark.parametrize(
    "data",
    [b"", b"\0", b"\0\5hello", b"GET / HTTP/1.1\r\n\r\n", b"\x16\x03\x01\x00\x05hello", bytes(100000)],
)
@pytest.mark.parametrize("how", ["half-close", "reset", "close", "wait"])
def test_garbage_leaks_nothing(over, data, how):
    async def scenario():
        remote = LOOPBACK, free_port()
        listener = over.serve(*remote, echo, idle_timeout=0.05)
        sock = await raw(remote)
        with contextlib.suppress(ConnectionError):
            await asyncio.get_running_loop().sock_sendall(sock, data)
            await until(lambda: listener.connections == 1)
            if how == "half-close":
                sock.shutdown(socket.SHUT_WR)
        if how == "reset":
            reset(sock)
        elif how == "close":
            sock.close()
        else:
            await everything(sock)
        await until(lambda: listener.open == 0)
        assert listener.connections == 1
        session = await over.connect(remote)
        assert await session.exchange(query(1), 3) == response(query(1))
        session.close()
        sock.close()
        listener.close()

    run(scenario())


@both
def test_a_client_that_does_not_read_is_not_read_from(over):
    async def scenario():
        remote = LOOPBACK, free_port()
        listener = over.serve(*remote, lambda wire, *_: [response(wire, bytes(60000))])
        session = await over.connect(remote)
        session._stream.pause()
        tasks = [asyncio.ensure_future(session.exchange(query(n), 8)) for n in range(2000)]
        await until(lambda: listener.messages > 10)
        last = -1
        while last != listener.messages:
            last = listener.messages
            await asyncio.sleep(0.05)
        (connection,) = listener.live
        assert connection._stream.unsent < server.OUTSTANDING + 200000
        assert listener.messages < 500
        session._stream.resume()
        answers = await asyncio.gather(*tasks)
        assert [a[:2] for a in answers] == [n.to_bytes(2) for n in range(2000)]
        session.close()
        await until(lambda: listener.open == 0)
        listener.close()

    run(scenario())


def test_a_client_that_never_reads_is_dropped():
    async def scenario():
        remote = LOOPBACK, free_port()
        listener = tcp.serve(HOST, *remote, lambda wire, *_: [response(wire, bytes(60000))], idle_timeout=0.1)
        sock = await raw(remote)
        sock.send(framing.frame(query(1)) * 1000)
        await until(lambda: listener.messages > 10)
        await until(lambda: listener.open == 0)
        assert listener.messages < 500
        with pytest.raises(ConnectionResetError):  # not a clean end in the middle of a message
            await drain(sock)
        sock.close()
        listener.close()

    run(scenario())


def test_a_fault_in_the_handler_is_reported_and_costs_one_connection():
    async def scenario():
        remote = LOOPBACK, free_port()
        reported = []
        asyncio.get_running_loop().set_exception_handler(lambda _, context: reported.append(context))

        def handler(wire, *_):
            if wire[:2] == b"\0\1":
                raise KeyError("planted")
            return [response(wire)]

        listener = tcp.serve(HOST, *remote, handler)
        healthy, doomed = await Tcp.connect(remote), await Tcp.connect(remote)
        with fails(Failure.RESET):
            await doomed.exchange(query(1), 3)
        assert await healthy.exchange(query(2), 3) == response(query(2))
        assert [str(context["exception"]) for context in reported] == ["'planted'"]
        assert listener.open == 1
        listener.close()

    run(scenario())


def test_closing_a_session_sends_no_reset():
    async def scenario():
        ended = []

        async def script(loop, sock):
            pump = tls.ServerPump(CREDENTIAL)
            while not pump.ended:
                pump.feed(await loop.sock_recv(sock, 65536))
                await loop.sock_sendall(sock, pump.outgoing())
            pump.send(bytes(5000))  # what the client no longer wants
            await loop.sock_sendall(sock, pump.outgoing())
            ended.append(await loop.sock_recv(sock, 10))
            sock.close()

        async with peer(script) as remote:
            session = await Dot.connect(remote)
            session.close()
            await until(lambda: ended)
            await asyncio.sleep(0.01)
        assert ended == [b""]
        assert session._stream._sock.fileno() == -1

    run(scenario())
