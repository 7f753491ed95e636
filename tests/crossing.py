"""What crossed a hop: its two sides compared, packet by packet and octet by octet.

It reads frames by itself, so that no fault of the code under test can hide in it.
"""

from __future__ import annotations

import socket
from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from struct import unpack, unpack_from

from deeds import Passed

from testbed.evidence import Frame

TCP, UDP = socket.IPPROTO_TCP, socket.IPPROTO_UDP
ICMP = (socket.IPPROTO_ICMP, socket.IPPROTO_ICMPV6)
FIN, SYN, RST = 1, 2, 4
_FRAGMENT = 44
_ETHERNET = 14
_ERRORS = {
    (1, 3, 3): "port unreachable",
    (1, 3, 13): "prohibited",
    (58, 1, 4): "port unreachable",
    (58, 1, 1): "prohibited",
}
Way = tuple[str, bool]
"""A side of the hop, and whether the hop sends there."""

TOWARDS_SERVER: tuple[Way, Way] = ("resolver", False), ("far", True)
TOWARDS_RESOLVER: tuple[Way, Way] = ("far", False), ("resolver", True)


@dataclass(frozen=True)
class Packet:
    """An IP packet as it crossed one side of the hop. ``octets`` are its own, from the IP header on.

    ``body`` is what IP carries; ports are 0 where there are none, as in fragments and ICMP.
    """

    way: Way
    time: float
    octets: bytes
    protocol: int
    body: bytes
    source_port: int = 0
    target_port: int = 0

    @property
    def payload(self) -> bytes:
        """What UDP or TCP carries."""
        return self.body[8:] if self.protocol == UDP else self.body[(self.body[12] >> 4) * 4 :]

    @property
    def flags(self) -> int:
        """The flags of TCP, 0 for all else."""
        return self.body[13] if self.protocol == TCP and self.source_port else 0

    @property
    def ports(self) -> tuple[int, int]:
        """Both ports."""
        return self.source_port, self.target_port

    @property
    def service(self) -> int:
        """The port of a server at the far end, if it is to or from there."""
        return self.target_port if self.way in TOWARDS_SERVER else self.source_port

    @property
    def error(self) -> str | None:
        """What an ICMP error says."""
        return _ERRORS.get((self.protocol, *self.body[:2]))

    @property
    def quoted(self) -> tuple[int, int]:
        """The ports of the packet that an ICMP error quotes."""
        inner = self.body[8:]
        start = (inner[0] & 15) * 4 if inner[0] >> 4 == 4 else 40
        return unpack_from("!HH", inner, start)

    def unhopped(self, reassembles: bool) -> bytes:
        """Its octets without what every router changes: TTL and header checksum, or hop limit.

        A hop that reads in datagrams has to put fragments together first. Of IPv6 it takes them apart again
        under another identification.
        """
        octets = self.octets
        if octets[0] >> 4 == 4:
            return octets[:8] + octets[9:10] + octets[12:]
        if self.protocol == _FRAGMENT and reassembles:
            octets = octets[:44] + octets[48:]
        return octets[:7] + octets[8:]


def read(frame: Frame) -> Packet:
    """The packet in a frame."""
    octets = frame.data[_ETHERNET:]
    if octets[0] >> 4 == 4:
        (length,) = unpack_from("!H", octets, 2)
        start, protocol, octets = (octets[0] & 15) * 4, octets[9], octets[:length]
        part = bool(unpack_from("!H", octets, 6)[0] & 0x3FFF)
    else:
        (length,) = unpack_from("!H", octets, 4)
        start, protocol, octets = 40, octets[6], octets[: 40 + length]
        part = protocol == _FRAGMENT
    way, body = (frame.side, frame.outgoing), octets[start:]
    ports = unpack_from("!HH", body) if protocol in (TCP, UDP) and not part else (0, 0)
    return Packet(way, frame.time, octets, protocol, body, *ports)


def invalid(packets: Iterable[Packet]) -> Iterator[str]:
    """Packets with a checksum that is not right (RFC 1071)."""
    for packet in packets:
        octets = packet.octets
        if octets[0] >> 4 == 4:
            start = (octets[0] & 15) * 4
            if checksum(octets[:start]) != 0xFFFF:
                yield f"IPv4 header checksum: {octets[:start].hex()}"
            addresses = octets[12:20]
        else:
            addresses = octets[8:40]
        if packet.protocol == ICMP[0]:
            covered = packet.body
        elif packet.source_port or packet.protocol == ICMP[1]:
            length = len(packet.body)
            covered = addresses + length.to_bytes(4) + packet.protocol.to_bytes(4) + packet.body
        else:
            continue
        if checksum(covered) != 0xFFFF:
            yield f"checksum of protocol {packet.protocol}, ports {packet.ports}"


