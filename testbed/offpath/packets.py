"""The octets of IP packets with source addresses that are not the sender's own."""

from __future__ import annotations

from scapy.layers.inet import ICMP, IP, TCP, UDP
from scapy.layers.inet6 import ICMPv6DestUnreach, ICMPv6PacketTooBig, IPv6, IPv6ExtHdrFragment
from scapy.packet import Packet, Raw

from testbed.attack.spoofed import (
    ErrorKind,
    Spoofed,
    SpoofedDatagram,
    SpoofedError,
    SpoofedFragment,
    SpoofedSegment,
)

_UDP = 17
_DESTINATION_UNREACHABLE = 3
_CODES: dict[ErrorKind, tuple[int, int]] = {
    "no-port": (3, 4),
    "no-host": (1, 3),
    "prohibited": (13, 1),
    "need-to-fragment": (4, 0),
}
"""Codes of ICMP and of ICMPv6; in ICMPv6 the last is a type of its own."""

_QUOTED = 512
"""Octets of a packet that an error quotes."""


def encode(spoofed: Spoofed) -> bytes:
    """The IP packet."""
    match spoofed:
        case SpoofedDatagram() | SpoofedSegment():
            return bytes(_transported(spoofed))
        case SpoofedError():
            return bytes(_ip(spoofed.source, spoofed.target) / _error(spoofed))
        case SpoofedFragment():
            return bytes(_fragment(spoofed))


def _ip(source: str, target: str) -> Packet:
    # The kernel chooses the identification where it is 0.
    return IPv6(src=source, dst=target) if ":" in source else IP(src=source, dst=target, id=0)


def _transported(spoofed: SpoofedDatagram | SpoofedSegment) -> Packet:
    (source, source_port), (target, target_port) = spoofed.source, spoofed.target
    if isinstance(spoofed, SpoofedDatagram):
        return _ip(source, target) / UDP(sport=source_port, dport=target_port) / Raw(spoofed.payload)
    segment = TCP(
        sport=source_port,
        dport=target_port,
        seq=spoofed.sequence,
        ack=spoofed.acknowledgement,
        flags=spoofed.flags,
        window=0,
    )
    return _ip(source, target) / segment


def _error(error: SpoofedError) -> Packet:
    quoted = Raw(bytes(_transported(error.quoted))[:_QUOTED])
    code, code_of_ipv6 = _CODES[error.kind]
    if ":" not in error.target:
        return ICMP(type=_DESTINATION_UNREACHABLE, code=code, nexthopmtu=error.mtu) / quoted
    if error.kind == "need-to-fragment":
        return ICMPv6PacketTooBig(mtu=error.mtu) / quoted
    return ICMPv6DestUnreach(code=code_of_ipv6) / quoted


def _fragment(fragment: SpoofedFragment) -> Packet:
    ip, data = _ip(fragment.source, fragment.target), Raw(fragment.payload)
    place, number = fragment.offset // 8, fragment.identification
    if ":" in fragment.source:
        return ip / IPv6ExtHdrFragment(nh=_UDP, offset=place, m=int(not fragment.last), id=number) / data
    ip.id, ip.frag, ip.proto = number, place, _UDP
    ip.flags = "" if fragment.last else "MF"
    return ip / data
