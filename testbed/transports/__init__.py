"""DNS transports on real sockets, one file each; ``load("dot")`` finds a file by its name.

Every session transport offers two functions, and what is peculiar to it as further keyword arguments::

    async def connect(host, local_address, remote, *, timeout, ...) -> Session
    def serve(host, address, port, handler, *, ...) -> Listener

``tcp`` is the plain one. ``dot`` adds ``sni``, ``alpn``, ``secrets`` and ``ticket`` to ``connect``, and
``credential`` and ``secrets`` to ``serve``; a transport over QUIC or HTTP does the same. ``udp`` has no
sessions: ``udp.exchange`` stands in for ``connect``. ``serve`` must be called while the event loop runs.

All times are in seconds of the loop's clock, which may be virtual. Addresses are texts, ports numbers.
How the network or the peer fails is a ``TransportError``; what fails on this machine (no such local
address, port in use, no descriptors left) stays an ``OSError``, so that it is never taken for an attack.
"""

from __future__ import annotations

import asyncio
import importlib
import importlib.util
import socket
from collections.abc import Awaitable, Callable
from types import ModuleType
from typing import TYPE_CHECKING, Protocol

from cryptography import x509

from testbed.core.transport import Transport, TransportError
from testbed.transports.tls import HandshakeInfo, Ticket

if TYPE_CHECKING:  # QUIC takes long to load
    from testbed.transports.quic import QuicTicket

Address = tuple[str, int]
"""An IP address as text, and a port."""

Handler = Callable[[bytes, Transport, str], list[bytes] | Awaitable[list[bytes]]]
"""Answers a query: (wire form, transport, peer's address) -> messages to send back, none or several.

A handler that cannot answer at once returns something to await.
"""


class Host(Protocol):
    """Where sockets are opened: a host of the network, or this machine."""

    def socket(self, family: int, kind: int, proto: int = 0) -> socket.socket:
        """A new non-blocking socket in the host's network namespace."""
        ...


class Session(Protocol):
    """A client's connection to a server, for any number of exchanges, several at once (RFC 7766)."""

    @property
    def transport(self) -> Transport:
        """What it runs over."""
        ...

    @property
    def remote(self) -> Address:
        """The server's address and port."""
        ...

    @property
    def chain(self) -> tuple[x509.Certificate, ...]:
        """The certificates that the server presented, leaf first, unverified; empty in clear text."""
        ...

    @property
    def handshake(self) -> HandshakeInfo | None:
        """What the TLS handshake came to; None in clear text."""
        ...

    @property
    def ticket(self) -> Ticket | QuicTicket | None:
        """What it takes to resume this session later; None in clear text, or when the server gave none."""
        ...

    @property
    def closed(self) -> asyncio.Future[TransportError | None]:
        """Done once the session is over, with what ended it, or None for an orderly end.

        It takes callbacks. A task that may be cancelled awaits ``asyncio.shield(session.closed)``.
        """
        ...

    async def exchange(self, wire: bytes, timeout: float) -> bytes:
        """Send a query and await its response: the same message ID, the same question.

        The session outlives a timeout. Raises TransportError, and ValueError when a query with this
        message ID is under way already or the query is not one message.
        """
        ...

    async def transfer(self, wire: bytes, timeout: float, last: Callable[[bytes], bool]) -> list[bytes]:
        """As ``exchange``, for several responses, until ``last`` says so of one (RFC 5936 section 2.2)."""
        ...

    def close(self) -> None:
        """End the session in good order; exchanges under way fail with Failure.CLOSED."""
        ...


class Listener(Protocol):
    """A server's end of a transport."""

    @property
    def connections(self) -> int:
        """Connections accepted so far; 0 over UDP."""
        ...

    @property
    def handshakes(self) -> int:
        """TLS handshakes completed so far."""
        ...

    @property
    def messages(self) -> int:
        """Messages handed to the handler so far."""
        ...

    @property
    def open(self) -> int:
        """Connections open now."""
        ...

    def close(self) -> None:
        """Stop at once and abort what is open."""
        ...


def names() -> list[str]:
    """The names of all transports that can be used here."""
    return [name for name in Transport if importlib.util.find_spec(f"{__name__}.{name}") is not None]


def load(name: str) -> ModuleType:
    """The module of a transport. Raises KeyError when there is none of this name."""
    if name not in names():
        raise KeyError(name)
    return importlib.import_module(f"{__name__}.{name}")
