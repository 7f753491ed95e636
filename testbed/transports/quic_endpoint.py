"""QUIC on sockets and on the event loop's clock: what both ends have in common, and a client's."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable
from typing import Any, Protocol

from aioquic.quic.connection import NetworkAddress
from aioquic.quic.events import QuicEvent
from aioquic.quic.packet import QuicErrorCode

from testbed.core.transport import Failure, TransportError
from testbed.transports import Address, Host, sockets
from testbed.transports.quic import Closing, Connection, End, QuicTicket, client
from testbed.transports.tls import Secrets

LARGEST = 65535
BATCH = 64
"""Datagrams to read before anything is answered, so that one packet acknowledges many."""

_TICK = 1e-6
_RECEIVE_BUFFER = 4 << 20
_SO_RCVBUFFORCE = 33


class Owner(Protocol):
    """Who uses an endpoint."""

    def event(self, event: QuicEvent) -> None:
        """Something happened on the connection."""

    def progress(self) -> None:
        """Before anything is sent: the time to add what had to wait, if it has not any more."""

    def ended(self, closing: Closing) -> None:
        """The connection is over, whoever ended it; the last call."""


class Endpoint:
    """Drives one connection: passes datagrams in and out, keeps its timer, hands on its events.

    Nothing that a peer sends raises. When the connection has ended, all is let go of at once: the closing
    and draining periods of RFC 9000 section 10.2 are for networks that reorder.
    """

    def __init__(self, quic: Connection, send: Callable[[bytes, NetworkAddress], None], owner: Owner) -> None:
        self.quic = quic
        self.over = False
        self._loop = asyncio.get_running_loop()
        self._send = send
        self._owner = owner
        self._timer: asyncio.TimerHandle | None = None
        self._end: Closing | None = None

    def feed(self, datagram: bytes, address: NetworkAddress) -> None:
        """Take a datagram. What it leads to comes with ``flush``."""
        if not self.over:
            self._guarded(self.quic.receive_datagram, datagram, address, self._loop.time())

    def flush(self) -> None:
        """Hand on events, send what there is to send, set the timer."""
        while not self.over and (event := self.quic.next_event()) is not None:
            self._owner.event(event)
        if not self.over:
            self._owner.progress()
        if self.over:
            return
        now = self._loop.time()
        for datagram, address in self._guarded(self.quic.datagrams_to_send, now) or ():
            self._send(datagram, address)
        when = self._guarded(self.quic.get_timer)
        closing = self._end or self.quic.closing
        if closing is None:
            self._wait(when)
        else:
            self.drop()
            self._owner.ended(closing)

    def close(self, code: int, reason: str = "", *, application: bool = True) -> None:
        """Say CONNECTION_CLOSE, with an error code of the application or of QUIC, and end the connection."""
        if not self.over:
            self.quic.close(code, None if application else 0, reason)
            self.flush()

    def drop(self) -> None:
        """Forget the connection without a word, and without telling the owner."""
        self.over = True
        self._wait(None)

    def _wait(self, when: float | None) -> None:
        if self._timer is not None:
            if self._timer.when() == when:
                return
            self._timer.cancel()
        if when is not None:
            # By rounding errors of aioquic, what was due may be due again at the very same moment, and a
            # clock in virtual time would stand still for good.
            when = max(when, self._loop.time() + _TICK)
        self._timer = None if when is None else self._loop.call_at(when, self._expire, when)

    def _expire(self, when: float) -> None:
        self._timer = None
        # The loop's clock may be less precise than what it was asked for.
        self._guarded(self.quic.handle_timer, max(when, self._loop.time()))
        self.flush()

    def _guarded(self, function: Callable[..., Any], *arguments: Any) -> Any:
        """Call aioquic. What it did not foresee is the peer's doing, and costs the connection."""
        try:
            return function(*arguments)
        except Exception as error:
            text = f"{type(error).__name__}: {error}"
            self._end = Closing(End.BY_US, QuicErrorCode.INTERNAL_ERROR, text)
            return None


class ClientOwner(Owner, Protocol):
    """Who uses a client's endpoint."""

    def refused(self, error: TransportError) -> None:
        """ICMP says that the server cannot be reached. It is for the owner to believe it."""


class ClientEndpoint(Endpoint):
    """A client's end, on a connected socket that it takes over."""

    def __init__(self, sock: socket.socket, remote: Address, quic: Connection, owner: ClientOwner) -> None:
        super().__init__(quic, self._transmit, owner)
        self._sock = sock
        self._fd = sock.fileno()
        self._client = owner
        self._remote = remote
        self._loop.add_reader(self._fd, self._readable)

    def drop(self) -> None:
        """Forget the connection and close the socket."""
        super().drop()
        if self._sock.fileno() >= 0:
            self._loop.remove_reader(self._fd)
            self._sock.close()

    def _readable(self) -> None:
        for _ in range(BATCH):
            try:
                datagram = self._sock.recv(LARGEST)
            except (BlockingIOError, InterruptedError):
                break
            except OSError as error:
                self._client.refused(sockets.failure(error, Failure.UNREACHABLE))
                break
            if self.quic.is_reset(datagram):
                self._end = Closing(End.RESET)
            self.feed(datagram, self._remote)
        self.flush()

    def _transmit(self, datagram: bytes, _: NetworkAddress) -> None:
        for _attempt in range(2):
            try:
                self._sock.send(datagram)
                return
            except BlockingIOError:
                return  # lost, as on the way
            except OSError as error:
                # Of an earlier datagram, most likely: this one has not been sent.
                failed = sockets.failure(error, Failure.UNREACHABLE)
        # Told later, so that nobody is called back from within a write.
        self._loop.call_soon(self._told, failed)

    def _told(self, error: TransportError) -> None:
        if not self.over:
            self._client.refused(error)


def connected(sock: socket.socket, remote: Address) -> socket.socket:
    """Connect a datagram socket, so that it hears of ICMP errors and of nobody but the server.

    Raises TransportError (UNREACHABLE), the socket being closed, or OSError for local faults.
    """
    try:
        sock.connect(remote)
    except OSError as error:
        sock.close()
        raise sockets.failure(error) from error
    return sock


def dial(
    host: Host,
    local_address: str,
    remote: Address,
    *,
    sni: str | None,
    alpn: str | None,
    idle_timeout: float,
    secrets: Secrets | None,
    ticket: QuicTicket | None,
    early: bool,
) -> tuple[socket.socket, Connection, QuicTicket | None]:
    """A client's socket and its end of a connection, and the ticket that it uses: none that has expired.

    Raises as ``connected`` does.
    """
    if ticket is not None and asyncio.get_running_loop().time() >= ticket.expires:
        ticket = None
    sock = connected(sockets.bound(host, socket.SOCK_DGRAM, (local_address, 0)), remote)
    protocols = () if alpn is None else (alpn,)
    machine = client(
        sni=sni, alpn=protocols, idle_timeout=idle_timeout, secrets=secrets, ticket=ticket, early=early
    )
    return sock, machine, ticket


def enlarge(sock: socket.socket) -> None:
    """Make room for bursts of many clients in a server's receive buffer, as far as the kernel allows."""
    for option in (_SO_RCVBUFFORCE, socket.SO_RCVBUF):
        try:
            sock.setsockopt(socket.SOL_SOCKET, option, _RECEIVE_BUFFER)
            return
        except PermissionError:
            continue
