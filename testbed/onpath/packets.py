"""Packets that a hop makes up: TCP resets and ICMP errors in answer to what it holds back."""

from __future__ import annotations

from scapy.layers.inet import ICMP, IP, TCP, UDP
from scapy.layers.inet6 import ICMPv6DestUnreach, IPv6
from scapy.layers.l2 import Ether
from scapy.packet import Packet, Raw

_ADMINISTRATIVELY_PROHIBITED = {4: 13, 6: 1}
_PORT_UNREACHABLE = {4: 3, 6: 4}
"""ICMP codes by IP version (RFC 792 and RFC 1812 section 5.2.7.1; RFC 4443 section 3.1)."""

_QUOTED = 512
"""Octets of the offending packet that an error quotes; more than enough to find the socket by."""


def _reply(frame: Packet) -> tuple[Packet, Packet]:
    """Ethernet and IP headers of an answer to a frame, as from the host that it was going to."""
    ethernet = Ether(src=frame[Ether].dst, dst=frame[Ether].src)
    if IP in frame:
        return ethernet, IP(src=frame[IP].dst, dst=frame[IP].src)
    return ethernet, IPv6(src=frame[IPv6].dst, dst=frame[IPv6].src)


def reset_for_syn(data: bytes) -> bytes:
    """The frame with the reset that a closed port answers a SYN with (RFC 9293 section 3.5.2)."""
    frame = Ether(data)
    ethernet, ip = _reply(frame)
    syn = frame[TCP]
    reset = TCP(sport=syn.dport, dport=syn.sport, seq=0, ack=(syn.seq + 1) % 2**32, flags="RA", window=0)
    return bytes(ethernet / ip / reset)


def prohibited(data: bytes) -> bytes:
    """The frame with the ICMP error that says that communication is administratively prohibited."""
    frame = Ether(data)
    ethernet, ip = _reply(frame)
    if IP in frame:
        quoted = bytes(frame[IP])[:_QUOTED]
        return bytes(ethernet / ip / ICMP(type=3, code=_ADMINISTRATIVELY_PROHIBITED[4]) / Raw(quoted))
    quoted = bytes(frame[IPv6])[:_QUOTED]
    error = ICMPv6DestUnreach(code=_ADMINISTRATIVELY_PROHIBITED[6])
    return bytes(ethernet / ip / error / Raw(quoted))


def unreachable_datagram(
    payload: bytes, source: tuple[str, int], destination: tuple[str, int], *, prohibited: bool
) -> bytes:
    """The IP packet with the ICMP error for a datagram: no such port, or administratively prohibited."""
    codes = _ADMINISTRATIVELY_PROHIBITED if prohibited else _PORT_UNREACHABLE
    udp = UDP(sport=source[1], dport=destination[1]) / Raw(payload)
    if ":" in source[0]:
        quoted = bytes(IPv6(src=source[0], dst=destination[0]) / udp)[:_QUOTED]
        error = ICMPv6DestUnreach(code=codes[6]) / Raw(quoted)
        return bytes(IPv6(src=destination[0], dst=source[0]) / error)
    quoted = bytes(IP(src=source[0], dst=destination[0]) / udp)[:_QUOTED]
    return bytes(IP(src=destination[0], dst=source[0]) / ICMP(type=3, code=codes[4]) / Raw(quoted))
