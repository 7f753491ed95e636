"""Hints that servers give of themselves (draft-johani-dnsop-transport-signaling-03)."""

from __future__ import annotations

import dns.message
import dns.name
import dns.rcode
import dns.rdatatype
import dns.rrset
import pytest
from hypothesis import given
from hypothesis import strategies as st
from signalling import CLEAR, ENCRYPTED, SECRET, heard, over, response
from worlds import ALL_SIGNED, attacker, network, policy, world

from testbed import signals
from testbed.core import message
from testbed.core.transport import Transport
from testbed.signals.oots import KEY, OPTION, decode, encode

SIGNAL = "oots"
APEX = ("example.org.|3600|NS|ns1.dnshost.net.",)
ABOUT_NS1 = rf"_dns.ns1.dnshost.net.|600|SVCB|1 . key{KEY}=\000\100\001\100"
ALL = (Transport.DOQ, Transport.DOT)


def records(*texts):
    return dns.rrset.from_text("_dns.ns1.dnshost.net.", 600, "IN", "SVCB", *texts)


class TestFormat:
    def test_the_option_is_empty(self):
        query = message.query(dns.name.from_text(SECRET), dns.rdatatype.A, id=1)
        signals.load(SIGNAL).dress(query)
        assert query.options[0].otype == OPTION
        assert query.options[0].to_wire() == b""
        assert message.encode(query).endswith(OPTION.to_bytes(2, "big") + b"\0\0")

    def test_the_record(self):
        expected = f"000100{KEY:04x}0006006403640164"
        assert encode(ALL).to_wire().hex() == expected

    def test_is_read_as_it_was_written(self):
        assert decode(dns.rrset.from_rdata("_dns.ns1.dnshost.net.", 60, encode(ALL))) == ALL

    @pytest.mark.parametrize(
        ("text", "expected"),
        [
            (rf"1 . key{KEY}=\001\005\003\100", (Transport.DOQ, Transport.DOT)),
            (rf"1 . key{KEY}=\001\255\003\100", (Transport.DOT, Transport.DOQ)),
            (rf"1 . key{KEY}=\000\100", ()),
            (rf"1 . key{KEY}=\001\000", ()),
            (rf"1 . key{KEY}=\009\100\001\001", (Transport.DOT,)),
            (rf"1 . key{KEY}=\001\100\001\100", ()),
            (rf"1 . key{KEY}=\001\100\003", ()),
            ("0 ns2.dnshost.net.", ()),
            ("1 . alpn=dot", ()),
            (rf"1 . port=8853 key{KEY}=\001\100", (Transport.DOT,)),
        ],
        ids=["weights", "too-much", "do53", "none", "unknown", "twice", "odd", "alias", "alpn", "port"],
    )
    def test_values(self, text, expected):
        assert decode(records(text)) == expected

    @given(st.binary(max_size=12))
    def test_any_value_can_be_read(self, value):
        wire = b"\0\x01\0" + KEY.to_bytes(2, "big") + len(value).to_bytes(2, "big") + value
        rdata = dns.rdata.from_wire("IN", "SVCB", wire, 0, len(wire))
        assert len(decode(dns.rrset.from_rdata("_dns.ns1.dnshost.net.", 60, rdata))) <= 3


class TestServers:
    def respond(self, name=SECRET, rdtype="A", role="target", ask=True, signed=ALL_SIGNED, **options):
        of = world(signal={SIGNAL: options}, secure=("target",), signed=signed)
        query = message.query(dns.name.from_text(name), dns.rdatatype.from_text(rdtype), id=1)
        if ask:
            signals.load(SIGNAL).dress(query)
        return of.authoritative(role).respond(query, Transport.UDP)[0]

    def hints(self, **options):
        made = self.respond(**options)
        return [r.name.to_text() for r in made.additional if r.rdtype == dns.rdatatype.SVCB]

    def test_a_hint_and_the_servers_that_it_is_about(self):
        made = self.respond()
        assert [r.name.to_text() for r in made.authority if r.rdtype == dns.rdatatype.NS] == ["example.org."]
        assert self.hints() == ["_dns.ns1.dnshost.net."]

    def test_signed_where_the_zone_with_the_name_is(self):
        assert [r for r in self.respond().additional if r.covers == dns.rdatatype.SVCB]
        unsigned = self.respond(signed=("root", "target-parent", "target"))
        assert not [r for r in unsigned.additional if r.covers == dns.rdatatype.SVCB]

    def test_unasked_there_is_none(self):
        assert self.hints(ask=False) == []

    def test_nor_from_servers_that_do_not_encrypt(self):
        assert self.hints(role="target-parent", name="org.", rdtype="NS") == []

    def test_nor_in_a_referral(self):
        assert self.hints(role="target-parent", name="example.org.") == []

    @pytest.mark.parametrize(("name", "rdtype", "count"), [(SECRET, "A", 0), ("example.org.", "NS", 1)])
    def test_minimal_responses_have_a_place_for_it_in_answers_about_servers_only(self, name, rdtype, count):
        assert len(self.hints(name=name, rdtype=rdtype, minimal=True)) == count

    def test_whoever_reads_the_servers_twice_is_not_told_twice(self):
        made = self.respond(name="example.org.", rdtype="NS")
        assert not made.authority


