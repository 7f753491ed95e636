"""A client's session over HTTP/2: one request to an exchange."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable
from dataclasses import dataclass, field

import h2.events
from cryptography import x509
from h2.errors import ErrorCodes

from testbed.core.transport import Failure, Transport, TransportError
from testbed.transports import Address, http2
from testbed.transports.exchange import Exchange, only
from testbed.transports.http_messages import LARGEST, Headers, Request, decoded, encoded, message_of
from testbed.transports.stream import Stream
from testbed.transports.tls import ClientPump, HandshakeInfo, Ticket

_ALPN = "h2"

_FIRST_STREAMS = 100
"""Requests at a time before the server has said how many it takes (RFC 9113 section 6.5.2)."""


@dataclass(eq=False, slots=True)
class _Response:
    """What has come of a response."""

    exchange: Exchange
    headers: Headers = field(default_factory=list)
    content: bytearray = field(default_factory=bytearray)


class Http2Session:
    """Implements ``testbed.transports.Session`` over a connected socket, which it takes over.

    One response belongs to a request, so that a transfer of several (RFC 5936) fails with PROTOCOL. An
    error of HTTP costs an exchange, an error of HTTP/2 the session.
    """

    transport = Transport.DOH

    def __init__(self, remote: Address, sock: socket.socket, pump: ClientPump, request: Request) -> None:
        self._loop = asyncio.get_running_loop()
        self.remote = remote
        self.chain: tuple[x509.Certificate, ...] = ()
        self.handshake: HandshakeInfo | None = None
        self.closed: asyncio.Future[TransportError | None] = self._loop.create_future()
        self._pump = pump
        self._request = request
        self._http = http2.Connection(client=True)
        self._ready: asyncio.Future[None] = self._loop.create_future()
        self._failure: TransportError | None = None
        self._leaving = False
        self._limit = _FIRST_STREAMS
        self._responses: dict[int, _Response] = {}
        self._queue: dict[Exchange, tuple[Headers, bytes]] = {}
        self._stream = Stream(sock, self)
        self._flush()

    @property
    def ticket(self) -> Ticket | None:
        """What it takes to resume this session later."""
        return self._pump.ticket if self._pump.established else None

    async def ready(self, timeout: float) -> None:
        """Await the end of the TLS handshake. Raises TransportError; the session is closed then."""
        error = TransportError(Failure.TIMEOUT, "TLS handshake")
        timer = self._loop.call_later(timeout, self._finish, error, error)
        try:
            await self._ready
        except BaseException:
            self._stream.close()
            raise
        finally:
            timer.cancel()

    async def exchange(self, wire: bytes, timeout: float) -> bytes:
        """Send a query and await its response. Its message ID may be in use already."""
        return (await self.transfer(wire, timeout, only))[0]

    async def transfer(self, wire: bytes, timeout: float, last: Callable[[bytes], bool]) -> list[bytes]:
        """Send a query and await its response, which must be the last one."""
        exchange = Exchange(wire, last, self._loop.create_future())
        request = self._request(exchange.wire)
        if self._failure is not None:
            raise TransportError(self._failure.failure, self._failure.detail)
        if self._leaving:
            raise TransportError(Failure.CLOSED, "GOAWAY")
        timer = self._loop.call_later(timeout, exchange.fail, Failure.TIMEOUT, "no response")
        self._queue[exchange] = request
        try:
            self._send()
            self._flush()
            return await exchange.done
        finally:
            timer.cancel()
            self._forget(exchange)

    def close(self) -> None:
        """End the session in good order."""
        self._finish(None, TransportError(Failure.CLOSED, "by this side"))

    # -- what the stream calls -------------------------------------------------------------------------

    def received(self, data: bytes) -> None:
        """Some bytes came in."""
        waiting = not self._pump.established
        try:
            plaintext = self._pump.feed(data)
            if waiting and self._pump.established:
                self._complete_handshake()
            for event in self._http.feed(plaintext):
                self._happened(event)
        except TransportError as error:
            self._flush()  # the alert or the GOAWAY that says why
            self._finish(error, error)
            return
        self._send()
        self._flush()
        if self._pump.ended or (self._leaving and not self._responses):
            self._finish(None, TransportError(Failure.CLOSED, self._when()))

    def ended(self, error: TransportError | None) -> None:
        """The peer closed the stream, or broke it."""
        # Anyone on the path can end a stream; only the peer can say close_notify (RFC 8446 section 6.1).
        error = error or TransportError(Failure.CLOSED, f"{self._when()}, without close_notify")
        self._finish(error, error)

    def drained(self) -> None:
        """Nothing waits for it."""

    # -- ------------------------------------------------------------------------------------------------

    def _when(self) -> str:
        if not self._pump.established:
            return "during the TLS handshake"
        return "before a response" if self._responses or self._queue else "while idle"

    def _complete_handshake(self) -> None:
        self.handshake = self._pump.info
        try:
            self.chain = self._pump.chain
        except ValueError as error:
            raise TransportError(Failure.TLS, f"malformed certificate: {error}") from error
        if self.handshake.alpn != _ALPN:
            raise TransportError(Failure.PROTOCOL, "the server does not speak HTTP/2")
        if not self._ready.done():
            self._ready.set_result(None)

    def _send(self) -> None:
        """Send requests, as many as the server wants at a time."""
        while self._queue and len(self._responses) < self._limit and not self._leaving:
            exchange = next(iter(self._queue))
            headers, content = self._queue.pop(exchange)
            exchange.stream = self._http.h2.get_next_available_stream_id()
            self._http.send(exchange.stream, encoded(headers), content)
            self._responses[exchange.stream] = _Response(exchange)

    def _forget(self, exchange: Exchange) -> None:
        """Cancel what was not answered."""
        if exchange.stream in self._responses:
            del self._responses[exchange.stream]
            self._http.reset(exchange.stream, ErrorCodes.CANCEL)
            self._send()
            self._flush()
        elif exchange.stream is None:
            self._queue.pop(exchange, None)

    def _happened(self, event: h2.events.Event) -> None:
        match event:
            case h2.events.RemoteSettingsChanged():
                self._limit = self._http.h2.remote_settings.max_concurrent_streams
            case http2.GoAway():
                self._go_away(event)
            case h2.events.ResponseReceived() if event.stream_id in self._responses:
                self._responses[event.stream_id].headers = decoded(event.headers or ())
            case h2.events.DataReceived() if event.stream_id in self._responses:
                response = self._responses[event.stream_id]
                response.content += event.data or b""
                if len(response.content) > LARGEST:
                    response.exchange.fail(Failure.PROTOCOL, "the response is too long")
            case h2.events.StreamEnded() if event.stream_id in self._responses:
                self._take(self._responses.pop(event.stream_id))
            case h2.events.StreamReset() if event.stream_id in self._responses:
                text = http2.error_name(event.error_code)
                self._responses.pop(event.stream_id).exchange.fail(Failure.RESET, text)

    def _go_away(self, event: http2.GoAway) -> None:
        """Finish what the server still answers (RFC 9113 section 6.8)."""
        if event.code != ErrorCodes.NO_ERROR:
            raise TransportError(Failure.RESET, f"GOAWAY: {http2.error_name(event.code)}")
        self._leaving = True
        unread = [stream for stream in self._responses if stream > event.last_stream]
        for exchange in [self._responses.pop(stream).exchange for stream in unread] + list(self._queue):
            exchange.fail(Failure.CLOSED, "GOAWAY")

    def _take(self, response: _Response) -> None:
        exchange = response.exchange
        try:
            message = message_of(response.headers, bytes(response.content))
        except TransportError as error:
            exchange.fail(error.failure, error.detail)
            return
        exchange.take(message)
        exchange.fail(Failure.PROTOCOL, "one response is all that there is to a request")

    def _flush(self) -> None:
        if self._pump.established and not self._stream.closed and (data := self._http.h2.data_to_send()):
            self._pump.send(data)
        self._stream.write(self._pump.outgoing())

    def _finish(self, how: TransportError | None, failure: TransportError) -> None:
        """End it once: ``how`` for who asks how it ended, ``failure`` for whoever still waits."""
        if self._failure is not None:
            return
        self._failure = failure
        if how is None:
            if self._pump.established:
                self._http.h2.close_connection()
                self._flush()
            self._pump.close()
            self._stream.write(self._pump.outgoing())
        self._stream.close()
        for exchange in [response.exchange for response in self._responses.values()] + list(self._queue):
            exchange.fail(failure.failure, failure.detail)
        if not self._ready.done():
            self._ready.set_exception(TransportError(failure.failure, failure.detail))
        if not self.closed.done():
            self.closed.set_result(how)
