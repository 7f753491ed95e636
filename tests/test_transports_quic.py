"""The adapter to aioquic, and what hostile peers do to both ends; DNS over QUIC is in a file of its own."""

import asyncio
import contextlib
import random
import ssl

import pytest
from aioquic import tls
from aioquic.h3.connection import H3Connection
from aioquic.quic.connection import QuicConnection
from aioquic.quic.crypto import CryptoPair
from aioquic.quic.events import HandshakeCompleted, StreamDataReceived
from hypothesis import given, settings
from hypothesis import strategies as st
from loopback import CREDENTIAL, HOST, LOOPBACK, LocalHost, echo, query, response, run, until
from quic_peers import SNI, Doq, configuration, run_virtual, scripted_client, scripted_server, udp_port

from testbed.core.dohpath import Template
from testbed.core.transport import TransportError
from testbed.transports import doh3, framing, http_messages, quic

RESET_KEY = b"key"


def pair(ticket=None, early=False, store=None, **options):
    """A client and a server in memory, the client's first flight not yet sent."""
    store = quic.TicketStore(lambda: 0.0) if store is None else store
    client = quic.client(
        sni=SNI, alpn=("doq",), idle_timeout=30, secrets=None, ticket=ticket, early=early, **options
    )
    client.connect(("server", 853), 0.0)
    shared = quic.server_configuration(CREDENTIAL, alpn=("doq",), idle_timeout=30, secrets=None)
    server = quic.server(shared, store, RESET_KEY, client._peer_cid.cid)
    return client, server


def carry(client, server, now=0.0):
    """Carry datagrams until there are none; the sizes of those that went each way."""
    sizes = []
    while True:
        up = [datagram for datagram, _ in client.datagrams_to_send(now)]
        for datagram in up:
            server.receive_datagram(datagram, ("client", 1), now)
        down = [datagram for datagram, _ in server.datagrams_to_send(now)]
        for datagram in down:
            client.receive_datagram(datagram, ("server", 853), now)
        if not up and not down:
            return sizes
        sizes.append((list(map(len, up)), list(map(len, down))))


def flight(sender, receiver, address):
    for datagram, _ in sender.datagrams_to_send(0.0):
        receiver.receive_datagram(datagram, address, 0.0)


def events(machine):
    return list(iter(machine.next_event, None))


def ticket_of(client):
    return quic.QuicTicket(client.ticket, client.chain, 1e9)


# -- the adapter -------------------------------------------------------------------------------------


def test_what_a_connection_tells():
    client, server = pair()
    assert server.untouched
    assert not any((client.complete, client.early, client.can_open))
    assert client.closing is client.ticket is None
    sizes = carry(client, server)
    assert not server.untouched
    assert client.complete
    assert server.complete
    assert client.can_open
    assert client.chain == CREDENTIAL.chain
    assert server.chain == ()
    assert (client.info.alpn, client.info.resumed, client.info.version) == ("doq", False, "TLSv1.3")
    assert client.info == server.info
    assert client.ticket is not None
    assert [len(up) for up, _ in sizes] == [1, 1, 1]
    assert max(size for up, down in sizes for size in up + down) <= 1200
    client.close(2, reason_phrase="why")
    (last,) = client.datagrams_to_send(0.0)
    server.receive_datagram(last[0], ("client", 1), 0.0)
    assert client.closing == quic.Closing(quic.End.BY_US, 2, "why", application=True)
    assert server.closing == quic.Closing(quic.End.BY_PEER, 2, "why", application=True)


def test_a_client_hello_is_small_and_has_cheap_key_shares():
    client, server = pair()
    hellos = []
    original = server._initialize

    def initialize(cid):
        original(cid)
        handle = server.tls.handle_message
        server.tls.handle_message = lambda data, buffers: (hellos.append(data), handle(data, buffers))

    server._initialize = initialize
    carry(client, server)
    hello = tls.pull_client_hello(tls.Buffer(data=hellos[0]))
    assert [share[0] for share in hello.key_share] == [tls.Group.X25519, tls.Group.SECP256R1]
    assert len(hellos[0]) < 600


