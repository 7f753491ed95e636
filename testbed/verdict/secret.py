"""The secret: the target zone and the sensitive name, and what gives them away."""

from __future__ import annotations

import dns.name

from testbed.record import SECRETS, Secret
from testbed.verdict.messages import ADDITIONAL, NSEC, NSEC3, RRSIG, Dns, DnsFormatError, Labels, Record

NONE, ZONE, NAME = range(3)
"""How much is given away, as indices into record.SECRETS."""


def word(level: int) -> Secret:
    """The word that records use."""
    return SECRETS[level]


class SecretNames:
    """Looks for the two names, in whatever case.

    A name gives the zone away when the labels of the zone stand in it one after the other, wherever: at its
    end as in a query, or inside as in the reports of RFC 9567. The same holds for the sensitive name.
    """

    def __init__(self, zone: dns.name.Name, name: dns.name.Name) -> None:
        self._zone = _labels(zone)
        self._name = _labels(name)
        longest = max(self._zone, key=len, default=b"")
        self._mark = bytes((len(longest),)) + longest
        wire = b"".join(bytes((len(label),)) + label for label in self._name)
        self._raw = (wire, b".".join(self._name)) if self._name else ()

    def in_labels(self, labels: Labels) -> int:
        """What a name gives away."""
        if _within(self._name, labels):
            return NAME
        return ZONE if _within(self._zone, labels) else NONE

    def in_host(self, host: str | None) -> int:
        """What a host name without a final dot gives away."""
        if host is None:
            return NONE
        return self.in_labels(tuple(host.lower().encode("latin-1", "replace").split(b".")))

    def in_request(self, authority: str, path: str) -> int:
        """What an HTTP request gives away besides its DNS message, by its host and its path."""
        return max(self.in_host(part.rstrip(".")) for part in (authority, *path.split("/")))

    def in_message(self, message: Dns) -> int:
        """What a message gives away: by its question, and its answer and authority records.

        NSEC and NSEC3 records do not count: their names are neighbours of what was asked for. Nor does the
        additional section, whose glue may be about any zone that a server has to do with.
        """
        if self._mark not in message.wire.lower():
            return NONE
        level = max((self.in_labels(name) for name, _ in message.questions), default=NONE)
        for record in message.records:
            if level == NAME:
                break
            if record.section != ADDITIONAL and not _is_denial(message, record):
                level = max(level, self._in_record(message, record))
        return level

    def accounts_for(self, message: Dns) -> bool:
        """Whether the sensitive name stands where the scanner has read it, be it that it does not count."""
        if any(self.in_labels(name) == NAME for name, _ in message.questions):
            return True
        return any(self._in_record(message, record) == NAME for record in message.records)

    def find(self, octets: bytes) -> list[tuple[int, int]]:
        """Where in any octets the sensitive name stands in wire form or as text: starts and ends."""
        octets = octets.lower()
        found = []
        for needle in self._raw:
            position = octets.find(needle)
            while position >= 0:
                found.append((position, position + len(needle)))
                position = octets.find(needle, position + 1)
        return found

    def _in_record(self, message: Dns, record: Record) -> int:
        try:
            level = self.in_labels(message.owner(record))
        except DnsFormatError:
            level = NONE
        return max(level, *(self.in_labels(name) for name in message.names_in(record)), NONE)


def _is_denial(message: Dns, record: Record) -> bool:
    if record.rdtype != RRSIG:
        return record.rdtype in (NSEC, NSEC3)
    return int.from_bytes(message.wire[record.start : record.start + 2]) in (NSEC, NSEC3)


def _labels(name: dns.name.Name) -> Labels:
    return tuple(label.lower() for label in name.labels if label)


def _within(inner: Labels, outer: Labels) -> bool:
    """Whether labels stand in others one after the other. None at all are not to be found anywhere."""
    if not inner:
        return False
    size = len(inner)
    return any(outer[start : start + size] == inner for start in range(len(outer) - size + 1))
