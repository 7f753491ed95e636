"""DNS messages as an observer reads them: questions, owner names, names in RDATA, a line of text.

This is a scanner of its own, not a full parser. It is faster than one, and what it cannot read of a
message does not keep it from reading the question, which is what an attacker is after.
"""

from __future__ import annotations

import ipaddress
import struct
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import lru_cache
from struct import unpack_from
from typing import NamedTuple

import dns.opcode
import dns.rcode
import dns.rdatatype

from testbed.core.deleg import DELEG, in_brief

Labels = tuple[bytes, ...]
"""A name as its labels in lower case, without the root's."""

Question = tuple[Labels, int]
"""QNAME and QTYPE."""

ANSWER, AUTHORITY, ADDITIONAL = 1, 2, 3
"""Sections."""

A, NS, CNAME, SOA, AAAA, DNAME, OPT, DS, RRSIG, NSEC, NSEC3 = 1, 2, 5, 6, 28, 39, 41, 43, 46, 47, 50

_HEADER = 12
_LONGEST = 255
_EDE = 15
_NAME_AT = {NS: 0, CNAME: 0, 12: 0, DNAME: 0, 15: 2, 33: 6, RRSIG: 18, NSEC: 0, 64: 2, 65: 2}
"""Where in RDATA a name begins, by type: PTR, MX, SRV, SVCB and HTTPS too (RFC 1035, 2782, 4034, 9460)."""


class DnsFormatError(ValueError):
    """The octets are no DNS message."""


class Record(NamedTuple):
    """Where a record is in its message; ``start`` and ``end`` are those of RDATA."""

    section: int
    owner: int
    rdtype: int
    start: int
    end: int


@dataclass(slots=True)
class Dns:
    """A message. ``whole`` says that all of it could be read, to the last octet."""

    wire: bytes
    questions: tuple[Question, ...]
    records: list[Record] = field(default_factory=list)
    whole: bool = True

    @property
    def is_response(self) -> bool:
        """Whether QR is set."""
        return bool(self.wire[2] & 0x80)

    @property
    def rcode(self) -> int:
        """The four bits of RCODE in the header."""
        return self.wire[3] & 15

    @property
    def opcode(self) -> int:
        """OPCODE."""
        return self.wire[2] >> 3 & 15

    @property
    def question(self) -> Question | None:
        """The first question."""
        return self.questions[0] if self.questions else None

    def owner(self, record: Record) -> Labels:
        """The owner name of a record."""
        return read_name(self.wire, record.owner)[0]

    def names_in(self, record: Record) -> Iterator[Labels]:
        """Names in the RDATA of the types that have some. Broken ones are left out."""
        try:
            if record.rdtype == SOA:
                name, position = read_name(self.wire, record.start)
                yield name
                yield read_name(self.wire, position)[0]
            elif (at := _NAME_AT.get(record.rdtype)) is not None and record.start + at < record.end:
                yield read_name(self.wire, record.start + at)[0]
        except DnsFormatError:
            return

    def __str__(self) -> str:
        return _query_text(self) if not self.is_response else _response_text(self)


def scan(wire: bytes) -> Dns:
    """Read a message as far as it goes. Raises DnsFormatError when not even the questions can be read."""
    if len(wire) < _HEADER:
        raise DnsFormatError("shorter than a header")
    counts = unpack_from("!HHHH", wire, 4)
    questions = []
    position = _HEADER
    for _ in range(counts[0]):
        name, position = read_name(wire, position)
        if position + 4 > len(wire):
            raise DnsFormatError("the question ends too early")
        questions.append((name, wire[position] << 8 | wire[position + 1]))
        position += 4
    message = Dns(wire, tuple(questions))
    records = message.records
    try:
        for section in (ANSWER, AUTHORITY, ADDITIONAL):
            for _ in range(counts[section]):
                owner = position
                position = read_name(wire, position)[1]
                rdtype, length = unpack_from("!H6xH", wire, position)
                start = position + 10
                position = start + length
                if position > len(wire):
                    raise DnsFormatError("a record ends too early")
                records.append(Record(section, owner, rdtype, start, position))
    except (DnsFormatError, struct.error):
        message.whole = False
        return message
    message.whole = position == len(wire)
    return message


def looks_like_dns(message: Dns) -> bool:
    """Whether it is safe to say that a message on a port that is not DNS's own is DNS all the same."""
    known = message.opcode in (0, 4, 5) and not message.wire[3] & 0x40
    return message.whole and len(message.questions) == 1 and known