def test_the_idle_timeout_and_unknown_versions_are_told_apart():
    client, server = pair()
    carry(client, server)
    client.handle_timer(client.get_timer())
    assert client.closing == quic.Closing(quic.End.IDLE)
    client, _ = pair()
    client.datagrams_to_send(0.0)
    negotiation = (
        b"\x80\0\0\0\0" + b"\x08" + client.host_cid + b"\x08" + client._peer_cid.cid + b"\x0a\x0a\x0a\x0a"
    )
    client.receive_datagram(negotiation, ("server", 853), 0.0)
    assert client.closing == quic.Closing(quic.End.VERSION)


def test_only_the_server_can_reset_a_connection():
    client, server = pair()
    carry(client, server)
    forgotten = b"\x40" + client._peer_cid.cid + bytes(30)
    datagram = quic.stateless_reset(RESET_KEY, forgotten)
    assert 21 <= len(datagram) < len(forgotten)
    assert datagram[0] & 0xC0 == 0x40
    assert client.is_reset(datagram)
    assert not client.is_reset(datagram[-20:])
    assert not client.is_reset(b"\xc0" + datagram[1:])
    assert not client.is_reset(quic.stateless_reset(b"other", forgotten))
    assert quic.stateless_reset(RESET_KEY, forgotten[:21]) is None
    spare = client._peer_cid_available[0]
    assert client.is_reset(quic.stateless_reset(RESET_KEY, b"\x40" + spare.cid + bytes(30)))
    assert server._host_cids[0].stateless_reset_token == quic.reset_token(RESET_KEY, server.host_cid)


def test_early_data_and_what_becomes_of_it():
    store = quic.TicketStore(lambda: 0.0)
    client, server = pair(store=store)
    carry(client, server)
    first = ticket_of(client)
    client, server = pair(first, early=True, store=store)
    assert client.early
    assert client.can_open
    client.send_stream_data(0, b"early", end_stream=True)
    (datagram,) = client.datagrams_to_send(0.0)
    server.receive_datagram(datagram[0], ("client", 1), 0.0)
    assert [event.data for event in events(server) if isinstance(event, StreamDataReceived)] == [b"early"]
    assert not server.complete
    carry(client, server)
    assert not client.early
    assert client.info.resumed
    assert client.chain == ()
    # The server knows the ticket no more: nothing of it arrives, until it is sent again.
    for again in (False, True):
        client, server = pair(first, early=True, store=store)
        client.send_stream_data(0, b"early", end_stream=True)
        flight(client, server, ("client", 1))
        flight(server, client, ("server", 853))
        assert not [event for event in events(server) if isinstance(event, StreamDataReceived)]
        (completed,) = [event for event in events(client) if isinstance(event, HandshakeCompleted)]
        assert not completed.early_data_accepted
        assert client.unacknowledged == 5
        if again:
            client.resend_early(0.0)
        flight(client, server, ("client", 1))
        data = [event.data for event in events(server) if isinstance(event, StreamDataReceived)]
        assert data == [b"early"] * again
    carry(client, server)
    assert client.unacknowledged == 0


def test_resumption_without_early_data():
    store = quic.TicketStore(lambda: 0.0)
    client, server = pair(store=store)
    carry(client, server)
    client, server = pair(ticket_of(client), early=False, store=store)
    assert not client.early
    carry(client, server)
    assert client.info.resumed


def test_acknowledgements_take_no_packets_and_no_time_of_their_own():
    client, server = pair()
    carry(client, server)
    client.send_stream_data(0, b"query", end_stream=True)
    (query_datagram,) = client.datagrams_to_send(1.0)
    server.receive_datagram(query_datagram[0], ("client", 1), 1.0)
    server.send_stream_data(0, b"response", end_stream=True)
    assert len(server.datagrams_to_send(1.0)) == 1
    assert server.get_timer() > 1.02
    server.send_stream_data(1, bytes(14000))  # within the congestion window, not paced
    assert len(server.datagrams_to_send(1.0)) > 8