def checksum(octets: bytes) -> int:
    """The sum of 16-bit words in ones' complement (RFC 1071); 0xFFFF over what holds a right checksum."""
    octets += bytes(len(octets) % 2)
    total = sum(unpack(f"!{len(octets) // 2}H", octets))
    while total > 0xFFFF:
        total = (total & 0xFFFF) + (total >> 16)
    return total


def altered(packets: Collection[Packet], taken: Collection[int]) -> Iterator[str]:
    """How packets were not forwarded as they were; those to and from ``taken`` ports are not looked at."""
    kept = [packet for packet in packets if not _about(packet, taken)]
    for before, after in (TOWARDS_SERVER, TOWARDS_RESOLVER):
        came = [packet.unhopped(bool(taken)) for packet in kept if packet.way == before]
        went = [packet.unhopped(bool(taken)) for packet in kept if packet.way == after]
        if came == went:
            continue
        yield f"{len(came)} packets came from {before[0]}, {len(went)} went on" + (
            ", in another order" if sorted(came) == sorted(went) else ", not the same"
        )


def _about(packet: Packet, ports: Collection[int]) -> bool:
    """Whether a packet is part of a flow to a server's port, or an ICMP error about one."""
    return (packet.quoted[1] if packet.error else packet.service) in ports


def unequal(packets: Collection[Packet]) -> Iterator[str]:
    """How what one flow carries differs between the sides: each datagram, or the octets of both streams."""
    for before, after in (TOWARDS_SERVER, TOWARDS_RESOLVER):
        came, went = ([packet for packet in packets if packet.way == way] for way in (before, after))
        if packets and next(iter(packets)).protocol == UDP:
            same = [packet.payload for packet in came] == [packet.payload for packet in went]
        else:
            same = stream(came) == stream(went) and _ends(came) == _ends(went)
        if not same:
            yield f"what came from {before[0]} is not what went on: {len(came)}, {len(went)} packets"


def _ends(packets: Iterable[Packet]) -> tuple[bool, bool]:
    flags = 0
    for packet in packets:
        flags |= packet.flags
    return bool(flags & FIN), bool(flags & RST)


def stream(packets: Iterable[Packet]) -> bytes:
    """The octets of one direction of a TCP connection; of those that came twice, the first."""
    octets, origin = b"", None
    later: dict[int, bytes] = {}
    for packet in packets:
        (sequence,) = unpack_from("!I", packet.body, 4)
        if packet.flags & SYN:
            origin = (sequence + 1) % 2**32
        elif origin is not None and packet.payload:
            later.setdefault((sequence - origin) % 2**32, packet.payload)
    for start in sorted(later):
        if start <= len(octets):
            octets += later[start][len(octets) - start :]
    return octets


def by_port(packets: Iterable[Packet]) -> dict[int, list[Packet]]:
    """Packets of UDP and TCP by the port at the near end; ICMP errors by what they are about.

    Ports at the near end are even: the next one is that of a connection that the hop opens for it.
    """
    found: dict[int, list[Packet]] = defaultdict(list)
    for packet in packets:
        if packet.error:
            found[packet.quoted[0] & ~1].append(packet)
        elif packet.source_port:
            near = packet.source_port if packet.way in TOWARDS_SERVER else packet.target_port
            found[near & ~1].append(packet)
    return found


def octets(packets: Iterable[Packet], way: Way) -> bytes:
    """What a flow carries one way on one side."""
    chosen = [packet for packet in packets if packet.way == way and not packet.error]
    if chosen and chosen[0].protocol == UDP:
        return b"".join(packet.payload for packet in chosen)
    return stream(chosen)


def framed(packets: Iterable[Packet], way: Way) -> Iterator[Passed]:
    """The DNS messages in a TCP stream (RFC 1035 section 4.2.2), each dated with the stream's last packet."""
    chosen = [packet for packet in packets if packet.way == way and packet.protocol == TCP]
    rest = stream(chosen)
    while len(rest) >= 2:
        length = int.from_bytes(rest[:2])
        yield Passed(chosen[-1].time, rest[2 : 2 + length])
        rest = rest[2 + length :]
