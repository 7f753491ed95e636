import asyncio
import contextlib
import random
import socket

import dns.name
import h2.connection
import h2.events
import h2.settings
import pytest
from aioquic.h3.connection import ErrorCode, H3Connection
from aioquic.h3.events import DataReceived, HeadersReceived
from aioquic.quic.events import StopSendingReceived
from h2.config import H2Configuration
from h2.errors import ErrorCodes
from h2.settings import SettingCodes
from hypothesis import given, settings
from hypothesis import strategies as st
from loopback import (
    CREDENTIAL,
    HOST,
    LOOPBACK,
    NOW,
    ROOT,
    LocalHost,
    drain,
    echo,
    fails,
    free_port,
    peer,
    query,
    raw,
    reset,
    response,
    run,
    scripted,
    until,
)
from quic_peers import SNI, Relay, run_virtual, scripted_client, scripted_server, udp_port

from testbed.core.dohpath import Template
from testbed.core.identity import Accepted, WebPki
from testbed.core.tls_messages import alert_record
from testbed.core.transport import Failure, Transport, TransportError
from testbed.transports import doh, doh3, http2, http2_server, http_messages, tls

MEDIA_TYPE = (b"content-type", b"application/dns-message")


class Http2:
    module = doh
    transport = Transport.DOH
    alpn = "h2"
    port = staticmethod(free_port)

    @classmethod
    def serve(cls, address, port, handler, **options):
        options.setdefault("credential", CREDENTIAL)
        return cls.module.serve(HOST, address, port, handler, **options)

    @classmethod
    async def connect(cls, remote, timeout=3, **options):
        options = {"sni": SNI, "alpn": cls.alpn} | options
        return await cls.module.connect(HOST, remote[0], remote, timeout=timeout, **options)


class Http3(Http2):
    module = doh3
    transport = Transport.DOH3
    alpn = "h3"
    port = staticmethod(udp_port)


both = pytest.mark.parametrize("over", [Http2, Http3])
methods = pytest.mark.parametrize("method", ["POST", "GET"])

# -- both versions of HTTP ---------------------------------------------------------------------------


@both
@methods
@pytest.mark.parametrize("address", [LOOPBACK, "::1"])
def test_exchanges(over, method, address):
    async def scenario():
        seen = []

        def handler(wire, transport, peer):
            seen.append((wire[:2], transport, peer))
            return [response(wire)]

        remote = address, over.port(address)
        listener = over.serve(*remote, handler)
        session = await over.connect(remote, method=method)
        assert session.chain == CREDENTIAL.chain
        info = session.handshake
        assert (info.version, info.alpn, info.resumed) == ("TLSv1.3", over.alpn, False)
        assert isinstance(
            WebPki((ROOT.certificate,), dns.name.from_text(SNI)).check(session.chain, NOW), Accepted
        )
        assert listener.messages == 0
        for number in (1, 2, 1):
            assert await session.exchange(query(number), 3) == response(query(number))
        assert seen == [(b"\0\0", over.transport, address)] * 3
        assert (session.transport, session.remote) == (over.transport, remote)
        assert (listener.connections, listener.handshakes, listener.messages, listener.open) == (1, 1, 3, 1)
        session.close()
        assert session.closed.result() is None
        with fails(Failure.CLOSED, "by this side"):
            await session.exchange(query(1), 3)
        await until(lambda: listener.open == 0)
        listener.close()
        listener.close()
        with fails(Failure.REFUSED):
            await over.connect(remote)

    run(scenario())


@both
@methods
def test_many_exchanges_at_once(over, method):
    async def scenario():
        remote = LOOPBACK, over.port()
        listener = over.serve(*remote, lambda wire, *_: [response(wire, bytes(700))])
        session = await over.connect(remote, method=method)
        wires = [query(n % 7, b"%c" % 4 + b"%04d" % n + b"\0") for n in range(400)]
        answers = await asyncio.gather(*(session.exchange(wire, 8) for wire in wires))
        assert answers == [response(wire, bytes(700)) for wire in wires]
        session.close()
        listener.close()

    run(scenario())


@both
@methods
def test_large_messages(over, method):
    async def scenario():
        remote = LOOPBACK, over.port()
        listener = over.serve(*remote, echo)
        session = await over.connect(remote, method=method)
        limit = 65535 if method == "POST" else (65000 - len("/dns-query?dns=")) * 3 // 4
        wires = [query(n).ljust(limit - n, b"\0") for n in range(3 if method == "GET" else 30)]
        answers = await asyncio.gather(*(session.exchange(wire, 8) for wire in wires))
        assert answers == [response(wire) for wire in wires]
        with pytest.raises(ValueError, match="does not fit"):
            await session.exchange(bytes(limit + 1), 3)
        with pytest.raises(ValueError, match="12 octets"):
            await session.exchange(bytes(11), 3)
        session.close()
        listener.close()

    run(scenario())


@both
def test_there_are_no_zone_transfers(over):
    async def scenario():
        remote = LOOPBACK, over.port()
        listener = over.serve(*remote, lambda wire, *_: [response(wire)] * (1 + wire[3]))
        session = await over.connect(remote)
        assert await session.transfer(query(1), 3, lambda _: True) == [response(query(1))]
        with fails(Failure.PROTOCOL, "one response"):
            await session.transfer(query(1), 3, lambda _: False)
        with fails(Failure.PROTOCOL, "HTTP status 501"):
            await session.exchange(query(1)[:3] + b"\1" + query(1)[4:], 3)
        with pytest.raises(ZeroDivisionError):
            await session.transfer(query(1), 3, lambda _: 1 / 0)
        assert not session.closed.done()
        session.close()
        listener.close()

    run(scenario())


