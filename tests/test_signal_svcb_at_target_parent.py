"""SVCB records beside the NS records that name a server, in the referral to the zone."""

from __future__ import annotations

import dns.name
import dns.rcode
import pytest
from signalling import CLEAR, ENCRYPTED, SECRET, over, referral, response
from worlds import ALL_SIGNED, attacker, network, policy, world

from testbed import signals
from testbed.core import message
from testbed.core.transport import Transport

SIGNAL = "svcb-at-target-parent"
NS1 = dns.name.from_text("ns1.dnshost.net.")
REFERRAL = ("example.org.|3600|NS|ns1.dnshost.net.",)
ABOUT_NS1 = "_dns.ns1.dnshost.net.|600|SVCB|1 ns1.dnshost.net. alpn=dot"


def offers(made, **where):
    found = referral(made, **where)
    signals.load(SIGNAL).read_referral(found, 1000.0)
    return found.offers


class TestServers:
    def respond(self, role, name, **options):
        of = world(signal={SIGNAL: options}, secure=("target", "ns-zone"))
        query = message.query(dns.name.from_text(name), dns.rdatatype.from_text("A"), id=1)
        return of.authoritative(role).respond(query, Transport.UDP)[0]

    def test_the_parent_adds_what_it_knows_of_the_servers_that_it_names(self):
        made = self.respond("target-parent", "example.org.", ttl=77)
        (rrset,) = [item for item in made.additional if item.rdtype == dns.rdatatype.SVCB]
        assert rrset.to_text() == '_dns.ns1.dnshost.net. 77 IN SVCB 1 ns1.dnshost.net. alpn="dot"'

    def test_nothing_signs_it(self):
        made = self.respond("target-parent", "example.org.")
        assert not [item for item in made.additional if item.covers == dns.rdatatype.SVCB]

    def test_nor_does_it_stand_in_any_zone(self):
        of = world(signal=(SIGNAL,), secure=("target",))
        assert not [
            rrset for zone in of.zones.values() for rrset in zone if rrset.rdtype == dns.rdatatype.SVCB
        ]

    @pytest.mark.parametrize(("role", "name"), [("target", SECRET), ("root", "org."), ("ns-zone", "a.org.")])
    def test_nobody_else_adds_any(self, role, name):
        made = self.respond(role, name)
        assert not [item for item in made.additional if item.rdtype == dns.rdatatype.SVCB]


class TestReading:
    def test_a_server_that_the_referral_names(self):
        ((server, offer),) = offers(response(ABOUT_NS1, authority=REFERRAL))
        assert server == NS1
        assert offer.transports == ((Transport.DOT, 853),)
        assert offer.until == 1600.0

    def test_holds_for_this_zone_only_if_the_parent_has_no_say_about_the_name(self):
        ((_, offer),) = offers(response(ABOUT_NS1, authority=REFERRAL))
        assert offer.zone == dns.name.from_text("example.org.")

    def test_holds_for_all_zones_if_it_has(self):
        made = response(ABOUT_NS1, authority=("other.net.|3600|NS|ns1.dnshost.net.",))
        ((_, offer),) = offers(made, parent="net.", zone="other.net.")
        assert offer.zone is None

    def test_the_case_of_letters_does_not_matter(self):
        made = response("_DNS.NS1.dnshost.NET.|600|SVCB|1 . alpn=dot", authority=REFERRAL)
        assert [server for server, _ in offers(made)] == [NS1]

    @pytest.mark.parametrize(
        "about",
        [
            "_dns.ns2.dnshost.net.|600|SVCB|1 ns2.dnshost.net. alpn=dot",
            "ns1.dnshost.net.|600|SVCB|1 . alpn=dot",
            "_853._dns.ns1.dnshost.net.|600|SVCB|1 . alpn=dot",
            "_dns.ns1.dnshost.net.|600|A|192.0.2.1",
        ],
    )
    def test_other_names_and_types_are_none_of_its_business(self, about):
        assert not offers(response(about, authority=REFERRAL))


class TestResolver:
    def net(self, base="strict", attackers=None, signed=ALL_SIGNED, **options):
        of = world(signal={SIGNAL: options}, secure=("target",), signed=signed)
        placed = {link: [attacker(of, name, link)] for link, name in (attackers or {}).items()}
        return network(of, policy(base), [SIGNAL], placed)

    def test_follows_it_at_the_first_contact(self):
        net = self.net()
        net.ask(SECRET)
        assert over(net) == ENCRYPTED

    @pytest.mark.parametrize("signed", [ALL_SIGNED, ()], ids=["signed", "unsigned"])
    @pytest.mark.parametrize("base", ["strict", "opportunistic"])
    def test_stripped_it_is_gone_signed_or_not(self, base, signed):
        net = self.net(base, {"target-parent": "strip-svcb"}, signed)
        assert net.ask(SECRET).rcode() == dns.rcode.NOERROR
        assert over(net) == CLEAR

    def test_a_strict_resolver_does_not_go_back(self):
        net = self.net("strict", {"target": "block-tls"})
        assert net.ask(SECRET).rcode() == dns.rcode.SERVFAIL
        assert not over(net)

    def test_is_gone_before_the_delegation_is_if_its_ttl_is_shorter(self):
        net = self.net(ttl=60)
        net.ask("www.example.org.")
        net.advance(120)
        net.ask(SECRET)
        assert over(net, "www.example.org.") == ENCRYPTED
        assert over(net) == CLEAR

    @pytest.mark.parametrize(("base", "rcode"), [("strict", "SERVFAIL"), ("opportunistic", "NOERROR")])
    def test_injected_it_keeps_strict_resolvers_away(self, base, rcode):
        of = world(signal=(SIGNAL,))
        inject = attacker(of, "inject-svcb", "target-parent")
        net = network(of, policy(base), [SIGNAL], {"target-parent": [inject]})
        assert net.ask(SECRET).rcode() == dns.rcode.from_text(rcode)
        assert inject.matches

    def test_what_came_in_clear_does_not_count_where_links_must_be_secure(self):
        of = world(signal=(SIGNAL,), secure=("target",))
        net = network(of, policy(accept="secure-link"), [SIGNAL])
        net.ask(SECRET)
        assert over(net) == CLEAR

    def test_over_secure_links_it_counts_without_dnssec(self):
        of = world(signal=(SIGNAL,), secure=("root", "target-parent", "target"), signed=())
        net = network(of, policy(accept="secure-path"), [SIGNAL])
        net.ask(SECRET)
        assert over(net) == ENCRYPTED
