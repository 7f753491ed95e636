"""A client's session over HTTP/3 (RFC 9114): one request to an exchange."""

from __future__ import annotations

import socket
from dataclasses import dataclass, field

from aioquic.h3.connection import ErrorCode, H3Connection
from aioquic.h3.events import DataReceived, H3Event, HeadersReceived
from aioquic.quic.events import QuicEvent, StreamReset

from testbed.core.transport import Failure, Transport, TransportError
from testbed.transports import Address
from testbed.transports.http_messages import LARGEST, Headers, Request, decoded, encoded, message_of
from testbed.transports.quic import Connection, QuicTicket
from testbed.transports.quic_session import Payload, QuicSession, error_name


@dataclass(eq=False, slots=True)
class _Response:
    """What has come of a response."""

    headers: Headers = field(default_factory=list)
    content: bytearray = field(default_factory=bytearray)


class Http3Session(QuicSession):
    """Implements ``testbed.transports.Session`` on a connected socket, which it takes over.

    One response belongs to a request, so that a transfer of several (RFC 5936) fails with PROTOCOL.
    """

    def __init__(
        self,
        remote: Address,
        sock: socket.socket,
        machine: Connection,
        request: Request,
        *,
        timeout: float,
        ticket: QuicTicket | None,
    ) -> None:
        self._request = request
        self._responses: dict[int, _Response] = {}
        super().__init__(
            Transport.DOH3,
            remote,
            sock,
            machine,
            no_error=ErrorCode.H3_NO_ERROR,
            timeout=timeout,
            ticket=ticket,
            accept=None,
        )
        self._http = H3Connection(machine)

    def _encode(self, query: bytes) -> Payload:
        return self._request(query)

    def _send(self, stream: int, payload: Payload) -> None:
        headers, content = payload
        self._http.send_headers(stream, encoded(headers), end_stream=not content)
        if content:
            self._http.send_data(stream, content, end_stream=True)
        self._responses[stream] = _Response()

    def _cancel(self, stream: int) -> None:
        self._responses.pop(stream, None)
        self._quic.cancel(stream, ErrorCode.H3_REQUEST_CANCELLED)

    def _happened(self, event: QuicEvent) -> None:
        if isinstance(event, StreamReset) and event.stream_id in self._exchanges:
            self._responses.pop(event.stream_id, None)
            text = error_name(ErrorCode, event.error_code)
            self._exchanges.pop(event.stream_id).fail(Failure.RESET, text)
        for one in self._http.handle_event(event):
            self._received(one)

    def _received(self, event: H3Event) -> None:
        if not isinstance(event, HeadersReceived | DataReceived) or event.stream_id not in self._responses:
            return
        response = self._responses[event.stream_id]
        exchange = self._exchanges[event.stream_id]
        if isinstance(event, DataReceived):
            response.content += event.data
            if len(response.content) > LARGEST:
                exchange.fail(Failure.PROTOCOL, "the response is too long")
        elif event.headers and event.headers[0][0] == b":status":  # else these are trailers
            response.headers = decoded(event.headers)
        if not event.stream_ended:
            return
        del self._responses[event.stream_id], self._exchanges[event.stream_id]
        try:
            message = message_of(response.headers, bytes(response.content))
        except TransportError as error:
            exchange.fail(error.failure, error.detail)
            return
        exchange.take(message)
        exchange.fail(Failure.PROTOCOL, "one response is all that there is to a request")
