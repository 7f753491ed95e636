"""The resolver core, against the reference servers, in memory."""

from __future__ import annotations

import random

import dns.flags
import dns.rcode
import dns.rdatatype
import pytest
from worlds import ALL_SIGNED, attacker, network, policy, world

from testbed.attack.api import Attacker, Capability, Drop, Replace
from testbed.core import message
from testbed.core.transport import Transport
from testbed.core.validation import Ede
from testbed.run.cast import scene
from testbed.world.epoch import DAY

SECRET = "secret.example.org."
EVERYWHERE = ("root", "target-parent", "ns-parent", "ns-zone", "target")


def rdatas(response, rdtype="A"):
    kind = dns.rdatatype.from_text(rdtype)
    return {r.to_text() for rrset in response.answer if rrset.rdtype == kind for r in rrset}


def asked(net, role=None):
    return [
        (sent.transport.value, sent.query.question[0].name.to_text())
        for sent in net.sent
        if role in (None, sent.role)
    ]


SIGNINGS = {
    "nsec": ALL_SIGNED,
    "nsec3": {role: {"denial": "nsec3"} for role in ALL_SIGNED},
    "opt-out": {role: {"denial": "nsec3", "opt_out": True} for role in ALL_SIGNED},
    "ed25519": {role: {"algorithm": "ED25519"} for role in ALL_SIGNED},
    "rsa": {role: {"algorithm": "RSASHA256"} for role in ALL_SIGNED},
}


def opts_out(signed):
    """Whether a name that does not exist may yet be an unsigned delegation (RFC 5155 section 9.2)."""
    return signed is SIGNINGS["opt-out"]


@pytest.mark.parametrize("signed", SIGNINGS.values(), ids=SIGNINGS)
@pytest.mark.parametrize("minimisation", ["off", "relaxed", "strict"])
class TestAnswers:
    def net(self, signed, minimisation):
        return network(world(signed=signed), policy(minimisation=minimisation))

    def test_positive(self, signed, minimisation):
        response = self.net(signed, minimisation).ask(SECRET)
        assert rdatas(response) == {"203.0.113.99"}
        assert response.flags & dns.flags.AD

    def test_alias(self, signed, minimisation):
        response = self.net(signed, minimisation).ask("alias.example.org.")
        assert rdatas(response) == {"203.0.113.99"}
        assert rdatas(response, "CNAME") == {"secret.example.org."}

    def test_dname(self, signed, minimisation):
        response = self.net(signed, minimisation).ask("secret.old.example.org.")
        assert rdatas(response) == {"203.0.113.99"}
        assert rdatas(response, "DNAME") == {"example.org."}
        assert response.flags & dns.flags.AD

    def test_wildcard(self, signed, minimisation):
        response = self.net(signed, minimisation).ask("any.wild.example.org.")
        assert rdatas(response) == {"203.0.113.77"}
        assert bool(response.flags & dns.flags.AD) is not opts_out(signed)

    def test_no_such_name(self, signed, minimisation):
        response = self.net(signed, minimisation).ask("nothing.example.org.")
        assert response.rcode() == dns.rcode.NXDOMAIN
        assert bool(response.flags & dns.flags.AD) is not opts_out(signed)

    def test_no_such_data(self, signed, minimisation):
        response = self.net(signed, minimisation).ask(SECRET, "TXT")
        assert response.rcode() == dns.rcode.NOERROR
        assert not response.answer
        assert response.flags & dns.flags.AD

    def test_unsigned_delegation(self, signed, minimisation):
        response = self.net(signed, minimisation).ask("hosted-2.org.")
        assert rdatas(response) == {"203.0.113.11"}
        assert not response.flags & dns.flags.AD

    def test_keys_and_delegation_signer(self, signed, minimisation):
        net = self.net(signed, minimisation)
        assert len(rdatas(net.ask("example.org.", "DNSKEY"), "DNSKEY")) == 2
        assert len(rdatas(net.ask("example.org.", "DS"), "DS")) == 1


def test_unsigned_everything_is_answered_without_ad():
    response = network(world(signed=())).ask(SECRET)
    assert rdatas(response) == {"203.0.113.99"}
    assert not response.flags & dns.flags.AD


def test_an_island_is_insecure():
    signed = {"root": {}, "target-parent": {}, "target": {"island": True}}
    response = network(world(signed=signed)).ask(SECRET)
    assert rdatas(response) == {"203.0.113.99"}
    assert not response.flags & dns.flags.AD


