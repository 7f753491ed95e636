"""Unilateral probing (RFC 9539) as a state machine of its own.

State is kept by server address and encrypted transport (section 4.3). For one of them:

    status      null --handshake done--> success --handshake or session failed--> fail | timeout
    session     null --connect--> pending --handshake done--> established --closed--> null

What follows for a query at time t (section 4.6.2, 4.6.3):

    some session established ............................... send it there, and not over Do53
    some status success, and a response over it less than
    persistence ago ........................................ do not use Do53
    otherwise .............................................. use Do53
    no session established ................................. connect, also beside Do53, over each transport
                                                             whose status is null or success, or whose
                                                             failure is older than damping
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from testbed.core.transport import Transport

PERSISTENCE = 3 * 86400.0
"""Seconds for which a success keeps queries away from Do53 (RFC 9539 section 4.2)."""

DAMPING = 86400.0
"""Seconds for which a failed transport is not tried again (RFC 9539 section 4.2)."""

TIMEOUT = 4.0
"""Seconds that a handshake may take (RFC 9539 section 4.2)."""


class Status(StrEnum):
    """How the last attempt at encryption ended."""

    NULL = "null"
    SUCCESS = "success"
    FAIL = "fail"
    TIMEOUT = "timeout"


class Link(StrEnum):
    """Where the session stands."""

    NULL = "null"
    PENDING = "pending"
    ESTABLISHED = "established"


@dataclass(slots=True)
class Record:
    """The state of one server address and transport. Times are those of the caller; None is "never"."""

    status: Status = Status.NULL
    link: Link = Link.NULL
    initiated: float | None = None
    completed: float | None = None
    last_response: float | None = None


@dataclass(frozen=True, slots=True)
class Advice:
    """What to do with a query: over which established session, or whether over Do53, and what to connect."""

    session: Transport | None
    do53: bool
    connect: tuple[Transport, ...]


class Prober:
    """The probing state of a resolver.

    ``transports`` are the encrypted ones that it speaks, best first. The three periods are in seconds.
    """

    def __init__(
        self,
        transports: tuple[Transport, ...],
        persistence: float = PERSISTENCE,
        damping: float = DAMPING,
        timeout: float = TIMEOUT,
    ) -> None:
        self.transports = transports
        self.persistence = persistence
        self.damping = damping
        self.timeout = timeout
        self._records: dict[tuple[str, Transport], Record] = {}

    def record(self, server: str, transport: Transport) -> Record:
        """The state of a server address and transport, fresh where there is none."""
        return self._records.setdefault((server, transport), Record())

    def advise(self, server: str, now: float) -> Advice:
        """What to do with a query for a server address (RFC 9539 sections 4.6.2 and 4.6.3)."""
        records = [(transport, self.record(server, transport)) for transport in self.transports]
        for transport, record in records:
            if record.link is Link.ESTABLISHED:
                return Advice(session=transport, do53=False, connect=())
        recent = {transport for transport, record in records if self._recent(record, now)}
        connect = tuple(
            transport
            for transport, record in records
            if transport in recent or self._may_connect(record, now)
        )
        return Advice(session=None, do53=not recent, connect=connect)

    def _recent(self, record: Record, now: float) -> bool:
        return (
            record.status is Status.SUCCESS
            and record.last_response is not None
            and now - record.last_response < self.persistence
        )

    def _may_connect(self, record: Record, now: float) -> bool:
        if record.link is not Link.NULL:
            return False
        if record.status in (Status.NULL, Status.SUCCESS):
            return True
        return record.completed is None or now - record.completed >= self.damping

    def connecting(self, server: str, transport: Transport, now: float) -> None:
        """A handshake was started."""
        record = self.record(server, transport)
        record.link = Link.PENDING
        record.initiated = now

    def connected(self, server: str, transport: Transport, now: float) -> None:
        """The handshake was completed (section 4.6.5)."""
        record = self.record(server, transport)
        record.link = Link.ESTABLISHED
        record.status = Status.SUCCESS
        record.completed = now

    def failed(self, server: str, transport: Transport, now: float, *, timed_out: bool = False) -> None:
        """The handshake failed or took too long, or a session broke (sections 4.6.6 to 4.6.8)."""
        record = self.record(server, transport)
        record.link = Link.NULL
        record.status = Status.TIMEOUT if timed_out else Status.FAIL
        record.completed = now

    def closed(self, server: str, transport: Transport) -> None:
        """An established session was closed in good order; it counts as a success still (section 4.6.7)."""
        self.record(server, transport).link = Link.NULL

    def responded(self, server: str, transport: Transport, now: float) -> None:
        """A response came over the encrypted transport (section 4.6.9)."""
        self.record(server, transport).last_response = now

    def restart(self) -> None:
        """Sessions are gone; what was found out about servers stays (section 4.6.1)."""
        for record in self._records.values():
            record.link = Link.NULL
