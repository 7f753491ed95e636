"""Reports of failures to the agents that servers name (RFC 9567)."""

from __future__ import annotations

import dns.edns
import dns.message
import dns.name
import dns.rcode
import dns.rdatatype
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scenario_files import changed, complaints
from signalling import switch
from worlds import attacker, network, policy, world

from testbed.core import message
from testbed.core.resolver.report import report_name
from testbed.core.transport import Transport

AGENT = dns.name.from_text("er.dnshost.net.")
SECRET = dns.name.from_text("secret.example.org.")
REPORT = dns.name.from_text("_er.1.secret.example.org.22._er.er.dnshost.net.")
RECEIVED = "*.er.dnshost.net TXT received"

labels = st.lists(st.binary(min_size=1, max_size=63), max_size=6)


class TestName:
    def test_holds_type_name_and_error_between_two_marks(self):
        assert report_name(SECRET, dns.rdatatype.A, 22, AGENT) == REPORT

    def test_is_made_for_the_root_too(self):
        made = report_name(dns.name.root, dns.rdatatype.DNSKEY, 9, AGENT)
        assert made == dns.name.from_text("_er.48.9._er.er.dnshost.net.")

    @pytest.mark.parametrize(("longer", "made"), [(0, True), (1, False)])
    def test_has_at_most_255_octets(self, longer, made):
        rest = 255 - len(REPORT.to_wire()) + len(SECRET.to_wire()) - 1  # octets for the labels of the name
        parts = [63, 63, 63]
        parts.append(rest - sum(parts) - len(parts) - 1 + longer)
        name = dns.name.Name([b"x" * part for part in parts] + [b""])
        found = report_name(name, dns.rdatatype.A, 22, AGENT)
        assert (found is not None) is made
        assert found is None or len(found.to_wire()) == 255

    @given(labels, st.integers(0, 65535), st.integers(0, 65535))
    def test_any_name_can_be_reported_or_is_too_long(self, parts, rdtype, code):
        try:
            name = dns.name.Name([*parts, b""])
        except dns.name.NameTooLong:
            return
        made = report_name(name, dns.rdatatype.RdataType.make(rdtype), code, AGENT)
        ends = b"".join(bytes((len(part),)) + part for part in (b"_er", str(rdtype).encode()))
        length = len(ends) + len(name.to_wire()) - 1 + 1 + len(str(code)) + 4 + len(AGENT.to_wire())
        if made is None:
            assert length > 255
        else:
            assert len(made.to_wire()) == length
            assert made.labels[2 : 2 + len(parts)] == tuple(parts)


class TestChannel:
    def response(self, *agents: str) -> dns.message.Message:
        made = dns.message.make_response(message.query(SECRET, dns.rdatatype.A, id=1))
        for agent in agents:
            message.add_option(made, dns.edns.ReportChannelOption(dns.name.from_text(agent)))
        return dns.message.from_wire(made.to_wire())

    def test_is_read(self):
        assert message.report_channel(self.response("er.dnshost.net.")) == AGENT

    @pytest.mark.parametrize("agents", [(), (".",)])
    def test_none_and_an_empty_one_are_the_same(self, agents):
        assert message.report_channel(self.response(*agents)) is None

    def test_is_what_a_server_adds_to_responses_with_edns(self):
        server = world(report_channel={"target": "er.dnshost.net"}).authoritative("target")
        query = message.query(SECRET, dns.rdatatype.A, id=1)
        (with_edns,) = server.respond(query, Transport.UDP)
        assert message.report_channel(with_edns) == AGENT
        (without,) = server.respond(dns.message.make_query(SECRET, "A", use_edns=False), Transport.UDP)
        assert without.opt is None


def net_of(agent="er.dnshost.net", records=(RECEIVED,), secure=("target",), **switches):
    """A resolver that has heard of the agent over TLS; the target's TLS is blocked since."""
    of = world(
        signal=("ds-glue",), secure=secure, report_channel={"target": agent} if agent else {}, records=records
    )
    chosen = policy("strict", **{"error_reports": True, **switches})
    blocker = attacker(of, "block-tls", "target")
    net = network(of, chosen, ["ds-glue"], {"target": [blocker]})
    switch(net, "target", on=False)
    assert net.ask("www.example.org.").rcode() == dns.rcode.NOERROR
    net.advance(60)
    switch(net, "target", on=True)
    net.sent.clear()
    return net


