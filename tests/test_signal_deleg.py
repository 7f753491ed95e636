"""DELEG, from what operators publish to what a resolver does with it, in memory."""

from __future__ import annotations

import random
from collections.abc import Mapping

import dns.flags
import dns.name
import dns.rcode
import dns.rdata
import dns.rdataclass
import dns.rdatatype
import dns.rrset
import pytest
from worlds import ALL_SIGNED, attacker, network, policy, world

from testbed.attack.api import Attacker, Drop, Replace, Reply, Rewriter, RewriterParameters
from testbed.attack.api import Parameters as NoParameters
from testbed.core import message
from testbed.core.authoritative import Authoritative
from testbed.core.deleg import DE_FLAG, DELEG, DELEGPARAM, Key, Record, read
from testbed.run.cast import scene

SECRET = "secret.example.org."
TARGET = dns.name.from_text("example.org.")
SIGNED = ("root", "target-parent", "target")
FORMS = ["server-name", "addresses", "include-delegparam"]


def rdatas(response):
    return {r.to_text() for rrset in response.answer if rrset.rdtype == dns.rdatatype.A for r in rrset}


def deployed(signed=SIGNED, secure=("root", "target"), **parameters):
    return world(signal={"deleg": parameters}, signed=signed, secure=secure)


def resolver(of, chosen=None, attackers=None, looks_for=("deleg",)):
    return network(of, chosen or policy(), looks_for, attackers)


def stripped(of, **parameters):
    return {"target-parent": [attacker(of, "strip-deleg", "target-parent", **parameters)]}


def over(net, role):
    return {sent.transport.value for sent in net.sent if sent.role == role}


def asked(net, role):
    return [sent.query.question[0].name.to_text() for sent in net.sent if sent.role == role]


def notes(net, kind):
    return [event.text for event in net.trace if event.kind == kind]


def records(of, origin="org.", owner="example.org.", rdtype=DELEG):
    zone = of.zones[dns.name.from_text(origin)]
    rrset = zone.rrset(dns.name.from_text(owner), rdtype)
    return [read(rdata.to_wire(), TARGET) for rdata in rrset]


# -- what is published -----------------------------------------------------------------------------


def test_one_record_for_a_server_that_encrypts():
    assert records(deployed()) == [
        Record(names=(dns.name.from_text("ns1.dnshost.net."),), alpn=("dot",), mandatory=(Key.ALPN,))
    ]


def test_do53_is_listed_in_a_record_of_its_own():
    dot, do53 = records(deployed(do53=True, mandatory=False))
    assert (dot.alpn, do53.alpn) == (("dot",), ())
    assert dot.names == do53.names
    assert not dot.mandatory


def test_addresses_come_with_a_pin_as_there_is_no_name_to_check():
    (record,) = records(deployed(form="addresses"))
    assert record.addresses == ("198.51.100.6", "2001:db8:51::6")
    assert [(each.usage, each.selector, each.mtype) for each in record.tlsa] == [(3, 1, 1)]


def test_an_inclusion_and_the_delegparam_records_that_it_points_to():
    of = deployed(form="include-delegparam")
    owner = "_deleg.ns1.dnshost.net."
    assert records(of) == [Record(includes=(dns.name.from_text(owner),))]
    (record,) = records(of, "dnshost.net.", owner, DELEGPARAM)
    assert record.names == (dns.name.from_text("ns1.dnshost.net."),)


def test_servers_inside_the_zone_are_given_by_address_in_any_form():
    for form in FORMS:
        of = deployed(secure=("root", "target-parent", "target"), form=form)
        zone = of.zones[dns.name.root]
        rrset = zone.rrset(dns.name.from_text("org."), DELEG)
        assert read(rrset[0].to_wire(), dns.name.from_text("org.")).addresses


def test_zones_whose_servers_do_not_encrypt_are_delegated_as_ever():
    of = deployed()
    assert of.zones[dns.name.root].rrset(dns.name.from_text("org."), DELEG) is None


def test_a_port_that_cannot_be_announced_is_not():
    of = world(signal={"deleg": {}}, signed=SIGNED, secure={"root": {}, "target": {"port": 8853}})
    assert [record.alpn for record in records(of)] == [()]


