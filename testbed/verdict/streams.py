"""TCP streams: their octets in order, and which frame each of them came in."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from testbed.evidence import Frame
from testbed.verdict.frames import ACK, FIN, RST, SYN, Packet

SERVICES = frozenset((53, 443, 853))
"""Ports of DNS servers."""

LENGTH = 2
"""Octets of length before each message in a stream (RFC 1035 section 4.2.2)."""

_HALF = 1 << 31


@dataclass(slots=True)
class Octets:
    """Octets, and the frames that they came in.

    ``chunks`` are (start, end, frame) of the data that counts, in order and without gaps. ``copies`` are
    (start, end, frame number) of all that was seen of it, retransmissions included.
    """

    data: bytes = b""
    chunks: list[tuple[int, int, Frame]] = field(default_factory=list)
    copies: list[tuple[int, int, int]] = field(default_factory=list)

    def completed(self, start: int, end: int) -> Frame:
        """The frame that the last of these octets came in. Raises IndexError beyond the end."""
        chunks = self.chunks
        index = bisect_right(chunks, start, key=lambda chunk: chunk[0]) - 1
        last = chunks[index][2]
        while chunks[index][1] < end:
            index += 1
            if chunks[index][2].number > last.number:
                last = chunks[index][2]
        return last

    def carriers(self, start: int, end: int) -> set[int]:
        """Numbers of all frames that carried any of these octets."""
        return {number for first, last, number in self.copies if first < end and last > start}

    @property
    def broken(self) -> bool:
        """Whether more was seen of it than can be read from the start without a gap."""
        return any(end > len(self.data) for _, end, _ in self.copies)

    def append(self, content: bytes, frame: Frame, numbers: Iterable[int]) -> None:
        """Add what was taken out of other octets: the frame that completed it, numbers of all carriers."""
        start = len(self.data)
        end = start + len(content)
        self.data += content
        self.chunks.append((start, end, frame))
        self.copies += ((start, end, number) for number in numbers)

    def messages(self) -> Iterator[tuple[int, int]]:
        """Start and end of each whole DNS message, its length left out."""
        data, start = self.data, LENGTH
        while start <= len(data):
            end = start + (data[start - LENGTH] << 8 | data[start - 1])
            if end > len(data):
                return
            yield start, end
            start = end + LENGTH


class Stream:
    """One direction of a TCP connection.

    Of octets that came twice, the first count, as they do for the receivers that matter here.
    """

    __slots__ = ("_octets", "_segments", "first")

    def __init__(self) -> None:
        self.first: int | None = None
        """Sequence number of the first octet; None as long as no SYN was seen."""
        self._segments: list[tuple[int, bytes, Frame]] = []
        self._octets: Octets | None = None

    def add(self, sequence: int, payload: bytes, frame: Frame) -> None:
        """Take a segment with data in it."""
        self._segments.append((sequence, payload, frame))
        self._octets = None

    @property
    def octets(self) -> Octets:
        """All that can be read from the start without a gap."""
        if self._octets is None:
            self._octets = self._assemble()
        return self._octets

    def _assemble(self) -> Octets:
        if not self._segments:
            return Octets()
        origin = self._segments[0][0] if self.first is None else self.first
        placed = [
            ((sequence - origin + _HALF) % (2 * _HALF) - _HALF, payload, frame)
            for sequence, payload, frame in self._segments
        ]
        if self.first is None:
            lowest = min(start for start, _, _ in placed)
            placed = [(start - lowest, payload, frame) for start, payload, frame in placed]
        return assemble(placed)


def assemble(placed: list[tuple[int, bytes, Frame]]) -> Octets:
    """Put pieces of a stream together: each with its place in the stream and the frame that it came in."""
    pieces: list[tuple[int, bytes, Frame]] = []
    end = 0
    in_order = True
    for start, payload, frame in placed:
        if start == end and in_order:
            pieces.append((start, payload, frame))
            end += len(payload)
        else:
            in_order = False
            _insert(pieces, start, payload, frame)
    octets = Octets()
    position = 0
    parts = []
    for start, payload, frame in pieces:
        if start != position:
            break
        position += len(payload)
        parts.append(payload)
        octets.chunks.append((start, position, frame))
    octets.data = b"".join(parts)
    octets.copies = [(start, start + len(payload), frame.number) for start, payload, frame in placed]
    return octets


def _insert(pieces: list[tuple[int, bytes, Frame]], start: int, payload: bytes, frame: Frame) -> None:
    """Add what is new in a segment; ``pieces`` stay sorted and free of overlaps."""
    if start < 0:
        start, payload = 0, payload[-start:]
    end = start + len(payload)
    new = []
    position = start
    for piece, data, _ in pieces:
        if piece >= end:
            break
        if piece > position:
            new.append((position, payload[position - start : piece - start], frame))
        position = max(position, piece + len(data))
    if position < end:
        new.append((position, payload[position - start :], frame))
    if new:
        pieces.extend(new)
        pieces.sort(key=lambda piece: piece[0])


@dataclass(slots=True)
class Connection:
    """A TCP connection, seen at one side of a hop. ``client`` and ``server`` are what each of them sent.

    ``syn`` opened it, ``accepted`` answered that; ``resets`` and ``closed`` (a FIN) say who ended it, as
    (whether the client did, frame).
    """

    client_address: bytes
    client_port: int
    server_address: bytes
    server_port: int
    client: Stream = field(default_factory=Stream)
    server: Stream = field(default_factory=Stream)
    syn: Frame | None = None
    accepted: Frame | None = None
    resets: list[tuple[bool, Frame]] = field(default_factory=list)
    closed: list[tuple[bool, Frame]] = field(default_factory=list)


class Connections:
    """Sorts TCP segments by connection. A SYN with another sequence number on the same ports is a new one."""

    def __init__(self) -> None:
        self.all: list[Connection] = []
        self._open: dict[tuple[bytes, int, bytes, int], Connection] = {}

    def feed(self, packet: Packet) -> None:
        """Take a segment."""
        key = (packet.source, packet.source_port, packet.target, packet.target_port)
        reverse = (packet.target, packet.target_port, packet.source, packet.source_port)
        flags = packet.flags
        opens = flags & (SYN | ACK) == SYN
        connection, from_client = self._open.get(key), True
        if connection is None:
            connection, from_client = self._open.get(reverse), False
        first = (packet.sequence + 1) % (2 * _HALF)
        if connection is None or (opens and from_client and connection.client.first != first):
            to_server = packet.target_port in SERVICES or packet.source_port not in SERVICES
            from_client = opens or to_server
            client = key if from_client else reverse
            connection = self._open[client] = Connection(*client)
            self.all.append(connection)
        stream = connection.client if from_client else connection.server
        sequence = packet.sequence
        if flags & SYN:
            sequence = first
            if stream.first is None:
                stream.first = first
            if from_client:
                connection.syn = connection.syn or packet.frame
            else:
                connection.accepted = connection.accepted or packet.frame
        if packet.payload and not flags & RST:
            stream.add(sequence, packet.payload, packet.frame)
        if flags & RST:
            connection.resets.append((from_client, packet.frame))
        elif flags & FIN:
            connection.closed.append((from_client, packet.frame))
