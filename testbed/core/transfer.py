"""Zone transfers as a series of messages (RFC 5936 section 2.2)."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import dns.flags
import dns.message
import dns.rrset

from testbed.core.zone import Zone

MESSAGE_SIZE = 32768
"""Octets of records, before compression, that go into one message; a larger RRset has one to itself."""

_RECORD_HEADER = 10


def transfer(
    zone: Zone, new_message: Callable[[], dns.message.Message], size: int = MESSAGE_SIZE
) -> Iterator[dns.message.Message]:
    """The messages that carry a whole zone; each starts as what ``new_message`` gives."""
    message, room = new_message(), size
    message.flags |= dns.flags.AA
    for rrset in zone.transfer():
        length = _length(rrset)
        if length > room and message.answer:
            yield message
            message, room = new_message(), size
            message.flags |= dns.flags.AA
        message.answer.append(rrset)
        room -= length
    yield message


def _length(rrset: dns.rrset.RRset) -> int:
    owner = sum(len(label) + 1 for label in rrset.name.labels)
    return sum(owner + _RECORD_HEADER + len(rdata.to_wire() or b"") for rdata in rrset)
