"""HTTP/2 in what was decrypted of a TLS session (RFC 9113)."""

from __future__ import annotations

from collections.abc import Iterator

from hpack import Decoder, HPACKError

from testbed.evidence import Frame
from testbed.verdict.http import Conversation
from testbed.verdict.streams import Octets

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
"""What a client's octets begin with (RFC 9113 section 3.4)."""

_HEADER = 9
_DATA, _HEADERS, _RESET, _PROMISE, _AWAY, _CONTINUATION = 0, 1, 3, 5, 7, 9
_END_HEADERS, _PADDED, _PRIORITY = 0x04, 0x08, 0x20
_AWAITED = frozenset((_DATA, _HEADERS, _RESET, _PROMISE, _AWAY, _CONTINUATION))
_UNLIMITED = 1 << 30


def looks_like_http2(client: Octets) -> bool:
    """Whether the octets of a client begin with the connection preface, as far as there are some."""
    return bool(client.data) and PREFACE.startswith(client.data[: len(PREFACE)])


def read(client: Octets, server: Octets) -> Conversation:
    """Read both directions."""
    conversation = Conversation()
    conversation.broken = _Reader(conversation, client, True).run(len(PREFACE))
    _Reader(conversation, server, False).run(0)
    return conversation


def unawaited(octets: Octets, start: int = 0) -> set[int]:
    """Numbers of the frames that carry nothing but what HTTP/2 says about itself, such as settings."""
    idle: set[int] = set()
    awaited: set[int] = set()
    for kind, _, _, first, last in _frames(octets.data, start):
        numbers = octets.carriers(first - _HEADER, last)
        if kind in _AWAITED:
            awaited |= numbers
        else:
            idle |= numbers
    return idle - awaited


def _frames(data: bytes, position: int) -> Iterator[tuple[int, int, int, int, int]]:
    """Type, flags, stream, start and end of the payload of each whole frame."""
    while position + _HEADER <= len(data):
        start = position + _HEADER
        end = start + int.from_bytes(data[position : position + 3])
        if end > len(data):
            return
        stream = int.from_bytes(data[position + 5 : start]) & 0x7FFFFFFF
        yield data[position + 3], data[position + 4], stream, start, end
        position = end


class _Reader:
    """Reads one direction."""

    def __init__(self, conversation: Conversation, octets: Octets, from_client: bool) -> None:
        self._conversation = conversation
        self._octets = octets
        self._from_client = from_client
        self._decoder = Decoder(max_header_list_size=_UNLIMITED)
        self._decoder.max_allowed_table_size = _UNLIMITED
        self._block = b""
        self._begun = 0

    def run(self, start: int) -> Frame | None:
        """Read all there is; the frame of what could not be read, if there is any."""
        octets, end = self._octets, start
        for kind, flags, stream, first, last in _frames(octets.data, start):
            end = last
            if not self._take(kind, flags, stream, first, last):
                return octets.completed(first - _HEADER, last)
        size = len(octets.data)
        return octets.completed(end, size) if start < size and end < size else None

    def _take(self, kind: int, flags: int, stream: int, first: int, last: int) -> bool:
        """Take a frame. Whether it could be read."""
        octets = self._octets
        half = self._conversation.half
        carriers = octets.carriers(first - _HEADER, last)
        completed = octets.completed(first - _HEADER, last)
        if kind not in (_DATA, _HEADERS, _PROMISE, _CONTINUATION):
            self._conversation.rest.append(octets.data[first:last], completed, carriers)
            return True
        if kind != _CONTINUATION:
            padding = octets.data[first] if flags & _PADDED and first < last else 0
            first, last = first + bool(flags & _PADDED), last - padding
        if kind == _DATA:
            if first < last:
                half(stream, from_client=self._from_client).content.append(
                    octets.data[first:last], completed, carriers
                )
            return first <= last
        if kind == _HEADERS:
            first += 5 if flags & _PRIORITY else 0
        elif kind == _PROMISE:
            first += 4
        if kind != _CONTINUATION:
            self._block, self._begun = b"", first
        self._block += octets.data[first:last]
        if not flags & _END_HEADERS:
            return first <= last
        try:
            fields = self._decoder.decode(self._block, raw=True)
        except HPACKError:
            return False
        if kind != _PROMISE:
            numbers = octets.carriers(self._begun, last)
            half(stream, from_client=self._from_client).add_fields(
                [(bytes(name), bytes(value)) for name, value in fields], completed, numbers
            )
        return True
