"""Several attackers at one place: each event goes through them in order, and what they did is counted."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import dns.exception
import dns.message

from testbed.attack.api import (
    Attacker,
    Connect,
    ConnectAction,
    Delay,
    Drop,
    Handshake,
    HandshakeAction,
    MessageAction,
    Query,
    Replace,
    Reply,
    Reset,
    Response,
)
from testbed.core.message import encode
from testbed.core.transport import Transport


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
            if action is not None:
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


def _count(attacker: Attacker, action: object) -> None:
    attacker.actions[type(action).__name__.lower()] += 1


def _guarded(hook: Callable[..., MessageAction], event: Query | Response) -> MessageAction:
    """Call a hook; a message that cannot be parsed is none of the attacker's business, and passes."""
    try:
        return hook(event)
    except dns.exception.DNSException:
        return None


class Pending:
    """The queries of one flow that wait for their responses, by message ID."""

    def __init__(self, chain: Chain, transport: Transport, server: str) -> None:
        self._chain = chain
        self._transport = transport
        self._server = server
        self._queries: dict[bytes, Query] = {}

    def query(self, wire: bytes) -> Fate:
        """What becomes of a query."""
        fate, query = self._chain.query(Query(wire, self._transport, self._server))
        self._queries[query.wire[:2]] = query
        return fate

    def response(self, wire: bytes) -> Fate:
        """What becomes of a response; one that answers no query that was seen passes."""
        query = self._queries.get(wire[:2])
        return Forward(wire) if query is None else self._chain.response(wire, query)
