"""An authoritative name server, from query to response; whoever has the sockets calls it."""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterable

import dns.exception
import dns.flags
import dns.message
import dns.opcode
import dns.rcode
import dns.rdataclass
from dns.rdatatype import RdataType

from testbed.core import message as messages
from testbed.core.deleg import DE_FLAG
from testbed.core.lookup import ADDRESSES, Lookup, Zones
from testbed.core.transfer import transfer
from testbed.core.transport import Transport
from testbed.core.zone import Zone

ResponseExtension = Callable[[dns.message.Message, dns.message.Message, Zone], None]
"""Something that may add to a response: called with the query, the response, and the zone that it is from.

It must do the same each time for the same query, since responses are remembered, and must not change the
RRsets that are in the response already.
"""

Statement = Callable[[dns.message.Message, dns.message.Message, Zone, Transport], None]
"""Something that a server says of itself: as above, and told over what the response will go."""

IDLE_TIMEOUT = 30.0
"""Seconds for which sessions may be idle, as told to clients that ask (RFC 7828)."""

MOST_REMEMBERED = 4096
"""Responses that are kept ready for the same query to come again."""

_HEADER = 12
_QR = 0x80
_TC = 0x02
_SMALLEST_PAYLOAD = 512
_TRANSFERS = (RdataType.AXFR, RdataType.IXFR)
_NO_QUESTIONS = {
    RdataType.NONE: dns.rcode.FORMERR,
    RdataType.OPT: dns.rcode.FORMERR,
    RdataType.TKEY: dns.rcode.NOTIMP,
    RdataType.TSIG: dns.rcode.NOTIMP,
    RdataType.MAILB: dns.rcode.NOTIMP,
    RdataType.MAILA: dns.rcode.NOTIMP,
}


class Authoritative:
    """Answers queries from zones, and from nothing else; it offers no recursion.

    ``transfers`` says whether zones may be had by AXFR. ``extensions``, and then ``statements``, are applied
    to each response from a zone, in order, zone transfers excepted. Raises ValueError when two zones have the
    same origin.
    """

    def __init__(
        self,
        zones: Iterable[Zone],
        *,
        transfers: bool = True,
        extensions: Iterable[ResponseExtension] = (),
        statements: Iterable[Statement] = (),
        idle_timeout: float = IDLE_TIMEOUT,
    ) -> None:
        self._zones = Zones(zones)
        self._transfers = transfers
        self._extensions = tuple(extensions)
        self._statements = tuple(statements)
        self._idle_timeout = idle_timeout
        self._remembered: dict[tuple[bytes, Transport], bytes] = {}

    def respond_wire(self, wire: bytes, transport: Transport) -> list[bytes]:
        """The messages to send back for the octets that came in; never raises for any octets.

        What is no query, or not even a header, gets no answer; a query that cannot be read, FORMERR. Over UDP
        the response is cut to what the client can take, 1232 octets at most. Only a zone transfer has more
        than one message.
        """
        key = (wire[2:], transport)
        known = self._remembered.get(key)
        if known is not None:
            return [wire[:2] + known]
        responses = self._respond_wire(wire, transport)
        if len(responses) == 1:
            if len(self._remembered) >= MOST_REMEMBERED:
                del self._remembered[next(iter(self._remembered))]
            self._remembered[key] = responses[0][2:]
        return responses

    def _respond_wire(self, wire: bytes, transport: Transport) -> list[bytes]:
        if len(wire) < _HEADER or wire[2] & _QR:
            return []
        if dns.opcode.from_flags(int.from_bytes(wire[2:4], "big")) != dns.opcode.QUERY:
            return [_bare(wire, dns.rcode.NOTIMP)]
        try:
            query = dns.message.from_wire(wire)
        except dns.exception.DNSException:
            return [_bare(wire, dns.rcode.FORMERR)]
        try:
            return [_encode(query, response, transport) for response in self.respond(query, transport)]
        except dns.exception.TooBig:
            return [_bare(wire, dns.rcode.SERVFAIL)]

    def respond(self, query: dns.message.Message, transport: Transport) -> list[dns.message.Message]:
        """The response to a query, or the series of them that a zone transfer is; not cut to any size.

        The RRsets in it are the zones' own and must not be changed.
        """

        def new_message() -> dns.message.Message:
            return self._start(query, transport)

        response = new_message()
        refusal = _refusal(query)
        if refusal is not None:
            response.set_rcode(refusal)
            return [response]
        question = query.question[0]
        if question.rdtype in _TRANSFERS:
            return self._transfer(query, transport, new_message)
        extended = bool(query.ednsflags & DE_FLAG)
        zone = self._zones.holding(question.name, question.rdtype, extended)
        if zone is None:
            response.set_rcode(dns.rcode.REFUSED)
            return [response]
        Lookup(self._zones, response, bool(query.ednsflags & dns.flags.DO), extended).run(zone)
        for extend in self._extensions:
            extend(query, response, zone)
        for state in self._statements:
            state(query, response, zone, transport)
        return [response]

    def _start(self, query: dns.message.Message, transport: Transport) -> dns.message.Message:
        """A response with nothing but the question and, if the query had it, EDNS (RFC 6891 section 7)."""
        response = dns.message.QueryMessage(id=query.id)
        response.flags = dns.flags.QR | (query.flags & dns.flags.RD)
        response.set_opcode(query.opcode())
        response.question = list(query.question)
        if query.opt is not None:
            response.use_edns(0, query.ednsflags & (dns.flags.DO | DE_FLAG), messages.PAYLOAD)
            if transport in (Transport.TCP, Transport.DOT) and messages.has_keepalive(query):
                messages.add_keepalive(response, self._idle_timeout)
        return response

    def _transfer(
        self,
        query: dns.message.Message,
        transport: Transport,
        new_message: Callable[[], dns.message.Message],
    ) -> list[dns.message.Message]:
        question = query.question[0]
        zone = self._zones.at(question.name)
        if zone is not None and self._transfers:
            if transport.stream:
                return list(transfer(zone, new_message))
            if question.rdtype == RdataType.IXFR:
                # The SOA alone says what version there is, and to come back over TCP (RFC 1995 section 4).
                response = new_message()
                response.flags |= dns.flags.AA
                response.answer.append(zone.soa)
                return [response]
        response = new_message()
        response.set_rcode(dns.rcode.NOTAUTH if zone is None else dns.rcode.REFUSED)
        return [response]