class TestReading:
    def offers(self, *additional, **sections):
        told = heard(response(*additional, **sections))
        signals.load(SIGNAL).read_response(told, 1000.0)
        return told.offers

    @pytest.mark.parametrize("section", ["authority", "answer"])
    def test_about_a_server_that_the_response_names(self, section):
        ((server, offer),) = self.offers(ABOUT_NS1, **{section: APEX})
        assert server == dns.name.from_text("ns1.dnshost.net.")
        assert offer.hint
        assert (offer.transports, offer.until) == (((Transport.DOT, 853),), 1600.0)

    @pytest.mark.parametrize(
        "named", [(), ("org.|3600|NS|ns1.dnshost.net.",), ("example.org.|3600|NS|ns2.x.",)]
    )
    def test_about_others_it_does_not_count(self, named):
        assert not self.offers(ABOUT_NS1, authority=named)

    @given(st.lists(st.sampled_from([ABOUT_NS1, "_dns.ns1.dnshost.net.|1|SVCB|0 .", "_dns.|1|SVCB|1 ."])))
    def test_any_response_can_be_read(self, additional):
        self.offers(*additional, authority=APEX)


class TestResolver:
    def net(self, base="strict", attackers=None, signed=ALL_SIGNED, published=None, **switches):
        of = world(signal={SIGNAL: published or {}}, secure=("target",), signed=signed)
        placed = {link: [attacker(of, name, link)] for link, name in (attackers or {}).items()}
        return network(of, policy(base, **switches), [SIGNAL], placed)

    def test_the_first_query_is_in_clear_and_later_ones_are_not(self):
        run = self.net()
        run.ask("www.example.org.")
        run.ask(SECRET)
        assert over(run, "www.example.org.") == CLEAR
        assert over(run) == ENCRYPTED

    @pytest.mark.parametrize("signed", [ALL_SIGNED, ()], ids=["signed", "unsigned"])
    @pytest.mark.parametrize("base", ["strict", "opportunistic"])
    @pytest.mark.parametrize("name", ["block-tls", "strip-svcb"])
    def test_it_is_no_reason_to_insist(self, name, base, signed):
        run = self.net(base, {"target": name}, signed)
        run.ask("www.example.org.")
        assert run.ask(SECRET).rcode() == dns.rcode.NOERROR
        assert over(run) == CLEAR

    def test_what_is_encrypted_is_authenticated_where_the_policy_wants_that(self):
        run = self.net("strict", {"target": "impersonate"})
        run.ask("www.example.org.")
        run.ask(SECRET)
        assert over(run) == CLEAR
        assert not [sent for sent in run.sent if sent.terminated]

    def test_who_never_asks_in_clear_does_not_do_so_on_a_hint(self):
        run = self.net("always", {"target": "block-tls"})
        assert run.ask(SECRET).rcode() == dns.rcode.SERVFAIL
        assert not over(run)

    def test_a_hint_about_one_server_does_not_rule_out_the_others(self):
        of = world(signal=(SIGNAL,), records=["example.org. NS ns0.dnshost.net."], secure=("target",))
        run = network(of, policy(scope="zone"), [SIGNAL])
        for name in ("www", "mail", "any.wild"):
            assert run.ask(f"{name}.example.org.").rcode() == dns.rcode.NOERROR

    def test_minimal_responses_hint_at_nothing_unless_the_zone_is_asked_for_its_servers(self):
        for revalidation, transports in (("off", CLEAR), ("serialised", ENCRYPTED)):
            run = self.net(published={"minimal": True}, revalidation=revalidation)
            run.ask("www.example.org.")
            run.ask(SECRET)
            assert over(run) == transports

    def test_servers_are_asked_for_hints_by_those_who_look_for_them(self):
        run = network(world(signal=(SIGNAL,), secure=("target",)), policy(), [])
        run.ask("www.example.org.")
        run.ask(SECRET)
        assert over(run) == CLEAR