def test_without_validation_nothing_is_checked():
    net = network(world(), policy(dnssec=False))
    response = net.ask(SECRET)
    assert rdatas(response) == {"203.0.113.99"}
    assert not response.flags & dns.flags.AD
    assert not [name for _, name in asked(net) if "DNSKEY" in name]


def test_strict_minimisation_shows_each_server_only_what_it_needs():
    net = network(world(), policy(minimisation="strict"))
    net.ask(SECRET)
    assert {name for _, name in asked(net, "root")} <= {".", "org.", "net."}
    assert {name for _, name in asked(net, "target-parent")} <= {"org.", "example.org."}
    assert SECRET in {name for _, name in asked(net, "target")}


def test_without_minimisation_everybody_sees_the_name():
    net = network(world(), policy(minimisation="off"))
    net.ask(SECRET)
    for role in ("root", "target-parent", "target"):
        assert SECRET in {name for _, name in asked(net, role)}


def test_answers_come_from_the_cache_until_they_expire():
    net = network(world())
    net.ask(SECRET)
    before = len(net.sent)
    net.advance(1800)
    response = net.ask(SECRET)
    assert len(net.sent) == before
    assert response.answer[0].ttl == 1800
    net.advance(1801)
    net.ask(SECRET)
    assert len(net.sent) > before


def test_absence_is_cached_for_the_negative_ttl():
    net = network(world())
    net.ask("nothing.example.org.")
    before = len(net.sent)
    net.advance(899)
    net.ask("nothing.example.org.")
    assert len(net.sent) == before
    net.advance(2)
    net.ask("nothing.example.org.")
    assert len(net.sent) > before


def test_nothing_exists_below_a_name_that_provably_does_not():
    net = network(world())
    net.ask("nothing.example.org.")
    before = len(net.sent)
    assert net.ask("deeper.nothing.example.org.").rcode() == dns.rcode.NXDOMAIN
    assert len(net.sent) == before


def test_a_flush_forgets():
    net = network(world())
    net.ask(SECRET)
    before = len(net.sent)
    net.resolver.flush()
    net.ask(SECRET)
    assert len(net.sent) > before


def test_failures_are_remembered_for_a_moment():
    broken = world(signed=("root", "target-parent", "target"))
    net = network(
        broken, attackers={"target-parent": [attacker(broken, "forge-ns", "target-parent", answers="forged")]}
    )
    assert net.ask(SECRET).rcode() == dns.rcode.SERVFAIL
    before = len(net.sent)
    assert net.ask(SECRET).rcode() == dns.rcode.SERVFAIL
    assert len(net.sent) == before
    net.advance(6)
    net.ask(SECRET)
    assert len(net.sent) > before


def test_expired_signatures_are_bogus():
    net = network(world())
    net.advance(31 * DAY)
    response = net.ask(SECRET)
    assert response.rcode() == dns.rcode.SERVFAIL
    assert message.ede(response)[0][0] == 7


def test_an_unsupported_algorithm_makes_a_zone_insecure():
    of = world(
        signed=("root", "target-parent"),
        records=["example.org. DS 12345 200 2 " + "ab" * 32],
    )
    response = network(of).ask(SECRET)
    assert rdatas(response) == {"203.0.113.99"}
    assert not response.flags & dns.flags.AD


@pytest.mark.parametrize(("flags", "rcode"), [(0, dns.rcode.REFUSED), (dns.flags.RD, dns.rcode.NOERROR)])
def test_only_recursive_queries_are_resolved(flags, rcode):
    net = network(world())
    query = message.query(dns.name.from_text(SECRET), dns.rdatatype.A, id=7)
    query.flags |= flags
    net.resolver.ask(query, "token")
    net.run()
    answer = net.resolver.answers.popleft()
    assert answer.token == "token"
    assert answer.message.id == 7
    assert answer.message.rcode() == rcode


@pytest.mark.parametrize("rdtype", ["AXFR", "ANY", "IXFR"])
def test_meta_types_are_not_resolved(rdtype):
    net = network(world())
    assert net.ask(SECRET, rdtype).rcode() in (dns.rcode.NOTIMP, dns.rcode.NOERROR)
    assert not [name for _, name in asked(net) if rdtype == "AXFR"]


