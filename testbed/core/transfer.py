"""Zone transfers as a series of messages (RFC 5936 section 2.2): made, and taken in."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import dns.exception
import dns.flags
import dns.message
import dns.name
import dns.opcode
import dns.rcode
import dns.rdataclass
import dns.rdatatype
import dns.rrset

from testbed.core.transport import Failure, TransportError
from testbed.core.zone import Zone, ZoneError

MESSAGE_SIZE = 32768
"""Octets of records, before compression, that go into one message; a larger RRset has one to itself."""

_RECORD_HEADER = 10
_Key = tuple[dns.name.Name, dns.rdatatype.RdataType, dns.rdatatype.RdataType]


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


class Incoming:
    """A zone transfer as it comes in, message by message: from the SOA record to the same SOA record.

    ``identifier`` is the message ID of the query. ``asked`` is its type: servers answer one for changes
    (IXFR) with the whole zone, too, where they have kept no changes (RFC 1995 section 4). Records out of the
    zone are left out (RFC 8976 section 3.3.1 does not digest them, and nobody asked for them).
    """

    def __init__(
        self,
        origin: dns.name.Name,
        identifier: int,
        asked: dns.rdatatype.RdataType = dns.rdatatype.AXFR,
    ) -> None:
        self._origin = origin
        self._identifier = identifier
        self._asked = asked
        self._first: dns.rrset.RRset | None = None
        self._rrsets: dict[_Key, dns.rrset.RRset] = {}
        self._complete = False

    def take(self, wire: bytes) -> bool:
        """Take the next message; whether it was the last one.

        Raises TransportError for what is no part of a zone transfer, errors that the server reports included.
        """
        try:
            message = dns.message.from_wire(wire, xfr=True, one_rr_per_rrset=True)
        except dns.exception.DNSException as error:
            raise _broken(f"not a DNS message: {error}") from error
        self._check(message)
        for record in message.answer:
            self._take(record)
        return self._complete

    def _check(self, message: dns.message.Message) -> None:
        """Check what is not records (RFC 5936 sections 2.2.1 to 2.2.4). TC means nothing here."""
        if message.id != self._identifier or not message.flags & dns.flags.QR:
            raise _broken("not a response to the query")
        if message.opcode() != dns.opcode.QUERY:
            raise _broken("not a response to a query")
        if message.rcode() != dns.rcode.NOERROR:
            raise _broken(f"the server says {dns.rcode.to_text(message.rcode())}")
        if not message.flags & dns.flags.AA:
            raise _broken("a message without authority")
        asked = [(question.name, question.rdtype) for question in message.question]
        if asked != [(self._origin, self._asked)] and (asked or self._first is None):
            raise _broken("a message with another question")
        if not message.answer or message.authority:
            raise _broken("a message with other sections than it must have")

    def _take(self, record: dns.rrset.RRset) -> None:
        if self._complete:
            raise _broken("records after the last SOA record")
        if record.rdclass != dns.rdataclass.IN:
            raise _broken("a record that is not of class IN")
        at_apex = record.rdtype == dns.rdatatype.SOA and record.name == self._origin
        if self._first is None:
            if not at_apex:
                raise _broken("it does not begin with the SOA record")
            self._first = record
        elif at_apex:
            if record != self._first:
                raise _broken("the SOA record at its end is another one")
            self._complete = True
            return
        if record.name.is_subdomain(self._origin):
            key = (record.name, record.rdtype, record.covers)
            held = self._rrsets.get(key)
            if held is None:
                self._rrsets[key] = record
            else:
                held.add(record[0], record.ttl)

    @property
    def unchanged(self) -> bool:
        """Whether the SOA record is all that came: nothing has changed since (RFC 1995 section 4)."""
        return self._asked == dns.rdatatype.IXFR and sum(map(len, self._rrsets.values())) == 1

    def zone(self) -> Zone:
        """The zone, once it is complete. Raises TransportError when the records make none."""
        if not self._complete:
            raise _broken("it is not complete")
        try:
            return Zone(self._origin, self._rrsets.values())
        except ZoneError as error:
            raise _broken(str(error)) from error


def _broken(reason: str) -> TransportError:
    return TransportError(Failure.PROTOCOL, f"zone transfer: {reason}")
