import asyncio
import json
import random
import struct
import subprocess
import sys
from pathlib import Path

import dns.edns
import dns.flags
import dns.message
import dns.opcode
import dns.rcode
import pytest
import test_transports_icmp
from aioquic.quic.events import StopSendingReceived, StreamDataReceived, StreamReset
from loopback import (
    CREDENTIAL,
    LOOPBACK,
    QNAME,
    ROOT,
    VALID,
    LocalHost,
    echo,
    fails,
    query,
    response,
    run,
    until,
)
from quic_peers import SNI, Doq, Relay, run_virtual, scripted_client, scripted_server, udp_port

from testbed.core import pki
from testbed.core.transport import Failure, Transport
from testbed.transports import doq, doq_server, framing
from testbed.transports.doq_session import DoqError

KEEPALIVE = dns.message.make_query("secret.example.org", "A", id=0)
KEEPALIVE.use_edns(0, options=[dns.edns.GenericOption(11, b"\0\x64"), dns.edns.GenericOption(12, bytes(9))])
KEEPALIVE = KEEPALIVE.to_wire()
UPDATE = dns.message.make_query("example.org", "SOA", id=0, use_edns=0)
UPDATE.set_opcode(dns.opcode.UPDATE)
UPDATE = UPDATE.to_wire()


def answer(protocol, event):
    """What a server does."""
    if isinstance(event, StreamDataReceived) and event.end_stream:
        protocol.send(event.stream_id, framing.frame(response(event.data[2:])))


# -- exchanges ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("address", [LOOPBACK, "::1"])
def test_exchanges(address):
    async def scenario():
        seen = []

        def handler(wire, transport, peer):
            seen.append((wire[:2], transport, peer))
            return [response(wire)]

        remote = address, udp_port(address)
        listener = Doq.serve(*remote, handler)
        session = await Doq.connect(remote)
        assert session.chain == CREDENTIAL.chain
        info = session.handshake
        assert (info.version, info.cipher) == ("TLSv1.3", "TLS_AES_128_GCM_SHA256")
        assert (info.alpn, info.resumed) == ("doq", False)
        assert listener.messages == 0
        for number in (1, 2, 1):
            assert await session.exchange(query(number), 3) == response(query(number))
        assert seen == [(b"\0\0", Transport.DOQ, address)] * 3
        assert (session.transport, session.remote) == (Transport.DOQ, remote)
        assert (listener.connections, listener.handshakes, listener.messages, listener.open) == (1, 1, 3, 1)
        session.close()
        assert session.closed.result() is None
        with fails(Failure.CLOSED, "by this side"):
            await session.exchange(query(1), 3)
        await until(lambda: listener.open == 0)
        listener.close()
        listener.close()
        with fails(Failure.REFUSED):
            await Doq.connect(remote)

    run(scenario())


def test_many_exchanges_at_once():
    async def scenario():
        remote = LOOPBACK, udp_port()
        listener = Doq.serve(*remote, lambda wire, *_: [response(wire, bytes(700))])
        session = await Doq.connect(remote)
        wires = [query(n % 7, b"%c" % 4 + b"%04d" % n + b"\0") for n in range(400)]
        answers = await asyncio.gather(*(session.exchange(wire, 5) for wire in wires))
        assert answers == [response(wire, bytes(700)) for wire in wires]
        session.close()
        listener.close()

    run(scenario())


def test_a_zone_transfer():
    async def scenario():
        remote = LOOPBACK, udp_port()
        parts = [bytes([n]) * 60000 for n in range(40)]
        listener = Doq.serve(*remote, lambda wire, *_: [response(wire, part) for part in parts])
        session = await Doq.connect(remote)
        got = await session.transfer(query(5), 8, lambda wire: wire.endswith(parts[-1]))
        assert got == [response(query(5), part) for part in parts]
        with pytest.raises(ZeroDivisionError):
            await session.transfer(query(6), 5, lambda _: 1 / 0)
        with pytest.raises(ValueError, match="12 octets"):
            await session.exchange(b"short", 3)
        with pytest.raises(ValueError, match="65535"):
            await session.exchange(bytes(65536), 3)
        listener.close()

    run(scenario())


def test_answers_that_take_time():
    async def scenario():
        remote = LOOPBACK, udp_port()
        gate = asyncio.Event()

        async def later(wire):
            await gate.wait()
            return [response(wire)]

        listener = Doq.serve(*remote, lambda wire, *_: later(wire) if wire[3] else [response(wire)])
        session = await Doq.connect(remote)
        slow = asyncio.ensure_future(session.exchange(query(1)[:3] + b"\1" + query(1)[4:], 9))
        assert await session.exchange(query(2), 3) == response(query(2))
        gate.set()
        assert (await slow)[:2] == b"\0\1"
        gate.clear()
        slow = asyncio.ensure_future(session.exchange(query(1)[:3] + b"\1" + query(1)[4:], 9))
        await until(lambda: listener.messages == 3)
        listener.close()
        with fails(Failure.RESET):
            await slow

    run(scenario())


def test_what_is_on_the_wire():
    async def scenario():
        async with scripted_server(answer) as (remote, made):
            session = await Doq.connect(remote)
            keepalive = b"\x12\x34" + KEEPALIVE[2:]
            got = await session.exchange(keepalive, 3)
            await session.exchange(query(9), 3)
            session.close()
            await until(lambda: made[0].end)
        received = [event for event in made[0].seen if isinstance(event, StreamDataReceived)]
        assert [(event.stream_id, event.end_stream) for event in received] == [(0, True), (4, True)]
        sent = received[0].data[2:]
        assert int.from_bytes(received[0].data[:2]) == len(sent) == len(KEEPALIVE) - 6
        message = dns.message.from_wire(sent)
        assert message.id == 0
        assert [option.otype for option in message.options] == [12]
        assert got == response(b"\x12\x34" + sent[2:])
        assert (made[0].end.error_code, made[0].end.frame_type) == (DoqError.NO_ERROR, None)

    run(scenario())


