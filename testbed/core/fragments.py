"""UDP datagrams over IPv4, and how they are cut (RFC 768, RFC 791 section 3.2): octets only, no sockets."""

from __future__ import annotations

import ipaddress
import struct

UDP = 17
"""The protocol number."""

IPV4_HEADER = 20
"""Octets, without options."""

UDP_HEADER = 8
"""Octets."""

UNIT = 8
"""Octets in which offsets of fragments are counted."""


def ones_sum(octets: bytes) -> int:
    """The 16-bit one's complement sum of octets (RFC 1071)."""
    padded = octets + bytes(len(octets) % 2)
    total: int = sum(struct.unpack(f"!{len(padded) // 2}H", padded))
    while total > 0xFFFF:
        total = (total & 0xFFFF) + (total >> 16)
    return total


def udp_datagram(source: tuple[str, int], target: tuple[str, int], payload: bytes) -> bytes:
    """A UDP datagram with its header and checksum, between two IPv4 addresses with their ports."""
    size = UDP_HEADER + len(payload)
    pseudo = b"".join(ipaddress.IPv4Address(address).packed for address, _ in (source, target))
    ports = struct.pack("!HHH", source[1], target[1], size)
    checksum = ~ones_sum(pseudo + struct.pack("!HH", UDP, size) + ports + bytes(2) + payload) & 0xFFFF
    return ports + struct.pack("!H", checksum or 0xFFFF) + payload


def pieces(datagram: bytes, mtu: int) -> list[tuple[int, bytes]]:
    """The parts of what follows an IPv4 header for packets of ``mtu`` octets, each with its offset."""
    if len(datagram) + IPV4_HEADER <= mtu:
        return [(0, datagram)]
    step = (mtu - IPV4_HEADER) // UNIT * UNIT
    return [(offset, datagram[offset : offset + step]) for offset in range(0, len(datagram), step)]
