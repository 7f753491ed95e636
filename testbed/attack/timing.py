"""When an attacker acts: in which part of the timeline, on which of the events that it finds, how often."""

from __future__ import annotations

import math
from collections.abc import Callable, Hashable, Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, TypeVar

import dns.exception

from testbed.attack.events import Handshake, Moment, Query, Response, Transfer
from testbed.attack.spoofed import Spoofed
from testbed.core.transport import TransportError
from testbed.topology import RESOLVER

if TYPE_CHECKING:
    from testbed.attack.actions import Action
    from testbed.attack.api import Attacker

Event = TypeVar("Event")
Chosen = TypeVar("Chosen", bound="Action | None")

Clock = Callable[[], float]
"""Seconds of the world's time since a phase began."""


When = Literal["always", "first-contact", "cache-lapsed", "ticket-expired"]
"""What an attacker waits for.

first-contact: it leaves servers alone that it has met in an earlier step. cache-lapsed: it lets pass what is
asked for the first time, and acts when the same is asked again in a later step; where no question can be
read, when the same server is met again. ticket-expired: it acts on servers that it has met in an earlier step
once a ClientHello to them resumes nothing, until one does again.
"""


@dataclass(frozen=True, slots=True)
class Timing:
    """When an attacker acts. What is common to all of them, so that none needs to keep count itself.

    ``start`` and ``end`` are seconds since the beginning. ``from_event`` is the number, from 1, of the event
    that it is the first to act on: it would have acted on those before, and lets them pass. After
    ``at_most`` actions it has had enough.
    """

    start: float = 0.0
    end: float = math.inf
    from_event: int = 1
    at_most: int | None = None
    when: When = "always"


class Post:
    """An attacker at its place: whether it is there, what it may still do, and what it has spent."""

    def __init__(self, attacker: Attacker, clock: Clock) -> None:
        self.attacker = attacker
        self._timing = attacker.timing
        self._clock = clock
        self._step = 0
        self._since: float | None = None
        self._found = 0
        self._acted = 0
        self._met: dict[Hashable, int] = {}
        self._expired: set[str] = set()

    @property
    def on(self) -> bool:
        """Whether it is switched on."""
        return self._since is not None

    def switch(self, on: bool) -> None:
        """Let it come, or go."""
        if on == self.on:
            return
        if self._since is not None:
            self._account(self._since)
        self._since = None if not on else math.inf if self._exhausted else self._clock()

    def begin_step(self, number: int) -> None:
        """Another step of the scenario begins."""
        self._step = number

    def show(self, hook: Callable[[Event], Chosen], event: Event, server: str) -> Chosen | None:
        """Show it an event, and return its action, if there is one that it may carry out.

        What cannot be parsed is none of its business, and passes.
        """
        if not self._present(event, server):
            return None
        self.attacker.step = self._step
        try:
            action = hook(event)
        except (dns.exception.DNSException, TransportError):
            return None
        if action is None or not self._may_act():
            return None
        self.attacker.count(action)
        return action

    def ask(self, hook: Callable[[], Chosen], server: str) -> Chosen | None:
        """Ask it what it wants, as there is nothing to be shown; otherwise as ``show``."""
        return self.show(lambda _: hook(), None, server)

    def caused(self, hook: Callable[[Moment], Iterable[Spoofed]], moment: Moment) -> list[Spoofed]:
        """What it wants to send after it has caused a question, in order of time.

        Whom it meets is the resolver, whichever server it speaks for.
        """
        if self._since is None or not self._waited_for(moment, RESOLVER):
            return []
        self.attacker.step = self._step
        return sorted(hook(moment), key=lambda packet: packet.after)

    def sends(self, packet: Spoofed) -> bool:
        """Whether it may send a packet now; counts it if so."""
        if not self._in_its_window or not self._may_act():
            return False
        self.attacker.count(packet)
        return True

    @property
    def _in_its_window(self) -> bool:
        """Whether it is switched on, in its part of the timeline, and has not had enough."""
        timing = self._timing
        return self.on and not self._exhausted and timing.start <= self._clock() < timing.end

    @property
    def _exhausted(self) -> bool:
        return self._timing.at_most is not None and self._acted >= self._timing.at_most

    def _present(self, event: object, server: str) -> bool:
        return self._in_its_window and self._waited_for(event, server)

    def _waited_for(self, event: object, server: str) -> bool:
        """Whether an event is one that it waits for."""
        match self._timing.when:
            case "first-contact":
                return not self._met_before(server)
            case "cache-lapsed":
                return self._met_before(_about(event, server))
            case "ticket-expired":
                return self._ticket_expired(event, server)
        return True

    def _met_before(self, what: Hashable) -> bool:
        """Whether something was met in an earlier step; from now on it was."""
        return self._met.setdefault(what, self._step) < self._step

    def _ticket_expired(self, event: object, server: str) -> bool:
        """Whether the last ClientHello to a server resumed nothing although there was one before."""
        if isinstance(event, Handshake):
            again = self._met_before(server)
            if again and not event.resuming:
                self._expired.add(server)
            else:
                self._expired.discard(server)
        return server in self._expired

    def _may_act(self) -> bool:
        self._found += 1
        if self._found < self._timing.from_event:
            return False
        self._acted += 1
        if self._exhausted and self._since is not None:
            self._account(self._since)
            self._since = math.inf
        return True

    def _account(self, since: float) -> None:
        """Add to its presence the time since it came, as far as that lies in its part of the timeline."""
        timing = self._timing
        seconds = min(self._clock(), timing.end) - max(since, timing.start)
        self.attacker.spent.presence += max(0.0, seconds)


def _about(event: object, server: str) -> Hashable:
    """What an event is about, as far as a cache is concerned: the question, or else the server."""
    if isinstance(event, Moment):
        return (server, event.name, event.rdtype)
    query = event if isinstance(event, Query) else None
    if isinstance(event, Response | Transfer):
        query = event.query
    if query is None:
        return server
    try:
        asked = query.question
    except dns.exception.DNSException:
        return server
    return (server, asked.name, asked.rdtype) if asked is not None else server
