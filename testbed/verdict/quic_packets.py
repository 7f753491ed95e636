"""QUIC packets and the frames in them (RFC 9000), as far as they can be told without keys.

Versions 1 and 2 (RFC 9369) are known, which differ in the numbers of packet types and in how keys are made.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum, auto


class QuicFormatError(ValueError):
    """The octets are no QUIC packet, or no frames."""


class Kind(Enum):
    """What a packet is (RFC 9000 section 17)."""

    INITIAL = auto()
    EARLY = auto()
    HANDSHAKE = auto()
    RETRY = auto()
    NEGOTIATION = auto()
    SHORT = auto()


@dataclass(frozen=True, slots=True)
class Version:
    """A version of QUIC. ``kinds`` are the packet types in the order of their numbers."""

    number: int
    salt: bytes
    label: bytes
    kinds: tuple[Kind, ...]


_KINDS = (Kind.INITIAL, Kind.EARLY, Kind.HANDSHAKE, Kind.RETRY)
VERSION_1 = Version(1, bytes.fromhex("38762cf7f55934b34d179ae6a4c80cadccbb7f0a"), b"quic ", _KINDS)
VERSION_2 = Version(
    0x6B3343CF,
    bytes.fromhex("0dede3def700a6db819381be6e269dcbf9bd2ed9"),
    b"quicv2 ",
    (Kind.RETRY, *_KINDS[:3]),
)
_VERSIONS = {version.number: version for version in (VERSION_1, VERSION_2)}

LONG, FIXED = 0x80, 0x40
"""Bits of the first octet (RFC 9000 section 17)."""

_LONGEST_ID = 20
_INTEGRITY = 16


@dataclass(frozen=True, slots=True)
class Packet:
    """A packet as it was sent. ``target`` and ``source`` are connection IDs.

    ``number_at`` is where the packet number begins; nobody but the ends knows that of a packet with a short
    header, nor its connection ID. ``version`` is None where the packet does not say.
    """

    kind: Kind
    data: bytes
    version: Version | None = None
    target: bytes = b""
    source: bytes = b""
    number_at: int = 1


def begins_connection(datagram: bytes) -> bool:
    """Whether a datagram on any port begins with an Initial packet of a version that is known."""
    version = _VERSIONS.get(int.from_bytes(datagram[1:5]))
    if len(datagram) < 7 or version is None or datagram[0] & (LONG | FIXED) != LONG | FIXED:
        return False
    return version.kinds[datagram[0] >> 4 & 3] is Kind.INITIAL


def split(datagram: bytes) -> Iterator[Packet]:
    """The packets in a datagram (section 12.2). Raises QuicFormatError where there are none."""
    position = 0
    while position < len(datagram):
        rest = datagram[position:]
        if not rest[0] & LONG:
            if not rest[0] & FIXED:
                if position and not any(rest):
                    return
                raise QuicFormatError("not a QUIC packet")
            yield Packet(Kind.SHORT, rest)
            return
        packet = _long(rest)
        yield packet
        position += len(packet.data)


def _long(data: bytes) -> Packet:
    reader = Reader(data, 1)
    number = int.from_bytes(reader.octets(4))
    target, source = reader.octets(reader.octet()), reader.octets(reader.octet())
    if number == 0:
        return Packet(Kind.NEGOTIATION, data, None, target, source, reader.position)
    version = _VERSIONS.get(number)
    if version is None or not data[0] & FIXED or max(len(target), len(source)) > _LONGEST_ID:
        raise QuicFormatError(f"a packet of an unknown version of QUIC, {number:#x}")
    kind = version.kinds[data[0] >> 4 & 3]
    if kind is Kind.RETRY:
        if reader.left < _INTEGRITY:
            raise QuicFormatError("a Retry packet ends too early")
        return Packet(kind, data, version, target, source, reader.position)
    if kind is Kind.INITIAL:
        reader.octets(reader.number())  # the token
    length = reader.number()
    if length > reader.left:
        raise QuicFormatError("a packet ends too early")
    return Packet(kind, data[: reader.position + length], version, target, source, reader.position)


class Reader:
    """Reads octets and variable-length integers (RFC 9000 section 16). All raise QuicFormatError."""

    def __init__(self, data: bytes, position: int = 0) -> None:
        self._data = data
        self.position = position

    @property
    def left(self) -> int:
        """How many octets are left."""
        return len(self._data) - self.position

    def octets(self, count: int) -> bytes:
        """Some octets."""
        if count > self.left:
            raise QuicFormatError("a field ends too early")
        self.position += count
        return self._data[self.position - count : self.position]

    def octet(self) -> int:
        """One octet."""
        return self.octets(1)[0]

    def number(self) -> int:
        """A variable-length integer."""
        first = self.octet()
        rest = self.octets((1 << (first >> 6)) - 1)
        return (first & 63) << 8 * len(rest) | int.from_bytes(rest)


# -- frames ----------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Crypto:
    """Octets of the TLS handshake (RFC 9000 section 19.6)."""

    offset: int
    data: bytes


@dataclass(frozen=True, slots=True)
class StreamData:
    """Octets of a stream (section 19.8)."""

    stream: int
    offset: int
    data: bytes


@dataclass(frozen=True, slots=True)
class Closing:
    """CONNECTION_CLOSE (section 19.19). ``application`` tells whose error code it is."""

    code: int
    application: bool


@dataclass(frozen=True, slots=True)
class Issued:
    """NEW_CONNECTION_ID (section 19.15)."""

    connection_id: bytes
    reset_token: bytes


Part = Crypto | StreamData | Closing | Issued

_CRYPTO, _NEW_TOKEN, _STREAM, _ISSUED, _PATH = 0x06, 0x07, range(0x08, 0x10), 0x18, (0x1A, 0x1B)
_ACK, _CLOSE = (0x02, 0x03), (0x1C, 0x1D)
_NUMBERS = {
    **dict.fromkeys((0x00, 0x01, 0x1E), 0),
    **dict.fromkeys((0x10, 0x12, 0x13, 0x14, 0x16, 0x17, 0x19), 1),
    **dict.fromkeys((0x05, 0x11, 0x15), 2),
    0x04: 3,
}
"""How many integers there are in the types of frames that have nothing else (RFC 9000 section 19)."""


def parts(payload: bytes) -> list[Part]:
    """The frames of a packet that matter here. Raises QuicFormatError when there is anything unknown."""
    reader = Reader(payload)
    found: list[Part] = []
    while reader.left:
        kind = reader.number()
        if kind in _NUMBERS:
            for _ in range(_NUMBERS[kind]):
                reader.number()
        elif kind in _ACK:
            _skip_acknowledgement(reader, kind)
        elif kind == _CRYPTO:
            offset = reader.number()
            found.append(Crypto(offset, reader.octets(reader.number())))
        elif kind in _STREAM:
            stream = reader.number()
            offset = reader.number() if kind & 4 else 0
            data = reader.octets(reader.number() if kind & 2 else reader.left)
            found.append(StreamData(stream, offset, data))
        elif kind in _CLOSE:
            code = reader.number()
            if kind == _CLOSE[0]:
                reader.number()
            reader.octets(reader.number())
            found.append(Closing(code, kind == _CLOSE[1]))
        elif kind == _ISSUED:
            reader.number()
            reader.number()
            found.append(Issued(reader.octets(reader.octet()), reader.octets(16)))
        elif kind == _NEW_TOKEN:
            reader.octets(reader.number())
        elif kind in _PATH:
            reader.octets(8)
        else:
            raise QuicFormatError(f"a frame of an unknown type, {kind:#x}")
    return found


def _skip_acknowledgement(reader: Reader, kind: int) -> None:
    """ACK (RFC 9000 section 19.3): its ranges, and the ECN counts of one of the two types."""
    reader.number()
    reader.number()
    ranges = reader.number()
    reader.number()
    for _ in range(2 * ranges + (3 if kind & 1 else 0)):
        reader.number()