def test_a_server_strips_keepalive_and_message_id():
    async def scenario():
        remote = LOOPBACK, udp_port()
        listener = Doq.serve(*remote, lambda *_: [b"\x43\x21\x80\0" + KEEPALIVE[4:]])
        client = await scripted_client(remote)
        client.send(0, framing.frame(query(0)))
        await until(lambda: any(isinstance(event, StreamDataReceived) for event in client.seen))
        data = b"".join(event.data for event in client.seen if isinstance(event, StreamDataReceived))
        message = dns.message.from_wire(data[2:])
        assert (message.id, [option.otype for option in message.options]) == (0, [12])
        client.close()
        listener.close()

    run(scenario())


def test_exchanges_are_cancelled_on_the_wire():
    async def scenario():
        async with scripted_server(lambda *_: None) as (remote, made):
            session = await Doq.connect(remote)
            with fails(Failure.TIMEOUT, "no response"):
                await session.exchange(query(1), 0.02)
            task = asyncio.ensure_future(session.exchange(query(2), 3))
            await asyncio.sleep(0.02)
            task.cancel()
            await until(lambda: sum(isinstance(event, StopSendingReceived) for event in made[0].seen) == 2)
            assert not session.closed.done()
            session.close()
        stops = [event for event in made[0].seen if isinstance(event, StopSendingReceived)]
        assert [(event.stream_id, event.error_code) for event in stops] == [(0, 3), (4, 3)]

    run(scenario())


def test_cancelling_frees_streams_and_harms_nobody():
    """More exchanges than the server allows streams, and none is answered but the last."""

    async def scenario():
        remote = LOOPBACK, udp_port()
        listener = Doq.serve(*remote, lambda wire, *_: [response(wire)] if wire[3] else [])
        session = await Doq.connect(remote)
        silent = (session.exchange(query(n), 0.05) for n in range(300))
        results = await asyncio.gather(*silent, return_exceptions=True)
        assert {error.failure for error in results} == {Failure.TIMEOUT}
        wire = query(1)[:3] + b"\1" + query(1)[4:]
        assert await session.exchange(wire, 3) == response(wire)
        session.close()
        listener.close()

    run(scenario())


# -- how it ends -------------------------------------------------------------------------------------


def test_the_server_goes_away():
    async def scenario():
        remote = LOOPBACK, udp_port()
        listener = Doq.serve(*remote, lambda *_: [])
        session = await Doq.connect(remote)
        waiting = [asyncio.ensure_future(session.exchange(query(n), 3)) for n in range(3)]
        await until(lambda: listener.messages == 3)
        listener.close()
        for task in waiting:
            with fails(Failure.RESET, "UNSPECIFIED_ERROR"):
                await task
        assert (await session.closed).failure is Failure.RESET
        with fails(Failure.RESET):
            await session.exchange(query(9), 3)
        assert listener.open == 0

    run(scenario())


def test_a_server_that_has_forgotten_a_connection_resets_it():
    async def scenario(address):
        remote = address, udp_port(address)
        listener = Doq.serve(*remote, echo)
        session = await Doq.connect(remote)
        await session.exchange(query(1), 3)
        for connection in listener.live:
            connection.endpoint._send = lambda *_: None  # the machine loses power
        listener.close()
        await asyncio.sleep(0.01)
        listener = Doq.serve(*remote, echo)
        with fails(Failure.RESET, "stateless reset"):
            await session.exchange(query(2), 3)
        assert (listener.connections, listener.messages) == (0, 0)
        listener.close()

    run(scenario(LOOPBACK))
    run(scenario("::1"))


def test_an_idle_connection_is_closed_in_good_order():
    async def scenario():
        loop = asyncio.get_running_loop()
        remote = LOOPBACK, udp_port()
        listener = Doq.serve(*remote, echo, idle_timeout=10)
        session = await Doq.connect(remote)
        for n in range(4):  # in use for longer than the idle timeout
            await asyncio.sleep(7)
            await session.exchange(query(n), 3)
        before = loop.time()
        assert await session.closed is None
        assert loop.time() - before == pytest.approx(10, abs=0.1)
        assert listener.open == 0
        with fails(Failure.CLOSED, "while idle"):
            await session.exchange(query(1), 3)
        session = await Doq.connect(remote)
        listener.handler = lambda *_: []
        with fails(Failure.CLOSED, "before a response"):
            await session.exchange(query(1), 30)
        listener.close()

    run_virtual(scenario())


@pytest.mark.parametrize("busy", [False, True])
def test_a_silent_end(busy):
    """Both sides give up by themselves, at the time that they agreed on (RFC 9000 section 10.1)."""

    async def scenario():
        loop = asyncio.get_running_loop()
        remote = LOOPBACK, udp_port()
        listener = Doq.serve(*remote, lambda *_: [], idle_timeout=10)
        cut = False
        relay = Relay(remote, keep=lambda *_: not cut)
        session = await Doq.connect(relay.remote)
        await asyncio.sleep(1)
        cut, before = True, loop.time()
        if busy:
            with fails(Failure.TIMEOUT, "idle timeout"):
                await session.exchange(query(1), 60)
            assert session.closed.result().failure is Failure.TIMEOUT
        else:
            assert await session.closed is None
        assert loop.time() - before == pytest.approx(15, abs=1.5)
        await asyncio.sleep(20)
        assert listener.open == 0
        relay.close()
        listener.close()

    run_virtual(scenario())


