"""Ethernet, IPv4, IPv6, fragments, UDP, TCP and ICMP, as far as a verdict needs them.

Lengths are believed only as far as there are octets. Checksums are not looked at: frames that were taken
from a virtual interface often do not have theirs yet.
"""

from __future__ import annotations

from dataclasses import dataclass
from struct import unpack_from

from testbed.evidence import Frame

ICMP, TCP, UDP, ICMP6 = 1, 6, 17, 58
"""IP protocol numbers."""

FIN, SYN, RST, ACK = 0x01, 0x02, 0x04, 0x10
"""TCP flags (RFC 9293 section 3.1)."""

_ETHERNET = 14
_IPV4, _IPV6 = 0x0800, 0x86DD
_HOP_BY_HOP, _ROUTING, _FRAGMENT, _DESTINATION = 0, 43, 44, 60
_NEIGHBOURHOOD = frozenset((130, 131, 132, 133, 134, 135, 136, 137, 143))
"""ICMPv6 types of MLD and neighbour discovery (RFC 2710, RFC 3810, RFC 4861)."""

_ERRORS = {
    (ICMP, 3): "destination unreachable",
    (ICMP, 11): "time exceeded",
    (ICMP6, 1): "destination unreachable",
    (ICMP6, 2): "packet too big",
    (ICMP6, 3): "time exceeded",
    (ICMP6, 4): "parameter problem",
}
_REASONS = {
    (ICMP, 3, 3): "port unreachable",
    (ICMP, 3, 4): "fragmentation needed",
    (ICMP, 3, 13): "administratively prohibited",
    (ICMP6, 1, 1): "administratively prohibited",
    (ICMP6, 1, 4): "port unreachable",
}


class FrameError(ValueError):
    """A frame claims to carry IP, and does not."""


@dataclass(slots=True)
class Packet:
    """An IP packet. ``payload`` is what UDP, TCP or ICMP carries; ``size`` is in octets of IP.

    ``frame`` completed it; ``others`` are the frames with its other fragments. ``sequence`` and ``flags``
    are those of TCP; for ICMP ``flags`` is the type and ``sequence`` the code.
    """

    frame: Frame
    protocol: int
    source: bytes
    target: bytes
    payload: bytes
    size: int
    source_port: int = 0
    target_port: int = 0
    sequence: int = 0
    flags: int = 0
    others: tuple[Frame, ...] = ()

    @property
    def substantial(self) -> bool:
        """Whether it says more than a bare TCP acknowledgement, FIN or RST does."""
        return self.protocol != TCP or bool(self.payload) or bool(self.flags & SYN)

    @property
    def error(self) -> str | None:
        """What an ICMP error message reports (RFC 792, RFC 4443), None for all other packets."""
        kind = (self.protocol, self.flags)
        if self.protocol not in (ICMP, ICMP6) or kind not in _ERRORS:
            return None
        return _REASONS.get((*kind, self.sequence), _ERRORS[kind])


@dataclass(slots=True)
class Fragment:
    """A part of an IP packet (RFC 791 section 3.2, RFC 8200 section 4.5). ``offset`` is in octets."""

    frame: Frame
    key: tuple[bytes, bytes, int, int]
    offset: int
    more: bool
    body: bytes
    size: int

    @property
    def target(self) -> bytes:
        """Where the packet goes."""
        return self.key[1]

    @property
    def substantial(self) -> bool:
        """Whether it says something: nobody fragments a bare acknowledgement."""
        return True


def decode(frame: Frame) -> Packet | Fragment | None:
    """What a frame carries; None when it is not IP, or only finds neighbours or multicast listeners.

    Raises FrameError when it cannot be made out.
    """
    data = frame.data
    if len(data) < _ETHERNET:
        raise FrameError("shorter than an Ethernet header")
    kind = data[12] << 8 | data[13]
    if kind == _IPV4:
        return _ipv4(frame, data, _ETHERNET)
    if kind == _IPV6:
        return _ipv6(frame, data, _ETHERNET)
    return None


def quoted(packet: Packet) -> Packet | None:
    """The packet that an ICMP error message quotes, as much of it as there is; None when there is none."""
    if packet.error is None or not packet.payload:
        return None
    body = packet.payload
    try:
        inner = _ipv6(packet.frame, body, 0) if body[0] >> 4 == 6 else _ipv4(packet.frame, body, 0)
    except FrameError:
        return None
    return inner if isinstance(inner, Packet) else None


