"""The server's side of QUIC: one socket, many connections, told apart by their connection IDs."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import socket
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator

from aioquic.quic.connection import NetworkAddress
from aioquic.quic.events import ConnectionIdIssued, ConnectionIdRetired, HandshakeCompleted, QuicEvent
from aioquic.quic.packet import QuicErrorCode, encode_quic_version_negotiation

from testbed.core.pki import Credential
from testbed.core.transport import Transport
from testbed.transports import Handler, Host, quic, sockets
from testbed.transports.capacity import Capacity
from testbed.transports.later import Later
from testbed.transports.quic_endpoint import BATCH, LARGEST, Endpoint, enlarge
from testbed.transports.tls import Secrets

_GRACE = 5.0
"""Seconds that the idle timeout of QUIC itself is longer: closing in good order comes first."""


class QuicService(ABC):
    """A server's end of QUIC, without a socket. What is spoken over it is up to ``connection``."""

    def __init__(
        self,
        transport: Transport,
        handler: Handler,
        connection: Callable[[QuicService, quic.Connection, NetworkAddress], ServerConnection],
        *,
        credential: Credential,
        alpn: tuple[str, ...],
        secrets: Secrets | None,
        idle_timeout: float,
        tickets: quic.TicketStore | None,
        capacity: Capacity | None = None,
    ) -> None:
        self.transport = transport
        self.handler = handler
        self.idle_timeout = idle_timeout
        self.connections = 0
        self.handshakes = 0
        self.messages = 0
        self.live: set[ServerConnection] = set()
        self._capacity = capacity
        if capacity is not None:
            capacity.count(self.live)
        self._loop = asyncio.get_running_loop()
        self._connection = connection
        self._tickets = quic.TicketStore(self._loop.time) if tickets is None else tickets
        # Of a server that is started anew, clients learn by stateless resets that it has forgotten them.
        self._reset_key = hashlib.sha256(b"adox stateless reset" + credential.spki).digest()
        self._configuration = quic.server_configuration(
            credential, alpn=alpn, idle_timeout=idle_timeout + _GRACE, secrets=secrets
        )
        self.routes: dict[bytes, ServerConnection] = {}

    @abstractmethod
    def send(self, datagram: bytes, address: NetworkAddress) -> None:
        """Send a datagram."""

    def left(self, connection: ServerConnection) -> None:
        """A connection is over."""
        self.live.discard(connection)

    def receive(self, datagrams: Iterable[tuple[bytes, NetworkAddress]]) -> None:
        """Take datagrams, and answer when all are taken."""
        touched: dict[ServerConnection, None] = {}  # in order, which a set does not keep
        for datagram, address in datagrams:
            connection = self._route(datagram, address)
            if connection is None:
                continue
            connection.endpoint.feed(datagram, address)
            if connection.endpoint.quic.untouched:
                connection.forget()  # it was not what it looked like
                continue
            if connection not in self.live:
                if self._capacity is not None and not self._capacity.admit():
                    connection.refuse()
                    continue
                self.live.add(connection)
                self.connections += 1
            touched[connection] = None
        for connection in touched:
            connection.endpoint.flush()

    def _route(self, datagram: bytes, address: NetworkAddress) -> ServerConnection | None:
        """The connection that a datagram belongs to; a new one for a client's first."""
        if len(datagram) < 1 + quic.CONNECTION_ID:
            return None
        if not datagram[0] & 0x80:
            known = self.routes.get(datagram[1 : 1 + quic.CONNECTION_ID])
            if known is None and datagram[0] & 0x40:
                self._answer(quic.stateless_reset(self._reset_key, datagram), address)
            return known
        destination = datagram[6 : 6 + datagram[5]]
        known = self.routes.get(destination)
        if known is not None or len(datagram) < quic.SMALLEST_INITIAL:
            return known
        version = int.from_bytes(datagram[1:5])
        if version != quic.VERSION:
            if version:  # a version negotiation packet is no reason for another
                self._answer(_version_negotiation(datagram, destination), address)
            return None
        # RFC 9000 section 7.2: at first the client makes up a connection ID of 8 octets or more.
        if datagram[0] & 0x70 != 0x40 or len(destination) < 8:
            return None
        return self._accept(destination, address)

    def _accept(self, destination: bytes, address: NetworkAddress) -> ServerConnection:
        machine = quic.server(self._configuration, self._tickets, self._reset_key, destination)
        connection = self._connection(self, machine, address)
        for connection_id in (destination, machine.host_cid):
            connection.route(connection_id)
        return connection

    def _answer(self, datagram: bytes | None, address: NetworkAddress) -> None:
        if datagram is not None:
            self.send(datagram, address)