@pytest.mark.parametrize(("adt", "flags"), [(True, {258, 259}), (False, {256, 257})])
def test_zones_with_deleg_set_adt_if_they_are_told_to(adt, flags):
    of = deployed(adt=adt)
    for origin, expected in (("org.", flags), ("example.org.", {256, 257})):
        apex = dns.name.from_text(origin)
        assert {key.flags for key in of.zones[apex].rrset(apex, dns.rdatatype.DNSKEY)} == expected


@pytest.mark.parametrize("also_ns", [True, False])
def test_ns_records_for_others(also_ns):
    zone = deployed(also_ns=also_ns).zones[dns.name.from_text("org.")]
    assert (zone.rrset(TARGET, dns.rdatatype.NS) is not None) is also_ns


# -- how it is used --------------------------------------------------------------------------------


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("also_ns", [True, False])
@pytest.mark.parametrize("signed", [ALL_SIGNED, ()], ids=["signed", "unsigned"])
def test_servers_are_asked_over_tls_and_recognised(form, also_ns, signed):
    of = deployed(signed, ("root", "target-parent", "target"), form=form, also_ns=also_ns)
    net = resolver(of)
    response = net.ask(SECRET)
    assert rdatas(response) == {"203.0.113.99"}
    assert bool(response.flags & dns.flags.AD) is bool(signed)
    for role in ("root", "target-parent", "target"):
        assert over(net, role) == {"dot"}
    assert all(event.authenticated for event in net.trace if event.kind == "handshake")
    assert all(sent.query.ednsflags & DE_FLAG for sent in net.sent)


def test_a_server_that_is_known_by_its_address_keeps_its_session():
    net = resolver(deployed(form="addresses"))
    net.ask(SECRET)
    assert len([event for event in net.trace if event.kind == "handshake" and "100.51" in event.text]) <= 1
    assert len([event for event in net.trace if event.kind == "handshake"]) == 2


@pytest.mark.parametrize(("certificate", "answered"), [("address", True), ("valid", False)])
def test_a_server_without_name_and_pin_needs_a_certificate_for_its_address(certificate, answered):
    of = deployed(("root",), {"root": {}, "target": {"certificate": certificate}})
    record = Record(addresses=("198.51.100.6",), alpn=("dot",)).rdata()
    listening = Listen(scene(of, "target", random.Random(0)), NoParameters())
    listening.heard = []
    links = {**with_records(of, record), "target": [listening]}
    net = resolver(of, policy(credentials=("webpki-name", "webpki-address")), links)
    response = net.ask(SECRET)
    assert (response.rcode() == dns.rcode.NOERROR) is answered
    assert over(net, "target") == ({"dot"} if answered else set())
    assert set(listening.heard) == {None}


def test_addresses_in_the_delegation_need_no_lookup():
    net = resolver(deployed(form="addresses"))
    net.ask(SECRET)
    assert not asked(net, "ns-zone")


def test_a_resolver_that_does_not_look_for_it_does_not_notice():
    net = network(deployed(), policy("opportunistic"), ["none"])
    assert rdatas(net.ask(SECRET)) == {"203.0.113.99"}
    assert over(net, "target") == {"udp"}
    assert not any(sent.query.ednsflags & DE_FLAG for sent in net.sent)


def test_nor_does_it_see_delegations_that_are_made_of_deleg_only():
    net = network(deployed(also_ns=False), policy("opportunistic"), ["none"])
    response = net.ask(SECRET)
    assert response.rcode() == dns.rcode.NXDOMAIN
    assert response.flags & dns.flags.AD


@pytest.mark.parametrize(("mandatory", "transports"), [(False, {"udp"}), (True, set())])
def test_who_does_not_understand_transports(mandatory, transports):
    net = resolver(deployed(mandatory=mandatory), policy("opportunistic"), looks_for=("deleg-base",))
    response = net.ask(SECRET)
    assert (rdatas(response) == {"203.0.113.99"}) is not mandatory
    assert over(net, "target") == transports


