"""Several attackers at one place: each event goes through them in order, and what they did is counted."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import dns.exception
import dns.message
import dns.name
import dns.rdatatype

from testbed.attack.api import (
    Attacker,
    Connect,
    ConnectAction,
    Delay,
    Drop,
    Handshake,
    HandshakeAction,
    Impersonate,
    MessageAction,
    Query,
    Replace,
    Reply,
    Reset,
    Response,
    Substitute,
    Transfer,
    TransferAction,
)
from testbed.core.message import encode
from testbed.core.transfer import Incoming
from testbed.core.transport import Transport, TransportError


@dataclass(frozen=True, slots=True)
class Forward:
    """Send this on, after some seconds."""

    wire: bytes
    delay: float = 0.0


@dataclass(frozen=True, slots=True)
class Return:
    """Send this back to where the query came from."""

    wire: bytes


Fate = Forward | Return | Drop | Reset
"""What becomes of a message."""


class Chain:
    """The attackers at one place. Those that are switched off see nothing."""

    def __init__(self, attackers: Sequence[Attacker]) -> None:
        self._attackers = attackers
        self.active: set[int] = set(range(len(attackers)))

    def wants(self, hook: str) -> bool:
        """Whether some active attacker has this hook."""
        return any(attacker.overrides(hook) for attacker in self._on())

    def _on(self) -> list[Attacker]:
        return [attacker for index, attacker in enumerate(self._attackers) if index in self.active]

    def connect(self, connect: Connect) -> ConnectAction:
        """What becomes of a connection attempt: the first attacker that does anything decides."""
        for attacker in self._on():
            action = attacker.connect(connect)
            if action is not None:
                _count(attacker, action)
                return action
        return None

    def handshake(self, handshake: Handshake) -> HandshakeAction:
        """What becomes of a ClientHello: the first attacker that does anything decides."""
        for attacker in self._on():
            action = attacker.handshake(handshake)
            if action is not None and _possible(action, attacker, handshake):
                _count(attacker, action)
                return action
        return None

    def query(self, query: Query) -> tuple[Fate, Query]:
        """What becomes of a query, and the query as it was last changed."""
        delay = 0.0
        for attacker in self._on():
            action = _guarded(attacker.query, query)
            if action is None:
                continue
            _count(attacker, action)
            match action:
                case Drop() | Reset():
                    return action, query
                case Reply(message):
                    return Return(encode(message)), query
                case Replace(message):
                    query = Query(encode(message), query.transport, query.server)
                case Delay(seconds):
                    delay += seconds
        return Forward(query.wire, delay), query

    def response(self, wire: bytes, query: Query) -> Fate:
        """What becomes of a response to a query."""
        delay = 0.0
        for attacker in self._on():
            action = _guarded(attacker.response, Response(wire, query))
            if action is None:
                continue
            _count(attacker, action)
            match action:
                case Drop() | Reset():
                    return action
                case Reply(message) | Replace(message):
                    wire = encode(message)
                case Delay(seconds):
                    delay += seconds
        return Forward(wire, delay)

    def transfer(self, wires: Sequence[bytes], query: Query) -> tuple[Fate, ...]:
        """What becomes of a zone transfer; whole, since only then is there something to see."""
        delay = 0.0
        for attacker in self._on():
            action = _seen_whole(attacker, Transfer(tuple(wires), query))
            if action is None:
                continue
            _count(attacker, action)
            match action:
                case Drop() | Reset():
                    return (action,)
                case Substitute(messages):
                    wires = [encode(message) for message in messages]
                case Delay(seconds):
                    delay += seconds
        return tuple(Forward(wire, delay) for wire in wires)


def _possible(action: HandshakeAction, attacker: Attacker, handshake: Handshake) -> bool:
    """Whether an attacker can do what it wants to: nobody presents a certificate that was never issued."""
    if isinstance(action, Impersonate) and action.certificate == "obtained":
        return handshake.server in attacker.scene.obtained
    return True


def _count(attacker: Attacker, action: object) -> None:
    attacker.actions[type(action).__name__.lower()] += 1


def _guarded(hook: Callable[..., MessageAction], event: Query | Response) -> MessageAction:
    """Call a hook; a message that cannot be parsed is none of the attacker's business, and passes."""
    try:
        return hook(event)
    except dns.exception.DNSException:
        return None


def _seen_whole(attacker: Attacker, transfer: Transfer) -> TransferAction:
    """Show a transfer to an attacker; one that carries no zone passes."""
    try:
        return attacker.transfer(transfer)
    except (dns.exception.DNSException, TransportError):
        return None


class Pending:
    """The queries of one flow that wait for their responses, by message ID."""

    def __init__(self, chain: Chain, transport: Transport, server: str) -> None:
        self._chain = chain
        self._transport = transport
        self._server = server
        self._queries: dict[bytes, Query] = {}
        self._transfers: dict[bytes, _Collected] = {}

    def query(self, wire: bytes) -> Fate:
        """What becomes of a query."""
        fate, query = self._chain.query(Query(wire, self._transport, self._server))
        self._queries[query.wire[:2]] = query
        return fate

    def response(self, wire: bytes) -> Fate:
        """What becomes of a response; one that answers no query that was seen passes."""
        query = self._queries.get(wire[:2])
        return Forward(wire) if query is None else self._chain.response(wire, query)

    def responses(self, wire: bytes) -> tuple[Fate, ...]:
        """What becomes of a response where one query may have many, in order.

        The messages of a zone transfer are held back until the last one is there.
        """
        query = self._queries.get(wire[:2])
        origin = _transferred(query) if query is not None else None
        if query is None or origin is None:
            return (self.response(wire),)
        identifier = int.from_bytes(wire[:2], "big")
        collected = self._transfers.setdefault(wire[:2], _Collected(Incoming(origin, identifier)))
        collected.wires.append(wire)
        try:
            if not collected.incoming.take(wire):
                return ()
        except TransportError:
            pass  # no transfer, or no more of it; an attacker may still want to know
        del self._transfers[wire[:2]]
        return self._chain.transfer(collected.wires, query)


@dataclass(slots=True)
class _Collected:
    """The messages of a zone transfer that came so far."""

    incoming: Incoming
    wires: list[bytes] = field(default_factory=list)


def _transferred(query: Query) -> dns.name.Name | None:
    """The zone whose transfer a query asks for, if it does."""
    try:
        questions = query.message.question
    except dns.exception.DNSException:
        return None
    asked = questions[0] if questions else None
    return asked.name if asked is not None and asked.rdtype == dns.rdatatype.AXFR else None
