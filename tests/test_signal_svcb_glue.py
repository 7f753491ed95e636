"""SVCB records in the referral to the zone that holds a name server's name."""

from __future__ import annotations

import dns.name
import dns.rcode
import dns.rdatatype
import pytest
from signalling import CLEAR, ENCRYPTED, SECRET, over, referral, response
from worlds import ALL_SIGNED, attacker, network, policy, world

from testbed import signals
from testbed.core import message
from testbed.core.transport import Transport

SIGNAL = "svcb-glue"
REFERRAL = ("dnshost.net.|3600|NS|ns0.dnshost.net.",)
ABOUT_NS1 = "_dns.ns1.dnshost.net.|600|SVCB|1 ns1.dnshost.net. alpn=dot port=8853"


def offers(made):
    found = referral(made, parent="net.", zone="dnshost.net.")
    signals.load(SIGNAL).read_referral(found, 1000.0)
    return found.offers


@pytest.mark.parametrize(
    ("role", "name", "about"),
    [
        ("ns-parent", "ns1.dnshost.net.", ["_dns.ns1.dnshost.net."]),
        ("target-parent", "example.org.", []),
        ("ns-zone", "ns1.dnshost.net.", []),
    ],
)
def test_the_parent_of_the_zone_that_holds_the_name_adds_it(role, name, about):
    of = world(signal=(SIGNAL,), secure=("target",))
    query = message.query(dns.name.from_text(name), dns.rdatatype.A, id=1)
    made = of.authoritative(role).respond(query, Transport.UDP)[0]
    found = [item.name.to_text() for item in made.additional if item.rdtype == dns.rdatatype.SVCB]
    assert found == about


def test_is_read_for_names_below_the_zone():
    ((server, offer),) = offers(response(ABOUT_NS1, authority=REFERRAL))
    assert server == dns.name.from_text("ns1.dnshost.net.")
    assert offer.transports == ((Transport.DOT, 8853),)
    assert offer.zone is None


def test_and_for_no_others():
    other = "_dns.ns.elsewhere.net.|600|SVCB|1 ns.elsewhere.net. alpn=dot"
    assert not offers(response(other, authority=REFERRAL))


class TestResolver:
    def net(self, base="strict", attackers=None, signed=ALL_SIGNED, **options):
        of = world(signal={SIGNAL: options}, secure=("target",), signed=signed)
        placed = {link: [attacker(of, name, link)] for link, name in (attackers or {}).items()}
        return network(of, policy(base), [SIGNAL], placed)

    def test_sees_it_on_the_way_to_the_addresses(self):
        net = self.net()
        before = network(world(), policy())
        before.ask(SECRET)
        net.ask(SECRET)
        assert over(net) == ENCRYPTED
        assert {s.query.question[0].name for s in net.sent} == {s.query.question[0].name for s in before.sent}

    def test_one_change_announces_the_server_for_all_its_zones(self):
        net = self.net()
        net.ask("hosted-2.org.")
        assert over(net, "hosted-2.org.") == ENCRYPTED

    @pytest.mark.parametrize("signed", [ALL_SIGNED, ()], ids=["signed", "unsigned"])
    @pytest.mark.parametrize("base", ["strict", "opportunistic"])
    def test_stripped_it_is_gone_signed_or_not(self, base, signed):
        net = self.net(base, {"ns-parent": "strip-svcb"}, signed)
        assert net.ask(SECRET).rcode() == dns.rcode.NOERROR
        assert over(net) == CLEAR

    def test_a_strict_resolver_does_not_go_back(self):
        net = self.net("strict", {"target": "impersonate"})
        assert net.ask(SECRET).rcode() == dns.rcode.SERVFAIL
        assert not over(net)

    def test_is_gone_before_the_delegation_is_if_its_ttl_is_shorter(self):
        net = self.net(ttl=60)
        net.ask("www.example.org.")
        net.advance(120)
        net.ask(SECRET)
        assert over(net) == CLEAR

    def test_injected_it_keeps_strict_resolvers_away(self):
        of = world(signal=(SIGNAL,))
        inject = attacker(of, "inject-svcb", "ns-parent")
        net = network(of, policy(), [SIGNAL], {"ns-parent": [inject]})
        assert net.ask(SECRET).rcode() == dns.rcode.SERVFAIL
