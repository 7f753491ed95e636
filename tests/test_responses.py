"""Reading responses: what a name server's message amounts to."""

from __future__ import annotations

import dns.flags
import dns.message
import dns.name
import dns.rrset
import pytest

from testbed.core.resolver.responses import Kind, read
from testbed.core.resolver.wire import Question

ORG = dns.name.from_text("org.")
NAME = dns.name.from_text("secret.example.org.")
SOA = "example.org. 300 IN SOA ns.x. host.x. 1 1 1 1 1"
NS = "example.org. 300 IN NS ns1.dnshost.net."


def response(*authority, aa=True):
    message = dns.message.make_response(dns.message.make_query(NAME, "TXT"))
    if aa:
        message.flags |= dns.flags.AA
    for text in authority:
        owner, ttl, rdclass, rdtype, *rdata = text.split()
        message.authority.append(dns.rrset.from_text(owner, int(ttl), rdclass, rdtype, " ".join(rdata)))
    return message


@pytest.mark.parametrize("authority", [(SOA, NS), (NS, SOA)])
def test_ns_records_beside_an_soa_make_no_referral(authority):
    """RFC 2308 section 2.2, "NODATA response, type 1": the SOA tells it from a referral."""
    reading = read(response(*authority), Question(NAME, dns.rdatatype.TXT), ORG)
    assert reading.kind is Kind.NODATA
    assert reading.zone == dns.name.from_text("example.org.")


@pytest.mark.parametrize("aa", [False, True])
def test_ns_records_alone_make_one(aa):
    reading = read(response(NS, aa=aa), Question(NAME, dns.rdatatype.TXT), ORG)
    assert (reading.kind, reading.zone) == (Kind.REFERRAL, dns.name.from_text("example.org."))


def test_an_soa_that_has_nothing_to_do_with_the_question_changes_nothing():
    other = SOA.replace("example.org.", "example.net.", 1)
    assert read(response(NS, other), Question(NAME, dns.rdatatype.TXT), ORG).kind is Kind.REFERRAL


def test_a_server_without_authority_denies_nothing():
    assert read(response(SOA, NS, aa=False), Question(NAME, dns.rdatatype.TXT), ORG).kind is Kind.REFERRAL
