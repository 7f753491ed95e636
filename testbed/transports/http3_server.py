"""The server's side of DNS over HTTP/3 (RFC 9114)."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from functools import partial
from http import HTTPStatus

from aioquic.h3.connection import ErrorCode, H3Connection
from aioquic.h3.events import DataReceived, HeadersReceived
from aioquic.quic.connection import NetworkAddress
from aioquic.quic.events import QuicEvent, StopSendingReceived, StreamReset

from testbed.core.dohpath import Template
from testbed.transports import quic
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
from testbed.transports.quic_listener import QuicService, ServerConnection
from testbed.transports.server import OUTSTANDING


@dataclass(eq=False, slots=True)
class _Request:
    """What has come of a request."""

    headers: Headers
    content: bytearray = field(default_factory=bytearray)


class Http3Connection(ServerConnection):
    """One client's connection. Requests that come as 0-RTT data wait for the handshake (RFC 8470)."""

    no_error = ErrorCode.H3_NO_ERROR
    unspecified_error = ErrorCode.H3_INTERNAL_ERROR

    def __init__(
        self, listener: QuicService, machine: quic.Connection, address: NetworkAddress, template: Template
    ) -> None:
        super().__init__(listener, machine, address)
        self._template = template
        self._http: H3Connection | None = None
        self._requests: dict[int, _Request] = {}
        self._complete: deque[int] = deque()
        self._unanswered: set[int] = set()

    def ready(self) -> None:
        """Answer what had to wait for the handshake."""
        self.progress()

    def progress(self) -> None:
        """Answer what has come in whole, as far as the client takes the answers."""
        machine = self.endpoint.quic
        while self._complete and machine.complete and machine.unacknowledged <= OUTSTANDING:
            stream = self._complete.popleft()
            request = self._requests.pop(stream, None)
            if request is not None:
                self._answer(stream, request)

    def happened(self, event: QuicEvent) -> None:
        """Take a part of a request, or the client's change of mind."""
        if isinstance(event, StreamReset | StopSendingReceived):
            self._requests.pop(event.stream_id, None)
            self._unanswered.discard(event.stream_id)
        if self._http is None:
            self._http = H3Connection(self.endpoint.quic)
        for one in self._http.handle_event(event):
            match one:
                case HeadersReceived() if one.stream_id not in self._requests:
                    self._requests[one.stream_id] = _Request(decoded(one.headers))
                    self._unanswered.add(one.stream_id)
                case DataReceived() if one.stream_id in self._requests:
                    self._requests[one.stream_id].content += one.data
            if isinstance(one, HeadersReceived | DataReceived):
                self._continue(one.stream_id, one.stream_ended)
        self.progress()

    def _continue(self, stream: int, ended: bool) -> None:
        request = self._requests.get(stream)
        if request is None:
            return
        if len(request.content) > LARGEST:
            del self._requests[stream]
            self._respond(stream, error_response(HttpError(HTTPStatus.REQUEST_ENTITY_TOO_LARGE)))
            self.endpoint.quic.cancel(stream, ErrorCode.H3_NO_ERROR)
        elif ended:
            self._complete.append(stream)

    def _answer(self, stream: int, request: _Request) -> None:
        try:
            query = query_of(self._template, request.headers, bytes(request.content))
        except HttpError as error:
            self._respond(stream, error_response(error))
            return
        failure = error_response(HttpError(HTTPStatus.INTERNAL_SERVER_ERROR))
        self.answer(query, partial(self._send, stream), partial(self._respond, stream, failure))

    def _send(self, stream: int, responses: list[bytes]) -> None:
        """Send the response; without any, the stream stays as silent as a lost datagram."""
        if responses:
            self._respond(stream, *response(responses))

    def _respond(self, stream: int, headers: Headers, content: bytes = b"") -> None:
        if stream not in self._unanswered or self._http is None:
            return
        self._unanswered.discard(stream)
        self._http.send_headers(stream, encoded(headers), end_stream=not content)
        if content:
            self._http.send_data(stream, content, end_stream=True)