@both
def test_paths(over):
    async def scenario():
        remote = LOOPBACK, over.port()
        listener = over.serve(*remote, echo, path="/q{?dns}")
        for method in ("GET", "POST"):
            session = await over.connect(remote, path="/q{?dns}", method=method)
            assert await session.exchange(query(1), 3) == response(query(1))
            session.close()
            session = await over.connect(remote, method=method)
            with fails(Failure.PROTOCOL, "HTTP status 404"):
                await session.exchange(query(1), 3)
            session.close()
        assert listener.messages == 2
        with pytest.raises(ValueError, match="template"):
            await over.connect(remote, path="/q")
        with pytest.raises(ValueError, match="template"):
            over.serve(LOOPBACK, 0, echo, path="q{?dns}")
        listener.close()

    run(scenario())


@both
def test_answers_that_take_time_and_answers_that_never_come(over):
    async def scenario():
        remote = LOOPBACK, over.port()
        gate = asyncio.Event()

        async def later(wire):
            await gate.wait()
            return [response(wire)]

        listener = over.serve(*remote, lambda wire, *_: [] if wire[3] else later(wire))
        session = await over.connect(remote)
        slow = asyncio.ensure_future(session.exchange(query(1), 9))
        with fails(Failure.TIMEOUT, "no response"):
            await session.exchange(query(2)[:3] + b"\1" + query(2)[4:], 0.05)
        gate.set()
        assert await slow == response(query(1))
        gate.clear()
        slow = asyncio.ensure_future(session.exchange(query(1), 9))
        await until(lambda: listener.messages == 3)
        listener.close()
        with fails(Failure.RESET):
            await slow
        assert (await session.closed).failure is Failure.RESET
        assert listener.open == 0

    run(scenario())


@both
def test_a_fault_in_the_handler_is_reported_and_costs_one_request(over):
    async def scenario():
        remote = LOOPBACK, over.port()
        reported = []
        asyncio.get_running_loop().set_exception_handler(lambda _, context: reported.append(context))

        def handler(wire, *_):
            if wire[3]:
                raise KeyError("planted")
            return [response(wire)]

        listener = over.serve(*remote, handler)
        session = await over.connect(remote)
        with fails(Failure.PROTOCOL, "HTTP status 500"):
            await session.exchange(query(1)[:3] + b"\1" + query(1)[4:], 3)
        assert await session.exchange(query(2), 3) == response(query(2))
        assert [str(context["exception"]) for context in reported] == ["'planted'"]
        session.close()
        listener.close()

    run(scenario())


@both
def test_idle_connections_are_closed_in_good_order(over):
    async def scenario():
        loop = asyncio.get_running_loop()
        remote = LOOPBACK, over.port()
        listener = over.serve(*remote, echo, idle_timeout=10)
        session = await over.connect(remote)
        for n in range(4):
            await asyncio.sleep(7)
            await session.exchange(query(n), 3)
        before = loop.time()
        assert await session.closed is None
        assert loop.time() - before == pytest.approx(10, abs=0.2)
        await asyncio.sleep(0.1)
        assert listener.open == 0
        with fails(Failure.CLOSED):
            await session.exchange(query(1), 3)
        listener.close()

    run_virtual(scenario())


@both
def test_resumption(over):
    async def scenario():
        remote = LOOPBACK, over.port()
        listener = over.serve(*remote, echo)
        session = await over.connect(remote)
        await session.exchange(query(1), 3)
        await until(lambda: session.ticket)
        ticket = session.ticket
        session.close()
        session = await over.connect(remote, ticket=ticket)
        assert session.handshake.resumed
        assert session.chain == CREDENTIAL.chain
        assert await session.exchange(query(1), 3) == response(query(1))
        session.close()
        listener.close()

    run(scenario())


@both
def test_both_ends_log_the_same_secrets(over):
    async def scenario():
        ours, theirs = [], []
        remote = LOOPBACK, over.port()
        listener = over.serve(*remote, echo, secrets=theirs.append)
        session = await over.connect(remote, secrets=ours.append)
        await session.exchange(query(1), 3)
        assert sorted(ours) == sorted(theirs)
        assert "CLIENT_TRAFFIC_SECRET_0" in {line.split()[0] for line in ours}
        session.close()
        listener.close()

    run(scenario())


@both
@pytest.mark.parametrize("when", ["during the handshake", "idle", "in an exchange"])
def test_nothing_is_left_behind(over, when):
    class Watched(LocalHost):
        def __init__(self):
            self.opened = []

        def socket(self, family, kind, proto=0):
            self.opened.append(super().socket(family, kind, proto))
            return self.opened[-1]

    async def scenario():
        loop = asyncio.get_running_loop()
        host = Watched()
        options = {"sni": SNI, "timeout": 30, "alpn": over.alpn}
        remote = LOOPBACK, over.port()
        listener = over.serve(*remote, lambda *_: [])
        if when == "during the handshake":
            listener.close()
            kind = socket.SOCK_DGRAM if over is Http3 else socket.SOCK_STREAM
            with socket.socket(socket.AF_INET, kind) as silent:
                silent.bind(remote)
                if over is Http2:
                    silent.listen()
                task = asyncio.ensure_future(over.module.connect(host, LOOPBACK, remote, **options))
                await asyncio.sleep(0.02)
                task.cancel()
                with pytest.raises(asyncio.CancelledError):
                    await task
        else:
            session = await over.module.connect(host, LOOPBACK, remote, **options)
            task = asyncio.ensure_future(session.exchange(query(1), 30))
            await until(lambda: listener.messages == 1)
            if when == "idle":
                task.cancel()
                await asyncio.sleep(0)
            session.close()
            with pytest.raises((TransportError, asyncio.CancelledError)):
                await task
            await until(lambda: listener.open == 0)
            listener.close()
        await until(lambda: all(sock.fileno() == -1 for sock in host.opened))
        await asyncio.sleep(0)
        left = [timer for timer in loop._scheduled if not timer.cancelled()]
        assert len(left) == 1, left  # run()'s own

    run(scenario())


