"""What a response from a name server is: an answer, a referral, a denial, or of no use."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum

import dns.flags
import dns.message
import dns.name
import dns.rcode
import dns.rdatatype
import dns.rrset

from testbed.core.deleg import DELEG
from testbed.core.message import find
from testbed.core.resolver.wire import Question


class Kind(Enum):
    """Kinds of responses (RFC 1034 section 5.3.3, RFC 2308 section 2)."""

    ANSWER = "answer"
    ALIAS = "alias"
    REFERRAL = "referral"
    NODATA = "no data"
    NXDOMAIN = "no such name"
    LAME = "lame"


@dataclass(frozen=True, slots=True)
class Reading:
    """A response that was read. ``zone`` is the child in a referral, the SOA's owner in a denial.

    ``rrsets`` are those that make up the answer, the alias that it starts with included.
    """

    kind: Kind
    zone: dns.name.Name | None = None
    rrsets: tuple[dns.rrset.RRset, ...] = ()
    alias: dns.name.Name | None = None


def read(response: dns.message.Message, question: Question, zone: dns.name.Name) -> Reading:
    """Read a response to a question that was put to a server of a zone.

    Whatever lies outside the zone is not looked at (RFC 2181 section 5.4.1, RFC 5452 section 6).
    """
    authoritative = bool(response.flags & dns.flags.AA)
    exact = find(response.answer, question.name, question.rdtype)
    if exact is not None and authoritative:
        return Reading(Kind.ANSWER, rrsets=(exact,))
    if authoritative:
        alias = _alias(response, question, zone)
        if alias is not None:
            return alias
    soa = next((rrset for rrset in response.authority if rrset.rdtype == dns.rdatatype.SOA), None)
    if authoritative and soa is not None and _encloses(soa.name, zone, question.name):
        return _denial(response, soa.name)
    # DELEG stands in for NS records, which do not count beside it (draft-ietf-dnsop-delext section 5.2).
    for rdtype in (DELEG, dns.rdatatype.NS):
        for rrset in response.authority:
            if rrset.rdtype == rdtype and _below(rrset.name, zone, question.name):
                return Reading(Kind.REFERRAL, zone=rrset.name, rrsets=(rrset,))
    if not authoritative:
        return Reading(Kind.LAME)
    return _denial(response, soa.name if soa is not None and soa.name.is_subdomain(zone) else None)


def _denial(response: dns.message.Message, apex: dns.name.Name | None) -> Reading:
    kind = Kind.NXDOMAIN if response.rcode() == dns.rcode.NXDOMAIN else Kind.NODATA
    return Reading(kind, zone=apex)


def _alias(response: dns.message.Message, question: Question, zone: dns.name.Name) -> Reading | None:
    """The first step of a chain of aliases: a CNAME, or a DNAME and the name that follows from it."""
    for rrset in response.answer:
        if (
            rrset.rdtype == dns.rdatatype.DNAME
            and rrset.name.is_subdomain(zone)
            and question.name.is_subdomain(rrset.name)
            and question.name != rrset.name
        ):
            prefix = question.name.relativize(rrset.name)
            target = prefix.concatenate(rrset[0].target)
            synthesised = dns.rrset.from_text(question.name, rrset.ttl, "IN", "CNAME", target.to_text())
            return Reading(Kind.ALIAS, rrsets=(rrset, synthesised), alias=target)
    cname = find(response.answer, question.name, dns.rdatatype.CNAME)
    if cname is None:
        return None
    return Reading(Kind.ALIAS, rrsets=(cname,), alias=cname[0].target)


def _below(child: dns.name.Name, zone: dns.name.Name, qname: dns.name.Name) -> bool:
    return child != zone and _encloses(child, zone, qname)


def _encloses(apex: dns.name.Name, zone: dns.name.Name, qname: dns.name.Name) -> bool:
    return apex.is_subdomain(zone) and qname.is_subdomain(apex)


def useless(question: Question, zone: dns.name.Name) -> Callable[[dns.message.Message], str | None]:
    """A test for responses that do not lead any further: those of lame servers (RFC 9499)."""

    def reason(response: dns.message.Message) -> str | None:
        if read(response, question, zone).kind is Kind.LAME:
            return "lame: neither an answer with authority nor a referral"
        return None

    return reason
