"""Name menu: names as the draft has them, and what they are worth."""

from __future__ import annotations

import dns.name
import dns.rcode
import dns.rdatatype
import pytest
from hypothesis import given
from hypothesis import strategies as st
from signalling import SECRET, asked, over
from worlds import ALL_SIGNED, attacker, network, policy, world

from testbed.core import svcb
from testbed.core.transport import Transport
from testbed.signals.name_menu import decode, flagged

SIGNAL = "name-menu"
FLAG = {SIGNAL: {"form": "flag"}}


def menu(label):
    return decode(dns.name.from_text(f"{label}.ns3.example.com."))


class TestNames:
    def test_the_draft_s_example(self):
        assert menu("svcb--doq-dot").to_text().splitlines() == [
            '_dns.svcb--doq-dot.ns3.example.com. 0 IN SVCB 1 svcb--doq-dot.ns3.example.com. alpn="doq"',
            '_dns.svcb--doq-dot.ns3.example.com. 0 IN SVCB 2 svcb--doq-dot.ns3.example.com. alpn="dot"',
        ]

    def test_unknown_items_keep_their_places(self):
        assert [rdata.priority for rdata in menu("svcb--carrier-dot-pigeon-doq")] == [2, 4]

    def test_case_does_not_matter(self):
        name = dns.name.from_text("SVCB--DoQ-DOT.example.")
        assert svcb.read(name, decode(name)) == ((Transport.DOQ, 853), (Transport.DOT, 853))

    def test_doh_comes_with_its_path(self):
        (record,) = menu("svcb--doh")
        assert record.params[svcb.DOHPATH_KEY].value == b"/dns-query{?dns}"
        name = dns.name.from_text("svcb--doh.ns3.example.com.")
        assert svcb.read(name, decode(name)) == ((Transport.DOH, 443),)

    @pytest.mark.parametrize(
        "label", ["svcb--", "svcb--x", "svcb", "svcb-dot", "dot", "xsvcb--dot", "svcb--dot_"]
    )
    def test_nothing_on_the_menu(self, label):
        assert menu(label) is None

    @pytest.mark.parametrize(
        ("name", "is_flag"),
        [
            ("svcb.ns3.example.", True),
            ("SVCB.example.", True),
            ("svcb--dot.example.", False),
            ("ns.svcb.", False),
        ],
    )
    def test_flags(self, name, is_flag):
        assert flagged(dns.name.from_text(name)) is is_flag

    @given(st.binary(min_size=1, max_size=57))
    def test_whatever_a_label_holds_never_raises(self, octets):
        name = dns.name.Name((b"svcb--" + octets, b"example", b""))
        records = decode(name)
        assert records is None or svcb.read(name, records) is not None
        assert decode(dns.name.Name((octets, b""))) is None or octets.lower().startswith(b"svcb--")


class TestWorld:
    def test_servers_that_encrypt_go_by_a_menu(self):
        of = world(signal=(SIGNAL,), secure=("target",))
        assert of.topology.by_role["target"].name == dns.name.from_text("svcb--dot.ns1.dnshost.net.")
        assert of.topology.by_role["ns-zone"].name == dns.name.from_text("ns0.dnshost.net.")

    def test_a_menu_has_no_room_for_ports(self):
        of = world(signal=(SIGNAL,), secure={"target": {"port": 8853}})
        assert of.topology.by_role["target"].name == dns.name.from_text("ns1.dnshost.net.")

    def test_a_flag_leads_to_svcb_records(self):
        of = world(signal=FLAG, secure={"target": {"port": 8853}})
        name = dns.name.from_text("svcb.ns1.dnshost.net.")
        assert of.topology.by_role["target"].name == name
        records = of.zones[dns.name.from_text("dnshost.net.")].rrset(svcb.owner(name), dns.rdatatype.SVCB)
        assert svcb.read(name, records) == ((Transport.DOT, 8853),)


class TestResolver:
    @pytest.mark.parametrize("base", ["strict", "opportunistic", "committed"])
    @pytest.mark.parametrize("signal", [{SIGNAL: {}}, FLAG], ids=["menu", "flag"])
    def test_is_followed(self, signal, base):
        net = network(world(signal=signal, secure=("target",)), policy(base), [SIGNAL])
        assert net.ask(SECRET).answer
        assert over(net) == {"dot"}

    def test_a_menu_costs_no_query(self):
        net = network(world(signal=(SIGNAL,), secure=("target",)), policy(), [SIGNAL])
        net.ask(SECRET)
        assert not [sent for sent in net.sent if sent.query.question[0].rdtype == dns.rdatatype.SVCB]

    def test_a_flag_costs_one_only_for_servers_that_have_it(self):
        net = network(world(signal=FLAG, secure=("target",)), policy(), [SIGNAL])
        net.ask(SECRET)
        questions = [sent.query.question[0] for sent in net.sent]
        assert {str(question.name) for question in questions if question.rdtype == dns.rdatatype.SVCB} == {
            "_dns.svcb.ns1.dnshost.net."
        }

    def test_a_flag_may_be_followed_later(self):
        net = network(world(signal=FLAG, secure=("target",)), policy(discovery="asynchronous"), [SIGNAL])
        net.ask(SECRET)
        assert over(net) == {"udp"}
        net.ask("www.example.org.")
        assert over(net, "www.example.org.") == {"dot"}

    @pytest.mark.parametrize("signed", [True, False])
    def test_a_flag_is_as_good_as_the_signatures_where_it_leads(self, signed):
        of = world(signal=FLAG, secure=("target",), signed=ALL_SIGNED if signed else ("root", "ns-parent"))
        deny = attacker(of, "deny-svcb", "ns-zone")
        net = network(of, policy(), [SIGNAL], {"ns-zone": [deny]})
        response = net.ask(SECRET)
        assert (response.rcode() == dns.rcode.SERVFAIL) == signed
        assert over(net) == (set() if signed else {"udp"})

    def test_renamed_over_a_clear_link_it_is_gone(self):
        of = world(signal=(SIGNAL,), secure=("target",))
        net = network(of, policy(), [SIGNAL], {"target-parent": [attacker(of, "rename-ns", "target-parent")]})
        assert net.ask(SECRET).answer
        assert over(net) == {"udp"}

    def test_it_says_nothing_about_the_key(self):
        of = world(signal=(SIGNAL,), secure=("target",))
        swap = attacker(of, "forge-ns", "target-parent")
        net = network(of, policy(), [SIGNAL], {"target-parent": [swap]})
        assert net.ask(SECRET).answer
        assert ("dot", SECRET) in asked(net, "evil")