class QuicListener(QuicService):
    """Implements ``testbed.transports.Listener``. What is spoken over QUIC is up to ``connection``."""

    def __init__(
        self,
        host: Host,
        address: str,
        port: int,
        transport: Transport,
        handler: Handler,
        connection: Callable[[QuicService, quic.Connection, NetworkAddress], ServerConnection],
        *,
        credential: Credential,
        alpn: tuple[str, ...],
        secrets: Secrets | None,
        idle_timeout: float,
        tickets: quic.TicketStore | None,
        capacity: Capacity | None = None,
    ) -> None:
        super().__init__(
            transport,
            handler,
            connection,
            credential=credential,
            alpn=alpn,
            secrets=secrets,
            idle_timeout=idle_timeout,
            tickets=tickets,
            capacity=capacity,
        )
        self._sock = sockets.bound(host, socket.SOCK_DGRAM, (address, port))
        enlarge(self._sock)
        self._loop.add_reader(self._sock.fileno(), self._readable)

    @property
    def open(self) -> int:
        """Connections open now."""
        return len(self.live)

    def close(self) -> None:
        """Abort all connections and stop listening."""
        if self._sock.fileno() < 0:
            return
        for connection in list(self.live):
            connection.abort()
        self._loop.remove_reader(self._sock.fileno())
        self._sock.close()

    def _readable(self) -> None:
        self.receive(self._incoming())

    def _incoming(self) -> Iterator[tuple[bytes, NetworkAddress]]:
        for _ in range(BATCH):
            try:
                yield self._sock.recvfrom(LARGEST)
            except (BlockingIOError, InterruptedError):
                break
            except OSError:  # news of a client that is gone
                continue

    def send(self, datagram: bytes, address: NetworkAddress) -> None:
        """Send a datagram, lost like any that finds no way."""
        with contextlib.suppress(OSError):
            self._sock.sendto(datagram, address)


def _version_negotiation(datagram: bytes, destination: bytes) -> bytes | None:
    """What answers a client's packet of another version (RFC 9000 section 6.1)."""
    start = 6 + len(destination)
    source = datagram[start + 1 : start + 1 + datagram[start]]
    return encode_quic_version_negotiation(
        source_cid=destination, destination_cid=source, supported_versions=[quic.VERSION]
    )


class ServerConnection(ABC):
    """One client's connection. Subclasses speak a protocol over it."""

    def __init__(self, listener: QuicService, machine: quic.Connection, address: NetworkAddress) -> None:
        self.listener = listener
        self.endpoint = Endpoint(machine, listener.send, self)
        self.peer: str = address[0]
        self.later = Later()
        self._routes: set[bytes] = set()
        self._loop = asyncio.get_running_loop()
        self._deadline = self._loop.time() + listener.idle_timeout
        self._timer = self._loop.call_at(self._deadline, self._check_idle)

    # -- for subclasses ----------------------------------------------------------------------------------

    no_error: int
    """The application's error codes for an orderly end, and for one without a reason."""
    unspecified_error: int

    @abstractmethod
    def happened(self, event: QuicEvent) -> None:
        """Something happened on a stream."""

    @abstractmethod
    def ready(self) -> None:
        """The handshake is complete."""

    @abstractmethod
    def progress(self) -> None:
        """Before anything is sent: the client may have acknowledged what there was too much of."""

    def answer(self, query: bytes, send: Callable[[list[bytes]], None], fail: Callable[[], None]) -> None:
        """Have the handler answer a query, and send the responses now or later."""
        listener = self.listener
        listener.messages += 1
        self._deadline = self._loop.time() + listener.idle_timeout
        try:
            responses = listener.handler(query, listener.transport, self.peer)
            if isinstance(responses, list):
                send(responses)
                return
        except Exception as error:  # a fault of ours, not of the client's
            self._loop.call_exception_handler({"message": "handler of queries", "exception": error})
            fail()
            return

        def send_late(responses: list[bytes]) -> None:
            if not self.endpoint.over:
                send(responses)
                self.endpoint.flush()

        self.later.start(responses, send_late)

    # -- ------------------------------------------------------------------------------------------------

    def abort(self) -> None:
        """End it with an error."""
        self.endpoint.close(self.unspecified_error)
        self.forget()

    def refuse(self) -> None:
        """Let the client know that the server does not want it (RFC 9000 section 5.2.2)."""
        self.endpoint.close(QuicErrorCode.CONNECTION_REFUSED, application=False)
        self.forget()

    @property
    def idle_since(self) -> float | None:
        """When its last query came, or it did itself; None while a query is being answered."""
        return None if self.later else self._deadline - self.listener.idle_timeout

    def retire(self) -> None:
        """Close it in good order."""
        self.endpoint.close(self.no_error)
        self.forget()

    def route(self, connection_id: bytes) -> None:
        """Take datagrams for a connection ID."""
        self._routes.add(connection_id)
        self.listener.routes[connection_id] = self

    def forget(self) -> None:
        """Let go of everything."""
        self.endpoint.drop()
        self._timer.cancel()
        self.later.cancel()
        self.listener.left(self)
        for connection_id in self._routes:
            self.listener.routes.pop(connection_id, None)

    def event(self, event: QuicEvent) -> None:
        """Something happened on the connection."""
        if isinstance(event, ConnectionIdIssued):
            self.route(event.connection_id)
        elif isinstance(event, ConnectionIdRetired):
            self._routes.discard(event.connection_id)
            self.listener.routes.pop(event.connection_id, None)
        elif isinstance(event, HandshakeCompleted):
            self.listener.handshakes += 1
            self.ready()
        else:
            self.happened(event)

    def ended(self, closing: quic.Closing) -> None:
        """The connection is over."""
        self.forget()

    def _check_idle(self) -> None:
        if self._loop.time() < self._deadline:
            self._timer = self._loop.call_at(self._deadline, self._check_idle)
        elif self.later:
            self._timer = self._loop.call_later(self.listener.idle_timeout, self._check_idle)
        elif self.endpoint.quic.complete and not self.endpoint.quic.unacknowledged:
            self.endpoint.close(self.no_error)
        else:
            self.abort()
