"""How files write durations, questions, names and records, and how messages quote what they say."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Annotated, Any

import dns.exception
import dns.name
import dns.rdata
import dns.rdataclass
import dns.rdatatype
import dns.ttl
from pydantic import BeforeValidator, WithJsonSchema

MAX_LABEL = 63
MAX_NAME = 255
"""Octets in a label and in a name on the wire (RFC 1035 section 2.3.4)."""

MAX_DURATION = 10 * 365 * 86400
"""Seconds that one step may advance the clock: more than any timer of DNS or DNSSEC."""

DEFAULT_TTL = 3600

_UNITS = {"d": 86400, "h": 3600, "m": 60, "s": 1}
_DURATION = re.compile(r"(?:(?P<d>\d+)d)?(?:(?P<h>\d+)h)?(?:(?P<m>\d+)m)?(?:(?P<s>\d+)s)?", re.ASCII)
_TYPE_CODE = re.compile(r"TYPE\d+", re.IGNORECASE | re.ASCII)


@dataclass(frozen=True, slots=True)
class Question:
    """What the client asks."""

    name: dns.name.Name
    rdtype: dns.rdatatype.RdataType

    def __str__(self) -> str:
        return f"{self.name.to_text(omit_final_dot=True)} {dns.rdatatype.to_text(self.rdtype)}"


@dataclass(frozen=True, slots=True)
class Record:
    """A record that a scenario adds to the zone that its name lies in. ``ttl`` is in seconds."""

    name: dns.name.Name
    ttl: int
    rdata: dns.rdata.Rdata

    def __str__(self) -> str:
        rdtype = dns.rdatatype.to_text(self.rdata.rdtype)
        return f"{self.name} {self.ttl} {rdtype} {self.rdata.to_text()}"


def quoted(text: object, limit: int = 60) -> str:
    """A piece of input in quotes, on one line and not too long."""
    if text is None:
        return "nothing"
    word = repr(str(text))
    return word if len(word) <= limit else f"{word[: limit - 4]}...{word[0]}"


def parse_name(text: str) -> dns.name.Name:
    """An absolute name from its presentation format. Raises ValueError for what is none."""
    try:
        return dns.name.from_text(text)
    except dns.name.LabelTooLong:
        label = max(text.split("."), key=len)
        reason = f"the label {quoted(label, 24)} is too long; a label has at most {MAX_LABEL} octets"
    except dns.name.NameTooLong:
        reason = f"{quoted(text, 40)} is too long; a name has at most {MAX_NAME} octets"
    except dns.name.EmptyLabel:
        reason = f"{quoted(text, 40)} has an empty label; write one dot between two labels"
    except (dns.exception.DNSException, UnicodeError, ValueError):
        reason = f"{quoted(text, 40)} is no DNS name; write labels with dots between them"
    raise ValueError(reason)


def _name(value: Any) -> dns.name.Name:
    if isinstance(value, dns.name.Name):
        return value
    if not isinstance(value, str) or not value.strip():
        raise ValueError(f"{quoted(value)} is no DNS name; write labels with dots between them")
    return parse_name(value.strip())


def parse_type(text: str) -> dns.rdatatype.RdataType:
    """A record type from its mnemonic or as TYPE1234 (RFC 3597). Raises ValueError for what is none."""
    try:
        return dns.rdatatype.from_text(text)
    except (dns.rdatatype.UnknownRdatatype, ValueError):
        code = (
            "; codes end at TYPE65535" if _TYPE_CODE.fullmatch(text) else "; write a type such as A or HTTPS"
        )
    raise ValueError(f"unknown record type {quoted(text)}{code}")


def parse_question(value: Any) -> Question:
    """A question from "NAME TYPE" or "NAME". Raises ValueError when it cannot be asked."""
    if isinstance(value, Question):
        return value
    words = value.split() if isinstance(value, str) else []
    if len(words) not in (1, 2):
        raise ValueError(f"{quoted(value)} is no query; write a name and a type, as in secret.example.org A")
    name, rdtype = parse_name(words[0]), parse_type(words[1] if len(words) == 2 else "A")
    if dns.rdatatype.is_metatype(rdtype) and rdtype != dns.rdatatype.ANY:
        raise ValueError(f"a client cannot ask for {words[1].upper()}; ask for a type of data, or ANY")
    return Question(name, rdtype)


def parse_duration(value: Any) -> float:
    """Seconds from a duration such as 90s, 5m or 1d12h. Raises ValueError for what is none."""
    text = str(value).strip()
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        raise ValueError("a duration is written like 90s, 5m, 1h or 1d12h")
    if not isinstance(value, str):
        raise ValueError(f"{text} has no unit; write {text}s for seconds")
    match = _DURATION.fullmatch(text)
    if match is None or not text:
        raise ValueError(f"{quoted(text)} is no duration; write it like 90s, 5m, 1h or 1d12h")
    digits = {unit: number for unit, number in match.groupdict().items() if number}
    if any(len(number) > 10 for number in digits.values()):
        seconds = MAX_DURATION + 1
    else:
        seconds = sum(int(number) * _UNITS[unit] for unit, number in digits.items())
    if seconds > MAX_DURATION:
        raise ValueError(f"{quoted(text)} is too long; advance by at most {MAX_DURATION // 86400}d at once")
    if seconds == 0:
        raise ValueError(f"{quoted(text)} is no time at all; leave the step out")
    return float(seconds)


def duration_text(seconds: float) -> str:
    """A duration as a file would give it."""
    rest, parts = round(seconds), []
    for unit, length in _UNITS.items():
        number, rest = divmod(rest, length)
        if number:
            parts.append(f"{number}{unit}")
    return "".join(parts)


def parse_record(value: Any) -> Record:
    """A record from a line in presentation format (RFC 1035 section 5.1). Raises ValueError."""
    if isinstance(value, Record):
        return value
    words = value.split(maxsplit=1) if isinstance(value, str) else []
    if len(words) != 2:
        raise ValueError(
            f"{quoted(value)} is no record; write NAME TTL TYPE RDATA, where TTL may be left out"
        )
    name, ttl = parse_name(words[0]), DEFAULT_TTL
    head, rest = _cut(words[1])
    if head[0].isdigit():
        ttl = _ttl(head)
        head, rest = _cut(rest)
    if head.upper() == "IN":
        head, rest = _cut(rest)
    if not head:
        raise ValueError(f"the record for {quoted(words[0])} has no type; write NAME TTL TYPE RDATA")
    rdtype = parse_type(head)
    if dns.rdatatype.is_metatype(rdtype):
        raise ValueError(f"{head.upper()} is no type of data; a zone cannot hold it")
    try:
        rdata = dns.rdata.from_text(dns.rdataclass.IN, rdtype, rest, origin=dns.name.root, relativize=False)
    except (dns.exception.DNSException, ValueError) as error:
        reason = " ".join(str(error).split()).rstrip(".") or type(error).__name__
        raise ValueError(f"bad data for a record of type {head.upper()} ({reason}); correct it") from error
    return Record(name, ttl, rdata)


def _cut(text: str) -> tuple[str, str]:
    """The first word of a text and what follows it."""
    head, *tail = text.split(maxsplit=1) or [""]
    return head, tail[0] if tail else ""


def _ttl(text: str) -> int:
    try:
        return dns.ttl.from_text(text)
    except (dns.ttl.BadTTL, ValueError):
        raise ValueError(f"{quoted(text)} is no TTL; give seconds, at most 2147483647") from None


NameText = Annotated[
    dns.name.Name,
    BeforeValidator(_name),
    WithJsonSchema({"type": "string", "pattern": r"^\s*\S+\s*$"}),
]
QuestionText = Annotated[
    Question,
    BeforeValidator(parse_question),
    WithJsonSchema({"type": "string", "pattern": r"^\s*\S+(\s+\S+)?\s*$"}),
]
DurationText = Annotated[
    float,
    BeforeValidator(parse_duration),
    WithJsonSchema({"type": "string", "pattern": r"^(?=.)(\d+d)?(\d+h)?(\d+m)?(\d+s)?$"}),
]
RecordText = Annotated[
    Record,
    BeforeValidator(parse_record),
    WithJsonSchema({"type": "string", "pattern": r"^\s*\S+\s+\S+.*$"}),
]