def test_the_base_protocol_alone():
    of = world(signal={"deleg-base": {}}, signed=SIGNED, secure=("root", "target"))
    assert [record.alpn for record in records(of)] == [()]
    net = resolver(of, looks_for=("deleg-base",))
    assert rdatas(net.ask(SECRET)) == {"203.0.113.99"}
    assert over(net, "target") == {"udp"}


def test_deleg_can_be_asked_for():
    for also_ns in (True, False):
        net = resolver(deployed(also_ns=also_ns))
        response = net.ask("example.org.", DELEG)
        assert [rrset.rdtype for rrset in response.answer if rrset.rdtype != dns.rdatatype.RRSIG] == [DELEG]
        assert response.flags & dns.flags.AD
        absent = net.ask("org.", DELEG)
        assert absent.rcode() == dns.rcode.NOERROR
        assert not absent.answer


def test_the_zone_itself_is_not_asked_for_ns_records_beside_deleg():
    net = resolver(deployed(), policy(revalidation="serialised"))
    assert rdatas(net.ask(SECRET)) == {"203.0.113.99"}
    ns = [s for s in net.sent if s.query.question[0].rdtype == dns.rdatatype.NS and s.role == "target"]
    assert not ns


def test_a_local_copy_of_the_root_gives_deleg_too():
    secure = ("root", "target-parent", "target")
    of = world(signal={"deleg": {}, "root-mirror": {}}, signed=SIGNED, secure=secure)
    net = resolver(of, policy(mirror="verify"))
    assert rdatas(net.ask(SECRET)) == {"203.0.113.99"}
    assert not over(net, "root")
    assert over(net, "target-parent") == {"dot"}


# -- what cannot be used ---------------------------------------------------------------------------


class Given(Rewriter):
    """Puts DELEG RRsets of a test's choice into referrals; in unsigned zones nothing else is needed."""

    records: Mapping[dns.name.Name, list[dns.rdata.Rdata]]

    def response(self, response):
        message = response.message
        for index, rrset in enumerate(message.authority):
            if rrset.rdtype == DELEG and rrset.name in self.records:
                found = self.records[rrset.name]
                message.authority[index] = dns.rrset.from_rdata_list(rrset.name, 60, found)
                return Replace(message)
        return None


class Beside(Rewriter):
    """Puts what a test wants in front of a referral to the target zone, and leaves the rest."""

    rrset: dns.rrset.RRset

    def response(self, response):
        if not any(rrset.name == TARGET for rrset in response.message.authority):
            return None
        response.message.authority.insert(0, self.rrset)
        return Replace(response.message)


class Listen(Attacker):
    """Notes the server names in ClientHellos."""

    heard: list[str | None]

    def handshake(self, handshake):
        self.heard.append(handshake.sni)


class DropParams(Rewriter):
    """Swallows queries for DELEGPARAM, as long as it is on."""

    on = True

    def query(self, query):
        return Drop() if self.on and query.message.question[0].rdtype == DELEGPARAM else None


def placed(kind, of, link):
    return kind(scene(of, link, random.Random(0)), RewriterParameters())


def with_records(of, *found, **others):
    given = placed(Given, of, "target-parent")
    given.records = {TARGET: list(found)}
    for zone, rdata in others.items():
        given.records[dns.name.from_text(zone.replace("_", "-"), dns.name.from_text("org."))] = [rdata]
    return {"target-parent": [given]}


def raw(octets):
    return dns.rdata.GenericRdata(dns.rdataclass.IN, DELEG, octets)


NS1 = dns.name.from_text("ns1.dnshost.net.")
USELESS = {
    "empty": raw(b""),
    "malformed": raw(b"\0"),
    "unknown keys only": raw(bytes.fromhex("fde8 0000")),
    "two kinds": Record(names=(NS1,), addresses=("198.51.100.6",)).rdata(),
    "a name inside": Record(names=(dns.name.from_text("ns.example.org."),)).rdata(),
    "an inclusion of itself": Record(includes=(TARGET,)).rdata(),
    "an inclusion that is not there": Record(includes=(dns.name.from_text("no.dnshost.net."),)).rdata(),
    "a name that has no address": Record(names=(dns.name.from_text("no.dnshost.net."),)).rdata(),
    "no transport that we speak": Record(names=(NS1,), alpn=("carrier-pigeon",)).rdata(),
}