class TestDsGlue:
    def test_is_followed_with_authentication(self):
        of = world(signal=("ds-glue",), secure=EVERYWHERE)
        net = network(of, looks_for=["ds-glue"])
        assert rdatas(net.ask(SECRET)) == {"203.0.113.99"}
        assert {transport for transport, _ in asked(net)} == {"dot"}
        assert all(e.authenticated for e in net.trace if e.kind == "handshake")

    def test_saves_the_query_for_the_address(self):
        of = world(signal=("ds-glue",), secure=("target",))
        net = network(of, looks_for=["ds-glue"])
        net.ask(SECRET)
        assert not asked(net, "ns-zone")

    def test_root_servers_are_asked_without_a_detour(self):
        of = world(signal=("ds-glue",), secure=("target",))
        net = network(of, looks_for=["ds-glue"])
        net.ask("nothing.org.")
        assert {name for _, name in asked(net, "root")} == {".", "org."}

    @pytest.mark.parametrize(
        ("accept", "secure", "encrypted"),
        [
            ("any", ("target",), True),
            ("secure-link", ("target",), False),
            ("secure-link", ("ns-parent", "target"), False),
            ("secure-link", ("root", "ns-parent", "target"), True),
            ("secure-path", ("root", "ns-parent", "target"), True),
            ("secure-path", ("ns-parent", "target"), False),
            ("validated", ("root", "ns-parent", "target"), False),
        ],
    )
    def test_in_unsigned_zones_it_counts_as_the_policy_says(self, accept, secure, encrypted):
        of = world(signal=("ds-glue",), signed=(), secure=secure)
        net = network(of, policy(accept=accept), looks_for=["ds-glue"])
        assert rdatas(net.ask(SECRET)) == {"203.0.113.99"}
        assert {t for t, name in asked(net, "target")} == {"dot" if encrypted else "udp"}

    def test_validated_in_signed_zones(self):
        of = world(signal=("ds-glue",), secure=("target",))
        net = network(of, policy(accept="validated"), looks_for=["ds-glue"])
        net.ask(SECRET)
        assert {t for t, _ in asked(net, "target")} == {"dot"}

    def test_a_failed_handshake_is_fatal_when_strict(self):
        of = world(signal=("ds-glue",), secure={"target": {"certificate": "expired"}})
        net = network(of, looks_for=["ds-glue"])
        response = net.ask(SECRET)
        assert response.rcode() == dns.rcode.SERVFAIL
        assert message.ede(response)[0][0] == 22
        assert not asked(net, "target")

    def test_a_failed_handshake_leads_to_clear_text_when_opportunistic(self):
        of = world(signal=("ds-glue",), secure=("target",))
        block = attacker(of, "block-tls", "target")
        net = network(of, policy("opportunistic"), ["ds-glue"], {"target": [block]})
        assert rdatas(net.ask(SECRET)) == {"203.0.113.99"}
        assert {t for t, _ in asked(net, "target")} == {"udp"}

    @pytest.mark.parametrize("certificate", ["expired", "self-signed", "wrong-name"])
    def test_opportunism_does_not_look_at_certificates(self, certificate):
        of = world(signal=("ds-glue",), secure={"target": {"certificate": certificate}})
        net = network(of, policy("opportunistic"), ["ds-glue"])
        net.ask(SECRET)
        assert {t for t, _ in asked(net, "target")} == {"dot"}

    def test_the_signal_is_fetched_again_when_it_expires(self):
        of = world(signal={"ds-glue": {"ttl": 60}}, secure=("target",))
        net = network(of, looks_for=["ds-glue"])
        net.ask(SECRET)
        net.advance(120)
        net.ask("www.example.org.")
        assert {t for t, _ in asked(net, "target")} == {"dot"}


class TestSvcbQuery:
    def test_is_asked_before_the_server_is(self):
        of = world(signal=("svcb-query",), secure=("target",))
        net = network(of, looks_for=["svcb-query"])
        assert rdatas(net.ask(SECRET)) == {"203.0.113.99"}
        order = [name for _, name in asked(net)]
        assert "_dns.ns1.dnshost.net." in order
        assert {t for t, _ in asked(net, "target")} == {"dot"}

    def test_absence_is_remembered(self):
        of = world(signal=("svcb-query",), secure=())
        net = network(of, looks_for=["svcb-query"])
        net.ask(SECRET)
        before = len([name for _, name in asked(net) if name.startswith("_dns.")])
        net.ask("www.example.org.")
        assert len([name for _, name in asked(net) if name.startswith("_dns.")]) == before

    @pytest.mark.parametrize("how", ["nodata", "nxdomain", "servfail", "drop"])
    @pytest.mark.parametrize("signed", [True, False])
    def test_denial_works_only_where_it_cannot_be_told(self, how, signed):
        zones = ALL_SIGNED if signed else ("root", "ns-parent")
        of = world(signal=("svcb-query",), secure=("target",), signed=zones)
        deny = attacker(of, "deny-svcb", "ns-zone", how=how)
        net = network(of, looks_for=["svcb-query"], attackers={"ns-zone": [deny]})
        response = net.ask(SECRET)
        assert deny.matches
        if signed:
            assert response.rcode() == dns.rcode.SERVFAIL
            assert SECRET not in {name for _, name in asked(net, "target")}
        else:
            assert ("udp", SECRET) in asked(net, "target")