@pytest.mark.parametrize(
    ("over", "state", "trips"),
    [(Http3, "cold", 2), (Http3, "resumed", 2), (Http3, "open", 1)],
)
def test_round_trips(over, state, trips):
    async def scenario():
        loop = asyncio.get_running_loop()
        remote = LOOPBACK, over.port()
        listener = over.serve(*remote, echo)
        session = await over.connect(remote)
        await session.exchange(query(1), 3)
        ticket = session.ticket if state == "resumed" else None
        session.close()
        relay = Relay(remote, delay=0.1)
        before = loop.time()
        session = await over.connect(relay.remote, ticket=ticket)
        if state == "open":
            await asyncio.sleep(5)
            before = loop.time()
        await session.exchange(query(1), 3)
        assert loop.time() - before == pytest.approx(0.2 * trips)
        session.close()
        relay.close()
        listener.close()

    run_virtual(scenario())


# -- HTTP/2: servers of all kinds --------------------------------------------------------------------


def http2_peer(script, *, alpn="h2", preface=True):
    """A server of HTTP/2 that does what its script says of each event."""

    async def play(loop, sock):
        pump = tls.ServerPump(CREDENTIAL, alpn=(alpn,))
        http = h2.connection.H2Connection(H2Configuration(client_side=False, header_encoding="utf-8"))
        started = False
        while not pump.ended:
            data = await loop.sock_recv(sock, 65536)
            if not data:
                return
            plaintext = pump.feed(data)
            if pump.established and not started and preface:
                http.initiate_connection()
            started = pump.established
            for event in http.receive_data(plaintext) if preface else []:
                script(http, event)
            if pump.established and (out := http.data_to_send()):
                pump.send(out)
            await loop.sock_sendall(sock, pump.outgoing())

    return play


def ended(answer):
    """Do something when a request is complete."""

    def script(http, event):
        if isinstance(event, h2.events.StreamEnded):
            answer(http, event.stream_id)

    return script


def right(http, stream, wire=None, end=True):
    http.send_headers(stream, [(":status", "200"), ("content-type", "application/dns-message")])
    http.send_data(stream, response(query(0)) if wire is None else wire, end_stream=end)


def test_what_is_on_the_wire():
    async def scenario():
        seen = []

        def script(http, event):
            seen.append(event)
            if isinstance(event, h2.events.StreamEnded):
                right(http, event.stream_id)

        async with peer(http2_peer(script)) as remote:
            for options in ({}, {"method": "GET", "sni": None, "path": "/q?a=1{&dns}"}):
                session = await Http2.connect(remote, **options)
                assert await session.exchange(query(7), 3) == response(query(7))
                session.close()
                await until(lambda: isinstance(seen[-1], h2.events.ConnectionTerminated))
        requests = [dict(event.headers) for event in seen if isinstance(event, h2.events.RequestReceived)]
        port = remote[1]
        assert requests == [
            {
                ":method": "POST",
                ":scheme": "https",
                ":authority": f"{SNI}:{port}",
                ":path": "/dns-query",
                "accept": "application/dns-message",
                "content-type": "application/dns-message",
                "content-length": str(len(query(7))),
            },
            {
                ":method": "GET",
                ":scheme": "https",
                ":authority": f"{LOOPBACK}:{port}",
                ":path": "/q?a=1&dns=AAAAAAABAAAAAAAABnNlY3JldAdleGFtcGxlA29yZwAAAQAB",
                "accept": "application/dns-message",
            },
        ]
        assert [event.data for event in seen if isinstance(event, h2.events.DataReceived)] == [query(0)]
        ends = [event for event in seen if isinstance(event, h2.events.ConnectionTerminated)]
        assert [event.error_code for event in ends] == [ErrorCodes.NO_ERROR] * 2
        changed = [event for event in seen if isinstance(event, h2.events.RemoteSettingsChanged)]
        assert changed[0].changed_settings[SettingCodes.ENABLE_PUSH].new_value == 0

    run(scenario())


def headers_of(*fields):
    def answer(http, stream):
        http.send_headers(stream, list(fields), end_stream=True)

    return answer


def too_long(http, stream):
    """Four times as much as the window has room for at first; the rest follows as there is room again."""
    http.send_headers(stream, [(":status", "200"), ("content-type", "application/dns-message")])
    for _ in range(4):
        http.send_data(stream, bytes(16000))