def read_name(wire: bytes, position: int) -> tuple[Labels, int]:
    """The name at a position, in lower case, and where it ends (RFC 1035 section 4.1.4).

    Raises DnsFormatError, also for pointers that do not lead back.
    """
    labels = []
    end = -1
    limit = position
    total = 0
    try:
        while length := wire[position]:
            if length < 64:
                label = wire[position + 1 : position + 1 + length]
                if len(label) < length:
                    raise DnsFormatError("a label ends too early")
                labels.append(label.lower())
                position += 1 + length
                total += 1 + length
                if total >= _LONGEST:
                    raise DnsFormatError("a name of more than 255 octets")
            elif length >= 192:
                target = (length & 63) << 8 | wire[position + 1]
                if end < 0:
                    end = position + 2
                if target >= limit:
                    raise DnsFormatError("a compression pointer that does not lead back")
                position = limit = target
            else:
                raise DnsFormatError("an unknown kind of label")
    except IndexError:
        raise DnsFormatError("a name ends too early") from None
    return tuple(labels), end if end >= 0 else position + 1


# -- text ------------------------------------------------------------------------------------------


@lru_cache(maxsize=4096)
def name_text(labels: Labels) -> str:
    """A name in presentation format, with its final dot (RFC 1035 section 5.1)."""
    return ".".join("".join(map(_character, label)) for label in labels) + "."


def _character(octet: int) -> str:
    if 0x21 <= octet < 0x7F:
        return f"\\{chr(octet)}" if chr(octet) in '.\\"();@$' else chr(octet)
    return f"\\{octet:03d}"


@lru_cache(maxsize=1024)
def type_text(rdtype: int) -> str:
    """A type's mnemonic, or TYPE12345. That of DELEG is not registered yet."""
    if rdtype == DELEG:
        return "DELEG"
    return dns.rdatatype.to_text(dns.rdatatype.RdataType.make(rdtype))


def question_text(question: Question | None) -> str:
    """A question as name and type."""
    return f"{name_text(question[0])} {type_text(question[1])}" if question else "(no question)"


def _query_text(message: Dns) -> str:
    text = question_text(message.question)
    return (
        text
        if message.opcode == 0
        else f"{dns.opcode.to_text(dns.opcode.Opcode.make(message.opcode))} {text}"
    )


def _response_text(message: Dns) -> str:
    question = question_text(message.question)
    if message.wire[2] & 0x02:
        text = f"truncated, {question}"
    elif message.rcode:
        text = f"{dns.rcode.to_text(dns.rcode.Rcode.make(message.rcode))} {question}"
    else:
        answer = [record for record in message.records if record.section == ANSWER]
        authority = [record for record in message.records if record.section == AUTHORITY]
        if answer:
            text = _records_text(message, answer)
        elif any(record.rdtype in (NS, DELEG) for record in authority):
            shown = [record for record in authority if record.rdtype in (NS, DELEG, DS)]
            text = f"referral {_records_text(message, shown)}"
        else:
            text = f"no data, {question}"
    codes = ", ".join(str(code) for code in _extended_errors(message))
    return f"{text} (EDE {codes})" if codes else text


def _records_text(message: Dns, records: list[Record]) -> str:
    """Records by owner and type; the owner is not repeated, and most RDATA is not shown."""
    sets: dict[tuple[Labels, int], list[str]] = {}
    for record in records:
        shown = sets.setdefault((message.owner(record), record.rdtype), [])
        text = _rdata_text(message, record)
        if text and text not in shown:
            shown.append(text)
    parts = []
    last: Labels | None = None
    for (owner, rdtype), shown in sorted(sets.items(), key=lambda item: item[0][1] in (RRSIG, NSEC, NSEC3)):
        text = " ".join([type_text(rdtype), *sorted(shown)])
        parts.append(text if owner == last else f"{name_text(owner)} {text}")
        last = owner
    return ", ".join(parts)


def _rdata_text(message: Dns, record: Record) -> str:
    rdata = message.wire[record.start : record.end]
    if record.rdtype in (A, AAAA) and len(rdata) in (4, 16):
        return str(ipaddress.ip_address(rdata))
    if record.rdtype == DS and len(rdata) >= 4:
        return f"{rdata[2]} {rdata[3]}"
    if record.rdtype in (NS, CNAME, DNAME, 12, 15, 33):
        return next((name_text(name) for name in message.names_in(record)), "")
    return in_brief(rdata) if record.rdtype == DELEG else ""


def _extended_errors(message: Dns) -> list[int]:
    """INFO-CODEs (RFC 8914 section 2)."""
    codes = []
    for record in message.records:
        if record.rdtype != OPT:
            continue
        position = record.start
        while position + 4 <= record.end:
            option, length = unpack_from("!HH", message.wire, position)
            if option == _EDE and length >= 2 and position + 6 <= record.end:
                codes.append(message.wire[position + 4] << 8 | message.wire[position + 5])
            position += 4 + length
    return sorted(set(codes))