def test_nothing_is_logged_behind_our_back(capsys):
    async def scenario():
        async with scripted_server(lambda *_: None, alpn_protocols=["h3"]) as (remote, _):
            with pytest.raises(TransportError):
                await Doq.connect(remote)

    run(scenario())
    assert capsys.readouterr().err == ""


# -- hostile peers -----------------------------------------------------------------------------------


def test_garbage_leaks_nothing():
    async def scenario():
        rng = random.Random(1)
        remote = LOOPBACK, udp_port()
        listener = Doq.serve(*remote, echo)
        client, _ = pair()
        ((hello, _),) = client.datagrams_to_send(0.0)
        with LocalHost().socket(2, 2) as sock:
            sock.connect(remote)
            for size in (0, 1, 5, 8, 9, 20, 21, 100, 1199, 1200, 1500, 60000):
                for first in (0x00, 0x40, 0x80, 0xC0, 0xD0, 0xE0, 0xF0):
                    garbage = bytes([first | rng.randrange(16)]) + rng.randbytes(max(0, size - 1))
                    sock.send(garbage[:size])
                    sock.send((garbage[:1] + b"\0\0\0\1\x08" + garbage[6:])[:size])
                    sock.send((garbage[:1] + b"\0\0\0\0\x08" + garbage[6:])[:size])
                await asyncio.sleep(0)
            for position in range(0, 60):
                spoilt = bytearray(hello)
                spoilt[position] ^= 1 << rng.randrange(8)
                sock.send(spoilt)
                sock.send(hello[: -position - 1])
            await asyncio.sleep(0.05)
            answers = []
            with contextlib.suppress(BlockingIOError):
                while True:
                    answers.append(sock.recv(65535))
        assert (listener.open, listener.messages, listener.routes) == (0, 0, {})
        # Version negotiation, and stateless resets for what may have been of a forgotten connection.
        assert {answer[0] >> 6 for answer in answers} == {1, 2, 3}
        session = await Doq.connect(remote)
        assert await session.exchange(query(1), 3) == response(query(1))
        session.close()
        listener.close()

    run(scenario())


def test_two_servers_do_not_answer_each_other_for_ever():
    async def scenario():
        one, other = (LOOPBACK, udp_port()), (LOOPBACK, udp_port())
        listeners = [Doq.serve(*remote, echo) for remote in (one, other)]
        sent = []
        for listener in listeners:
            send = listener.send
            listener.send = lambda *a, send=send: (sent.append(a), send(*a))
        for first in (b"\xc0\x0a\x0a\x0a\x0a\x08" + bytes(1300), b"\x40" + bytes(60)):
            sent.clear()
            listeners[0].send(first, other)
            await asyncio.sleep(0.05)
            assert 2 <= len(sent) < 30
        for listener in listeners:
            listener.close()

    run(scenario())


def test_a_version_negotiation_packet_is_no_reason_for_another():
    async def scenario():
        remote = LOOPBACK, udp_port()
        listener = Doq.serve(*remote, echo)
        with LocalHost().socket(2, 2) as sock:
            sock.connect(remote)
            for version, answered in ((b"\x0a\x0a\x0a\x0a", True), (bytes(4), False)):
                sock.send(b"\xc0" + version + b"\x08" + bytes(8) + b"\x04cid!" + bytes(1300))
                await asyncio.sleep(0.02)
                with pytest.raises(BlockingIOError) if not answered else contextlib.nullcontext():
                    answer = sock.recv(65535)
                    assert answer[1:] == bytes(4) + b"\x04cid!\x08" + bytes(8) + b"\0\0\0\1"
        listener.close()

    run(scenario())