def close(code, frame_type=None, reason=""):
    """What a server says to a query."""

    def script(protocol, event):
        if isinstance(event, StreamDataReceived):
            protocol._quic.close(code, frame_type, reason)
            protocol.transmit()

    return script


@pytest.mark.parametrize(
    ("script", "failure", "detail"),
    [
        (close(0), Failure.CLOSED, "before a response"),
        (close(0, 0), Failure.CLOSED, "before a response"),
        (close(1, None, "out of order"), Failure.RESET, "INTERNAL_ERROR: out of order"),
        (close(4), Failure.RESET, "EXCESSIVE_LOAD"),
        (close(0xD098EA5E), Failure.RESET, "error 0xd098ea5e"),
        (close(0xA, 0), Failure.RESET, "PROTOCOL_VIOLATION"),
        (close(0x10A, 6), Failure.TLS, r"alert unexpected_message \(10\)"),
        (lambda *_: None, Failure.TIMEOUT, "no response"),
    ],
)
def test_how_a_session_fails(script, failure, detail):
    async def scenario():
        async with scripted_server(script) as (remote, _):
            session = await Doq.connect(remote)
            with fails(failure, detail):
                await session.exchange(query(1), 0.2)
            assert session.closed.done() is (failure is not Failure.TIMEOUT)
            if failure is Failure.CLOSED:
                assert session.closed.result() is None
            session.close()

    run(scenario())


def say(*parts, end=True):
    """What a server sends in answer to a query."""

    def script(protocol, event):
        if isinstance(event, StreamDataReceived):
            for n, part in enumerate(parts):
                protocol.send(event.stream_id, part, end and n == len(parts) - 1)

    return script


def stop(protocol, event):
    if isinstance(event, StreamDataReceived):
        protocol._quic.stop_stream(event.stream_id, 0)
        protocol.transmit()


def open_stream(number):
    def script(protocol, event):
        if isinstance(event, StreamDataReceived):
            protocol.send(number, framing.frame(response(query(0))))

    return script


RIGHT = framing.frame(response(query(0)))


@pytest.mark.parametrize(
    ("script", "detail"),
    [
        (say(framing.frame(response(query(7)))), "message ID is not 0"),
        (say(b"\0\5hello"), "12 octets"),
        (say(b""), "ends before the response"),
        (say(RIGHT[:-1]), "ends before the response"),
        (say(RIGHT + b"\0"), "ends before the response"),
        (say(RIGHT, RIGHT), "more responses than expected"),
        (say(framing.frame(b"\0\0\x80\0" + KEEPALIVE[4:])), "edns-tcp-keepalive"),
        (stop, "STOP_SENDING"),
        (open_stream(1), "a stream that the server opened"),
        (open_stream(3), "a stream that the server opened"),
    ],
)
def test_a_server_that_breaks_the_protocol(script, detail):
    async def scenario():
        async with scripted_server(script) as (remote, made):
            session = await Doq.connect(remote)
            wire = b"\0\x07" + KEEPALIVE[2:] if detail == "edns-tcp-keepalive" else query(7)
            if detail.startswith(("more", "ends before the response")):
                results = await asyncio.gather(session.exchange(wire, 3), return_exceptions=True)
                assert results == [response(query(7))] or results[0].failure is Failure.PROTOCOL
            else:
                with fails(Failure.PROTOCOL, detail):
                    await session.exchange(wire, 3)
            ended = await session.closed
            assert (ended.failure, detail in ended.detail) == (Failure.PROTOCOL, True)
            with fails(Failure.PROTOCOL, detail):
                await session.exchange(query(8), 3)
            await until(lambda: made[0].end)
        assert (made[0].end.error_code, made[0].end.frame_type) == (DoqError.PROTOCOL_ERROR, None)

    run(scenario())


def test_a_failed_transaction_leaves_the_session_alone():
    def script(protocol, event):
        if isinstance(event, StreamDataReceived):
            if event.stream_id == 0:
                protocol._quic.reset_stream(0, 1)
                protocol.transmit()
            elif event.stream_id == 4:
                protocol.send(4, framing.frame(response(query(0, b"\4evil\0"))))
            elif event.stream_id == 8:
                protocol.send(8, framing.frame(query(0)))
            else:
                protocol.send(event.stream_id, framing.frame(struct.pack("!6H", 0, 0x8001, 0, 0, 0, 0)))

    async def scenario():
        async with scripted_server(script) as (remote, _):
            session = await Doq.connect(remote)
            with fails(Failure.RESET, "INTERNAL_ERROR"):
                await session.exchange(query(1), 3)
            for _ in range(2):
                with fails(Failure.PROTOCOL, "not a response to the query"):
                    await session.exchange(query(1), 3)
            formerr = struct.pack("!6H", 1, 0x8001, 0, 0, 0, 0)
            assert await session.exchange(query(1), 3) == formerr
            assert session._exchanges == session._framers == {}
            session.close()

    run(scenario())


def test_responses_octet_by_octet():
    async def scenario():
        wire = framing.frame(response(query(0, QNAME.upper()), b"true"))
        async with scripted_server(say(*(wire[n : n + 1] for n in range(len(wire))))) as (remote, _):
            session = await Doq.connect(remote)
            assert await session.exchange(query(5), 3) == b"\0\5" + wire[4:]
            session.close()

    run(scenario())


