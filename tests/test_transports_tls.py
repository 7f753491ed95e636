import asyncio
import contextlib
import socket
from ipaddress import ip_address
from itertools import cycle

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from loopback import (
    CREDENTIAL,
    HOST,
    LOOPBACK,
    NOW,
    ROOT,
    VALID,
    Dot,
    echo,
    everything,
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

from testbed.core import pki
from testbed.core.identity import Accepted, WebPki
from testbed.core.tls_messages import AlertDescription, alert_record, parse_client_hello
from testbed.core.transport import Failure, TransportError
from testbed.transports import dot, framing, tls

# -- TLS -------------------------------------------------------------------------------------------


def test_the_handshake_shows_the_chain_and_judges_nothing():
    async def scenario():
        remote = LOOPBACK, free_port()
        expired = pki.self_signed(3, ["x.example"], not_before=0, not_after=1)
        good = dot.serve(HOST, *remote, echo, credential=CREDENTIAL)
        session = await Dot.connect(remote)
        assert session.chain == CREDENTIAL.chain
        info = session.handshake
        assert (info.version, info.alpn, info.resumed) == ("TLSv1.3", "dot", False)
        identity = WebPki((ROOT.certificate,), ip_address(LOOPBACK))
        assert isinstance(identity.check(session.chain, NOW), Accepted)
        assert good.messages == 0
        session.close()
        good.close()
        bad = dot.serve(HOST, *remote, echo, credential=expired)
        session = await Dot.connect(remote)
        assert session.chain == expired.chain
        session.close()
        bad.close()

    run(scenario())


def test_both_ends_log_the_same_secrets():
    async def scenario():
        ours, theirs = [], []
        remote = LOOPBACK, free_port()
        listener = dot.serve(HOST, *remote, echo, credential=CREDENTIAL, secrets=theirs.append)
        session = await Dot.connect(remote, secrets=ours.append)
        await session.exchange(query(1), 3)
        assert sorted(ours) == sorted(theirs)
        assert {line.split()[0] for line in ours} == {
            "CLIENT_HANDSHAKE_TRAFFIC_SECRET",
            "SERVER_HANDSHAKE_TRAFFIC_SECRET",
            "CLIENT_TRAFFIC_SECRET_0",
            "SERVER_TRAFFIC_SECRET_0",
            "EXPORTER_SECRET",
        }
        # Contexts are shared between connections, what they log is not.
        other = await Dot.connect(remote, secrets=[].append)
        await other.exchange(query(1), 3)
        assert len(ours) == 5
        assert len(theirs) == 10
        other.close()
        session.close()
        listener.close()

    run(scenario())


def test_resumption():
    async def scenario():
        remote = LOOPBACK, free_port()
        listener = dot.serve(HOST, *remote, echo, credential=CREDENTIAL)
        first = await Dot.connect(remote)
        await first.exchange(query(1), 3)
        ticket = first.ticket
        first.close()
        for _ in range(2):
            second = await Dot.connect(remote, ticket=ticket)
            assert second.handshake.resumed
            assert second.chain == CREDENTIAL.chain
            assert await second.exchange(query(1), 3) == response(query(1))
            second.close()
        listener.close()
        # A server that does not know the ticket, and a client with other parameters: full handshakes.
        listener = dot.serve(HOST, *remote, echo, credential=ROOT.issue(["x.example"], **VALID))
        third = await Dot.connect(remote, ticket=ticket)
        assert not third.handshake.resumed
        assert third.chain != CREDENTIAL.chain
        fourth = await Dot.connect(remote, ticket=ticket, alpn=None)
        assert not fourth.handshake.resumed
        third.close()
        fourth.close()
        listener.close()

    run(scenario())


def test_sni_and_alpn_are_optional():
    async def scenario():
        hellos = []

        async def script(loop, sock):
            hellos.append(parse_client_hello(await loop.sock_recv(sock, 65536)))
            sock.close()

        async with peer(script) as remote:
            for options in ({"sni": None, "alpn": None}, {"sni": "ns1.dnshost.net"}, {"alpn": "h2"}):
                with fails(Failure.CLOSED, "during the TLS handshake"):
                    await Dot.connect(remote, **options)
        assert [(h.sni, h.alpn) for h in hellos] == [
            (None, ()),
            ("ns1.dnshost.net", ("dot",)),
            ("ns1.dnshost.net", ("h2",)),
        ]
        remote = LOOPBACK, free_port()
        listener = dot.serve(HOST, *remote, echo, credential=CREDENTIAL)
        for options in ({"sni": None, "alpn": None}, {"alpn": "h2"}):
            session = await Dot.connect(remote, **options)
            assert session.handshake.alpn is None
            session.close()
        listener.close()

    run(scenario())


@pytest.mark.parametrize(
    ("script", "failure", "detail"),
    [
        (scripted(alert_record(40)), Failure.TLS, r"alert handshake_failure \(40\)"),
        (scripted(alert_record(112)), Failure.TLS, r"alert unrecognized_name \(112\)"),
        (scripted(alert_record(0, fatal=False)), Failure.CLOSED, "during the TLS handshake"),
        (scripted(b"HTTP/1.1 400 Bad Request\r\n\r\n"), Failure.TLS, None),
        (scripted(framing.frame(response(query(1)))), Failure.TLS, None),
        (scripted(then=reset), Failure.RESET, None),
        (scripted(then=socket.socket.close), Failure.CLOSED, "during the TLS handshake"),
        (scripted(), Failure.TIMEOUT, "TLS handshake"),
        (scripted(b"\x16\x03\x03\x10\x00\x02"), Failure.TIMEOUT, "TLS handshake"),
    ],
)
def test_how_a_handshake_fails(script, failure, detail):
    async def scenario():
        async with peer(script) as remote:
            with fails(failure, detail):
                await Dot.connect(remote, timeout=0.2)

    run(scenario())


def test_a_malformed_certificate_fails_the_handshake(monkeypatch):
    def unreadable(*_, **__):
        raise ValueError("planted")

    monkeypatch.setattr(tls.SSL.Connection, "get_peer_cert_chain", unreadable)

    async def scenario():
        remote = LOOPBACK, free_port()
        listener = dot.serve(HOST, *remote, echo, credential=CREDENTIAL)
        with fails(Failure.TLS, "malformed certificate: planted"):
            await Dot.connect(remote)
        listener.close()

    run(scenario())


def test_a_server_is_told_what_is_wrong_with_its_hello():
    async def scenario():
        told = []

        async def script(loop, sock):
            await loop.sock_recv(sock, 65536)
            await loop.sock_sendall(sock, b"\x16\x03\x03\x00\x06\x02\x00\x00\x02\x03\x03")
            told.append(await everything(sock))

        async with peer(script) as remote:
            with fails(Failure.TLS):
                await Dot.connect(remote)
            await until(lambda: told)
        assert told == [alert_record(AlertDescription.DECODE_ERROR)]

    run(scenario())


def test_a_client_hello_fits_in_one_segment():
    assert len(tls.ClientPump(sni="n" * 63 + ".dnshost.net", alpn=("dot",)).outgoing()) < 1000


def test_tls_1_2_is_an_option_on_both_sides():
    async def scenario():
        old = tls.SSL.Context(tls.SSL.TLS_METHOD)
        old.set_max_proto_version(tls.SSL.TLS1_2_VERSION)
        for tls12 in (False, True):
            pump = tls.ServerPump(CREDENTIAL, tls12=tls12)
            client = tls.SSL.Connection(old, None)
            client.set_connect_state()
            error = None
            for _ in range(4):
                with contextlib.suppress(tls.SSL.WantReadError):
                    client.do_handshake()
                try:
                    with contextlib.suppress(tls.SSL.WantReadError):
                        pump.feed(client.bio_read(65536))
                except TransportError as caught:
                    error = caught
                    break
                if data := pump.outgoing():
                    client.bio_write(data)
            assert pump.established is tls12
            assert (error is not None) is not tls12
            if tls12:
                assert pump.info.version == "TLSv1.2"
            else:
                assert pump.outgoing() == alert_record(70)

    run(scenario())


def test_the_end_of_a_stream_is_not_the_end_of_a_session():
    """Whoever is on the path can send FIN, only the peer can say close_notify."""

    async def scenario(polite):
        async def script(loop, sock):
            pump = tls.ServerPump(CREDENTIAL)
            while not pump.established:
                pump.feed(await loop.sock_recv(sock, 65536))
                await loop.sock_sendall(sock, pump.outgoing())
            if polite:
                pump.close()
                await loop.sock_sendall(sock, pump.outgoing())
            sock.close()

        async with peer(script) as remote:
            session = await Dot.connect(remote)
            how = await session.closed
            with fails(Failure.CLOSED):
                await session.exchange(query(1), 3)
        return how

    assert run(scenario(polite=True)) is None
    how = run(scenario(polite=False))
    assert how.failure is Failure.CLOSED
    assert how.detail == "while idle, without close_notify"


def test_an_alert_after_the_handshake():
    async def scenario():
        async def script(loop, sock):
            pump = tls.ServerPump(CREDENTIAL)
            while not pump.established:
                pump.feed(await loop.sock_recv(sock, 65536))
                await loop.sock_sendall(sock, pump.outgoing())
            await loop.sock_sendall(sock, b"\x17\x03\x03\x00\x20" + bytes(32))
            await asyncio.sleep(60)

        async with peer(script) as remote:
            session = await Dot.connect(remote)
            with fails(Failure.TLS, "bad mac|bad record mac|decryption failed"):
                await session.exchange(query(1), 3)

    run(scenario())


# -- pumps, as a relay uses them -------------------------------------------------------------------


@settings(deadline=None)
@given(st.lists(st.integers(1, 1500), min_size=1, max_size=20))
def test_a_relay_between_two_sessions(sizes):
    """Terminates the client's session with a credential of its own and opens one to the server."""
    own = pki.self_signed(9, ["ns1.dnshost.net"], **VALID)
    client = tls.ClientPump(sni="ns1.dnshost.net", alpn=("dot",))
    facing_client = tls.ServerPump(own, alpn=("dot",))
    facing_server = tls.ClientPump(sni="ns1.dnshost.net", alpn=("dot",))
    true_server = tls.ServerPump(CREDENTIAL, alpn=("dot",))
    size_of_next = cycle(sizes)

    def carry(sender, receiver):
        stream, plaintext = sender.outgoing(), b""
        while stream:
            size = next(size_of_next)
            plaintext += receiver.feed(stream[:size])
            stream = stream[size:]
        return plaintext

    with fails(Failure.TLS, "not complete"):
        facing_client.send(b"too early")
    for one, other in ((client, facing_client), (facing_server, true_server)):
        for _ in range(2):
            assert carry(one, other) == b""
            assert carry(other, one) == b""
        assert one.established
        assert other.established
    assert client.chain == own.chain
    assert facing_client.sni == "ns1.dnshost.net"
    client.send(framing.frame(query(1)))
    facing_server.send(carry(client, facing_client))
    assert carry(facing_server, true_server) == framing.frame(query(1))
    true_server.send(framing.frame(response(query(1), bytes(40000))))
    facing_client.send(carry(true_server, facing_server))
    assert carry(facing_client, client) == framing.frame(response(query(1), bytes(40000)))
    client.close()
    carry(client, facing_client)
    assert facing_client.ended


@given(st.binary(min_size=1, max_size=100), st.integers(0, 600))
def test_a_pump_raises_nothing_but_transport_errors(noise, position):
    client = tls.ClientPump(sni=None)
    hello = client.outgoing()
    spoilt = hello[:position] + noise + hello[position + len(noise) :]
    pump = tls.ServerPump(CREDENTIAL)
    try:
        assert pump.feed(spoilt) == b""
        client.feed(pump.outgoing())
    except TransportError as error:
        assert error.failure is Failure.TLS  # noqa: PT017