@pytest.mark.parametrize(
    ("answer", "failure", "detail"),
    [
        (headers_of((":status", "404")), Failure.PROTOCOL, "HTTP status 404"),
        (headers_of((":status", "200"), ("content-type", "text/html")), Failure.PROTOCOL, "media type"),
        (headers_of((":status", "200"), ("content-type", "application/dns-message")), Failure.PROTOCOL, "12"),
        (lambda http, stream: right(http, stream, b"short"), Failure.PROTOCOL, "12 octets"),
        (lambda http, stream: right(http, stream, query(0)), Failure.PROTOCOL, "not a response"),
        (
            lambda http, stream: right(http, stream, response(query(0, b"\4evil\0"))),
            Failure.PROTOCOL,
            "not a response to the query",
        ),
        (lambda http, stream: right(http, stream, end=False), Failure.TIMEOUT, "no response"),
        (too_long, Failure.PROTOCOL, "too long"),
        (lambda http, stream: http.reset_stream(stream, 7), Failure.RESET, "REFUSED_STREAM"),
        (lambda http, stream: http.reset_stream(stream, 0xABCD), Failure.RESET, "error 43981"),
    ],
)
def test_how_an_exchange_fails(answer, failure, detail):
    async def scenario():
        def script(http, event):
            if isinstance(event, h2.events.StreamEnded):
                (answer if event.stream_id == 1 else right)(http, event.stream_id)
            elif isinstance(event, h2.events.WindowUpdated) and event.stream_id == 1:
                http.send_data(1, bytes(16000))

        async with peer(http2_peer(script)) as remote:
            session = await Http2.connect(remote)
            with fails(failure, detail):
                await session.exchange(query(1), 0.2)
            assert await session.exchange(query(2), 3) == response(query(2))
            assert session._responses == {}
            session.close()

    run(scenario())


def test_exchanges_are_cancelled_on_the_wire():
    async def scenario():
        seen = []
        async with peer(http2_peer(lambda _, event: seen.append(event))) as remote:
            session = await Http2.connect(remote)
            with fails(Failure.TIMEOUT):
                await session.exchange(query(1), 0.02)
            task = asyncio.ensure_future(session.exchange(query(2), 3))
            await asyncio.sleep(0.02)
            task.cancel()
            await until(lambda: sum(isinstance(event, h2.events.StreamReset) for event in seen) == 2)
            assert not session.closed.done()
            session.close()
        resets = [event for event in seen if isinstance(event, h2.events.StreamReset)]
        assert [(event.stream_id, event.error_code) for event in resets] == [(1, 8), (3, 8)]

    run(scenario())


def test_the_server_says_how_many_requests_it_takes_at_a_time():
    async def scenario():
        most = 0
        waiting = []

        def script(http, event):
            nonlocal most
            if isinstance(event, h2.events.StreamEnded):
                waiting.append(event.stream_id)
                most = max(most, len(waiting))
                if event.stream_id == 1 or len(waiting) == 3:
                    while waiting:
                        right(http, waiting.pop())

        def start(http, event):
            if isinstance(event, h2.events.RemoteSettingsChanged):
                http.update_settings({SettingCodes.MAX_CONCURRENT_STREAMS: 3})
            script(http, event)

        async with peer(http2_peer(start)) as remote:
            session = await Http2.connect(remote)
            await session.exchange(query(1), 3)
            answers = await asyncio.gather(*(session.exchange(query(n), 3) for n in range(30)))
            assert answers == [response(query(n)) for n in range(30)]
            session.close()
        assert most == 3

    run(scenario())


def test_a_burst_before_the_settings_of_the_server():
    async def scenario():
        remote = LOOPBACK, free_port()
        listener = Http2.serve(*remote, echo)
        session = await Http2.connect(remote)
        answers = await asyncio.gather(*(session.exchange(query(n), 5) for n in range(500)))
        assert answers == [response(query(n)) for n in range(500)]
        session.close()
        listener.close()

    run(scenario())


def test_a_server_that_leaves_in_good_order():
    """GOAWAY: what it has begun it finishes, what is above the last stream is not processed."""

    async def scenario():
        waiting = []

        def script(http, event):
            if isinstance(event, h2.events.StreamEnded):
                waiting.append(event.stream_id)
                if len(waiting) == 3:
                    right(http, 1)
                    http.close_connection(last_stream_id=3)
                    http.state_machine.state = h2.connection.ConnectionState.SERVER_OPEN
                    right(http, 3)

        async with peer(http2_peer(script)) as remote:
            session = await Http2.connect(remote)
            tasks = [asyncio.ensure_future(session.exchange(query(n), 3)) for n in range(3)]
            results = await asyncio.gather(*tasks, return_exceptions=True)
            assert results[:2] == [response(query(0)), response(query(1))]
            assert (results[2].failure, results[2].detail) == (Failure.CLOSED, "GOAWAY")
            assert await session.closed is None
            with fails(Failure.CLOSED):
                await session.exchange(query(9), 3)

    run(scenario())


def test_no_requests_after_goaway():
    async def scenario():
        def script(http, event):
            if isinstance(event, h2.events.StreamEnded):
                http.close_connection(last_stream_id=event.stream_id)
                http.state_machine.state = h2.connection.ConnectionState.SERVER_OPEN

        async with peer(http2_peer(script)) as remote:
            session = await Http2.connect(remote)
            task = asyncio.ensure_future(session.exchange(query(1), 0.2))
            await until(lambda: session._leaving)
            with fails(Failure.CLOSED, "GOAWAY"):
                await session.exchange(query(2), 3)
            with fails(Failure.TIMEOUT):
                await task
            session.close()

    run(scenario())


def say(data):
    def answer(http, _):
        http._data_to_send += data

    return answer