# -- clients of all kinds ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    "attempt",
    [
        lambda client: client.send(0, framing.frame(query(7))),
        lambda client: client.send(0, framing.frame(query(0)) * 2),
        lambda client: client.send(0, framing.frame(query(0)) + b"\0"),
        lambda client: client.send(0, framing.frame(query(0))[:-1]),
        lambda client: client.send(0, b""),
        lambda client: client.send(0, b"\0\5hello"),
        lambda client: client.send(0, framing.frame(KEEPALIVE)),
        lambda client: client.send(2, framing.frame(query(0))),
        lambda client: client.send(0, b"\0\0" + bytes(100000), end=False),
    ],
)
def test_a_client_that_breaks_the_protocol(attempt):
    async def scenario():
        remote = LOOPBACK, udp_port()
        listener = Doq.serve(*remote, echo)
        client = await scripted_client(remote)
        attempt(client)
        await until(lambda: client.end)
        assert (client.end.error_code, client.end.frame_type) == (DoqError.PROTOCOL_ERROR, None)
        assert (listener.open, listener.messages) == (0, 0)
        listener.close()

    run(scenario())


def test_a_query_in_pieces_and_out_of_order():
    async def scenario():
        remote = LOOPBACK, udp_port()
        listener = Doq.serve(*remote, echo)
        client = await scripted_client(remote)
        framed = framing.frame(query(0))
        for octet in framed[:-1]:
            client.send(0, bytes([octet]), end=False)
            client.send(4, bytes([octet]), end=False)
            await asyncio.sleep(0)
        assert listener.messages == 0
        client.send(4, framed[-1:])
        await until(lambda: listener.messages == 1)
        client.send(0, framed[-1:], end=False)
        await asyncio.sleep(0.02)
        assert listener.messages == 1  # not before FIN
        client.send(0, b"")
        await until(lambda: listener.messages == 2)
        client.close()
        await until(lambda: listener.open == 0)
        listener.close()

    run(scenario())


def test_clients_may_change_their_mind():
    async def scenario():
        remote = LOOPBACK, udp_port()
        gate = asyncio.Event()

        async def later(wire):
            await gate.wait()
            return [response(wire)]

        listener = Doq.serve(*remote, lambda wire, *_: later(wire))
        client = await scripted_client(remote)
        client.send(0, framing.frame(query(0))[:5], end=False)
        client._quic.reset_stream(0, 3)
        client.send(4, framing.frame(query(0)))
        await until(lambda: listener.messages == 1)
        client._quic.stop_stream(4, 3)
        client.transmit()
        await until(lambda: sum(isinstance(event, StreamReset) for event in client.seen) == 2)
        gate.set()
        client.send(8, framing.frame(query(0)))
        await until(lambda: any(isinstance(event, StreamDataReceived) for event in client.seen))
        (got,) = [event for event in client.seen if isinstance(event, StreamDataReceived)]
        assert (got.stream_id, got.end_stream) == (8, True)
        assert client.end is None
        client.close()
        listener.close()

    run(scenario())


def test_a_fault_in_the_handler_is_reported_and_costs_one_transaction():
    async def scenario():
        remote = LOOPBACK, udp_port()
        reported = []
        asyncio.get_running_loop().set_exception_handler(lambda _, context: reported.append(context))

        def handler(wire, *_):
            if wire[3]:
                raise KeyError("planted")
            return [response(wire)]

        listener = Doq.serve(*remote, handler)
        session = await Doq.connect(remote)
        with fails(Failure.RESET, "INTERNAL_ERROR"):
            await session.exchange(query(1)[:3] + b"\1" + query(1)[4:], 3)
        assert await session.exchange(query(2), 3) == response(query(2))
        assert [str(context["exception"]) for context in reported] == ["'planted'"]
        listener.handler = lambda *_: [bytes(65536)]
        with fails(Failure.RESET, "INTERNAL_ERROR"):
            await session.exchange(query(1), 3)
        assert len(reported) == 2
        session.close()
        listener.close()

    run(scenario())


def test_a_client_that_does_not_acknowledge_is_not_answered():
    async def scenario():
        remote = LOOPBACK, udp_port()
        listener = Doq.serve(*remote, lambda wire, *_: [response(wire, bytes(60000))], idle_timeout=10)
        mute = False
        relay = Relay(remote, keep=lambda to_server, _: to_server or not mute)
        session = await Doq.connect(relay.remote)
        await session.exchange(query(1), 3)
        mute = True
        tasks = [asyncio.ensure_future(session.exchange(query(n), 60)) for n in range(40)]
        await asyncio.sleep(1)
        (connection,) = listener.live
        assert connection.endpoint.quic.unacknowledged < doq_server.OUTSTANDING + 65000
        assert listener.messages < 25
        mute = False
        answers = await asyncio.gather(*tasks)
        assert [a[:2] for a in answers] == [n.to_bytes(2) for n in range(40)]
        mute = True
        task = asyncio.ensure_future(session.exchange(query(1), 60))
        await asyncio.sleep(11)
        assert listener.open == 0
        mute = False
        with fails(Failure.RESET, "stateless reset"):
            await task
        relay.close()
        listener.close()

    run_virtual(scenario())


# -- resumption and 0-RTT ----------------------------------------------------------------------------


async def ticket_of(remote, **options):
    session = await Doq.connect(remote, **options)
    await session.exchange(query(1), 3)
    ticket = session.ticket
    session.close()
    return ticket


