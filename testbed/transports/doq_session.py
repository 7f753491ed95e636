"""A client's session of DNS over QUIC (RFC 9250): one query to a stream, answered on the same stream."""

from __future__ import annotations

import socket
from enum import IntEnum

from aioquic.quic.connection import stream_is_client_initiated
from aioquic.quic.events import QuicEvent, StopSendingReceived, StreamDataReceived, StreamReset

from testbed.core.transport import Failure, Transport, TransportError
from testbed.transports import Address
from testbed.transports.framing import Framer, frame, message_id
from testbed.transports.quic import Connection, QuicTicket
from testbed.transports.quic_session import Accept, Payload, QuicSession, error_name
from testbed.transports.records import has_keepalive, without_keepalive


class DoqError(IntEnum):
    """Error codes of streams and connections (RFC 9250 section 4.3)."""

    NO_ERROR = 0
    INTERNAL_ERROR = 1
    PROTOCOL_ERROR = 2
    REQUEST_CANCELLED = 3
    EXCESSIVE_LOAD = 4
    UNSPECIFIED_ERROR = 5


class DoqSession(QuicSession):
    """Implements ``testbed.transports.Session``; a server that breaks RFC 9250 section 4 ends it."""

    def __init__(
        self,
        remote: Address,
        sock: socket.socket,
        machine: Connection,
        *,
        timeout: float,
        ticket: QuicTicket | None,
        accept: Accept | None,
    ) -> None:
        self._framers: dict[int, Framer] = {}
        super().__init__(
            Transport.DOQ,
            remote,
            sock,
            machine,
            no_error=DoqError.NO_ERROR,
            timeout=timeout,
            ticket=ticket,
            accept=accept,
        )

    def _encode(self, query: bytes) -> Payload:
        return [], frame(without_keepalive(query))

    def _send(self, stream: int, payload: Payload) -> None:
        self._quic.send_stream_data(stream, payload[1], end_stream=True)

    def _cancel(self, stream: int) -> None:
        self._framers.pop(stream, None)
        self._quic.cancel(stream, DoqError.REQUEST_CANCELLED)

    def _happened(self, event: QuicEvent) -> None:
        match event:
            case StreamDataReceived():
                if not stream_is_client_initiated(event.stream_id):
                    self._violated("a stream that the server opened")
                else:
                    self._received(event.stream_id, event.data, event.end_stream)
            case StreamReset():
                self._framers.pop(event.stream_id, None)
                exchange = self._exchanges.pop(event.stream_id, None)
                if exchange is not None:
                    exchange.fail(Failure.RESET, error_name(DoqError, event.error_code))
            case StopSendingReceived():
                self._violated("STOP_SENDING")

    def _received(self, stream: int, data: bytes, end: bool) -> None:
        exchange = self._exchanges.get(stream)
        if exchange is None:  # cancelled
            return
        framer = self._framers.setdefault(stream, Framer())
        framer.feed(data)
        while (message := framer.next_message()) is not None:
            wrong = self._fault(message) or ("more responses than expected" if exchange.answered else None)
            if wrong:
                self._violated(wrong)
                return
            exchange.take(message)
        if not end:
            return
        if len(framer) or not exchange.done.done():
            self._violated("the stream ends before the response")
            return
        del self._framers[stream], self._exchanges[stream]

    def _fault(self, message: bytes) -> str | None:
        try:
            if message_id(message) != 0:
                return "the message ID is not 0"
        except ValueError as error:
            return str(error)
        return "edns-tcp-keepalive" if has_keepalive(message) else None

    def _violated(self, what: str) -> None:
        """End the session over a protocol error (RFC 9250 section 4.3.3)."""
        error = TransportError(Failure.PROTOCOL, what)
        self._end(error, error, DoqError.PROTOCOL_ERROR, what)