def reports(net):
    return [sent for sent in net.sent if sent.query.question[0].name.labels[0] == b"_er"]


def test_a_refusal_to_ask_in_clear_is_reported_over_tcp():
    net = net_of()
    assert net.ask(SECRET).rcode() == dns.rcode.SERVFAIL
    (sent,) = [one for one in reports(net) if one.query.question[0].rdtype == dns.rdatatype.TXT]
    assert sent.query.question[0].name == REPORT
    assert (sent.role, sent.transport) == ("ns-zone", Transport.TCP)
    assert not any(isinstance(option, dns.edns.ReportChannelOption) for option in sent.query.options)
    assert not net.resolver.sessions


def test_an_agent_whose_server_encrypts_is_asked_over_tls():
    net = net_of(secure=("target", "ns-zone"))
    net.ask(SECRET)
    assert {sent.transport for sent in reports(net)} == {Transport.DOT}


def test_the_policy_may_have_no_reports():
    net = net_of(error_reports=False)
    assert net.ask(SECRET).rcode() == dns.rcode.SERVFAIL
    assert not reports(net)


def test_without_an_agent_there_are_none():
    net = net_of(agent=None)
    net.ask(SECRET)
    assert not reports(net)


def test_what_was_answered_is_not_reported():
    net = net_of()
    switch(net, "target", on=False)
    net.advance(120)
    assert net.ask(SECRET).rcode() == dns.rcode.NOERROR
    assert not reports(net)


def test_the_same_failure_is_reported_once_while_the_answer_is_kept():
    net = net_of()
    net.ask(SECRET)
    before = len(reports(net))
    net.advance(100)
    assert net.ask(SECRET).rcode() == dns.rcode.SERVFAIL
    assert len(reports(net)) == before


def test_a_report_that_fails_is_not_reported():
    """The agent's own servers name an agent, too, and cannot be reached."""
    of = world(
        signal=("ds-glue",),
        secure=("target", "ns-zone"),
        report_channel={"target": "er.dnshost.net", "ns-zone": "er.example.org"},
        records=(RECEIVED, "www.dnshost.net A 192.0.2.7"),
    )
    blockers = {link: [attacker(of, "block-tls", link)] for link in ("target", "ns-zone")}
    net = network(of, policy("strict", error_reports=True), ["ds-glue"], blockers)
    for link in blockers:
        switch(net, link, on=False)
    for name in ("www.example.org.", "www.dnshost.net."):
        assert net.ask(name).rcode() == dns.rcode.NOERROR
    net.advance(60)
    for link in blockers:
        switch(net, link, on=True)
    net.sent.clear()
    assert net.ask(SECRET).rcode() == dns.rcode.SERVFAIL
    assert not reports(net)
    notes = [event.text for event in net.trace if event.kind == "report"]
    assert len(notes) == 2
    assert "was not answered" in notes[1]


def test_a_flush_forgets_agents():
    net = net_of()
    net.resolver.flush()
    assert net.ask(SECRET).rcode() == dns.rcode.SERVFAIL
    assert not reports(net)


def test_the_target_of_an_alias_is_what_failed():
    net = net_of()
    switch(net, "target", on=False)
    net.advance(120)
    assert net.ask("alias.example.org.", "CNAME").rcode() == dns.rcode.NOERROR
    net.advance(60)
    switch(net, "target", on=True)
    net.sent.clear()
    assert net.ask("alias.example.org.").rcode() == dns.rcode.SERVFAIL
    assert reports(net)[-1].query.question[0].name == REPORT


@pytest.mark.parametrize(
    ("agent", "said"),
    [
        ("er.example.org", "er.example.org. lies in example.org., on which it is to report; take a domain"),
        (".", "the root is no agent domain; name one"),
        ("a..b", "has an empty label"),
    ],
)
def test_agents_that_no_server_may_name(agent, said):
    (line,) = complaints(
        changed(
            (
                "  secure: [root, target-parent, target]\n",
                f"  secure: [root, target-parent, target]\n  report_channel: {{target: {agent}}}\n",
            )
        )
    )
    assert said in line


def test_servers_in_roles_that_do_not_exist_name_no_agents():
    (line,) = complaints(
        changed(
            (
                "  signed: [root, target-parent]\n",
                "  signed: [root, target-parent]\n  report_channel: {nobody: er.dnshost.net}\n",
            )
        )
    )
    assert "nobody" in line