def test_resumption():
    async def scenario():
        remote = LOOPBACK, udp_port()
        listener = Doq.serve(*remote, echo)
        ticket = await ticket_of(remote)
        assert ticket.early
        for _ in range(2):
            session = await Doq.connect(remote, ticket=ticket)
            assert session.handshake.resumed
            assert session.early is None
            assert session.chain == CREDENTIAL.chain
            assert await session.exchange(query(1), 3) == response(query(1))
            old, ticket = ticket, session.ticket
            session.close()
        # Used before; given for another name: full handshakes.
        for options in ({"ticket": old}, {"ticket": ticket, "sni": None}):
            session = await Doq.connect(remote, **options)
            assert not session.handshake.resumed
            session.close()
        listener.close()
        # A server that does not know the ticket.
        listener = Doq.serve(*remote, echo, credential=ROOT.issue(["x.example"], **VALID))
        session = await Doq.connect(remote, ticket=ticket)
        assert not session.handshake.resumed
        assert session.chain != CREDENTIAL.chain
        session.close()
        listener.close()

    run(scenario())


def test_tickets_expire_in_the_time_of_the_loop():
    async def scenario():
        remote = LOOPBACK, udp_port()
        store = doq.quic.TicketStore(asyncio.get_running_loop().time)
        listener = Doq.serve(*remote, echo, tickets=store)
        tickets = [await ticket_of(remote) for _ in range(2)]
        await asyncio.sleep(86000)
        session = await Doq.connect(remote, ticket=tickets[0])
        assert session.handshake.resumed
        session.close()
        await asyncio.sleep(500)
        session = await Doq.connect(remote, ticket=tickets[1], early=True)
        assert session.handshake is not None
        assert not session.handshake.resumed
        session.close()
        assert store.get(tickets[1].session.ticket) is None
        listener.close()

    run_virtual(scenario())


def test_a_ticket_store_is_bounded_and_can_be_shared(monkeypatch):
    monkeypatch.setattr(doq.quic, "_TICKETS", 3)

    async def scenario():
        first, second = (LOOPBACK, udp_port()), ("::1", udp_port("::1"))
        store = doq.quic.TicketStore(asyncio.get_running_loop().time)
        listeners = [Doq.serve(*remote, echo, tickets=store) for remote in (first, second)]
        tickets = [await ticket_of(first) for _ in range(4)]
        assert len(store) == 3
        for ticket, resumed in ((tickets[3], True), (tickets[0], False)):
            session = await Doq.connect(second, ticket=ticket)
            assert session.handshake.resumed is resumed
            session.close()
        for listener in listeners:
            listener.close()

    run(scenario())


def test_early_data():
    async def scenario():
        remote = LOOPBACK, udp_port()
        listener = Doq.serve(*remote, echo)
        ticket = await ticket_of(remote)
        relay = Relay(remote, delay=0.1)
        loop = asyncio.get_running_loop()
        before = loop.time()
        session = await Doq.connect(relay.remote, ticket=ticket, early=True)
        assert loop.time() == before
        assert (session.handshake, session.early, session.ticket) == (None, None, None)
        assert session.chain == CREDENTIAL.chain
        answers = await asyncio.gather(*(session.exchange(query(n), 3) for n in range(8)))
        assert answers == [response(query(n)) for n in range(8)]
        assert loop.time() - before == pytest.approx(0.2)
        assert session.handshake.resumed
        assert session.early is True
        assert len(relay.passed) == 3, relay.passed  # the first has all queries, the second all responses
        await asyncio.sleep(1)
        assert session.ticket.early
        assert listener.messages == 9
        session.close()
        relay.close()
        listener.close()

    run_virtual(scenario())


def test_early_data_of_a_task_of_its_own_shares_the_first_datagram():
    async def scenario():
        remote = LOOPBACK, udp_port()
        counts = []

        def handler(wire, *_):
            counts.append(relay.count())
            return [response(wire)]

        listener = Doq.serve(*remote, handler)
        relay = Relay(remote)
        ticket = await ticket_of(remote)
        session = await Doq.connect(relay.remote, ticket=ticket, early=True)
        await asyncio.create_task(session.exchange(query(1), 3))
        assert counts == [(0, 0), (1, 0)]
        session.close()
        # The handshake takes place even if nobody asks anything.
        session = await Doq.connect(relay.remote, ticket=await ticket_of(remote), early=True)
        await until(lambda: session.handshake)
        session.close()
        relay.close()
        listener.close()

    run(scenario())


def test_rejected_early_data_is_sent_again():
    async def scenario():
        loop = asyncio.get_running_loop()
        remote = LOOPBACK, udp_port()
        listener = Doq.serve(*remote, echo)
        ticket = await ticket_of(remote)
        listener.close()
        listener = Doq.serve(*remote, echo)
        relay = Relay(remote, delay=0.1)
        before = loop.time()
        session = await Doq.connect(relay.remote, ticket=ticket, early=True)
        answers = await asyncio.gather(*(session.exchange(query(n), 3) for n in range(20)))
        assert answers == [response(query(n)) for n in range(20)]
        assert loop.time() - before == pytest.approx(0.4)
        assert (session.early, session.handshake.resumed, session.chain) == (False, False, CREDENTIAL.chain)
        assert listener.messages == 20
        session.close()
        relay.close()
        listener.close()

    run_virtual(scenario())


