"""Attackers on DNSSEC: what they make of responses, and that a resolver that validates is not taken in."""

from __future__ import annotations

import dns.name
import dns.rcode
import dns.rdatatype
import pytest
from signalling import SECRET, over
from worlds import attacker, network, policy, world

from testbed.attack.api import Query, Response
from testbed.core import message
from testbed.core.message import encode
from testbed.core.transport import Transport

SIGNED = world()


def _plainly(roles):
    return {role: {} for role in roles}


OPTING_OUT = {"target-parent": {"denial": "nsec3", "opt_out": True}}


def ask(of, name, link, *, dnssec=True, looks_for=(), base="strict", **parameters):
    one = attacker(of, name, link, **parameters)
    net = network(of, policy(base, dnssec=dnssec), looks_for, {link: [one]})
    return net.ask(SECRET), net, one


@pytest.mark.parametrize(
    ("name", "link", "parameters"),
    [
        ("strip-records", "target", {"strip": ["RRSIG"]}),
        ("strip-records", "target", {"strip": ["DNSKEY"]}),
        ("change-algorithm", "target", {}),
        ("change-algorithm", "target", {"records": ["DNSKEY"]}),
        ("change-algorithm", "target-parent", {"records": ["DS"]}),
        ("claim-insecure", "target-parent", {}),
        ("claim-insecure", "target-parent", {"proof": "none"}),
        ("deny-delegation", "target-parent", {}),
    ],
)
def test_who_validates_notices(name, link, parameters):
    response, _, one = ask(SIGNED, name, link, **parameters)
    assert response.rcode() == dns.rcode.SERVFAIL
    assert one.spent.altered == one.matches > 0


@pytest.mark.parametrize("name", ["change-algorithm", "claim-insecure"])
def test_who_does_not_validate_does_not_miss_it(name):
    link = "target" if name == "change-algorithm" else "target-parent"
    response, _, one = ask(SIGNED, name, link, dnssec=False)
    assert response.answer
    assert one.matches


@pytest.mark.parametrize("dnssec", [True, False])
def test_a_signal_in_ds_records_is_lost_with_them(dnssec):
    of = world(signal=("ds-glue",), secure=("target",))
    response, net, _ = ask(of, "claim-insecure", "ns-parent", dnssec=dnssec, looks_for=["ds-glue"])
    assert bool(response.answer) is not dnssec
    assert over(net) == (set() if dnssec else {"udp"})


@pytest.mark.parametrize("proof", ["none", "made-up"])
def test_a_question_for_ds_records_is_denied(proof):
    query = message.query(dns.name.from_text("example.org."), dns.rdatatype.DS, id=1)
    (response,) = SIGNED.authoritative("target-parent").respond(query, Transport.TCP)
    asked = Query(encode(query), Transport.TCP, "target-parent")
    one = attacker(SIGNED, "claim-insecure", "target-parent", proof=proof)
    made = one.response(Response(encode(response), asked)).message
    assert not made.answer
    types = {rrset.rdtype.name for rrset in made.authority}
    assert types == {"SOA"} | ({"NSEC"} if proof == "made-up" else set())


# -- spans that parents opt out of -------------------------------------------------------------------

UNSIGNED_TARGET = ("root", "ns-parent", "ns-zone")


@pytest.mark.parametrize(
    ("how", "rcode"),
    [
        ({}, dns.rcode.SERVFAIL),
        ({"denial": "nsec3"}, dns.rcode.SERVFAIL),
        ({"denial": "nsec3", "opt_out": True}, dns.rcode.NXDOMAIN),
    ],
)
def test_an_unsigned_delegation_can_be_denied_where_the_parent_opts_out(how, rcode):
    of = world(signed={**_plainly(UNSIGNED_TARGET), "target-parent": how})
    response, _, one = ask(of, "deny-delegation", "target-parent")
    assert response.rcode() == rcode
    assert one.matches


def test_a_signed_delegation_cannot():
    of = world(signed={**_plainly((*UNSIGNED_TARGET, "target")), **OPTING_OUT})
    response, _, _ = ask(of, "deny-delegation", "target-parent")
    assert response.rcode() == dns.rcode.SERVFAIL


def test_nor_without_the_parents_records():
    of = world(signed={**_plainly(UNSIGNED_TARGET), **OPTING_OUT})
    response, _, _ = ask(of, "deny-delegation", "target-parent", proofs="none")
    assert response.rcode() == dns.rcode.SERVFAIL