@pytest.mark.parametrize("useless", USELESS.values(), ids=USELESS)
def test_deleg_that_is_of_no_use_leaves_no_server_and_never_ns(useless):
    of = deployed(("root",))
    net = resolver(of, attackers=with_records(of, useless))
    assert net.ask(SECRET).rcode() == dns.rcode.SERVFAIL
    assert not over(net, "target")


def test_one_useless_record_does_not_spoil_the_others():
    of = deployed(("root",))
    good = Record(names=(NS1,), alpn=("dot",)).rdata()
    net = resolver(of, attackers=with_records(of, *USELESS.values(), good))
    assert rdatas(net.ask(SECRET)) == {"203.0.113.99"}
    assert over(net, "target") == {"dot"}


def test_inclusions_are_followed_so_far_and_circles_end():
    of = world(
        signal={"deleg": {"form": "include-delegparam"}},
        signed=("root",),
        secure=("root", "target"),
        records=[rf"loop{n}.dnshost.net. 60 TYPE65432 \# {len(w)} {w.hex()}" for n, w in _loops()],
    )
    start = Record(includes=(dns.name.from_text("loop0.dnshost.net."),)).rdata()
    net = resolver(of, attackers=with_records(of, start))
    assert net.ask(SECRET).rcode() == dns.rcode.SERVFAIL
    params = {name for name in asked(net, "ns-zone") if name.startswith("loop")}
    assert len(params) == 8


def _loops():
    for number in range(12):
        onward = tuple(dns.name.from_text(f"loop{n}.dnshost.net.") for n in (0, number, number + 1))
        yield number, Record(includes=onward).rdata().to_wire()


def test_delegations_that_need_each_other_end():
    of = deployed(("root",))
    there = Record(includes=(dns.name.from_text("param.hosted-2.org."),)).rdata()
    back = Record(includes=(dns.name.from_text("param.example.org."),)).rdata()
    net = resolver(of, attackers=with_records(of, there, hosted_2=back))
    assert net.ask(SECRET).rcode() == dns.rcode.SERVFAIL
    assert len(net.sent) < 40


def test_a_param_that_cannot_be_had_is_asked_for_again_soon():
    of = deployed(ALL_SIGNED, form="include-delegparam")
    drop = placed(DropParams, of, "ns-zone")
    net = resolver(of, attackers={"ns-zone": [drop]})
    assert net.ask(SECRET).rcode() == dns.rcode.SERVFAIL
    drop.on = False
    net.advance(120)
    assert rdatas(net.ask(SECRET)) == {"203.0.113.99"}


def test_what_one_zone_says_of_a_server_does_not_bind_another():
    of = deployed(("root",))
    wrong = dns.rdata.from_text("IN", "TLSA", "3 1 1 " + "00" * 32)
    bad = Record(names=(NS1,), alpn=("dot",), tlsa=(wrong,)).rdata()
    net = resolver(of, attackers=with_records(of, bad))
    assert net.ask(SECRET).rcode() == dns.rcode.SERVFAIL
    assert rdatas(net.ask("hosted-2.org.")) == {"203.0.113.11"}
    assert over(net, "target") == {"dot"}


# -- attacks ---------------------------------------------------------------------------------------

WHAT = ["records", "flag", "both"]


@pytest.mark.parametrize("what", WHAT)
@pytest.mark.parametrize("adt", [True, False])
def test_an_unsigned_parent_protects_nothing(what, adt):
    of = deployed(("root",), adt=adt)
    net = resolver(of, attackers=stripped(of, what=what))
    assert rdatas(net.ask(SECRET)) == {"203.0.113.99"}
    assert over(net, "target") == {"udp"}


CONDITIONS = {
    "all of them": ({}, {}, True),
    "no ADT": ({"adt": False}, {}, False),
    "not enforced": ({}, {"adt": False}, False),
    "not validated": ({}, {"dnssec": False}, False),
}


