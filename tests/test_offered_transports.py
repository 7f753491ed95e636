"""Servers that offer one encrypted transport only: every signal that names transports leads there."""

import dns.name
import dns.rcode
import dns.rrset
import pytest
from signalling import SECRET, asked, over, switch
from worlds import attacker, network, policy, world

from testbed.core import svcb
from testbed.core.resolver.cache import Standing
from testbed.core.transport import Transport
from testbed.run.cast import ENCRYPTED

TRANSPORTS = [str(transport) for transport in ENCRYPTED]

SIGNALS = [
    "svcb-query",
    "svcb-glue",
    "svcb-at-target-parent",
    "ds-glue",
    "deleg",
    "name-menu",
    "child-signal",
]


def offering(*transports, signal=(), **options):
    return world(signal=signal, secure={"target": {"transports": list(transports)}}, **options)


@pytest.mark.parametrize("transport", TRANSPORTS)
@pytest.mark.parametrize("signal", SIGNALS)
def test_a_signal_leads_to_what_is_offered(signal, transport):
    net = network(offering(transport, signal=(signal,)), policy("strict"), [signal])
    assert net.ask("www.example.org.").rcode() == dns.rcode.NOERROR
    assert net.ask(SECRET).rcode() == dns.rcode.NOERROR
    assert over(net) == {transport}


@pytest.mark.parametrize("transport", TRANSPORTS)
def test_a_certificate_for_another_name_is_refused(transport):
    secure = {"target": {"transports": [transport], "certificate": "wrong-name"}}
    of = world(signal=("svcb-query",), secure=secure)
    strict = network(of, policy("strict"), ["svcb-query"])
    assert strict.ask(SECRET).rcode() == dns.rcode.SERVFAIL
    assert over(strict) == set()
    opportunistic = network(of, policy("opportunistic"), ["svcb-query"])
    opportunistic.ask(SECRET)
    assert over(opportunistic) == {transport}


@pytest.mark.parametrize("how", ["reset", "drop", "icmp"])
@pytest.mark.parametrize("transport", TRANSPORTS)
def test_each_can_be_blocked(transport, how):
    of = offering(transport, signal=("svcb-query",))
    for chosen, rcode, transports in (
        ("strict", dns.rcode.SERVFAIL, set()),
        ("opportunistic", dns.rcode.NOERROR, {"udp"}),
    ):
        block = attacker(of, "block-tls", "target", how=how)
        net = network(of, policy(chosen), ["svcb-query"], {"target": [block]})
        assert net.ask(SECRET).rcode() == rcode
        assert over(net) == transports
        assert block.actions.total()


@pytest.mark.parametrize("blocked", [853, 443])
def test_what_is_left_open_is_used(blocked):
    of = offering("dot", "doh", signal=("svcb-query",))
    block = attacker(of, "block-tls", "target", ports=(blocked,))
    net = network(of, policy("strict"), ["svcb-query"], {"target": [block]})
    assert net.ask(SECRET).rcode() == dns.rcode.NOERROR
    assert over(net) == {"doh" if blocked == 853 else "dot"}


class TestProbing:
    def net(self, *offered, probing=("dot", "doq"), **switches):
        of = offering(*offered, signed=())
        return network(of, policy("opportunistic", probing=probing, **switches), ["probing"])

    @pytest.mark.parametrize("offered", ["dot", "doq"])
    def test_whichever_is_there_is_found(self, offered):
        net = self.net(offered)
        net.ask("www.example.org.")
        net.ask(SECRET)
        assert ("udp", "www.example.org.") in asked(net)
        assert over(net) == {offered}

    @pytest.mark.parametrize("first", ["dot", "doq"])
    def test_the_preferred_one_is_used_where_there_are_both(self, first):
        net = self.net("dot", "doq", probing=(first, "doq" if first == "dot" else "dot"))
        net.ask("www.example.org.")
        net.ask(SECRET)
        assert over(net) == {first}

    @pytest.mark.parametrize("offered", ["doq", "doh"])
    def test_nothing_else_is_tried_unasked(self, offered):
        net = self.net(offered, probing=("dot",))
        net.ask("www.example.org.")
        net.ask(SECRET)
        assert over(net) == {"udp"}

    @pytest.mark.parametrize("offered", ["dot", "doq"])
    def test_after_a_success_it_waits_for_a_new_session(self, offered):
        net = self.net(offered)
        for name in ("www.example.org.", "mail.example.org."):
            net.ask(name)
        net.advance(4000)
        net.ask(SECRET)
        assert over(net) == {offered}

    @pytest.mark.parametrize(("blocked", "left"), [("dot", "doq"), ("doq", "dot")])
    def test_what_is_left_open_takes_over(self, blocked, left):
        of = offering("dot", "doq", signed=())
        block = attacker(of, "block", "target", transports=(blocked,))
        chosen = policy("opportunistic", probing=("dot", "doq"))
        net = network(of, chosen, ["probing"], {"target": [block]})
        switch(net, "target", False)
        net.ask("www.example.org.")
        net.ask("mail.example.org.")
        net.advance(4000)
        switch(net, "target", True)
        net.ask(SECRET)
        assert over(net) == {left}


