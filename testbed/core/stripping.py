"""Takes records out of a message without taking apart what stays, which is several times as fast.

Names are read and written anew, since pointers change their meaning where something is left out (RFC 1035
section 4.1.4). Data are copied, but for the types in which names may be compressed (RFC 3597 section 4).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import dns.name

_HEADER, _FIXED = 12, 10
_RRSIG = 46
_NAMES = {2: (0, 1), 3: (0, 1), 4: (0, 1), 5: (0, 1), 6: (0, 2), 7: (0, 1), 8: (0, 1), 9: (0, 1), 12: (0, 1)}
_NAMES |= {14: (0, 2), 15: (2, 1)}
"""For each type of RFC 1035 with names in its data: octets before the first, and how many names there are."""

_OLD = frozenset((17, 18, 21, 24, 26, 30, 33, 35, 36))
"""Types in whose data old servers compress names although they should not (RFC 3597 section 4)."""

_LONGEST = 255
_POINTER = 0xC0


class UnfitError(ValueError):
    """The message is malformed, or of a kind that has to be taken apart to be changed."""


@dataclass(frozen=True, slots=True)
class Record:
    """What can be told of a record at a glance: ``section`` is 1 to 3, ``covers`` what an RRSIG is about."""

    section: int
    rdtype: int
    covers: int
    wire_name: bytes

    @property
    def owner(self) -> dns.name.Name:
        """Its owner."""
        name, _ = dns.name.from_wire(self.wire_name, 0)
        return name


def strip(wire: bytes, unwanted: Callable[[Record], bool]) -> bytes | None:
    """The message without some records; None when there are none of those.

    Raises UnfitError.
    """
    try:
        return _strip(wire, unwanted)
    except (IndexError, RecursionError) as error:
        raise UnfitError("the message ends too early") from error


def _strip(wire: bytes, unwanted: Callable[[Record], bool]) -> bytes | None:
    if len(wire) < _HEADER:
        raise UnfitError("no header")
    counts = [int.from_bytes(wire[place : place + 2]) for place in range(4, _HEADER, 2)]
    out = _Writer(wire[:_HEADER])
    position = _HEADER
    for _ in range(counts[0]):
        name, position = _read(wire, position)
        out.name(name)
        out.data += wire[position : position + 4]
        position += 4
    stripped = False
    for section in (1, 2, 3):
        left = counts[section]
        for _ in range(counts[section]):
            name, position = _read(wire, position)
            fixed = wire[position : position + _FIXED]
            start = position + _FIXED
            position = start + int.from_bytes(fixed[8:])
            if len(fixed) < _FIXED or position > len(wire):
                raise UnfitError("a record ends too early")
            rdtype = int.from_bytes(fixed[:2])
            covers = int.from_bytes(wire[start : start + 2]) if rdtype == _RRSIG else 0
            if unwanted(Record(section, rdtype, covers, name)):
                stripped, left = True, left - 1
                continue
            out.name(name)
            out.record(wire, fixed, start, position)
        counts[section] = left
    if not stripped:
        return None
    out.data[4:_HEADER] = b"".join(count.to_bytes(2) for count in counts)
    return bytes(out.data)


def _read(wire: bytes, position: int) -> tuple[bytes, int]:
    """A name without pointers, and where what follows it begins."""
    labels, end, lowest = bytearray(), 0, position
    while True:
        length = wire[position]
        if length >= _POINTER:
            target = (length & 0x3F) << 8 | wire[position + 1]
            end = end or position + 2
            if target >= lowest:
                raise UnfitError("a pointer does not point back")
            position = lowest = target
            continue
        if length > 63 or len(labels) + length >= _LONGEST or position + length >= len(wire):
            raise UnfitError("no name")
        labels += wire[position : position + length + 1]
        position += length + 1
        if not length:
            return bytes(labels), end or position


class _Writer:
    """A message that grows, and the names that are in it."""

    def __init__(self, header: bytes) -> None:
        self.data = bytearray(header)
        self._places: dict[bytes, int] = {}

    def name(self, name: bytes) -> None:
        """Write a name, with a pointer to what is there of it already."""
        position = 0
        while name[position]:
            rest = name[position:]
            place = self._places.get(rest)
            if place is not None:
                self.data += (0xC000 | place).to_bytes(2)
                return
            if len(self.data) < 0x4000:
                self._places[rest] = len(self.data)
            length = name[position] + 1
            self.data += name[position : position + length]
            position += length
        self.data.append(0)

    def record(self, wire: bytes, fixed: bytes, start: int, end: int) -> None:
        """Write what follows the owner's name."""
        rdtype = int.from_bytes(fixed[:2])
        if rdtype in _OLD:
            raise UnfitError("names in the data may be compressed")
        if rdtype not in _NAMES:
            self.data += fixed
            self.data += wire[start:end]
            return
        before, names = _NAMES[rdtype]
        self.data += fixed
        length = len(self.data)
        self.data += wire[start : start + before]
        position = start + before
        for _ in range(names):
            name, position = _read(wire, position)
            self.name(name)
        if position > end:
            raise UnfitError("the data end too early")
        self.data += wire[position:end]
        self.data[length - 2 : length] = (len(self.data) - length).to_bytes(2)
