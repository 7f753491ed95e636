"""The attacker of the matrix: takes away and forges what nobody signed, and nothing else."""

from __future__ import annotations

import dns.flags
import dns.name
import dns.rdatatype
import pytest
from signalling import SECRET, over
from worlds import ALL_SIGNED, attacker, network, policy, world

from testbed.attack.api import Connect, Query, Replace, Reset, Response
from testbed.core import message
from testbed.core.message import encode
from testbed.core.transport import Transport

NAME = "forge-unsigned"
DE = 0x2000


def answered(of, role, name, rdtype="A"):
    """What a role's server answers, with the query."""
    query = message.query(dns.name.from_text(name), dns.rdatatype.from_text(rdtype), id=1)
    (response,) = of.authoritative(role).respond(query, Transport.TCP)
    return Response(encode(response), Query(encode(query), Transport.TCP, "192.0.2.1"))


def altered(of, role, name, rdtype="A", **parameters):
    """What the resolver gets instead; None when the response passes as it is."""
    made = attacker(of, NAME, role, **parameters)
    action = made.response(answered(of, role, name, rdtype))
    assert bool(made.matches) is (action is not None)
    return action.message if isinstance(action, Replace) else None


def types(section):
    return {rrset.rdtype for rrset in section}


@pytest.mark.parametrize("signed", [ALL_SIGNED, ()])
def test_unsigned_glue_records_are_stripped_and_signed_ones_are_not(signed):
    of = world(signal=("ds-glue",), secure=("target",), signed=signed)
    made = altered(of, "ns-parent", "ns1.dnshost.net.", own_server=False)
    if signed:
        assert made is None
    else:
        assert dns.rdatatype.DS not in types(made.authority)


def test_ordinary_ds_records_stay():
    of = world(signal=("ds-glue",), secure=("target",), signed=("root", "ns-parent", "ns-zone"))
    response = answered(of, "ns-parent", "ns1.dnshost.net.").message
    response.authority[:] = [rrset for rrset in response.authority if rrset.rdtype != dns.rdatatype.RRSIG]
    unsigned = Response(encode(response), answered(of, "ns-parent", "ns1.dnshost.net.").query)
    action = attacker(of, NAME, "ns-parent", own_server=False).response(unsigned)
    (left,) = [rrset for rrset in action.message.authority if rrset.rdtype == dns.rdatatype.DS]
    assert {ds.algorithm for ds in left} == {13}


def test_a_denial_of_what_was_stripped_from_the_answer_can_be_remembered():
    of = world(signal=("svcb-query",), secure=("target",), signed=("root", "ns-parent"))
    made = altered(of, "ns-zone", "_dns.ns1.dnshost.net.", "SVCB")
    assert not made.answer
    assert dns.rdatatype.SOA in types(made.authority)


def test_what_rides_along_is_stripped_even_where_it_is_signed():
    of = world(signal=("svcb-glue",), secure=("target",))
    made = altered(of, "ns-parent", "ns1.dnshost.net.", own_server=False)
    assert dns.rdatatype.SVCB not in types(made.additional)


def test_the_delegation_leads_to_its_own_server():
    of = world(secure=("target",))
    made = altered(of, "target-parent", "example.org.")
    (servers,) = [rrset for rrset in made.authority if rrset.rdtype == dns.rdatatype.NS]
    assert [rdata.target.to_text() for rdata in servers] == ["ns.evil-dns.net."]
    assert dns.rdatatype.DS in types(made.authority)
    assert altered(of, "target-parent", "example.org.", own_server=False) is None


def test_its_own_zone_it_leaves_alone():
    of = world(signal=("ds-glue",), secure=("target",), signed=())
    assert altered(of, "ns-parent", "ns.evil-dns.net.") is None


def test_glue_and_unsigned_addresses_become_its_own_and_signed_ones_do_not():
    unsigned = world(signed=("root", "ns-parent"))
    made = altered(unsigned, "ns-zone", "ns1.dnshost.net.")
    own = unsigned.topology.by_role["evil"].ipv4
    assert [rdata.address for rdata in made.answer[0]] == [own]
    made = altered(world(), "ns-zone", "ns1.dnshost.net.")
    assert made is None or made.answer == answered(world(), "ns-zone", "ns1.dnshost.net.").message.answer


def test_what_it_serves_keeps_its_signatures():
    of = world()
    served = {zone.origin: zone for zone in attacker(of, NAME, "root").serves()}
    for origin, zone in of.zones.items():
        if origin in served and zone.signed:
            for rrset in zone:
                if zone.signatures(rrset.name, rrset.rdtype) is not None:
                    assert served[origin].rrset(rrset.name, rrset.rdtype) == rrset
    assert not list(attacker(of, NAME, "root", own_server=False).serves())


@pytest.mark.parametrize(("port", "action"), [(853, Reset()), (443, Reset()), (53, None)])
def test_encryption_is_blocked(port, action):
    assert attacker(world(), NAME, "target").connect(Connect("tcp", port, "192.0.2.1")) == action


def test_delegation_types_are_not_asked_for():
    query = message.query(dns.name.from_text(SECRET), dns.rdatatype.A, id=1)
    made = attacker(world(), NAME, "target-parent")
    assert made.query(Query(encode(query), Transport.UDP, "192.0.2.1")) is None
    query.ednsflags |= DE
    action = made.query(Query(encode(query), Transport.UDP, "192.0.2.1"))
    assert not action.message.ednsflags & DE
    assert action.message.ednsflags & dns.flags.DO


@pytest.mark.parametrize(("own_server", "reached"), [(True, "evil"), (False, "target")])
def test_a_stripped_signal_has_the_resolver_ask_in_clear(own_server, reached):
    of = world(signal=("ds-glue",), secure=("target",), signed=())
    placed = {"ns-parent": [attacker(of, NAME, "ns-parent", own_server=own_server)]}
    net = network(of, policy(), ["ds-glue"], placed)
    net.ask(SECRET)
    assert over(net, role=reached) == {"udp"}


def test_where_all_is_signed_it_gets_nothing_by_stripping():
    of = world(signal=("ds-glue",), secure=("target",))
    net = network(
        of, policy(), ["ds-glue"], {"ns-parent": [attacker(of, NAME, "ns-parent", own_server=False)]}
    )
    net.ask(SECRET)
    assert over(net) == {"dot"}