@pytest.mark.parametrize(
    ("script", "failure", "detail"),
    [
        (ended(lambda http, _: http.close_connection(11)), Failure.RESET, "GOAWAY: ENHANCE_YOUR_CALM"),
        (ended(say(b"\xff" * 20)), Failure.PROTOCOL, "HTTP/2: "),
        (ended(say(b"\0\0\4\x03\0\0\0\0\0" + bytes(4))), Failure.PROTOCOL, "HTTP/2: "),
        (ended(say(b"\0\0\1\x08\0\0\0\0\1\0")), Failure.PROTOCOL, "HTTP/2: "),
        (ended(say(b"\0\0\0\x01\5\0\0\0\1")), Failure.PROTOCOL, "HTTP/2: Header block"),
        (ended(lambda *_: None), Failure.TIMEOUT, "no response"),
    ],
)
def test_how_a_session_fails(script, failure, detail):
    async def scenario():
        async with peer(http2_peer(script)) as remote:
            session = await Http2.connect(remote)
            with fails(failure, detail):
                await session.exchange(query(1), 0.2)
            alive = failure is Failure.TIMEOUT
            assert session.closed.done() is not alive
            session.close()

    run(scenario())


@pytest.mark.parametrize(
    ("script", "failure", "detail"),
    [
        (http2_peer(lambda *_: None, alpn="dot"), Failure.PROTOCOL, "does not speak HTTP/2"),
        (scripted(alert_record(120)), Failure.TLS, r"no_application_protocol \(120\)"),
        (scripted(b"HTTP/1.1 400 Bad Request\r\n\r\n"), Failure.TLS, None),
        (scripted(then=reset), Failure.RESET, None),
        (scripted(then=socket.socket.close), Failure.CLOSED, "during the TLS handshake"),
        (scripted(), Failure.TIMEOUT, "TLS handshake"),
    ],
)
def test_how_connecting_fails(script, failure, detail):
    async def scenario():
        async with peer(script) as remote:
            with fails(failure, detail):
                await Http2.connect(remote, timeout=0.2)

    run(scenario())


def test_the_end_of_a_stream_is_not_the_end_of_a_session():
    async def scenario(polite):
        async def script(loop, sock):
            pump = tls.ServerPump(CREDENTIAL, alpn=("h2",))
            while not pump.established:
                pump.feed(await loop.sock_recv(sock, 65536))
                await loop.sock_sendall(sock, pump.outgoing())
            if polite:
                pump.close()
                await loop.sock_sendall(sock, pump.outgoing())
            sock.close()

        async with peer(script) as remote:
            session = await Http2.connect(remote)
            return await session.closed

    assert run(scenario(polite=True)) is None
    how = run(scenario(polite=False))
    assert (how.failure, how.detail) == (Failure.CLOSED, "while idle, without close_notify")


@pytest.mark.parametrize("seed", range(8))
def test_a_server_that_sends_nonsense(seed):
    async def scenario():
        rng = random.Random(seed)

        async def script(loop, sock):
            pump = tls.ServerPump(CREDENTIAL, alpn=("h2",))
            http = h2.connection.H2Connection(H2Configuration(client_side=False))
            while not pump.established:
                pump.feed(await loop.sock_recv(sock, 65536))
                await loop.sock_sendall(sock, pump.outgoing())
            http.initiate_connection()
            with contextlib.suppress(Exception):
                while not pump.ended:
                    data = pump.feed(await loop.sock_recv(sock, 65536))
                    for event in http.receive_data(data):
                        if isinstance(event, h2.events.StreamEnded):
                            right(http, event.stream_id)
                    out = bytearray(http.data_to_send())
                    for _ in range(rng.randrange(4)):
                        if out:
                            out[rng.randrange(len(out))] = rng.randrange(256)
                    pump.send(bytes(out))
                    await loop.sock_sendall(sock, pump.outgoing())

        async with peer(script) as remote:
            for _ in range(10):
                session = await Http2.connect(remote)
                for number in range(4):
                    with contextlib.suppress(TransportError):
                        await session.exchange(query(number), 0.02)
                session.close()

    run(scenario())


@settings(deadline=None)
@given(
    st.lists(st.tuples(st.integers(0, 12), st.integers(0, 255), st.integers(0, 3), st.binary(max_size=40)))
)
def test_frames_of_all_kinds(frames):
    for is_client in (True, False):
        connection = http2.Connection(client=is_client)
        stream = b"" if is_client else b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
        if is_client:
            connection.send(1, [(b":method", b"GET"), (b":path", b"/")], b"")
        stream += b"\0\0\0\x04\0\0\0\0\0"
        for kind, flags, number, payload in frames:
            stream += len(payload).to_bytes(3) + bytes([kind, flags]) + number.to_bytes(4) + payload
        for size in (1, 7, 10000):
            with contextlib.suppress(http2.Http2Error):
                for start in range(0, len(stream), size):
                    list(connection.feed(stream[start : start + size]))


# -- HTTP/2: clients of all kinds --------------------------------------------------------------------


