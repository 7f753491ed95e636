"""The server's side of DNS over HTTP/2: accepts connections, answers what comes in."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from http import HTTPStatus

import h2.events
import h2.exceptions
from h2.errors import ErrorCodes

from testbed.core.dohpath import Template
from testbed.core.transport import Transport, TransportError
from testbed.transports import Handler, http2
from testbed.transports.acceptor import Acceptor
from testbed.transports.capacity import Capacity
from testbed.transports.http_messages import (
    LARGEST,
    Headers,
    HttpError,
    decoded,
    encoded,
    error_response,
    query_of,
    response,
)
from testbed.transports.later import Later
from testbed.transports.server import OUTSTANDING
from testbed.transports.stream import Stream
from testbed.transports.tls import ServerPump

_ALPN = "h2"

_RESETS = 1000
"""Streams that a client may give up before it is asked to calm down (RFC 9113 section 10.5)."""


@dataclass(eq=False)
class Http2Service:
    """What the connections of a server have in common, with counters, and the connections open now."""

    handler: Handler
    template: Template
    idle_timeout: float
    handshakes: int = 0
    messages: int = 0
    live: set[Http2Connection] = field(default_factory=set)

    def left(self, connection: Http2Connection) -> None:
        """A connection is over."""
        self.live.discard(connection)


class Http2Listener(Http2Service):
    """Implements ``testbed.transports.Listener`` over a listening socket, which it takes over."""

    def __init__(
        self,
        sock: socket.socket,
        handler: Handler,
        template: Template,
        pump: Callable[[], ServerPump],
        idle_timeout: float,
        capacity: Capacity | None = None,
    ) -> None:
        super().__init__(handler, template, idle_timeout)
        self.connections = 0
        self._pump = pump
        self._acceptor = Acceptor(sock, self._welcome, capacity)
        if capacity is not None:
            capacity.count(self.live)

    @property
    def open(self) -> int:
        """Connections open now."""
        return len(self.live)

    def close(self) -> None:
        """Stop listening and abort all connections."""
        self._acceptor.close()
        for connection in list(self.live):
            connection.abort()

    def _welcome(self, sock: socket.socket, peer: str) -> None:
        self.connections += 1
        self.live.add(Http2Connection(self, sock, self._pump(), peer))


@dataclass(eq=False, slots=True)
class _Request:
    """What has come of a request."""

    headers: Headers
    content: bytearray = field(default_factory=bytearray)


class Http2Connection:
    """One client's connection."""

    def __init__(self, listener: Http2Service, sock: socket.socket, pump: ServerPump, peer: str) -> None:
        self._listener = listener
        self._pump = pump
        self._peer = peer
        self._http = http2.Connection(client=False)
        self._requests: dict[int, _Request] = {}
        self._complete: deque[int] = deque()
        self._unanswered: set[int] = set()
        self._resets = 0
        self._last_call = False
        self._later = Later()
        self._stream = Stream(sock, self)
        self._loop = asyncio.get_running_loop()
        self._deadline = self._loop.time() + listener.idle_timeout
        self._timer = self._loop.call_at(self._deadline, self._check_idle)

    def abort(self) -> None:
        """Drop it with RST."""
        self._stream.abort()
        self._forget()

    @property
    def idle_since(self) -> float | None:
        """When its last query came, or it did itself; None while a query is being answered."""
        return None if self._later else self._deadline - self._listener.idle_timeout

    def retire(self) -> None:
        """Close it in good order."""
        self._close()

    # -- what the stream calls -------------------------------------------------------------------------

    def received(self, data: bytes) -> None:
        """Some bytes came in."""
        waiting = not self._pump.established
        try:
            plaintext = self._pump.feed(data)
            if waiting and self._pump.established:
                self._listener.handshakes += 1
            for event in self._http.feed(plaintext):
                self._happened(event)
        except TransportError:
            self._close()  # with the alert or the GOAWAY that says why
            return
        if self._pump.established and self._pump.info.alpn != _ALPN:
            self._close()
            return
        self._last_call = self._last_call or self._pump.ended
        self._work()

    def ended(self, error: TransportError | None) -> None:
        """The client will send no more: what it asked is still answered, unless the connection broke."""
        if error is not None:
            self.abort()
            return
        self._last_call = True
        self._work()

    def drained(self) -> None:
        """There is room again."""
        self._stream.resume()
        self._work()

    # -- ------------------------------------------------------------------------------------------------

    def _happened(self, event: h2.events.Event) -> None:
        match event:
            case h2.events.RequestReceived():
                self._requests[event.stream_id] = _Request(decoded(event.headers or ()))
                self._unanswered.add(event.stream_id)
            case h2.events.DataReceived() if event.stream_id in self._requests:
                request = self._requests[event.stream_id]
                request.content += event.data or b""
                if len(request.content) > LARGEST:
                    del self._requests[event.stream_id]
                    error = HttpError(HTTPStatus.REQUEST_ENTITY_TOO_LARGE)
                    self._respond(event.stream_id, error_response(error))
                    self._http.reset(event.stream_id, ErrorCodes.NO_ERROR)
            case h2.events.StreamEnded() if event.stream_id in self._requests:
                self._complete.append(event.stream_id)
            case h2.events.StreamReset():
                self._requests.pop(event.stream_id, None)
                self._unanswered.discard(event.stream_id)
                self._resets += 1
                if self._resets > _RESETS:
                    self._http.h2.close_connection(ErrorCodes.ENHANCE_YOUR_CALM)
                    raise http2.Http2Error("too many streams were reset")

    def _work(self) -> None:
        """Answer what has come in whole, as far as the client reads the answers."""
        while self._complete and self._unsent <= OUTSTANDING and not self._stream.closed:
            stream = self._complete.popleft()
            request = self._requests.pop(stream, None)
            if request is not None:
                self._answer(stream, request)
                self._flush()
        if self._stream.closed:
            return
        self._flush()
        if self._stream.unsent > OUTSTANDING:
            self._stream.pause()
        elif self._last_call and not (self._complete or self._later or self._unsent):
            self._close()

    @property
    def _unsent(self) -> int:
        return self._stream.unsent + self._http.waiting

    def _answer(self, stream: int, request: _Request) -> None:
        listener = self._listener
        try:
            query = query_of(listener.template, request.headers, bytes(request.content))
        except HttpError as error:
            self._respond(stream, error_response(error))
            return
        listener.messages += 1
        self._deadline = self._loop.time() + listener.idle_timeout
        try:
            responses = listener.handler(query, Transport.DOH, self._peer)
            if isinstance(responses, list):
                self._send(stream, responses)
                return
        except Exception as error:  # a fault of ours, not of the client's
            self._loop.call_exception_handler({"message": "handler of queries", "exception": error})
            self._respond(stream, error_response(HttpError(HTTPStatus.INTERNAL_SERVER_ERROR)))
            return
        self._later.start(responses, partial(self._send_late, stream))

    def _send(self, stream: int, responses: list[bytes]) -> None:
        """Send the response; without any, the stream stays as silent as a lost datagram."""
        if responses:
            self._respond(stream, *response(responses))

    def _send_late(self, stream: int, responses: list[bytes]) -> None:
        if not self._stream.closed:
            self._send(stream, responses)
            self._flush()
            self._loop.call_soon(self._work)

    def _respond(self, stream: int, headers: Headers, content: bytes = b"") -> None:
        if stream in self._unanswered:
            self._unanswered.discard(stream)
            self._http.send(stream, encoded(headers), content)

    def _flush(self) -> None:
        if self._pump.established and (data := self._http.h2.data_to_send()):
            self._pump.send(data)
        self._stream.write(self._pump.outgoing())

    def _check_idle(self) -> None:
        if self._loop.time() < self._deadline:
            self._timer = self._loop.call_at(self._deadline, self._check_idle)
        elif self._later:
            self._timer = self._loop.call_later(self._listener.idle_timeout, self._check_idle)
        elif self._unsent or not self._pump.established:
            self.abort()
        else:
            with contextlib.suppress(h2.exceptions.H2Error):
                self._http.h2.close_connection()
            self._close()

    def _close(self) -> None:
        if not self._stream.closed:
            with contextlib.suppress(TransportError):
                self._flush()
                self._pump.close()
                self._flush()
            self._stream.close()
        self._forget()

    def _forget(self) -> None:
        self._timer.cancel()
        self._later.cancel()
        self._listener.left(self)