def test_a_timer_that_is_due_again_lets_time_pass(monkeypatch):
    """As rounding errors of aioquic may have it."""

    async def scenario():
        loop = asyncio.get_running_loop()
        remote = LOOPBACK, udp_port()
        listener = Doq.serve(*remote, echo)
        session = await Doq.connect(remote)
        await session.exchange(query(1), 3)
        original, start, calls = quic.Connection.get_timer, loop.time(), 0

        def due(self):
            nonlocal calls
            calls += 1
            assert calls < 5000, "the clock stands still"
            return loop.time() if loop.time() < start + 1e-4 else original(self)

        monkeypatch.setattr(quic.Connection, "get_timer", due)
        assert await session.exchange(query(2), 3) == response(query(2))
        await asyncio.sleep(1)
        assert 50 < calls < 1000
        session.close()
        listener.close()

    run_virtual(scenario())


class Spoiler:
    """Lets a peer spoil the plaintext of what it encrypts, so that the other end takes it for meant."""

    def __init__(self, seed, rate):
        self.rng = random.Random(seed)
        self.rate = rate

    def spoil(self, payload):
        if self.rng.random() > self.rate:
            return payload
        spoilt = bytearray(payload)
        for _ in range(self.rng.choice((1, 1, 2, 10))):
            position = self.rng.randrange(len(spoilt))
            kind = self.rng.randrange(3)
            if kind == 0:
                spoilt[position] = self.rng.randrange(256)
            elif kind == 1:
                spoilt[position : position + 4] = self.rng.randbytes(4)
            else:
                spoilt[position] ^= 1 << self.rng.randrange(8)
        return bytes(spoilt[: max(len(payload), 4)])

    @contextlib.contextmanager
    def of(self, is_client):
        """Spoil what one kind of end sends."""
        original = CryptoPair.encrypt_packet
        spoiler = self

        def encrypt(self, header, payload, number):
            # Made for it below: only stock connections are spoilt.
            mine = getattr(self, "stock", None) is is_client
            return original(self, header, spoiler.spoil(payload) if mine else payload, number)

        initialize = QuicConnection._initialize

        def marked(self, cid):
            initialize(self, cid)
            if type(self) is QuicConnection:
                for one in (*self._cryptos.values(), *self._cryptos_initial.values()):
                    one.stock = self._is_client

        CryptoPair.encrypt_packet, QuicConnection._initialize = encrypt, marked
        try:
            yield
        finally:
            CryptoPair.encrypt_packet, QuicConnection._initialize = original, initialize


@pytest.mark.parametrize("seed", range(6))
def test_a_client_that_holds_the_keys_and_sends_nonsense(seed):
    async def scenario():
        remote = LOOPBACK, udp_port()
        listener = Doq.serve(*remote, echo, idle_timeout=5)
        loop = asyncio.get_running_loop()
        with Spoiler(seed, 0.5).of(is_client=True):
            for _ in range(12):
                made = configuration(is_client=True, verify_mode=ssl.CERT_NONE, server_name=SNI)
                client = QuicConnection(configuration=made)
                client.connect(remote, loop.time())
                with LocalHost().socket(2, 2) as sock:
                    sock.connect(remote)
                    for step in range(8):
                        if step in (0, 3, 5):
                            with contextlib.suppress(ValueError):
                                stream = client.get_next_available_stream_id()
                                client.send_stream_data(stream, framing.frame(query(0)), True)
                        for datagram, _ in client.datagrams_to_send(loop.time()):
                            sock.send(datagram)
                        await asyncio.sleep(0.01)
                        with contextlib.suppress(BlockingIOError):
                            while True:
                                client.receive_datagram(sock.recv(65535), remote, loop.time())
        await asyncio.sleep(30)
        assert (listener.open, listener.routes) == (0, {})
        assert listener.connections > 6
        session = await Doq.connect(remote)
        assert await session.exchange(query(1), 3) == response(query(1))
        session.close()
        listener.close()

    run_virtual(scenario())