def _refusal(query: dns.message.Message) -> dns.rcode.Rcode | None:
    """The RCODE for a query that can have no answer, whatever the zones hold."""
    if query.opcode() != dns.opcode.QUERY:
        return dns.rcode.NOTIMP
    if query.edns > 0:
        return dns.rcode.BADVERS
    if len(query.question) != 1:
        return dns.rcode.FORMERR
    question = query.question[0]
    if question.rdclass != dns.rdataclass.IN:
        return dns.rcode.REFUSED
    return _NO_QUESTIONS.get(question.rdtype)


def _encode(query: dns.message.Message, response: dns.message.Message, transport: Transport) -> bytes:
    if transport.encrypted and messages.is_padded(query):
        return messages.pad(response, messages.RESPONSE_BLOCK)
    if transport.stream:
        return messages.encode(response)
    payload = query.payload if query.opt is not None else _SMALLEST_PAYLOAD
    wire = messages.encode(response, min(max(payload, _SMALLEST_PAYLOAD), messages.PAYLOAD))
    additional = int.from_bytes(wire[10:12], "big") - (response.opt is not None)
    if additional < _required_glue(response):
        return wire[:2] + bytes((wire[2] | _TC,)) + wire[3:]
    return wire


def _required_glue(response: dns.message.Message) -> int:
    """The number of glue records that a referral is of no use without, and that come first (RFC 9471)."""
    if response.flags & dns.flags.AA or not response.authority:
        return 0
    cut = response.authority[0].name
    glue = (rrset for rrset in response.additional if rrset.rdtype in ADDRESSES)
    return sum(len(rrset) for rrset in glue if rrset.name.is_subdomain(cut))


def _bare(wire: bytes, rcode: dns.rcode.Rcode) -> bytes:
    """A response of a header only, to a query that was not read any further."""
    return wire[:2] + struct.pack("!BB8x", _QR | (wire[2] & 0x79), rcode)