class Client:
    """A client of HTTP/2 that may do as it likes."""

    @classmethod
    async def connect(cls, remote, alpn=("h2",)):
        self = cls()
        self.loop = asyncio.get_running_loop()
        self.sock = await raw(remote)
        self.pump = tls.ClientPump(sni=None, alpn=alpn)
        self.http = h2.connection.H2Connection(H2Configuration(client_side=True, header_encoding="utf-8"))
        initial = {SettingCodes.INITIAL_WINDOW_SIZE: 1 << 20}
        self.http.local_settings = h2.settings.Settings(client=True, initial_values=initial)
        self.http.initiate_connection()
        self.events = []
        while not self.pump.established:
            await self.flush()
            await self.read()
        await self.flush()
        return self

    async def read(self):
        data = await self.loop.sock_recv(self.sock, 65536)
        self.events += self.http.receive_data(self.pump.feed(data))
        return bool(data)

    async def flush(self):
        if self.pump.established and (data := self.http.data_to_send()):
            self.pump.send(data)
        await self.loop.sock_sendall(self.sock, self.pump.outgoing())

    async def say(self, data):
        self.pump.send(data)
        await self.flush()

    async def until(self, kind, count=1):
        async with asyncio.timeout(3):
            while sum(isinstance(event, kind) for event in self.events) < count:
                assert await self.read()
                await self.flush()
        return [event for event in self.events if isinstance(event, kind)]

    def request(self, stream, content=None, end=True, **fields):
        headers = {":method": "POST", ":scheme": "https", ":authority": "x", ":path": "/dns-query"}
        headers |= {"content-type": "application/dns-message"} | {
            k.replace("_", ":"): v for k, v in fields.items()
        }
        self.http.send_headers(stream, list(headers.items()), end_stream=content is None)
        if content is not None:
            self.http.send_data(stream, content, end_stream=end)


@pytest.mark.parametrize(
    ("fields", "content", "status"),
    [
        ({}, query(0), "200"),
        ({}, query(0x1234), "200"),
        (
            {"_method": "GET", "_path": "/dns-query?dns=AAAAAAABAAAAAAAABnNlY3JldAdleGFtcGxlA29yZwAAAQAB"},
            None,
            "200",
        ),
        ({"_path": "/"}, query(0), "404"),
        ({"_method": "DELETE"}, None, "405"),
        ({"_method": "GET"}, None, "400"),
        ({}, None, "400"),
        ({"content-type": "text/plain"}, query(0), "415"),
    ],
)
def test_statuses(fields, content, status):
    async def scenario():
        remote = LOOPBACK, free_port()
        listener = Http2.serve(*remote, echo)
        client = await Client.connect(remote)
        client.request(1, content, **fields)
        await client.flush()
        (event,) = await client.until(h2.events.ResponseReceived)
        assert dict(event.headers)[":status"] == status
        await client.until(h2.events.StreamEnded)
        assert listener.messages == (status == "200")
        if status == "200":
            data = b"".join(
                event.data for event in client.events if isinstance(event, h2.events.DataReceived)
            )
            assert data == response(content or query(0))  # under the message ID of the query
        client.request(3, query(0))
        await client.flush()
        await client.until(h2.events.StreamEnded, 2)
        client.sock.close()
        await until(lambda: listener.open == 0)
        listener.close()

    run(scenario())


def test_a_request_that_is_too_long_is_not_read_to_its_end():
    async def scenario():
        remote = LOOPBACK, free_port()
        listener = Http2.serve(*remote, echo)
        client = await Client.connect(remote)
        client.request(1, bytes(16000), end=False)
        for _ in range(4):
            await client.flush()
            while client.http.local_flow_control_window(1) < 16000:
                await client.read()
            client.http.send_data(1, bytes(16000))
        await client.flush()
        (event,) = await client.until(h2.events.ResponseReceived)
        assert dict(event.headers)[":status"] == "413"
        await client.until(h2.events.StreamReset)
        client.sock.close()
        listener.close()

    run(scenario())


def test_clients_may_change_their_mind_but_not_too_often():
    async def scenario():
        remote = LOOPBACK, free_port()
        gate = asyncio.Event()

        async def later(wire):
            await gate.wait()
            return [response(wire)]

        listener = Http2.serve(*remote, lambda wire, *_: later(wire))
        client = await Client.connect(remote)
        client.request(1, query(0))
        client.request(3, query(0))
        client.request(5, query(0)[:5], end=False)
        await client.flush()
        await until(lambda: listener.messages == 2)
        client.http.reset_stream(1, 8)
        client.http.reset_stream(5, 8)
        await client.flush()
        await asyncio.sleep(0.02)
        gate.set()
        (event,) = await client.until(h2.events.ResponseReceived)
        assert event.stream_id == 3
        for number in range(7, 2400, 2):
            client.request(number, query(0), end=False)
            client.http.reset_stream(number, 8)
        await client.flush()
        with contextlib.suppress(Exception):
            while await client.read():
                pass
        (gone,) = [event for event in client.events if isinstance(event, h2.events.ConnectionTerminated)]
        assert gone.error_code == ErrorCodes.ENHANCE_YOUR_CALM
        await until(lambda: listener.open == 0)
        client.sock.close()
        listener.close()

    run(scenario())


@pytest.mark.parametrize("alpn", [(), ("dot",)])
def test_a_client_that_does_not_speak_http_2(alpn):
    async def scenario():
        remote = LOOPBACK, free_port()
        listener = Http2.serve(*remote, echo)
        sock = await raw(remote)
        pump = tls.ClientPump(sni=None, alpn=alpn)
        loop = asyncio.get_running_loop()
        with contextlib.suppress(TransportError):
            while not pump.ended:
                await loop.sock_sendall(sock, pump.outgoing())
                data = await loop.sock_recv(sock, 65536)
                if not data:
                    break
                pump.feed(data)
        await until(lambda: listener.open == 0)
        assert listener.messages == 0
        sock.close()
        listener.close()

    run(scenario())


