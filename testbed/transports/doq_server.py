"""The server's side of DNS over QUIC (RFC 9250): one query to a stream, answered on the same stream."""

from __future__ import annotations

from collections import deque
from functools import partial
from typing import Literal

import dns.edns
import dns.exception
import dns.flags
import dns.message
import dns.rcode
from aioquic.quic.connection import NetworkAddress, stream_is_unidirectional
from aioquic.quic.events import QuicEvent, StopSendingReceived, StreamDataReceived, StreamReset

from testbed.transports import quic
from testbed.transports.doq_session import DoqError
from testbed.transports.framing import frame
from testbed.transports.quic_listener import QuicService, ServerConnection
from testbed.transports.quic_session import replayable
from testbed.transports.records import has_keepalive, without_keepalive

OUTSTANDING = 1 << 20
"""Octets of responses that a client may leave unacknowledged before no more of its queries are answered."""

TooEarly = Literal["refuse", "wait"]
"""What becomes of a query that must not come as 0-RTT data (RFC 9250 section 4.5): refused with the
extended error Too Early (RFC 8914 section 4.27), or answered once the handshake is complete."""

_PREFIX, _HEADER, _LARGEST = 2, 12, 65535


class DoqConnection(ServerConnection):
    """One client's connection."""

    no_error = DoqError.NO_ERROR
    unspecified_error = DoqError.UNSPECIFIED_ERROR

    def __init__(
        self,
        listener: QuicService,
        machine: quic.Connection,
        address: NetworkAddress,
        too_early: TooEarly = "refuse",
    ) -> None:
        super().__init__(listener, machine, address)
        self._too_early = too_early
        self._incoming: dict[int, bytearray] = {}
        self._held: list[tuple[int, bytes]] = []
        self._waiting: deque[tuple[int, bytes]] = deque()
        self._unanswered: set[int] = set()

    def ready(self) -> None:
        """Answer what had to wait for the handshake."""
        self._waiting.extend(self._held)
        self._held.clear()
        self._work()

    def happened(self, event: QuicEvent) -> None:
        """Take a part of a query, or the client's change of mind."""
        match event:
            case StreamDataReceived():
                if stream_is_unidirectional(event.stream_id):
                    self._violated("a unidirectional stream")
                else:
                    self._received(event.stream_id, event.data, event.end_stream)
            case StreamReset():
                self._incoming.pop(event.stream_id, None)
                self.endpoint.quic.reset_stream(event.stream_id, DoqError.REQUEST_CANCELLED)
            case StopSendingReceived():
                self._unanswered.discard(event.stream_id)

    def progress(self) -> None:
        """Go on where the client had left too much unacknowledged."""
        self._work()

    def _received(self, stream: int, data: bytes, end: bool) -> None:
        query = self._incoming.setdefault(stream, bytearray())
        query += data
        size = _PREFIX + int.from_bytes(query[:_PREFIX]) if len(query) >= _PREFIX else _PREFIX + _LARGEST
        if len(query) > size:
            self._violated("more than one query on a stream")
        elif end and len(query) < size:
            self._violated("the stream ends before the query")
        elif end:
            del self._incoming[stream]
            self._take(stream, bytes(query[_PREFIX:]))

    def _take(self, stream: int, query: bytes) -> None:
        if len(query) < _HEADER:
            self._violated(f"a DNS message has 12 octets at least, not {len(query)}")
        elif query[:2] != b"\0\0":
            self._violated("the message ID is not 0")
        elif has_keepalive(query):
            self._violated("edns-tcp-keepalive")
        else:
            self._unanswered.add(stream)
            if self.endpoint.quic.complete or replayable(query):
                self._waiting.append((stream, query))
                self._work()
            elif self._too_early == "wait":
                self._held.append((stream, query))
            else:
                self._send(stream, [_refusal(query)])

    def _work(self) -> None:
        while self._waiting and not self.endpoint.over and self.endpoint.quic.unacknowledged <= OUTSTANDING:
            stream, query = self._waiting.popleft()
            if stream in self._unanswered:
                self.answer(query, partial(self._send, stream), partial(self._fail, stream))

    def _send(self, stream: int, responses: list[bytes]) -> None:
        """Send all responses to a query; without any, the stream stays as silent as a lost datagram."""
        if responses and stream in self._unanswered:
            self._unanswered.discard(stream)
            data = b"".join(frame(b"\0\0" + without_keepalive(response)[2:]) for response in responses)
            self.endpoint.quic.send_stream_data(stream, data, end_stream=True)

    def _fail(self, stream: int) -> None:
        """Give up a transaction (RFC 9250 section 4.3.2)."""
        self._unanswered.discard(stream)
        self.endpoint.quic.reset_stream(stream, DoqError.INTERNAL_ERROR)

    def _violated(self, what: str) -> None:
        """End the connection over a protocol error (RFC 9250 section 4.3.3)."""
        self.endpoint.close(DoqError.PROTOCOL_ERROR, what)


def _refusal(query: bytes) -> bytes:
    """REFUSED, and where the client speaks EDNS, why."""
    try:
        message = dns.message.from_wire(query)
        response = dns.message.make_response(message)
    except dns.exception.DNSException:
        # QR, and REFUSED: nothing of the rest could be read.
        return query[:2] + bytes([query[2] | 0x80, dns.rcode.REFUSED]) + bytes(8)
    response.set_rcode(dns.rcode.REFUSED)
    if message.edns >= 0:
        response.use_edns(0, options=[dns.edns.EDEOption(dns.edns.EDECode.TOO_EARLY)])
    return response.to_wire()
