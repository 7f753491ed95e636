"""What a resolver keeps of its sessions to resume them (RFC 8446 section 2.2, RFC 9250 section 4.5)."""

from __future__ import annotations

from collections.abc import Callable

from testbed.core.transport import Transport
from testbed.transports import Session
from testbed.transports.quic import QuicTicket
from testbed.transports.tls import Ticket

Server = tuple[str, int, Transport, str | None]
"""Address, port, transport, and the name in SNI if there was one: another name is another server."""

LIFETIME = 7200.0
"""Seconds for which servers of TLS here honour a ticket; those of QUIC say themselves for how long."""


class Tickets:
    """The last session with each server, for its ticket, which is used once (RFC 8446 appendix C.4).

    A ticket may come as late as after the first response. ``clock`` tells seconds.
    """

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._last: dict[Server, tuple[float, Session]] = {}

    def keep(self, server: Server, session: Session) -> None:
        """Remember a session with a server that was trusted with a query."""
        self._last[server] = self._clock() + LIFETIME, session

    def take(self, server: Server) -> Ticket | QuicTicket | None:
        """What it takes to resume the last session with a server, if that is still of use."""
        until, session = self._last.pop(server, (0.0, None))
        return session.ticket if session is not None and self._clock() < until else None

    def forget(self) -> None:
        """Forget all."""
        self._last.clear()