@pytest.mark.parametrize("accepted", [None, False, True])
def test_rejected_early_data_is_not_for_another_server(accepted):
    """Whoever is on the path can answer in place of the server, and must not get the queries for it."""

    async def scenario():
        remote = LOOPBACK, udp_port()
        listener = Doq.serve(*remote, echo)
        ticket = await ticket_of(remote)
        listener.close()
        other = pki.self_signed(9, [SNI], **VALID)
        listener = Doq.serve(*remote, echo, credential=other)
        asked = []

        def accept(chain):
            asked.append(chain)
            return accepted

        options = {} if accepted is None else {"accept": accept}
        session = await Doq.connect(remote, ticket=ticket, early=True, **options)
        if accepted:
            assert await session.exchange(query(1), 3) == response(query(1))
            assert session.chain == other.chain
            session.close()
        else:
            with fails(Failure.TLS, "other certificates"):
                await session.exchange(query(1), 3)
            assert (await session.closed).failure is Failure.TLS
            await until(lambda: listener.open == 0)
            assert listener.messages == 0
        assert asked == ([] if accepted is None else [other.chain])
        listener.close()

    run(scenario())


def test_only_queries_and_notifies_are_sent_early():
    async def scenario():
        remote = LOOPBACK, udp_port()
        early = []

        def handler(wire, *_):
            early.append((wire[2] >> 3, listener.handshakes == 1))
            return [response(wire)]

        listener = Doq.serve(*remote, handler)
        ticket = await ticket_of(remote)
        early.clear()
        session = await Doq.connect(remote, ticket=ticket, early=True)
        wires = [query(1)[:2] + bytes([opcode << 3]) + query(1)[3:] for opcode in (5, 0, 4)]
        answers = await asyncio.gather(*(session.exchange(wire, 3) for wire in wires))
        assert answers == [response(wire) for wire in wires]
        assert early == [(0, True), (4, True), (5, False)]
        session.close()
        session = await Doq.connect(remote, ticket=await ticket_of(remote), early=True)
        task = asyncio.ensure_future(session.exchange(wires[0], 3))
        await asyncio.sleep(0)
        task.cancel()
        session.close()
        listener.close()

    run(scenario())


@pytest.mark.parametrize("too_early", ["refuse", "wait"])
def test_a_server_does_not_act_on_what_can_be_replayed(too_early):
    async def scenario():
        remote = LOOPBACK, udp_port()
        completed = []

        def handler(wire, *_):
            completed.append(next(iter(listener.live)).endpoint.quic.complete)
            return [response(wire)]

        listener = Doq.serve(*remote, handler, too_early=too_early)
        client = await scripted_client(remote)
        await until(lambda: client.tickets)
        (ticket,) = client.tickets
        client.close()
        await until(lambda: listener.open == 0)
        client = await scripted_client(remote, session_ticket=ticket)
        client.send(0, framing.frame(UPDATE))
        client.send(4, framing.frame(UPDATE[:12]))
        client.send(8, framing.frame(query(0)))

        def received():
            return {
                event.stream_id: event.data[2:]
                for event in client.seen
                if isinstance(event, StreamDataReceived)
            }

        await until(lambda: set(received()) == {0, 4, 8})
        if too_early == "refuse":
            assert completed == [False]
            refusal = dns.message.from_wire(received()[0])
            assert (refusal.rcode(), refusal.opcode()) == (dns.rcode.REFUSED, dns.opcode.UPDATE)
            assert [option.code for option in refusal.options] == [dns.edns.EDECode.TOO_EARLY]
            assert received()[4][:4] == b"\0\0\xa9\5"
        else:
            assert completed == [False, True, True]
            assert received()[0] == response(UPDATE)
        client.close()
        listener.close()

    run(scenario())


@pytest.mark.parametrize("reuse", [False, True])
def test_replayed_early_data(reuse):
    async def scenario():
        remote = LOOPBACK, udp_port()
        store = doq.quic.TicketStore(asyncio.get_running_loop().time, reuse=reuse)
        listener = Doq.serve(*remote, echo, tickets=store)
        ticket = await ticket_of(remote)
        relay = Relay(remote)
        session = await Doq.connect(relay.remote, ticket=ticket, early=True)
        await session.exchange(query(1), 3)
        session.close()
        await until(lambda: listener.open == 0)
        replayed = relay.passed[0][1]
        with LocalHost().socket(2, 2) as attacker:
            attacker.sendto(replayed, remote)
            await until(lambda: listener.connections == 3)
        assert listener.messages == (3 if reuse else 2)
        relay.close()
        listener.close()

    run(scenario())


# -- what the network does ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("state", "trips", "datagrams"),
    [("cold", 2, (3, 3)), ("resumed", 2, (3, 2)), ("early", 1, (1, 1)), ("open", 1, (1, 1))],
)
def test_round_trips(state, trips, datagrams):
    async def scenario():
        loop = asyncio.get_running_loop()
        remote = LOOPBACK, udp_port()
        listener = Doq.serve(*remote, echo)
        ticket = await ticket_of(remote)
        relay = Relay(remote, delay=0.1)
        if state == "open":
            session = await Doq.connect(relay.remote)
            await asyncio.sleep(5)
            relay.passed.clear()
        before = loop.time()
        if state == "cold":
            session = await Doq.connect(relay.remote)
        elif state != "open":
            session = await Doq.connect(relay.remote, ticket=ticket, early=state == "early")
        await session.exchange(query(1), 3)
        assert loop.time() - before == pytest.approx(0.2 * trips)
        assert relay.count() == datagrams
        session.close()
        relay.close()
        listener.close()

    run_virtual(scenario())


def test_a_black_hole():
    async def scenario():
        loop = asyncio.get_running_loop()
        remote = LOOPBACK, udp_port()
        listener = Doq.serve(*remote, echo)
        ticket = await ticket_of(remote)
        relay = Relay(remote, keep=lambda *_: False)
        before = loop.time()
        with fails(Failure.TIMEOUT, "QUIC handshake"):
            await Doq.connect(relay.remote, timeout=4)
        assert loop.time() - before == pytest.approx(4)
        session = await Doq.connect(relay.remote, timeout=4, ticket=ticket, early=True)
        with fails(Failure.TIMEOUT, "no response"):
            await session.exchange(query(1), 2)
        with fails(Failure.TIMEOUT, "QUIC handshake"):
            await session.exchange(query(1), 20)
        assert loop.time() - before == pytest.approx(8)
        relay.close()
        listener.close()

    run_virtual(scenario())


