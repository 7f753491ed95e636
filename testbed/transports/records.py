"""What a transport must know of a message's records without parsing it: lifetimes, and one EDNS option."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

ANSWER, AUTHORITY, ADDITIONAL = 1, 2, 3

_HEADER = 12
_SOA, _OPT = 6, 41
_KEEPALIVE = 11
"""The edns-tcp-keepalive option (RFC 7828), which has no place but on TCP."""


@dataclass(frozen=True, slots=True)
class Record:
    """Where a resource record lies in a message. ``rdata`` to ``end`` are its RDATA."""

    section: int
    rdtype: int
    ttl: int
    """Seconds; in an OPT record something else (RFC 6891 section 6.1.3)."""
    rdata: int
    end: int


def records(wire: bytes) -> Iterator[Record]:
    """The resource records of a message in order. Raises ValueError where it is broken."""
    if len(wire) < _HEADER:
        raise ValueError(f"a DNS message has 12 octets at least, not {len(wire)}")
    questions, *counts = (int.from_bytes(wire[n : n + 2]) for n in range(4, _HEADER, 2))
    position = _HEADER
    for _ in range(questions):
        position = _after_name(wire, position) + 4
    for section, count in enumerate(counts, ANSWER):
        for _ in range(count):
            fixed = _after_name(wire, position)
            rdata = fixed + 10
            position = rdata + int.from_bytes(wire[fixed + 8 : rdata])
            if position > len(wire):
                raise ValueError("a record goes beyond the end of the message")
            rdtype, ttl = int.from_bytes(wire[fixed : fixed + 2]), int.from_bytes(wire[fixed + 4 : fixed + 8])
            yield Record(section, rdtype, ttl, rdata, position)


def _after_name(wire: bytes, position: int) -> int:
    """Where the domain name at a position ends."""
    while position < len(wire):
        length = wire[position]
        if length & 0xC0 == 0xC0:
            return position + 2
        position += 1 + length
        if length == 0:
            return position
    raise ValueError("a name goes beyond the end of the message")


def lifetime(wire: bytes) -> int:
    """Seconds that a response may be cached for (RFC 8484 section 5.1).

    The least TTL of the answers; where there are none, what RFC 2308 section 5 says of the SOA record in
    the authority section; else, and for a broken message, 0.
    """
    answers: list[int] = []
    negative = 0
    try:
        for record in records(wire):
            if record.section == ANSWER:
                answers.append(record.ttl)
            elif record.section == AUTHORITY and record.rdtype == _SOA:
                negative = min(record.ttl, int.from_bytes(wire[record.end - 4 : record.end]))
    except ValueError:
        return 0
    # RFC 2181 section 8: a TTL with the most significant bit set counts as 0.
    seconds = min(answers) if answers else negative
    return seconds if seconds < 1 << 31 else 0


def has_keepalive(wire: bytes) -> bool:
    """Whether there is an edns-tcp-keepalive option in a message; a broken message has none."""
    return _keepalive(wire) is not None


def without_keepalive(wire: bytes) -> bytes:
    """The message without edns-tcp-keepalive options (RFC 9250 section 5.5.2), mostly the very same bytes."""
    while (found := _keepalive(wire)) is not None:
        record, start, end = found
        length = record.end - record.rdata - (end - start)
        head = wire[: record.rdata - 2] + length.to_bytes(2)
        wire = head + wire[record.rdata : start] + wire[end:]
    return wire


def _keepalive(wire: bytes) -> tuple[Record, int, int] | None:
    """The first such option: its OPT record, where it starts and where it ends."""
    if _KEEPALIVE.to_bytes(2) not in wire:
        return None
    try:
        for record in records(wire):
            if record.section != ADDITIONAL or record.rdtype != _OPT:
                continue
            position = record.rdata
            while position + 4 <= record.end:
                end = position + 4 + int.from_bytes(wire[position + 2 : position + 4])
                if end <= record.end and wire[position : position + 2] == _KEEPALIVE.to_bytes(2):
                    return record, position, end
                position = end
    except ValueError:
        pass
    return None