class Defragmenter:
    """Puts fragments together again. Of overlapping fragments, the one that came first counts."""

    def __init__(self) -> None:
        self._pending: dict[tuple[bytes, bytes, int, int], list[Fragment]] = {}

    def feed(self, fragment: Fragment) -> Packet | None:
        """The packet that this fragment completes. Raises FrameError when that cannot be made out."""
        parts = self._pending.setdefault(fragment.key, [])
        parts.append(fragment)
        body = _joined(parts)
        if body is None:
            return None
        del self._pending[fragment.key]
        source, target, protocol, _ = fragment.key
        size = sum(part.size for part in parts)
        packet = _transport(fragment.frame, protocol, source, target, body, size)
        if packet is not None:
            packet.others = tuple(part.frame for part in parts[:-1])
        return packet

    @property
    def incomplete(self) -> list[Fragment]:
        """Fragments of packets that were never completed."""
        return [fragment for parts in self._pending.values() for fragment in parts]


def _joined(parts: list[Fragment]) -> bytes | None:
    body = b""
    for part in sorted(parts, key=lambda part: part.offset):
        if part.offset > len(body):
            return None
        body += part.body[len(body) - part.offset :]
        if not part.more:
            return body
    return None


def _ipv4(frame: Frame, data: bytes, start: int) -> Packet | Fragment | None:
    if len(data) < start + 20:
        raise FrameError("no IPv4 header")
    first, length, identification, fragmented, protocol, source, target = unpack_from(
        "!BxHHHxBxx4s4s", data, start
    )
    header, end = (first & 15) * 4, start + length
    if first >> 4 != 4 or header < 20 or length < header or (start and end > len(data)):
        raise FrameError("IPv4 lengths do not fit")
    body = data[start + header : end]
    if fragmented & 0x3FFF:
        offset, more = (fragmented & 0x1FFF) * 8, bool(fragmented & 0x2000)
        return Fragment(frame, (source, target, protocol, identification), offset, more, body, length)
    return _transport(frame, protocol, source, target, body, length)


def _ipv6(frame: Frame, data: bytes, start: int) -> Packet | Fragment | None:
    if len(data) < start + 40 or data[start] >> 4 != 6:
        raise FrameError("no IPv6 header")
    size = 40 + (data[start + 4] << 8 | data[start + 5])
    end = start + size
    if start and end > len(data):
        raise FrameError("IPv6 lengths do not fit")
    following = data[start + 6]
    source, target = data[start + 8 : start + 24], data[start + 24 : start + 40]
    position = start + 40
    while following in (_HOP_BY_HOP, _ROUTING, _FRAGMENT, _DESTINATION):
        if len(data) < position + 8:
            raise FrameError("IPv6 extension header ends too early")
        kind, following = following, data[position]
        if kind != _FRAGMENT:
            position += (data[position + 1] + 1) * 8
            continue
        field, identification = unpack_from("!HI", data, position + 2)
        position += 8
        if field & 0xFFF9:
            key = (source, target, following, identification)
            return Fragment(frame, key, field & 0xFFF8, bool(field & 1), data[position:end], size)
    return _transport(frame, following, source, target, data[position:end], size)


def _transport(
    frame: Frame, protocol: int, source: bytes, target: bytes, body: bytes, size: int
) -> Packet | None:
    if protocol == TCP and len(body) >= 20:
        source_port, target_port, sequence, data, flags = unpack_from("!HHI4xBB", body)
        payload = body[max(20, data >> 4 << 2) :]
        return Packet(
            frame, protocol, source, target, payload, size, source_port, target_port, sequence, flags
        )
    if protocol == UDP and len(body) >= 8:
        source_port, target_port, length = unpack_from("!HHH", body)
        payload = body[8 : length if length >= 8 else None]
        return Packet(frame, protocol, source, target, payload, size, source_port, target_port)
    if protocol in (ICMP, ICMP6) and len(body) >= 4:
        if protocol == ICMP6 and body[0] in _NEIGHBOURHOOD:
            return None
        return Packet(frame, protocol, source, target, body[8:], size, sequence=body[1], flags=body[0])
    raise FrameError(f"IP protocol {protocol} with {len(body)} octets")