@pytest.mark.parametrize("seed", range(4))
def test_loss(seed):
    async def scenario():
        remote = LOOPBACK, udp_port()
        handler = lambda wire, *_: [response(wire, bytes(3000))]  # noqa: E731
        listener = Doq.serve(*remote, handler, idle_timeout=100)
        rng = random.Random(seed)
        relay = Relay(remote, delay=0.01, keep=lambda *_: rng.random() < 0.7)
        ticket = None
        for _ in range(3):
            session = await Doq.connect(relay.remote, timeout=30, ticket=ticket, early=True)
            answers = await asyncio.gather(*(session.exchange(query(n), 60) for n in range(30)))
            assert answers == [response(query(n), bytes(3000)) for n in range(30)]
            ticket = session.ticket
            session.close()
        relay.close()
        listener.close()

    run_virtual(scenario())


def test_refusals():
    async def scenario():
        nobody = LOOPBACK, udp_port()
        with fails(Failure.REFUSED):
            await Doq.connect(nobody)
        listener = Doq.serve(*nobody, echo)
        ticket = await ticket_of(nobody)
        listener.close()
        session = await Doq.connect(nobody, ticket=ticket, early=True)
        with fails(Failure.REFUSED):
            await session.exchange(query(1), 3)
        assert session.closed.result().failure is Failure.REFUSED
        with pytest.raises(OSError, match="assign"):
            await doq.connect(LocalHost(), "192.0.2.1", nobody, sni=None, timeout=1)
        with pytest.raises(OSError, match="assign"):
            Doq.serve("192.0.2.1", 853, echo)

    run(scenario())


def test_nobody_but_the_peer_ends_a_session():
    """ICMP errors and garbage can come from anybody."""

    async def scenario():
        remote = LOOPBACK, udp_port()
        listener = Doq.serve(*remote, echo)
        session = await Doq.connect(remote)
        # The server's socket is away for a moment: the kernel answers with ICMP port unreachable.
        (connection,) = listener.live
        connection.endpoint._send = lambda *_: None
        task = asyncio.ensure_future(session.exchange(query(1), 3))
        await until(lambda: listener.messages == 1)
        session.refused(None)
        assert not task.done()
        local = session._endpoint._sock.getsockname()
        for garbage in (b"", b"\x40", bytes(50), b"\x40" + bytes(49), b"\xc0\0\0\0\1" + bytes(1300)):
            listener.send(garbage, local)
        await asyncio.sleep(0.02)
        connection.endpoint._send = listener.send
        assert await task == response(query(1))
        session.close()
        listener.close()

    run(scenario())


@pytest.mark.parametrize("early", [False, True])
def test_a_server_that_validates_addresses(early):
    """aioquic's own server, with Retry packets (RFC 9000 section 8.1.2)."""

    async def scenario():
        async with scripted_server(answer, retry=True) as (remote, _):
            session = await Doq.connect(remote)
            assert await session.exchange(query(1), 3) == response(query(1))
            await until(lambda: session.ticket)
            ticket = session.ticket
            session.close()
            session = await Doq.connect(remote, ticket=ticket, early=early)
            assert await session.exchange(query(1), 3) == response(query(1))
            assert session.handshake.resumed
            session.close()

    run(scenario())


def test_failing_handshakes():
    async def scenario():
        async with scripted_server(answer, alpn_protocols=["h3"]) as (remote, _):
            with fails(Failure.TLS, r"alert no_application_protocol \(120\)"):
                await Doq.connect(remote)
        async with scripted_server(answer, supported_versions=[0x6B3343CF]) as (remote, _):
            with fails(Failure.PROTOCOL, "other versions of QUIC"):
                await Doq.connect(remote)
        listener = Doq.serve(LOOPBACK, udp_port(), echo)
        remote = listener._sock.getsockname()
        for alpn in ("dot", None):
            with fails(Failure.TLS, "no_application_protocol"):
                await Doq.connect(remote, alpn=alpn)
        await until(lambda: listener.open == 0)
        assert listener.handshakes == 0
        listener.close()

        def refuse(protocol, _):
            protocol._quic.close(2, 0)
            protocol.transmit()

        async with scripted_server(refuse) as (remote, _):
            with fails(Failure.REFUSED, "CONNECTION_REFUSED"):
                await Doq.connect(remote)

    run(scenario())


@pytest.mark.parametrize("leaf", [b"", b"garbage", CREDENTIAL.leaf.public_bytes(pki.Encoding.DER)[:-1]])
def test_malformed_certificates(leaf):
    class Malformed:
        def public_bytes(self, _):
            return leaf

    async def scenario():
        listener = Doq.serve(LOOPBACK, udp_port(), echo)
        listener._configuration.certificate = Malformed()
        with fails(Failure.TLS, "parse|bad_certificate|Certificate"):
            await Doq.connect(listener._sock.getsockname())
        listener.close()

    run(scenario())


def test_sni_is_optional():
    async def scenario():
        names = []

        def script(protocol, event):
            del event
            names.append(protocol._quic.tls.received_extensions)

        async with scripted_server(script) as (remote, made):
            for sni in (None, SNI):
                session = await Doq.connect(remote, sni=sni)
                assert session.chain == CREDENTIAL.chain
                session.close()
            assert len(made) == 2

    run(scenario())