@pytest.mark.parametrize("what", WHAT)
@pytest.mark.parametrize(("published", "switches", "safe"), CONDITIONS.values(), ids=CONDITIONS)
@pytest.mark.parametrize("proofs", ["kept", "dropped"])
@pytest.mark.parametrize("denial", ["nsec", "nsec3"])
def test_stripping_is_noticed_under_four_conditions(what, published, switches, safe, proofs, denial):
    of = deployed({role: {"denial": denial} for role in SIGNED}, **published)
    net = resolver(of, policy(**switches), attackers=stripped(of, what=what, proofs=proofs))
    response = net.ask(SECRET)
    if safe:
        assert response.rcode() == dns.rcode.SERVFAIL
        assert message.ede(response)[0][0] == 12
        assert not over(net, "target")
    else:
        assert rdatas(response) == {"203.0.113.99"}
        assert over(net, "target") == {"udp"}


KINDS = ({"denial": "nsec"}, {"denial": "nsec3"}, {"denial": "nsec3", "opt_out": True})


@pytest.mark.parametrize("denial", KINDS, ids=["nsec", "nsec3", "opt-out"])
def test_delegations_without_deleg_pass_in_a_zone_with_adt(denial):
    of = deployed(dict.fromkeys(ALL_SIGNED, denial))
    net = resolver(of)
    assert rdatas(net.ask(SECRET)) == {"203.0.113.99"}
    assert any("dnshost.net. is at" in text for text in notes(net, "referral"))
    apex = dns.name.from_text("net.")
    assert {key.flags for key in of.zones[apex].rrset(apex, dns.rdatatype.DNSKEY)} == {258, 259}


HIDDEN = {"flag": {"what": "flag"}, "nodata": {"what": "records", "instead": "nodata"}}


@pytest.mark.parametrize("hidden", HIDDEN.values(), ids=HIDDEN)
@pytest.mark.parametrize("denial", ["nsec", "nsec3"])
def test_a_hidden_delegation_is_bogus_and_with_adt_shows_no_more_names(hidden, denial):
    for adt in (True, False):
        of = deployed({role: {"denial": denial} for role in SIGNED}, adt=adt, also_ns=False)
        net = resolver(of, attackers=stripped(of, **hidden))
        assert net.ask(SECRET).rcode() == dns.rcode.SERVFAIL
        assert (SECRET in asked(net, "target-parent")) is not adt


@pytest.mark.parametrize("hidden", HIDDEN.values(), ids=HIDDEN)
def test_a_hidden_delegation_in_an_unsigned_zone_is_believed_in(hidden):
    of = deployed(("root",), also_ns=False)
    net = resolver(of, attackers=stripped(of, **hidden))
    response = net.ask(SECRET)
    assert response.rcode() in (dns.rcode.NXDOMAIN, dns.rcode.NOERROR)
    assert not response.answer
    assert SECRET in asked(net, "target-parent")


class BothSides(Rewriter):
    """Answers for the target zone in the parent's place, as a server would that has both zones."""

    server: Authoritative
    passes = (dns.rdatatype.DS, dns.rdatatype.DNSKEY, DELEG)

    def query(self, query):
        question = query.message.question[0]
        if not question.name.is_subdomain(TARGET) or question.rdtype in self.passes:
            return None
        return Reply(self.server.respond(query.message, query.transport)[0])


@pytest.mark.parametrize("denial", ["nsec", "nsec3"])
@pytest.mark.parametrize("adt", [True, False])
def test_nobody_gets_around_deleg_by_not_referring(adt, denial):
    of = deployed({role: {"denial": denial} for role in ("root", "target-parent")}, adt=adt)
    both = placed(BothSides, of, "target-parent")
    both.server = Authoritative([of.zones[TARGET]])
    net = resolver(of, attackers={"target-parent": [both]})
    assert rdatas(net.ask(SECRET)) == {"203.0.113.99"}
    assert (SECRET in asked(net, "target-parent")) is not adt
    assert over(net, "target") == ({"dot"} if adt else set())


def test_a_parent_that_conceals_the_records_of_a_cut_is_not_believed():
    of = deployed(("root", "target-parent"))
    both = placed(BothSides, of, "target-parent")
    both.server = Authoritative([of.zones[TARGET]])
    strip = attacker(of, "strip-deleg", "target-parent", what="flag")
    net = resolver(of, attackers={"target-parent": [both, strip]})
    assert net.ask(SECRET).rcode() == dns.rcode.SERVFAIL
    assert SECRET not in asked(net, "target-parent")