def test_a_promise_is_kept_over_what_it_was_made_over():
    of = offering("doq", signal={"commitment": {"max_age": 86400}}, signed=())
    block = attacker(of, "block-tls", "target")
    chosen = policy("committed", probing=("dot", "doq"))
    net = network(of, chosen, ["probing", "commitment"], {"target": [block]})
    switch(net, "target", False)
    net.ask("www.example.org.")
    net.ask("mail.example.org.")
    switch(net, "target", True)
    net.advance(61)
    assert net.ask(SECRET).rcode() == dns.rcode.SERVFAIL
    assert over(net) == set()
    assert block.actions == {"reset": len(of.topology.by_role["target"].addresses)}


class TestPaths:
    """Where a server has DoH (RFC 9461 section 5)."""

    PATH = "/zones/dns{?dns}"

    def world(self, signal, path=PATH, transports=("doh",), **options):
        secure = {"target": {"transports": list(transports), "path": path}}
        return world(signal=(signal,), secure=secure, **options)

    @pytest.mark.parametrize("signal", [one for one in SIGNALS if one != "name-menu"])
    def test_a_signal_leads_there(self, signal):
        net = network(self.world(signal), policy("strict"), [signal])
        assert net.ask(SECRET).rcode() == dns.rcode.NOERROR
        assert over(net) == {"doh"}

    @pytest.mark.parametrize("signal", ["name-menu", "oots"])
    def test_signals_without_room_for_it_are_silent(self, signal):
        net = network(self.world(signal), policy("opportunistic"), [signal])
        net.ask("www.example.org.")
        net.ask(SECRET)
        assert over(net) == {"udp"}

    def test_a_flag_leads_to_records_that_name_it(self):
        of = world(
            signal={"name-menu": {"form": "flag"}},
            secure={"target": {"transports": ["doh"], "path": self.PATH}},
        )
        net = network(of, policy("strict"), ["name-menu"])
        assert net.ask(SECRET).rcode() == dns.rcode.NOERROR
        assert over(net) == {"doh"}

    def test_root_hints_name_it(self):
        of = world(secure={"root": {"transports": ["doh"], "path": self.PATH}})
        net = network(of, policy("opportunistic"), [])
        net.ask(SECRET)
        assert {transport for transport, _ in asked(net, "root")} == {"doh"}
        assert not [event for event in net.trace if event.kind == "fallback"]

    @pytest.mark.parametrize("signed", [(), ("root", "ns-parent", "ns-zone")])
    @pytest.mark.parametrize("base", ["strict", "opportunistic"])
    def test_a_forged_one_leads_nowhere(self, base, signed):
        of = self.world("svcb-query", signed=signed)
        forge = attacker(
            of,
            "forge-records",
            "ns-zone",
            names=("_dns.{server:target}",),
            records=('_dns.{server:target} 300 SVCB 1 {server:target} alpn=h2 key7="/other{?dns}"',),
        )
        net = network(of, policy(base), ["svcb-query"], {"ns-zone": [forge]})
        answer = net.ask(SECRET)
        assert (answer.rcode() == dns.rcode.SERVFAIL) == (base == "strict")
        wanted = set() if signed else {"doh"}
        assert over(net) == wanted | ({"udp"} if base == "opportunistic" else set())
        failures = [event.text for event in net.trace if event.kind == "fallback"]
        assert bool(failures) == (base == "opportunistic" and not signed)

    def test_what_is_said_of_another_path_leads_to_a_session_of_its_own(self):
        of = self.world("svcb-query", signed=())
        forge = attacker(
            of,
            "forge-records",
            "ns-zone",
            names=("_dns.{server:target}",),
            records=('_dns.{server:target} 300 SVCB 1 {server:target} alpn=h2 key7="/other{?dns}"',),
        )
        net = network(of, policy("strict"), ["svcb-query"], {"ns-zone": [forge]})
        assert net.ask(SECRET).rcode() == dns.rcode.SERVFAIL
        switch(net, "ns-zone", False)
        net.resolver.flush()
        assert net.ask(SECRET).rcode() == dns.rcode.NOERROR

    @pytest.mark.parametrize("path", ["dns{?dns}", "/dns", "/dns{?name}", '/"{?dns}', "/d\\123{?dns}", ""])
    def test_what_is_no_path_is_none(self, path):
        with pytest.raises(ValueError, match="no path of DoH"):
            self.world("svcb-query", path=path)


