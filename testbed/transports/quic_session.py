"""A client's session over QUIC: the handshake, 0-RTT, and one exchange to a stream."""

from __future__ import annotations

import asyncio
import socket
from abc import ABC, abstractmethod
from collections.abc import Callable
from enum import IntEnum

from aioquic.quic.events import HandshakeCompleted, QuicEvent
from aioquic.quic.packet import QuicErrorCode
from cryptography import x509

from testbed.core.tls_messages import AlertDescription, alert_name
from testbed.core.transport import Failure, Transport, TransportError
from testbed.transports import Address
from testbed.transports.exchange import Exchange, only
from testbed.transports.http_messages import Headers
from testbed.transports.quic import CRYPTO_ERROR, TICKET_LIFETIME, Closing, Connection, End, QuicTicket
from testbed.transports.quic_endpoint import ClientEndpoint
from testbed.transports.tls import HandshakeInfo

IDLE_TIMEOUT = 60.0
"""Seconds without a packet from the server after which a session is over; the server may ask for less."""

Accept = Callable[[tuple[x509.Certificate, ...]], bool]
"""Whether the server that presents these certificates may be told what was meant for another."""

Payload = tuple[Headers, bytes]
"""What a query becomes on a stream: header fields, where the protocol has any, and content."""

_QUERY, _NOTIFY = 0, 4


def replayable(query: bytes) -> bool:
    """Whether a query may travel as 0-RTT data (RFC 9250 section 4.5)."""
    return query[2] >> 3 & 0xF in (_QUERY, _NOTIFY)


