"""Several attackers at one place: each event goes through them in order, and what they did is counted."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from functools import partial
from typing import Literal

from testbed.attack.actions import (
    Alter,
    Answer,
    ConnectAction,
    Delay,
    Drop,
    EstablishedAction,
    HandshakeAction,
    Impersonate,
    Replace,
    Reply,
    Reset,
    Substitute,
    Unreachable,
)
from testbed.attack.api import Attacker
from testbed.attack.events import Connect, Datagram, Established, Handshake, Query, Response, Transfer
from testbed.attack.fates import Fate, Forward, Return
from testbed.attack.timing import Clock, Post
from testbed.core.message import encode


class Chain:
    """The attackers at one place. Those that are switched off see nothing.

    ``clock`` tells the seconds since the phase began, by which attackers go that act in a part of the
    timeline only.
    """

    def __init__(self, attackers: Sequence[Attacker], clock: Clock = lambda: 0.0) -> None:
        self._posts = [Post(attacker, clock) for attacker in attackers]
        self.active = set(range(len(attackers)))

    @property
    def active(self) -> set[int]:
        """The numbers of the attackers that are switched on."""
        return {number for number, post in enumerate(self._posts) if post.on}

    @active.setter
    def active(self, numbers: Collection[int]) -> None:
        for number, post in enumerate(self._posts):
            post.switch(number in numbers)

    def begin_step(self, number: int) -> None:
        """Another step of the scenario begins."""
        for post in self._posts:
            post.begin_step(number)

    def wants(self, hook: str) -> bool:
        """Whether some active attacker has this hook."""
        return any(post.attacker.overrides(hook) for post in self._on())

    def ports(self, hook: str) -> frozenset[int]:
        """The ports of what is to be shown to this hook."""
        wanted = (post.attacker.ports for post in self._on() if post.attacker.overrides(hook))
        return frozenset().union(*wanted)

    def _on(self) -> list[Post]:
        return [post for post in self._posts if post.on]

    def connect(self, connect: Connect) -> ConnectAction:
        """What becomes of a connection attempt: the first attacker that does anything decides."""
        for post in self._on():
            if connect.port not in post.attacker.ports:
                continue
            action = post.show(post.attacker.connect, connect, connect.server)
            if action is not None:
                return action
        return None

    def handshake(self, handshake: Handshake) -> HandshakeAction:
        """What becomes of a ClientHello: the first attacker that does anything decides."""
        for post in self._on():
            if handshake.port not in post.attacker.ports:
                continue
            action = post.show(partial(_handshake, post.attacker), handshake, handshake.server)
            if action is not None:
                return action
        return None

    def established(self, session: Established) -> EstablishedAction:
        """What becomes of a session in which data are sent: the first that does anything decides."""
        for post in self._on():
            if session.port not in post.attacker.ports:
                continue
            action = post.show(post.attacker.established, session, session.server)
            if action is not None:
                return action
        return None

    def datagram(self, datagram: Datagram) -> Fate | Unreachable:
        """What becomes of a datagram that is no plain DNS."""
        payload, delay = datagram.payload, 0.0
        towards: Literal["server", "resolver"] = datagram.towards
        for post in self._on():
            if datagram.port not in post.attacker.ports:
                continue
            shown = Datagram(payload, datagram.port, datagram.server, towards, datagram.number)
            match post.show(post.attacker.datagram, shown, datagram.server):
                case Drop() | Reset() | Unreachable() as action:
                    return action
                case Answer(answer):
                    return Return(answer)
                case Alter(altered):
                    payload = altered
                case Delay(seconds):
                    delay += seconds
        return Forward(payload, delay)

    def query(self, query: Query) -> tuple[Fate, Query]:
        """What becomes of a query, and the query as it was last changed."""
        wire, delay = query.wire, 0.0
        for post in self._on():
            # Each is shown a message of its own: what it does to it counts only when it says so.
            shown = Query(wire, query.transport, query.server)
            match post.show(post.attacker.query, shown, query.server):
                case Drop() | Reset() as action:
                    return action, Query(wire, query.transport, query.server)
                case Reply(message):
                    return Return(encode(message)), Query(wire, query.transport, query.server)
                case Answer(octets):
                    return Return(octets), Query(wire, query.transport, query.server)
                case Replace(message):
                    wire = encode(message)
                case Alter(wire):
                    pass
                case Delay(seconds):
                    delay += seconds
        return Forward(wire, delay), Query(wire, query.transport, query.server)

    def response(self, wire: bytes, query: Query) -> Fate:
        """What becomes of a response to a query."""
        delay = 0.0
        for post in self._on():
            match post.show(post.attacker.response, Response(wire, query), query.server):
                case Drop() | Reset() as action:
                    return action
                case Reply(message) | Replace(message):
                    wire = encode(message)
                case Alter(wire) | Answer(wire):
                    pass
                case Delay(seconds):
                    delay += seconds
        return Forward(wire, delay)

    def transfer(self, wires: Sequence[bytes], query: Query) -> tuple[Fate, ...]:
        """What becomes of a zone transfer; whole, since only then is there something to see."""
        delay = 0.0
        for post in self._on():
            match post.show(post.attacker.transfer, Transfer(tuple(wires), query), query.server):
                case Drop() | Reset() as action:
                    return (action,)
                case Substitute(messages):
                    wires = [encode(message) for message in messages]
                case Delay(seconds):
                    delay += seconds
        return tuple(Forward(wire, delay) for wire in wires)


def _handshake(attacker: Attacker, handshake: Handshake) -> HandshakeAction:
    """What an attacker does to a ClientHello: nobody presents a certificate that was never issued."""
    action = attacker.handshake(handshake)
    if isinstance(action, Impersonate) and action.certificate == "obtained":
        return action if handshake.server in attacker.scene.obtained else None
    return action
