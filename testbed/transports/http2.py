"""What both ends of an HTTP/2 connection (RFC 9113) need around the library h2."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import h2.connection
import h2.errors
import h2.events
import h2.exceptions
import h2.settings
from h2.config import H2Configuration
from h2.settings import SettingCodes

from testbed.core.transport import Failure, TransportError

CONCURRENT = 128
"""Streams that a client may have open at a time."""

_WINDOW = 1 << 20
_STREAM_WINDOW = 1 << 16  # room for any message
_OPENING_WINDOW = 65535

_PREFACE = 24
_FRAME_HEADER = 9
_GOAWAY = 7


class Http2Error(TransportError):
    """The peer broke the protocol. What there is to tell it (GOAWAY) waits to be sent."""

    def __init__(self, detail: str) -> None:
        super().__init__(Failure.PROTOCOL, f"HTTP/2: {detail}")


@dataclass
class GoAway(h2.events.Event):
    """The peer opens no more streams and ignores those above ``last_stream`` (RFC 9113 section 6.8).

    h2 has an event for it, too, but takes it for the end of the connection: what is under way on lower
    streams could not be finished.
    """

    code: int
    last_stream: int


class Connection:
    """One end of a connection: h2, and the content that waits for the peer to make room for it."""

    def __init__(self, *, client: bool) -> None:
        configuration = H2Configuration(
            client_side=client,
            header_encoding=None,
            validate_outbound_headers=False,
            normalize_outbound_headers=False,
        )
        self.h2 = h2.connection.H2Connection(configuration)
        settings = {
            SettingCodes.INITIAL_WINDOW_SIZE: _STREAM_WINDOW,
            SettingCodes.MAX_CONCURRENT_STREAMS: CONCURRENT,
            SettingCodes.MAX_HEADER_LIST_SIZE: 1 << 17,  # room for a message in the path of a GET request
        }
        if client:
            settings[SettingCodes.ENABLE_PUSH] = 0
        self.h2.local_settings = h2.settings.Settings(client=client, initial_values=settings)
        self.h2.decoder.max_header_list_size = settings[SettingCodes.MAX_HEADER_LIST_SIZE]
        self._content: dict[int, bytes] = {}
        self._incoming = bytearray()
        self._preface = 0 if client else _PREFACE
        self.h2.initiate_connection()
        self.h2.increment_flow_control_window(_WINDOW - _OPENING_WINDOW)

    @property
    def waiting(self) -> int:
        """Octets of content that the peer has made no room for yet."""
        return sum(map(len, self._content.values()))

    def feed(self, data: bytes) -> Iterator[h2.events.Event]:
        """Take bytes from the peer, frame by frame. Raises Http2Error."""
        self._incoming += data
        while (size := self._next()) > 0:
            frame = bytes(self._incoming[:size])
            del self._incoming[:size]
            if frame[3:4] == bytes([_GOAWAY]) and size >= _FRAME_HEADER + 8 and not self._preface:
                last_stream, code = (int.from_bytes(frame[n : n + 4]) for n in (9, 13))
                yield GoAway(code, last_stream & 0x7FFFFFFF)
                continue
            self._preface = max(0, self._preface - size)
            yield from self._take(frame)
        self._push()

    def _next(self) -> int:
        """The length of the next frame, 0 when more of it is needed."""
        available = len(self._incoming)
        if self._preface:
            return min(available, self._preface)
        if available < _FRAME_HEADER:
            return 0
        length = int.from_bytes(self._incoming[:3])
        if length > self.h2.max_inbound_frame_size:
            # h2 says so only once it has all of the frame.
            self.h2.close_connection(h2.errors.ErrorCodes.FRAME_SIZE_ERROR)
            raise Http2Error(f"a frame of {length} octets")
        return _FRAME_HEADER + length if available >= _FRAME_HEADER + length else 0

    def _take(self, data: bytes) -> list[h2.events.Event]:
        try:
            events: list[h2.events.Event] = self.h2.receive_data(data)
        except h2.exceptions.H2Error as error:
            raise Http2Error(str(error) or type(error).__name__) from error
        for event in events:
            match event:
                case h2.events.StreamReset():
                    self._content.pop(event.stream_id, None)
                case h2.events.DataReceived():
                    self.h2.acknowledge_received_data(event.flow_controlled_length, event.stream_id)
        return events

    def send(self, stream: int, headers: list[tuple[bytes, bytes]], content: bytes) -> None:
        """Send a request or a response, as far as the peer has room for it."""
        self.h2.send_headers(stream, headers, end_stream=not content)
        if content:
            self._content[stream] = content
            self._push()

    def reset(self, stream: int, code: h2.errors.ErrorCodes) -> None:
        """Give a stream up, if it has not ended yet."""
        self._content.pop(stream, None)
        try:
            self.h2.reset_stream(stream, code)
        except h2.exceptions.H2Error:
            return

    def _push(self) -> None:
        """Send what there is room for."""
        for stream in list(self._content):
            content = self._content.pop(stream)
            while content:
                size = min(self.h2.local_flow_control_window(stream), self.h2.max_outbound_frame_size)
                if size <= 0:
                    self._content[stream] = content
                    break
                self.h2.send_data(stream, content[:size], end_stream=len(content) <= size)
                content = content[size:]


def error_name(code: int) -> str:
    """The name of an error code (RFC 9113 section 7), or its number."""
    try:
        return h2.errors.ErrorCodes(code).name
    except ValueError:
        return f"error {code}"
