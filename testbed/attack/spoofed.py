"""Packets that an off-path attacker makes up and sends with source addresses that are not its own.

Addresses are IP addresses, with a port where there is one; ``after`` is in seconds since the attacker caused
the question (see ``events.Moment``).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Address = tuple[str, int]
"""An IP address and a port."""


@dataclass(frozen=True, slots=True)
class SpoofedDatagram:
    """A UDP datagram."""

    source: Address
    target: Address
    payload: bytes
    after: float = 0.0


@dataclass(frozen=True, slots=True)
class SpoofedSegment:
    """A TCP segment without data: a reset, in most cases. ``sequence`` is its sequence number."""

    source: Address
    target: Address
    sequence: int
    flags: Literal["R", "RA", "S", "SA", "A", "F", "FA"] = "R"
    acknowledgement: int = 0
    after: float = 0.0


ErrorKind = Literal["no-port", "no-host", "prohibited", "need-to-fragment"]
"""ICMP errors: port unreachable, host (in ICMPv6: address) unreachable, administratively prohibited, and
fragmentation needed or, in ICMPv6, packet too big (RFC 792, RFC 1191, RFC 1812 section 5.2.7.1, RFC 4443)."""


@dataclass(frozen=True, slots=True)
class SpoofedError:
    """An ICMP error about a packet that ``target`` is said to have sent: ``quoted``.

    ``source`` is who says so; ``mtu``, in octets, goes with need-to-fragment.
    """

    source: str
    target: str
    kind: ErrorKind
    quoted: SpoofedDatagram | SpoofedSegment
    mtu: int = 0
    after: float = 0.0


@dataclass(frozen=True, slots=True)
class SpoofedFragment:
    """A fragment of a UDP datagram: the octets behind the IP header from ``offset`` on, a multiple of 8.

    ``identification`` says which datagram it belongs to (RFC 791; RFC 8200 section 4.5), ``last`` that none
    comes after it.
    """

    source: str
    target: str
    identification: int
    offset: int
    payload: bytes
    last: bool = True
    after: float = 0.0


Spoofed = SpoofedDatagram | SpoofedSegment | SpoofedError | SpoofedFragment
"""Any of them."""