class TestProbing:
    def net(self, **attackers):
        of = world(signed=(), secure=("target",))
        placed = {"target": [attacker(of, name, "target", **options) for name, options in attackers.items()]}
        return network(of, policy("opportunistic"), ["probing"], placed)

    def test_first_in_clear_then_encrypted(self):
        net = self.net()
        net.ask("www.example.org.")
        net.ask(SECRET)
        assert asked(net, "target")[-1] == ("dot", SECRET)
        assert ("udp", "www.example.org.") in asked(net, "target")

    def test_certificates_do_not_matter(self):
        net = self.net(impersonate={"certificate": "self-signed"})
        net.ask("www.example.org.")
        net.ask(SECRET)
        assert net.sent[-1].terminated

    def test_a_refused_handshake_keeps_it_in_clear_for_a_day(self):
        net = self.net(**{"block-tls": {"how": "reset"}})
        net.ask(SECRET)
        net.advance(4000)
        net.ask(SECRET)
        block = net.attackers["target"][0]
        assert sum(block.actions.values()) == 1
        net.advance(86400)
        net.ask(SECRET)
        assert sum(block.actions.values()) == 2
        assert {t for t, _ in asked(net, "target")} == {"udp"}


class TestForgedDelegation:
    def forged(self, looks_for=(), of=None, chosen=None, **parameters):
        of = of or world(signed=("root", "target-parent", "target"))
        forge = attacker(of, "forge-ns", "target-parent", **parameters)
        return network(of, chosen, looks_for, {"target-parent": [forge]})

    def test_the_query_goes_to_the_attacker(self):
        net = self.forged()
        assert rdatas(net.ask(SECRET)) == {"203.0.113.99"}
        assert SECRET in {name for _, name in asked(net, "evil")}
        assert not asked(net, "target")

    def test_a_forged_answer_is_bogus_in_a_signed_zone(self):
        response = self.forged(answers="forged").ask(SECRET)
        assert response.rcode() == dns.rcode.SERVFAIL

    def test_a_forged_answer_is_believed_in_an_unsigned_zone(self):
        net = self.forged(of=world(signed=("root", "target-parent")), answers="forged")
        assert rdatas(net.ask(SECRET)) == {"198.51.100.66"}

    @pytest.mark.parametrize("mode", ["parallel", "strict"])
    def test_asking_the_child_meanwhile_is_too_late(self, mode):
        net = self.forged(chosen=policy(revalidation=mode))
        net.ask(SECRET)
        assert SECRET in {name for _, name in asked(net, "evil")}
        assert "alarm" in {event.kind for event in net.trace}

    def test_asking_the_child_first_keeps_the_name_from_the_attacker(self):
        net = self.forged(chosen=policy(revalidation="serialised"))
        assert rdatas(net.ask(SECRET)) == {"203.0.113.99"}
        assert {name for _, name in asked(net, "evil")} == {"evil-dns.net.", "example.org."}

    def test_ds_glue_with_the_servers_overrides_the_forged_ones(self):
        of = world(
            signal={"ds-glue": {"carry": ["NS", "A", "AAAA", "SVCB"]}},
            signed=("root", "target-parent", "ns-parent"),
            secure=("root", "ns-parent", "target"),
        )
        net = self.forged(["ds-glue"], of)
        assert rdatas(net.ask(SECRET)) == {"203.0.113.99"}
        assert not asked(net, "evil")


@pytest.mark.parametrize("carry", [["SVCB"], ["A", "AAAA", "SVCB"]])
@pytest.mark.parametrize("base", ["strict", "opportunistic"])
def test_stripped_glue_is_bogus_in_a_signed_parent(carry, base):
    of = world(signal={"ds-glue": {"carry": carry}}, secure=("target",))
    strip = attacker(of, "strip-ds-glue", "ns-parent")
    net = network(of, policy(base), ["ds-glue"], {"ns-parent": [strip]})
    assert net.ask(SECRET).rcode() == dns.rcode.SERVFAIL
    assert not asked(net, "target")