def test_both_ends_log_the_same_secrets():
    async def scenario():
        ours, theirs = [], []
        remote = LOOPBACK, udp_port()
        listener = Doq.serve(*remote, echo, secrets=theirs.append)
        ticket = await ticket_of(remote, secrets=ours.append)
        assert sorted(ours) == sorted(theirs)
        labels = ["HANDSHAKE_TRAFFIC_SECRET", "TRAFFIC_SECRET_0"]
        expected = {f"{side}_{label}" for side in ("CLIENT", "SERVER") for label in labels}
        assert {line.split()[0] for line in ours} == expected
        assert all(len(line.split()) == 3 and "\n" not in line for line in ours)
        session = await Doq.connect(remote, ticket=ticket, early=True, secrets=ours.append)
        await session.exchange(query(1), 3)
        await until(lambda: listener.handshakes == 2)
        assert sorted(ours) == sorted(theirs)
        assert {line.split()[0] for line in ours[4:]} == expected | {"CLIENT_EARLY_TRAFFIC_SECRET"}
        session.close()
        listener.close()

    run(scenario())


# -- resources ---------------------------------------------------------------------------------------


class Watched(LocalHost):
    def __init__(self):
        self.opened = []

    def socket(self, family, kind, proto=0):
        self.opened.append(super().socket(family, kind, proto))
        return self.opened[-1]


def test_nothing_is_left_behind():
    async def scenario():
        loop = asyncio.get_running_loop()
        host = Watched()
        remote = LOOPBACK, udp_port()
        listener = doq.serve(host, *remote, echo, credential=CREDENTIAL)
        options = {"sni": SNI, "timeout": 30}
        session = await doq.connect(host, LOOPBACK, remote, **options)
        await session.exchange(query(1), 3)
        ticket = session.ticket
        session.close()
        session = await doq.connect(host, LOOPBACK, remote, ticket=ticket, early=True, **options)
        session.close()  # before anything was sent
        hole = LOOPBACK, udp_port()
        with LocalHost().socket(2, 2) as silent:
            silent.bind(hole)
            task = asyncio.ensure_future(doq.connect(host, LOOPBACK, hole, **options))
            await asyncio.sleep(0.01)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
        session = await doq.connect(host, LOOPBACK, remote, **options)
        task = asyncio.ensure_future(session.exchange(query(1), 3))
        await asyncio.sleep(0)
        session.close()
        with fails(Failure.CLOSED, "by this side"):
            await task
        session = await doq.connect(host, LOOPBACK, remote, **options)
        listener.close()
        await session.closed
        assert (listener.open, listener.routes) == (0, {})
        assert len(host.opened) == 6
        assert all(sock.fileno() == -1 for sock in host.opened)
        await asyncio.sleep(0)
        left = [timer for timer in loop._scheduled if not timer.cancelled()]
        assert [timer for timer in left if timer.when() - loop.time() < 100000] == left[:1]  # run()'s own

    run(scenario())


def test_many_connections_at_once():
    async def scenario():
        remote = LOOPBACK, udp_port()
        listener = Doq.serve(*remote, echo)
        sessions = await asyncio.gather(*(Doq.connect(remote, timeout=30) for _ in range(60)))
        assert listener.open == 60
        await asyncio.gather(*(session.exchange(query(1), 30) for session in sessions))
        for session in sessions:
            session.close()
        await until(lambda: listener.open == 0)
        assert listener.routes == {}
        assert (listener.connections, listener.handshakes, listener.messages) == (60, 60, 60)
        listener.close()

    run(scenario())


def test_half_open_connections_are_given_up():
    async def scenario():
        remote = LOOPBACK, udp_port()
        listener = Doq.serve(*remote, echo, idle_timeout=10)
        relay = Relay(remote, keep=lambda to_server, _: to_server)
        with fails(Failure.TIMEOUT):
            await Doq.connect(relay.remote, timeout=2)
        first = relay.passed[0][1]
        await until(lambda: listener.open == 0)
        with LocalHost().socket(2, 2) as sock:
            sock.sendto(first, remote)
            await asyncio.sleep(5)
            assert (listener.open, listener.handshakes) == (1, 0)
            await asyncio.sleep(6)
        assert (listener.open, listener.routes) == (0, {})
        relay.close()
        listener.close()

    run_virtual(scenario())


PROBE = """
import asyncio, json, sys
sys.path.insert(0, "tests")
from quic_peers import Doq
from testbed.core.transport import TransportError

async def main():
    found = {}
    for address in ("127.0.0.1", "::1"):
        for port in (1001, 1002, 1004):
            try:
                await Doq.connect((address, port), timeout=0.3)
            except TransportError as error:
                found[f"{address} {port}"] = error.failure
    print(json.dumps(found))

asyncio.run(main())
"""


@pytest.mark.skipif(not test_transports_icmp.available(), reason="no network namespaces, or no nft")
def test_kinds_of_destination_unreachable():
    script = 'ip link set lo up && printf %s "$1" | nft -f - && exec "$2" -c "$3"'
    rules = test_transports_icmp.RULES
    command = [*test_transports_icmp.NAMESPACE, "sh", "-c", script, "sh", rules, sys.executable, PROBE]
    folder = Path(__file__).parent.parent
    result = subprocess.run(command, capture_output=True, check=True, text=True, timeout=30, cwd=folder)
    expected = {1001: "unreachable", 1002: "refused", 1004: "timeout"}
    assert json.loads(result.stdout) == {
        f"{address} {port}": failure for address in ("127.0.0.1", "::1") for port, failure in expected.items()
    }