@pytest.mark.parametrize("denial", ["nsec", "nsec3"])
def test_a_cut_without_deleg_comes_to_light_in_a_zone_with_adt(denial):
    of = deployed({role: {"denial": denial} for role in ("root", "target-parent")}, secure=("root",))
    both = placed(BothSides, of, "target-parent")
    both.server = Authoritative([of.zones[TARGET]])
    net = resolver(of, attackers={"target-parent": [both]})
    assert rdatas(net.ask(SECRET)) == {"203.0.113.99"}


@pytest.mark.parametrize("transports", ["encrypted", "do53"])
@pytest.mark.parametrize("answers", ["copied", "forged"])
def test_forged_records_lead_astray_in_unsigned_zones_only(transports, answers):
    for signed in (("root",), SIGNED):
        of = deployed(signed)
        forger = attacker(of, "inject-deleg", "target-parent", transports=transports, answers=answers)
        net = resolver(of, attackers={"target-parent": [forger]})
        response = net.ask(SECRET)
        assert forger.matches
        if signed == SIGNED:
            assert response.rcode() == dns.rcode.SERVFAIL
            assert not asked(net, "evil")
        else:
            assert SECRET in asked(net, "evil")
            assert rdatas(response) == {"198.51.100.66" if answers == "forged" else "203.0.113.99"}


def beside(of, rdata):
    added = placed(Beside, of, "target-parent")
    added.rrset = dns.rrset.from_rdata(TARGET, 60, rdata)
    return {"target-parent": [added]}


EVIL = dns.name.from_text("ns.evil-dns.net.")


def test_deleg_does_not_impress_who_does_not_look_for_it():
    of = deployed(("root",))
    net = network(of, policy("opportunistic"), ["none"], beside(of, Record(names=(EVIL,)).rdata()))
    assert rdatas(net.ask(SECRET)) == {"203.0.113.99"}
    assert not asked(net, "evil")


def test_ns_records_beside_deleg_do_not_count():
    of = deployed(("root",))
    net = resolver(of, attackers=beside(of, dns.rdata.from_text("IN", "NS", EVIL.to_text())))
    assert rdatas(net.ask(SECRET)) == {"203.0.113.99"}
    assert over(net, "target") == {"dot"}
    assert not asked(net, "evil")


def test_without_keys_there_is_no_answer():
    of = deployed()
    net = resolver(of, attackers=stripped(of, what="nothing", keys="dropped"))
    assert net.ask(SECRET).rcode() == dns.rcode.SERVFAIL
    assert not over(net, "target")


BLOCKED = [
    ("opportunistic", "policy", False, True),
    ("opportunistic", "policy", True, True),
    ("opportunistic", "record", False, False),
    ("opportunistic", "record", True, True),
    ("strict", "policy", False, False),
    ("strict", "policy", True, False),
    ("strict", "record", False, False),
    ("strict", "record", True, True),
    ("always", "policy", True, False),
    ("always", "record", True, False),
]


@pytest.mark.parametrize(("base", "fallback", "do53", "clear"), BLOCKED)
def test_who_decides_about_clear_text_when_encryption_is_blocked(base, fallback, do53, clear):
    secure = ("root", "target-parent", "ns-parent", "ns-zone", "target")
    of = deployed(secure=secure, do53=do53)
    block = attacker(of, "block-tls", "target")
    net = resolver(of, policy(base, fallback=fallback), {"target": [block]})
    response = net.ask(SECRET)
    assert (rdatas(response) == {"203.0.113.99"}) is clear
    assert over(net, "target") == ({"udp"} if clear else set())


@pytest.mark.parametrize(("base", "clear"), [("strict", False), ("opportunistic", True)])
def test_an_offer_that_the_policy_does_not_accept_is_no_leave_to_ask_in_clear(base, clear):
    net = resolver(deployed(("root",)), policy(base, accept="validated"))
    response = net.ask(SECRET)
    assert (rdatas(response) == {"203.0.113.99"}) is clear