class QuicSession(ABC):
    """Implements ``testbed.transports.Session`` on a connected socket, which it takes over.

    With 0-RTT, queries leave at once, under keys that only the server that gave the ticket can know. When
    the server refuses them they are sent again after the handshake: if it took the ticket, or presented
    the certificates of then. To another server they are sent only if ``accept`` takes its certificates;
    otherwise the session fails, for anybody on the path can bring that about.
    """

    def __init__(
        self,
        transport: Transport,
        remote: Address,
        sock: socket.socket,
        machine: Connection,
        *,
        no_error: IntEnum,
        timeout: float,
        ticket: QuicTicket | None,
        accept: Accept | None,
    ) -> None:
        self._loop = asyncio.get_running_loop()
        self.transport = transport
        self.remote = remote
        self.chain: tuple[x509.Certificate, ...] = ()
        self.handshake: HandshakeInfo | None = None
        self.closed: asyncio.Future[TransportError | None] = self._loop.create_future()
        self.early: bool | None = None
        """Whether the server took 0-RTT data; None when there was none, and while it is not known."""
        self.ready: asyncio.Future[None] = self._loop.create_future()
        """Done once queries can be sent: after the handshake, or at once with 0-RTT."""
        self._no_error = no_error
        self._given = ticket
        self._accept = accept
        self._failure: TransportError | None = None
        self._exchanges: dict[int, Exchange] = {}
        self._held: dict[Exchange, Payload] = {}
        self._expires = 0.0
        self._quic = machine
        self._endpoint = ClientEndpoint(sock, remote, machine, self)
        self._timer = self._loop.call_later(timeout, self._expire)
        machine.connect(remote, self._loop.time())
        self._flushing: asyncio.Handle | None = None
        if machine.early:
            assert ticket is not None
            self.chain = ticket.chain
            self.ready.set_result(None)
            # Queries that follow at once, from tasks that are ready to run, share the first datagram.
            self._flushing = self._loop.call_later(0, self._flush)
        else:
            self._endpoint.flush()

    @property
    def ticket(self) -> QuicTicket | None:
        """What it takes to resume this session later, once the server has given it."""
        session = self._quic.ticket
        return None if session is None else QuicTicket(session, self.chain, self._expires)

    async def established(self) -> None:
        """Await ``ready``. Raises TransportError; the session is closed then."""
        try:
            await self.ready
        except BaseException:
            self.close()
            raise

    async def exchange(self, wire: bytes, timeout: float) -> bytes:
        """Send a query and await its response."""
        return (await self.transfer(wire, timeout, only))[0]

    async def transfer(self, wire: bytes, timeout: float, last: Callable[[bytes], bool]) -> list[bytes]:
        """Send a query and await all its responses. Its message ID may be in use already."""
        exchange = Exchange(wire, last, self._loop.create_future())
        payload = self._encode(exchange.wire)
        if self._failure is not None:
            raise TransportError(self._failure.failure, self._failure.detail)
        timer = self._loop.call_later(timeout, exchange.fail, Failure.TIMEOUT, "no response")
        try:
            self._held[exchange] = payload
            self._flush_soon()
            return await exchange.done
        finally:
            timer.cancel()
            self._forget(exchange)

    def close(self) -> None:
        """End the session in good order."""
        self._end(None, TransportError(Failure.CLOSED, "by this side"), self._no_error)

    # -- for subclasses ----------------------------------------------------------------------------------

    @abstractmethod
    def _encode(self, query: bytes) -> Payload:
        """What is sent for a query. Raises ValueError for a query that cannot be sent."""

    @abstractmethod
    def _send(self, stream: int, payload: Payload) -> None:
        """Send a query on a new stream."""

    @abstractmethod
    def _cancel(self, stream: int) -> None:
        """Tell the server that nobody waits for this stream any more."""

    @abstractmethod
    def _happened(self, event: QuicEvent) -> None:
        """Something happened on a stream."""

    # -- what the endpoint calls -----------------------------------------------------------------------

    def event(self, event: QuicEvent) -> None:
        """Something happened on the connection."""
        if self._failure is not None:
            return
        if isinstance(event, HandshakeCompleted):
            self._complete_handshake(event.early_data_accepted)
        else:
            self._happened(event)

    def progress(self) -> None:
        """Send the queries that may be sent."""
        for exchange in list(self._held):
            if not self._quic.can_open:
                break
            if self.handshake is not None or replayable(exchange.query):
                exchange.stream = self._quic.get_next_available_stream_id()
                self._send(exchange.stream, self._held.pop(exchange))
                self._exchanges[exchange.stream] = exchange

    def refused(self, error: TransportError) -> None:
        """Believe ICMP before the handshake is complete; later anybody might have sent it."""
        if self.handshake is None:
            self._end(error, error)

    def ended(self, closing: Closing) -> None:
        """The connection is over."""
        if closing.end is End.IDLE and not self._waiting:
            self._end(None, TransportError(Failure.CLOSED, self._when()))
            return
        failure = self._failure_of(closing)
        self._end(None if failure.failure is Failure.CLOSED else failure, failure)

    # -- ------------------------------------------------------------------------------------------------

    def _forget(self, exchange: Exchange) -> None:
        """Cancel what was not answered in full."""
        self._held.pop(exchange, None)
        if exchange.answered or exchange.stream not in self._exchanges:
            return
        del self._exchanges[exchange.stream]
        if not self._endpoint.over:
            self._cancel(exchange.stream)
            self._flush_soon()

    def _flush_soon(self) -> None:
        """Send once everything that is ready to run has run, so that packets hold what they can."""
        if self._flushing is None:
            self._flushing = self._loop.call_soon(self._flush)

    def _flush(self) -> None:
        self._flushing = None
        self._endpoint.flush()

    def _complete_handshake(self, early: bool) -> None:
        info = self._quic.info
        if not info.resumed:
            chain = self._quic.chain
            if self.ready.done() and chain != self.chain and not (self._accept and self._accept(chain)):
                error = TransportError(Failure.TLS, "refused the ticket, and presents other certificates")
                self._end(error, error, CRYPTO_ERROR + AlertDescription.BAD_CERTIFICATE, application=False)
                return
            self.chain = chain
        elif self._given is not None:
            self.chain = self._given.chain
        self.handshake = info
        self._expires = self._loop.time() + TICKET_LIFETIME
        self._timer.cancel()
        if self.ready.done():
            self.early = early
            if not early:
                self._quic.resend_early(self._loop.time())
        else:
            self.ready.set_result(None)

    def _expire(self) -> None:
        error = TransportError(Failure.TIMEOUT, "QUIC handshake")
        self._end(error, error, self._no_error)

    @property
    def _waiting(self) -> bool:
        """Whether anybody waits for a response."""
        return bool(self._held) or any(not one.done.done() for one in self._exchanges.values())

    def _when(self) -> str:
        if self.handshake is None:
            return "during the QUIC handshake"
        return "before a response" if self._waiting else "while idle"

    def _failure_of(self, closing: Closing) -> TransportError:
        if closing.end in (End.BY_PEER, End.BY_US):
            return self._failure_by_code(closing)
        kind = {End.RESET: Failure.RESET, End.IDLE: Failure.TIMEOUT, End.VERSION: Failure.PROTOCOL}
        return TransportError(kind[closing.end], closing.end.value)

    def _failure_by_code(self, closing: Closing) -> TransportError:
        code, by_peer = closing.code, closing.end is End.BY_PEER
        if code == (self._no_error if closing.application else QuicErrorCode.NO_ERROR):
            return TransportError(Failure.CLOSED, self._when())
        if not closing.application and code & ~0xFF == CRYPTO_ERROR:
            alert = f"alert {alert_name(code - CRYPTO_ERROR)}"
            return TransportError(Failure.TLS, alert if by_peer else closing.reason or alert)
        text = error_name(type(self._no_error) if closing.application else QuicErrorCode, code)
        text = f"{text}: {closing.reason}" if closing.reason else text
        if not by_peer:
            return TransportError(Failure.PROTOCOL, text)
        refused = code == QuicErrorCode.CONNECTION_REFUSED and not closing.application
        return TransportError(Failure.REFUSED if refused else Failure.RESET, text)

    def _end(
        self,
        how: TransportError | None,
        failure: TransportError,
        code: int | None = None,
        reason: str = "",
        *,
        application: bool = True,
    ) -> None:
        """End it once: ``how`` for who asks how it ended, ``failure`` for whoever still waits.

        ``code`` is what the server is told, if anything.
        """
        if self._failure is not None:
            return
        self._failure = failure
        self._timer.cancel()
        if self._flushing is not None:
            self._flushing.cancel()
        if code is not None:
            self._endpoint.close(code, reason, application=application)
        self._endpoint.drop()
        for exchange in (*self._exchanges.values(), *self._held):
            exchange.fail(failure.failure, failure.detail)
        if not self.ready.done():
            self.ready.set_exception(TransportError(failure.failure, failure.detail))
        if not self.closed.done():
            self.closed.set_result(how)


def error_name(codes: type[IntEnum], code: int) -> str:
    """The name of an error code, or its number."""
    try:
        return codes(code).name
    except ValueError:
        return f"error {code:#x}"