def test_records_with_different_paths():
    ns = dns.name.from_text("ns1.dnshost.net.")
    rrset = dns.rrset.from_text(
        svcb.owner(ns),
        60,
        "IN",
        "SVCB",
        f'1 {ns} alpn=h2 port=8443 key7="no path"',
        f'2 {ns} alpn=h2 key7="/two{{?dns}}"',
        f'3 {ns} alpn=h2,dot port=444 key7="/three{{?dns}}"',
    )
    offer = svcb.offer("svcb-query", ns, rrset, Standing.NONE, 0.0)
    assert offer.transports == ((Transport.DOH, 443), (Transport.DOT, 444))
    assert offer.path == "/two{?dns}"


def test_without_a_path_there_is_no_doh():
    ns = dns.name.from_text("ns1.dnshost.net.")
    rrset = dns.rrset.from_text(svcb.owner(ns), 60, "IN", "SVCB", f"1 {ns} alpn=h2,dot")
    assert svcb.offer("svcb-query", ns, rrset, Standing.NONE, 0.0).transports == ((Transport.DOT, 853),)


class TestHints:
    """Servers that hint at one transport only, and root servers that are known to have one."""

    @pytest.mark.parametrize("transport", ["dot", "doq", "doh"])
    def test_a_hint_leads_there(self, transport):
        net = network(offering(transport, signal=("oots",)), policy("opportunistic"), ["oots"])
        net.ask("www.example.org.")
        assert over(net, "www.example.org.") == {"udp"}
        net.ask(SECRET)
        assert over(net) == {transport}

    @pytest.mark.parametrize("transport", ["dot", "doq", "doh"])
    def test_blocked_it_is_no_reason_to_insist(self, transport):
        of = offering(transport, signal=("oots",))
        block = attacker(of, "block", "target", transports=(transport,))
        net = network(of, policy("strict"), ["oots"], {"target": [block]})
        net.ask("www.example.org.")
        assert net.ask(SECRET).rcode() == dns.rcode.NOERROR
        assert over(net) == {"udp"}
        assert block.actions.total()

    def test_a_hint_has_no_word_for_http3(self):
        net = network(offering("doh3", signal=("oots",)), policy("opportunistic"), ["oots"])
        net.ask("www.example.org.")
        net.ask(SECRET)
        assert over(net) == {"udp"}

    @pytest.mark.parametrize("transport", TRANSPORTS)
    def test_root_servers_are_known_to_have_it(self, transport):
        of = world(signal=("preconfigured",), secure={"root": {"transports": [transport]}})
        net = network(of, policy("strict"), ["preconfigured"])
        net.ask(SECRET)
        assert {used for used, _ in asked(net, "root")} == {transport}

    @pytest.mark.parametrize("transport", TRANSPORTS)
    @pytest.mark.parametrize("base", ["strict", "opportunistic"])
    def test_blocked_root_servers_are_asked_in_clear_by_opportunists_only(self, base, transport):
        of = world(signal=("preconfigured",), secure={"root": {"transports": [transport]}})
        block = attacker(of, "block", "root", transports=(transport,))
        net = network(of, policy(base), ["preconfigured"], {"root": [block]})
        answer = net.ask(SECRET)
        assert (answer.rcode() == dns.rcode.SERVFAIL) == (base == "strict")
        assert {used for used, _ in asked(net, "root")} == (set() if base == "strict" else {"udp"})
