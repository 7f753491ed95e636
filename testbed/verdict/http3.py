"""HTTP/3 in the streams of a QUIC connection (RFC 9114), with QPACK (RFC 9204)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from pylsqpack import Decoder, DecompressionFailed, EncoderStreamError, StreamBlocked

from testbed.evidence import Frame
from testbed.verdict.http import Conversation
from testbed.verdict.quic_packets import QuicFormatError, Reader
from testbed.verdict.streams import Octets

_DATA, _HEADERS, _SETTINGS = 0, 1, 4
_CONTROL, _ENCODER = 0, 2
_TABLE_CAPACITY = 1
_LARGEST_TABLE = 1 << 20
_STREAMS = 1 << 10

Streams = Mapping[int, tuple[Octets, Octets]]
"""What the client and the server sent on each stream."""


def read(streams: Streams) -> Conversation:
    """Read all streams."""
    conversation = Conversation()
    broken = _Reader(conversation, streams, True).run()
    conversation.broken = broken[0] if broken else None
    _Reader(conversation, streams, False).run()
    conversation.streams = dict(sorted(conversation.streams.items()))
    return conversation


def _frames(octets: Octets, start: int) -> Iterator[tuple[int, int, int, int]]:
    """Type, start of the frame, start and end of its payload, of each whole frame."""
    reader = Reader(octets.data, start)
    while reader.left:
        begun = reader.position
        try:
            kind, size = reader.number(), reader.number()
            first = reader.position
            reader.octets(size)
        except QuicFormatError:
            return
        yield kind, begun, first, reader.position


def _kind(octets: Octets) -> tuple[int, int]:
    """The type of a unidirectional stream and where its content begins; a type of -1 if there is nothing."""
    reader = Reader(octets.data)
    try:
        return reader.number(), reader.position
    except QuicFormatError:
        return -1, 0


def _table_capacity(streams: Streams, from_client: bool) -> int:
    """The capacity of the dynamic table that an end allows the other, in its settings."""
    for stream, halves in streams.items():
        octets = halves[0 if from_client else 1]
        kind, start = _kind(octets)
        if not stream & 2 or kind != _CONTROL:
            continue
        for frame, _, first, last in _frames(octets, start):
            reader = Reader(octets.data[first:last])
            try:
                while frame == _SETTINGS and reader.left:
                    name, value = reader.number(), reader.number()
                    if name == _TABLE_CAPACITY:
                        return min(value, _LARGEST_TABLE)
            except QuicFormatError:
                break
    return 0


class _Reader:
    """Reads one direction: header blocks and what the encoder says, in the order in which they came."""

    def __init__(self, conversation: Conversation, streams: Streams, from_client: bool) -> None:
        self._conversation = conversation
        self._from_client = from_client
        self._streams = {stream: halves[0 if from_client else 1] for stream, halves in streams.items()}
        self._decoder = Decoder(_table_capacity(streams, not from_client), _STREAMS)
        self._blocked: dict[int, list[tuple[int, int]]] = {}
        self._broken: list[Frame] = []

    def run(self) -> list[Frame]:
        """Read all there is; frames of what could not be read."""
        steps: list[tuple[int, int, int, int, int]] = []
        for stream, octets in self._streams.items():
            steps += self._requested(stream, octets) if not stream & 2 else self._told(stream, octets)
        for _, kind, stream, start, end in sorted(steps):
            if kind == _ENCODER:
                self._feed(self._streams[stream].data[start:end])
            else:
                self._decode(stream, start, end)
        for stream, blocks in self._blocked.items():
            self._broken += (self._streams[stream].completed(*block) for block in blocks)
        return sorted(self._broken, key=lambda frame: frame.number)

    def _requested(self, stream: int, octets: Octets) -> Iterator[tuple[int, int, int, int, int]]:
        """Take the content of a request stream; its header blocks, each with the frame that completed it."""
        end = 0
        for kind, begun, first, end in _frames(octets, 0):
            completed, carriers = octets.completed(begun, end), octets.carriers(begun, end)
            if kind == _HEADERS:
                yield completed.number, _ENCODER + 1, stream, first, end
            elif kind == _DATA:
                half = self._conversation.half(stream, from_client=self._from_client)
                if first < end:
                    half.content.append(octets.data[first:end], completed, carriers)
            else:
                self._conversation.rest.append(octets.data[first:end], completed, carriers)
        if end < len(octets.data):
            self._broken.append(octets.completed(end, len(octets.data)))

    def _told(self, stream: int, octets: Octets) -> Iterator[tuple[int, int, int, int, int]]:
        """What the encoder says, piece by piece; what is on other streams is kept for a search."""
        kind, start = _kind(octets)
        for first, last, frame in octets.chunks:
            if kind == _ENCODER and last > start:
                yield frame.number, _ENCODER, stream, max(first, start), last
            elif kind != _ENCODER:
                numbers = octets.carriers(first, last)
                self._conversation.rest.append(octets.data[first:last], frame, numbers)

    def _feed(self, data: bytes) -> None:
        try:
            unblocked = self._decoder.feed_encoder(data)
        except EncoderStreamError:
            return
        for stream in unblocked:
            start, end = self._blocked[stream].pop(0)
            try:
                _, fields = self._decoder.resume_header(stream)
            except (DecompressionFailed, StreamBlocked):
                self._broken.append(self._streams[stream].completed(start, end))
            else:
                self._add(stream, fields, start, end)

    def _decode(self, stream: int, start: int, end: int) -> None:
        octets = self._streams[stream]
        if self._blocked.get(stream):
            self._blocked[stream].append((start, end))
            return
        try:
            _, fields = self._decoder.feed_header(stream, octets.data[start:end])
        except StreamBlocked:
            self._blocked[stream] = [(start, end)]
        except DecompressionFailed:
            self._broken.append(octets.completed(start, end))
        else:
            self._add(stream, fields, start, end)

    def _add(self, stream: int, fields: list[tuple[bytes, bytes]], start: int, end: int) -> None:
        octets = self._streams[stream]
        half = self._conversation.half(stream, from_client=self._from_client)
        half.add_fields(fields, octets.completed(start, end), octets.carriers(start, end))
