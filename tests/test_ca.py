"""A CA that looks in DNS who controls a name: what it looks for, and an attacker that answers."""

from __future__ import annotations

import random

import dns.name
import dns.rdatatype
import dns.rrset
import pytest
from places import described
from scenario_files import complaints
from worlds import scene_of, world

from attackers.impersonate import ImpersonateServer
from attackers.obtain_certificate import ObtainCertificate
from testbed import topology
from testbed.attack.api import Handshake, Impersonate, Query, Reply, Response
from testbed.attack.chain import Chain
from testbed.core import acme, message
from testbed.core.pki import private_key
from testbed.core.transport import Transport
from testbed.network.layout import lay_out

NAME = dns.name.from_text("ns1.dnshost.net.")
OWN = dns.name.from_text("ca.example.")
ACCOUNT = private_key(0, "account").public_key()


def challenge(seed: int = 0) -> acme.Challenge:
    return acme.challenge(NAME, ACCOUNT, random.Random(seed))


def txt(*texts: str) -> dns.rrset.RRset:
    return dns.rrset.from_text(challenge().owner, 300, "IN", "TXT", *texts)


def caa(*texts: str) -> dns.rrset.RRset:
    return dns.rrset.from_text(NAME, 300, "IN", "CAA", *texts)


def test_the_answer_is_the_digest_of_token_and_account_key():
    one = challenge()
    assert one.owner == dns.name.from_text("_acme-challenge.ns1.dnshost.net.")
    assert len(one.token) >= 22  # 128 bits in base64url
    assert len(one.answer) == 43  # SHA-256 in base64url, without padding
    assert one.answer != challenge(seed=1).answer
    other = acme.challenge(NAME, private_key(0, "another").public_key(), random.Random(0))
    assert one.token == other.token
    assert one.answer != other.answer


def test_one_of_several_txt_records_is_enough_and_strings_are_joined():
    answer = challenge().answer
    assert challenge().met(txt('"something"', f'"{answer[:20]}" "{answer[20:]}"'))
    assert not challenge().met(txt(f'"{answer}x"'))
    assert not challenge().met(None)


def test_caa_records_are_looked_for_up_to_but_not_at_the_root():
    assert [str(place) for place in acme.places_of_caa(NAME)] == ["ns1.dnshost.net.", "dnshost.net.", "net."]


@pytest.mark.parametrize(
    ("records", "allowed"),
    [
        (['0 issue "ca.example"'], True),
        (['0 issue "other.example"', '0 issue "CA.example; policy=ev"'], True),
        (['0 issue "other.example"'], False),
        (['0 issue ";"'], False),
        (['0 iodef "mailto:security@dnshost.net"'], True),
        (['0 issuewild ";"'], True),
        (['128 future "x"', '0 issue "ca.example"'], False),
        (['0 future "x"'], True),
    ],
)
def test_caa_records_name_the_cas_that_may_issue(records, allowed):
    assert acme.may_issue(caa(*records), OWN) is allowed


def asked(name: dns.name.Name, rdtype: str) -> Query:
    query = message.query(name, dns.rdatatype.from_text(rdtype), id=7)
    return Query(query.to_wire(), Transport.UDP, "ns-zone")


def attacker(**parameters: object) -> ObtainCertificate:
    of = world(records=['dnshost.net CAA 0 issue "other.example"'])
    return ObtainCertificate(scene_of(of, "ca"), ObtainCertificate.Parameters(**parameters))


def test_the_attacker_answers_the_challenge_that_it_was_told_of_and_no_other():
    one = attacker()
    assert one.query(asked(challenge().owner, "TXT")) is None
    one.challenged(challenge())
    assert one.query(asked(challenge().owner, "A")) is None
    assert one.query(asked(NAME, "TXT")) is None
    action = one.query(asked(challenge().owner, "TXT"))
    assert isinstance(action, Reply)
    assert challenge().met(action.message.answer[0])


@pytest.mark.parametrize("hide_caa", [True, False])
def test_the_attacker_hides_caa_records_if_it_is_to(hide_caa):
    zone = dns.name.from_text("dnshost.net.")
    query = asked(zone, "CAA")
    server = world(records=['dnshost.net CAA 0 issue "other.example"']).authoritative("ns-zone")
    (wire,) = server.respond_wire(query.wire, Transport.UDP)
    action = attacker(hide_caa=hide_caa).response(Response(wire, query))
    assert (action is not None) is hide_caa
    if action is not None:
        assert not action.message.answer
        assert action.message.authority[0].rdtype == dns.rdatatype.SOA


def test_nobody_presents_a_certificate_that_was_not_issued():
    of, obtained = world(secure=("target",)), set()
    place = scene_of(of, "target", obtained)
    impostor = ImpersonateServer(place, ImpersonateServer.Parameters(certificate="obtained"))
    hello = Handshake("target", 853, "ns1.dnshost.net", ("dot",), 512)
    chain = Chain([impostor])
    assert chain.handshake(hello) is None
    assert not impostor.actions
    obtained.add("target")
    assert chain.handshake(hello) == Impersonate("obtained")
    assert sum(impostor.actions.values()) == 1


def test_a_ca_reaches_all_servers_over_a_link_of_its_own():
    place = topology.load("hosted-ca")
    assert place.links[-1] == "ca"
    plans = lay_out(place)
    addresses = {address for server in place.servers for address in server.addresses}
    (end,) = plans["ca"].ends
    assert set(end.reached) == addresses
    hop = plans["hop-ca"]
    assert [one.to for one in hop.ends] == ["ca", *place.roles]
    for role in set(place.roles) - {"evil"}:
        ways = [one.reached for one in plans[role].ends if one.reached]
        assert ways == [place.resolver_addresses, place.ca_addresses]


def test_a_topology_without_ca_has_no_link_for_one():
    assert "ca" not in topology.load("hosted").links
    assert "ca" not in lay_out(topology.load("hosted"))


def test_the_ca_validates_unless_it_is_told_not_to():
    assert described("hosted-ca").ca.dnssec
    assert not described("hosted-ca", ca={"dnssec": False}).ca.dnssec


def ordered(place: str, *steps: str, certificate: str = "obtained") -> list[str]:
    """What is wrong with a scenario that has these steps before its query."""
    lines = [
        "id: a/b",
        "title: A title",
        f"topology: {place}",
        "world: {secure: [target]}",
        f"attack: [{{attacker: impersonate, on: target, with: {{certificate: {certificate}}}}}]",
        "steps:",
        *(f"- {step}" for step in (*steps, "query: secret.example.org")),
    ]
    return complaints("\n".join(lines) + "\n")


def test_certificates_are_ordered_where_there_is_a_ca_and_for_servers_that_exist():
    assert ordered("hosted-ca", "order: target") == []
    (line,) = ordered("hosted", "order: target")
    assert "topology hosted has no CA; take one that has, such as hosted-ca" in line
    (line,) = ordered("hosted-ca", "order: targte")
    assert "targte" in line
    assert "target" in line


def test_a_certificate_must_be_ordered_to_be_obtained():
    (line,) = ordered("hosted-ca")
    assert "no certificate is ordered; add an `order` step before it is wanted" in line
    assert ordered("hosted-ca", certificate="mis-issued") == []