def test_a_truncated_answer_is_fetched_over_tcp():
    records = [f"big.example.org. TXT {'x' * 200}{number}" for number in range(10)]
    net = network(world(records=records))
    response = net.ask("big.example.org.", "TXT")
    assert len(rdatas(response, "TXT")) == 10
    assert ("tcp", "big.example.org.") in asked(net, "target")


def test_a_loop_of_aliases_ends():
    net = network(
        world(records=["a.example.org. CNAME b.example.org.", "b.example.org. CNAME a.example.org."])
    )
    assert net.ask("a.example.org.").rcode() == dns.rcode.SERVFAIL


def test_a_delegation_to_a_server_below_itself_without_glue_ends():
    of = world(
        signed=(),
        records=["lost.org. NS ns.lost.org.", "round.org. NS ns.about.org.", "about.org. NS ns.round.org."],
    )
    for name in ("www.lost.org.", "www.round.org."):
        net = network(of)
        assert net.ask(name).rcode() == dns.rcode.SERVFAIL
        assert len(net.sent) < 100


def test_the_same_seed_makes_the_same_run():
    def play(seed):
        net = network(world(), seed=seed)
        net.ask(SECRET)
        return [(s.role, s.query.id) for s in net.sent]

    assert play(1) == play(1)
    assert play(1) != play(2)


def test_always_means_no_clear_text_towards_servers():
    of = world(signal=("ds-glue",), secure=("root", "target-parent", "ns-parent"))
    net = network(of, policy(encryption="always"), ["ds-glue"])
    response = net.ask(SECRET)
    assert response.rcode() == dns.rcode.SERVFAIL
    assert not [1 for sent in net.sent if sent.transport in (Transport.UDP, Transport.TCP)]


class NoKeys(Attacker):
    """Swallows queries for keys."""

    capability = Capability.ON_PATH
    source = "none"

    def query(self, query):
        return Drop() if query.message.question[0].rdtype == dns.rdatatype.DNSKEY else None


class EmptyKeys(NoKeys):
    """Takes the keys out of responses."""

    def query(self, query):
        return None

    def response(self, response):
        if response.message.question[0].rdtype != dns.rdatatype.DNSKEY:
            return None
        response.message.answer.clear()
        return Replace(response.message)


def test_servers_without_the_keys_that_they_should_have_are_bogus_and_not_unreachable():
    of = world()
    emptied = EmptyKeys(scene(of, "target-parent", random.Random(0)), EmptyKeys.Parameters())
    net = network(of, policy("opportunistic"), attackers={"target-parent": [emptied]})
    response = net.ask(SECRET)
    assert response.rcode() == dns.rcode.SERVFAIL
    assert message.ede(response)[0][0] == Ede.DNSKEY_MISSING


def test_keys_that_cannot_be_had_are_no_reason_to_show_the_whole_name():
    of = world()
    withheld = NoKeys(scene(of, "target-parent", random.Random(0)), NoKeys.Parameters())
    net = network(of, policy("opportunistic"), attackers={"target-parent": [withheld]})
    assert net.ask(SECRET).rcode() == dns.rcode.SERVFAIL
    assert SECRET not in {name for _, name in asked(net)}


class WithoutTime(Attacker):
    """Sets every TTL to zero; signatures hold, as they cover the original one."""

    capability = Capability.ON_PATH
    source = "RFC 1035 section 3.2.1"

    def response(self, response):
        for section in response.message.sections[1:]:
            for rrset in section:
                rrset.ttl = 0
        return Replace(response.message)


@pytest.mark.parametrize("signed", [(), ALL_SIGNED])
def test_what_has_a_ttl_of_zero_serves_the_transaction_in_progress(signed):
    of = world(signed=signed)
    net = network(
        of,
        attackers={
            role: [WithoutTime(scene(of, role, random.Random(0)), WithoutTime.Parameters())]
            for role in EVERYWHERE
        },
    )
    for _ in range(2):
        before = len(net.sent)
        response = net.ask(SECRET)
        assert rdatas(response) == {"203.0.113.99"}
        assert {rrset.ttl for rrset in response.answer} == {0}
        assert len(net.sent) > before
        net.advance(60)