@pytest.mark.parametrize(
    "data",
    [
        b"GET / HTTP/1.1\r\n\r\n",
        b"\xff" * 30,
        b"\0\0\4\x03\0\0\0\0\0" + bytes(4),
        b"\0\0\0\x01\5\0\0\0\1",
        b"\0\0\0\x00\1\0\0\0\x09",
        b"\0\x40\1\x00\1\0\0\0\1",
    ],
)
@pytest.mark.parametrize("how", ["half-close", "reset", "close", "wait"])
def test_garbage_leaks_nothing(data, how):
    async def scenario():
        remote = LOOPBACK, free_port()
        listener = Http2.serve(*remote, echo, idle_timeout=0.6)
        client = await Client.connect(remote)
        with contextlib.suppress(ConnectionError):
            await client.say(data)
            if how == "half-close":
                client.sock.shutdown(socket.SHUT_WR)
        if how == "reset":
            reset(client.sock)
        elif how == "close":
            client.sock.close()
        else:
            with contextlib.suppress(ConnectionError):
                await drain(client.sock)
        await until(lambda: listener.open == 0)
        assert listener.connections == 1
        session = await Http2.connect(remote)
        assert await session.exchange(query(1), 3) == response(query(1))
        session.close()
        client.sock.close()
        listener.close()

    run(scenario())


@pytest.mark.parametrize(
    "data", [b"", b"\0", b"GET / HTTP/1.1\r\n\r\n", b"\x16\x03\x01\0\5hello", bytes(100000)]
)
def test_garbage_instead_of_tls(data):
    async def scenario():
        remote = LOOPBACK, free_port()
        listener = Http2.serve(*remote, echo, idle_timeout=0.05)
        sock = await raw(remote)
        with contextlib.suppress(ConnectionError):
            await asyncio.get_running_loop().sock_sendall(sock, data)
            await drain(sock)
        await until(lambda: listener.connections == 1 and listener.open == 0)
        sock.close()
        listener.close()

    run(scenario())


def test_a_client_that_half_closes_still_gets_all_answers():
    async def scenario():
        remote = LOOPBACK, free_port()

        async def later(wire):
            await asyncio.sleep(0.02)
            return [response(wire, bytes(60000))]

        listener = Http2.serve(*remote, lambda wire, *_: later(wire))
        client = await Client.connect(remote)
        client.http.increment_flow_control_window(1 << 22)
        for stream in range(1, 20, 2):
            client.request(stream, query(0))
        await client.flush()
        client.sock.shutdown(socket.SHUT_WR)
        while await client.read():
            pass
        total = sum(len(event.data) for event in client.events if isinstance(event, h2.events.DataReceived))
        assert total == 10 * len(response(query(0), bytes(60000)))
        assert sum(isinstance(event, h2.events.StreamEnded) for event in client.events) == 10
        await until(lambda: listener.open == 0)
        client.sock.close()
        listener.close()

    run(scenario())


@pytest.mark.parametrize("what", ["window", "socket"])
def test_a_client_that_does_not_read_is_not_read_from(what):
    async def scenario():
        remote = LOOPBACK, free_port()
        listener = Http2.serve(*remote, lambda wire, *_: [response(wire, bytes(60000))], idle_timeout=1)
        client = await Client.connect(remote)
        if what == "socket":
            client.http.increment_flow_control_window(1 << 30)
            client.http.update_settings({SettingCodes.INITIAL_WINDOW_SIZE: 1 << 30})
        for stream in range(1, 250, 2):
            client.request(stream, query(0))
        await client.flush()
        await until(lambda: listener.messages > 10)
        last = -1
        while last != listener.messages:
            last = listener.messages
            await asyncio.sleep(0.05)
        (connection,) = listener.live
        assert connection._unsent < http2_server.OUTSTANDING + 200000
        assert listener.messages < 125
        await until(lambda: listener.open == 0)
        client.sock.close()
        listener.close()

    run(scenario())


def test_a_client_that_asks_for_pongs_and_does_not_read_them(monkeypatch):
    monkeypatch.setattr(http2_server, "OUTSTANDING", 1 << 14)

    async def scenario():
        remote = LOOPBACK, free_port()
        listener = Http2.serve(*remote, echo, idle_timeout=1)
        client = await Client.connect(remote)
        client.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        (connection,) = listener.live
        connection._stream._sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)
        flood = asyncio.ensure_future(client.say((b"\0\0\x08\x06\0\0\0\0\0" + bytes(8)) * 60000))
        most = 0
        while listener.open:
            most = max(most, connection._stream.unsent)
            await asyncio.sleep(0.001)
        assert 1 << 14 < most < (1 << 14) + 140000
        flood.cancel()
        with contextlib.suppress(ConnectionError, asyncio.CancelledError):
            await flood
        client.sock.close()
        listener.close()

    run(scenario())


# -- HTTP/3: servers and clients of all kinds --------------------------------------------------------


def http3(script):
    """A server of HTTP/3 on aioquic's own."""

    def quic_script(protocol, event):
        if not hasattr(protocol, "http"):
            protocol.http = H3Connection(protocol._quic)
        for one in protocol.http.handle_event(event):
            if isinstance(one, HeadersReceived | DataReceived) and one.stream_ended:
                script(protocol, one.stream_id)
        protocol.transmit()

    return quic_script


def answer3(content=None, headers=((b":status", b"200"), MEDIA_TYPE), end=True):
    def script(protocol, stream):
        protocol.http.send_headers(stream, list(headers))
        protocol.http.send_data(stream, response(query(0)) if content is None else content, end)

    return script


def reset3(code):
    def script(protocol, stream):
        protocol._quic.reset_stream(stream, code)

    return script


def trailers(protocol, stream):
    protocol.http.send_headers(stream, [(b":status", b"103")])
    answer3(end=False)(protocol, stream)
    protocol.http.send_headers(stream, [(b"x", b"y")], end_stream=True)