@pytest.mark.parametrize("seed", range(6))
def test_a_server_that_holds_the_keys_and_sends_nonsense(seed):
    def script(protocol, event):
        if isinstance(event, StreamDataReceived) and event.end_stream:
            protocol.send(event.stream_id, framing.frame(response(event.data[2:])))

    async def scenario():
        outcomes = []
        async with scripted_server(script) as (remote, _):
            with Spoiler(seed, 0.4).of(is_client=False):
                for _ in range(12):
                    try:
                        session = await Doq.connect(remote, timeout=2)
                    except TransportError as error:
                        outcomes.append(str(error.failure))
                        continue
                    for number in range(3):
                        try:
                            assert (await session.exchange(query(number), 2))[:2] == query(number)[:2]
                            outcomes.append("answered")
                        except TransportError as error:
                            outcomes.append(str(error.failure))
                    session.close()
        assert len(set(outcomes)) > 1

    run_virtual(scenario())


@pytest.mark.parametrize("seed", range(4))
def test_a_client_of_http_3_that_sends_nonsense(seed):
    async def scenario():
        remote = LOOPBACK, udp_port()
        options = {"sni": SNI, "timeout": 3, "alpn": "h3"}
        listener = doh3.serve(HOST, *remote, echo, credential=CREDENTIAL, idle_timeout=5)
        loop = asyncio.get_running_loop()
        spoiler = Spoiler(seed, 0.0)
        headers, content = http_messages.request(Template(), "POST", "x", query(0))
        with spoiler.of(is_client=True):
            for _ in range(12):
                client = await scripted_client(remote, alpn_protocols=["h3"])
                spoiler.rate = 0.6
                http = H3Connection(client._quic)
                for _ in range(3):
                    with contextlib.suppress(Exception):
                        stream = client._quic.get_next_available_stream_id()
                        http.send_headers(stream, http_messages.encoded(headers))
                        http.send_data(stream, content, end_stream=True)
                    client.transmit()
                    await asyncio.sleep(0.01)
                spoiler.rate = 0.0
                client.close()
        await asyncio.sleep(30)
        assert (listener.open, listener.routes) == (0, {})
        session = await doh3.connect(HOST, LOOPBACK, remote, **options)
        assert await session.exchange(query(1), 3) == response(query(1))
        session.close()
        listener.close()
        assert loop.time() > 30

    run_virtual(scenario())


@settings(deadline=None, max_examples=300)
@given(st.binary(max_size=1300), st.integers(0, 255))
def test_endpoints_take_anything(data, first):
    client, server = pair()
    client.datagrams_to_send(0.0)
    for machine, address in ((client, ("server", 853)), (server, ("client", 1))):
        machine.receive_datagram(data, address, 0.0)
        if isinstance(machine, quic.Connection) and data:
            machine.receive_datagram(bytes([first]) + data[1:], address, 0.0)
    assert client.closing is None
    assert server.untouched
    assert not client.is_reset(data)


def test_a_fault_of_aioquic_costs_one_connection(monkeypatch):
    async def scenario():
        remote = LOOPBACK, udp_port()
        listener = Doq.serve(*remote, echo)
        healthy, doomed = await Doq.connect(remote), await Doq.connect(remote)
        victim = doomed._quic

        def faulty(self, *arguments):
            if self is victim:
                raise AssertionError("planted")
            return original(self, *arguments)

        for method in ("receive_datagram", "datagrams_to_send", "get_timer"):
            original = getattr(QuicConnection, method)
            monkeypatch.setattr(QuicConnection, method, faulty)
            with pytest.raises(TransportError, match="planted"):
                await doomed.exchange(query(1), 0.5)
            monkeypatch.setattr(QuicConnection, method, original)
            assert await healthy.exchange(query(2), 3) == response(query(2))
            doomed.close()
            doomed = await Doq.connect(remote)
            victim = doomed._quic
        healthy.close()
        doomed.close()
        await until(lambda: listener.open <= 4)
        listener.close()

    run(scenario())