@pytest.mark.parametrize(
    ("script", "failure", "detail"),
    [
        (trailers, None, None),
        (answer3(b"short"), Failure.PROTOCOL, "12 octets"),
        (answer3(headers=[(b":status", b"404")]), Failure.PROTOCOL, "HTTP status 404"),
        (answer3(query(0)), Failure.PROTOCOL, "not a response"),
        (answer3(end=False), Failure.TIMEOUT, "no response"),
        (answer3(bytes(66000), end=False), Failure.PROTOCOL, "too long"),
        (reset3(0x10B), Failure.RESET, "H3_REQUEST_REJECTED"),
        (reset3(0xABCD), Failure.RESET, "error 0xabcd"),
    ],
)
def test_how_an_exchange_over_http_3_fails(script, failure, detail):
    async def scenario():
        def first(protocol, stream):
            (script if stream == 0 else answer3())(protocol, stream)

        async with scripted_server(http3(first), alpn_protocols=["h3"]) as (remote, _):
            session = await Http3.connect(remote)
            if failure is None:
                assert await session.exchange(query(1), 3) == response(query(1))
            else:
                with fails(failure, detail):
                    await session.exchange(query(1), 0.3)
            assert await session.exchange(query(2), 3) == response(query(2))
            assert session._responses == session._exchanges == {}
            session.close()

    run(scenario())


def close3(code):
    def script(protocol, _):
        protocol._quic.close(code)

    return script


def control(data):
    def script(protocol, _):
        protocol._quic.send_stream_data(protocol.http._local_control_stream_id, data)

    return script


@pytest.mark.parametrize(
    ("script", "failure", "detail"),
    [
        (close3(0x100), Failure.CLOSED, "before a response"),
        (close3(0x107), Failure.RESET, "H3_EXCESSIVE_LOAD"),
        (control(b"\x00\x01x"), Failure.PROTOCOL, "H3_FRAME_UNEXPECTED"),
        (control(b"\x04\x00"), Failure.PROTOCOL, "H3_FRAME_UNEXPECTED"),
    ],
)
def test_how_a_session_over_http_3_fails(script, failure, detail):
    async def scenario():
        async with scripted_server(http3(script), alpn_protocols=["h3"]) as (remote, _):
            session = await Http3.connect(remote)
            with fails(failure, detail):
                await session.exchange(query(1), 3)
            assert session.closed.done()

    run(scenario())


@pytest.mark.parametrize(
    ("method", "path", "content", "status"),
    [
        (b"POST", b"/dns-query", query(0), b"200"),
        (b"POST", b"/other", query(0), b"404"),
        (b"PATCH", b"/dns-query", query(0), b"405"),
        (b"POST", b"/dns-query", bytes(70000), b"413"),
    ],
)
def test_clients_of_http_3(method, path, content, status):
    async def scenario():
        remote = LOOPBACK, udp_port()
        listener = Http3.serve(*remote, echo)
        received = []

        def script(client, event):
            received.extend(client.http.handle_event(event))

        client = await scripted_client(remote, alpn_protocols=["h3"])
        client.script = script
        client.http = H3Connection(client._quic)
        headers = [(b":method", method), (b":scheme", b"https"), (b":authority", b"x"), (b":path", path)]
        client.http.send_headers(0, [*headers, MEDIA_TYPE])
        client.http.send_data(0, content, end_stream=True)
        client.http.send_headers(4, [*headers, MEDIA_TYPE])
        client._quic.reset_stream(4, ErrorCode.H3_REQUEST_CANCELLED)
        client.transmit()
        await until(lambda: any(isinstance(event, HeadersReceived) for event in received))
        (event,) = [event for event in received if isinstance(event, HeadersReceived)]
        assert dict(event.headers)[b":status"] == status
        assert listener.messages == (status == b"200")
        client.close()
        await until(lambda: listener.open == 0)
        listener.close()

    run(scenario())


def test_requests_in_early_data_wait_for_the_handshake():
    async def scenario():
        remote = LOOPBACK, udp_port()
        completed = []

        def handler(wire, *_):
            completed.append(next(iter(listener.live)).endpoint.quic.complete)
            return [response(wire)]

        listener = Http3.serve(*remote, handler)
        client = await scripted_client(remote, alpn_protocols=["h3"])
        await until(lambda: client.tickets)
        (ticket,) = client.tickets
        client.close()
        await until(lambda: listener.open == 0)
        client = await scripted_client(remote, alpn_protocols=["h3"], session_ticket=ticket)
        http = H3Connection(client._quic)
        headers, content = http_messages.request(Template(), "POST", "x", query(0))
        http.send_headers(0, http_messages.encoded(headers))
        http.send_data(0, content, end_stream=True)
        client.transmit()
        await until(lambda: completed)
        assert completed == [True]
        client.close()
        listener.close()

    run(scenario())


def test_cancelling_over_http_3():
    async def scenario():
        seen = []

        def script(protocol, event):
            seen.append(event)
            http3(lambda *_: None)(protocol, event)

        async with scripted_server(script, alpn_protocols=["h3"]) as (remote, _):
            session = await Http3.connect(remote)
            with fails(Failure.TIMEOUT):
                await session.exchange(query(1), 0.05)
            await until(lambda: any(isinstance(event, StopSendingReceived) for event in seen))
            session.close()
        (stop,) = [event for event in seen if isinstance(event, StopSendingReceived)]
        assert (stop.stream_id, stop.error_code) == (0, ErrorCode.H3_REQUEST_CANCELLED)

    run(scenario())
