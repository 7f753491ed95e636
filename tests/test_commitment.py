"""Promises to encrypt: how they are made, taken, kept and taken back (RFC 6797, for name servers)."""

from __future__ import annotations

import dns.edns
import dns.message
import dns.name
import dns.rcode
import dns.rdatatype
import pytest
from hypothesis import given
from hypothesis import strategies as st
from signalling import CLEAR, ENCRYPTED, SECRET, heard, over, response, restart, switch
from worlds import attacker, network, policy, world

from testbed import signals
from testbed.core import message
from testbed.core.transport import Transport
from testbed.signals.commitment import LONGEST, OPTION, decode, encode

SIGNAL = "commitment"
DAY = 86400


class TestFormat:
    def test_the_option(self):
        made = response()
        message.add_option(made, encode(0x01020304))
        assert message.encode(made).endswith(OPTION.to_bytes(2, "big") + b"\0\x04\x01\x02\x03\x04")

    @pytest.mark.parametrize("seconds", [0, 1, 604800, LONGEST])
    def test_is_read_as_it_was_written(self, seconds):
        made = response()
        message.add_option(made, encode(seconds))
        assert decode(dns.message.from_wire(message.encode(made))) == seconds

    def test_there_is_room_for_so_much_only(self):
        with pytest.raises(OverflowError):
            encode(LONGEST + 1)

    def test_the_first_of_several_counts(self):
        made = response()
        for seconds in (5, 0):
            message.add_option(made, encode(seconds))
        assert decode(made) == 5

    @given(st.binary(max_size=8))
    def test_any_value_can_be_read(self, value):
        made = response()
        message.add_option(made, dns.edns.GenericOption(OPTION, value))
        assert decode(made) == (int.from_bytes(value, "big") if len(value) == 4 else None)

    def test_a_response_without_edns_promises_nothing(self):
        assert decode(dns.message.make_response(dns.message.make_query(SECRET, "A", use_edns=False))) is None


@pytest.mark.parametrize(
    ("role", "transport", "edns", "promised"),
    [
        ("target", Transport.DOT, True, DAY),
        ("target", Transport.UDP, True, None),
        ("target", Transport.TCP, True, None),
        ("target", Transport.DOT, False, None),
        ("target-parent", Transport.DOT, True, None),
    ],
    ids=["dot", "udp", "tcp", "no-edns", "another-server"],
)
def test_servers_that_encrypt_promise_where_they_do(role, transport, edns, promised):
    of = world(signal={SIGNAL: {"max_age": DAY}}, secure=("target",))
    query = dns.message.make_query("org." if role == "target-parent" else SECRET, "A", use_edns=edns)
    assert decode(of.authoritative(role).respond(query, transport)[0]) == promised


class Promised:
    """A resolver that probes, with attackers on the target's link, off until they are switched on."""

    def __init__(self, attackers=(), link="target", looks_for=("probing", SIGNAL), max_age=DAY, **options):
        secure = options.pop("secure", ("target",))
        base = options.pop("base", "committed")
        names = [f"n{number}.example.org. A 203.0.113.{number}" for number in range(1, 9)]
        of = world(signal={SIGNAL: {"max_age": max_age}}, secure=secure, signed=(), records=names)
        placed = [attacker(of, name, link, **given) for name, given in dict(attackers).items()]
        self.link = link
        self.net = network(of, policy(base, **options), looks_for, {link: placed} if placed else {})
        if placed:
            switch(self.net, link, False)
        self.number = 0

    def ask(self):
        """Ask for a name that was not asked for yet: RCODE, and over what it went to the target's server."""
        self.number += 1
        name = f"n{self.number}.example.org."
        rcode = self.net.ask(name).rcode()
        return dns.rcode.to_text(rcode), over(self.net, name)

    def learn(self):
        """Probe, then hear the promise over TLS."""
        assert self.ask() == ("NOERROR", CLEAR)
        assert self.ask() == ("NOERROR", ENCRYPTED)
        return self

    def attack(self, on=True):
        switch(self.net, self.link, on)
        self.net.advance(61)  # sessions end, and what failed a moment ago may be tried again
        return self


REFUSED = ("SERVFAIL", set())
OPEN = ("NOERROR", CLEAR)
SAFE = ("NOERROR", ENCRYPTED)
BLOCK = {"block-tls": {}}


class TestWhileInForce:
    @pytest.mark.parametrize("how", ["reset", "drop", "icmp", "alert"])
    def test_there_is_no_way_back_to_clear_text(self, how):
        assert Promised({"block-tls": {"how": how}}).learn().attack().ask() == REFUSED

    def test_without_a_promise_there_is(self):
        assert Promised(BLOCK, looks_for=["probing"]).learn().attack().ask() == OPEN

    def test_nor_where_the_policy_keeps_none(self):
        assert Promised(BLOCK, commitment="none").learn().attack().ask() == OPEN

    @pytest.mark.parametrize("certificate", ["self-signed", "own-name", "expired"])
    def test_the_server_must_prove_its_identity(self, certificate):
        run = Promised({"impersonate": {"certificate": certificate}}).learn().attack()
        assert run.ask() == REFUSED
        assert not [sent for sent in run.net.sent if sent.terminated]

    def test_whoever_was_there_first_prevents_it(self):
        run = Promised(BLOCK)
        switch(run.net, "target", True)
        assert run.ask() == OPEN
        assert run.ask() == OPEN

    def test_a_signal_that_is_withheld_changes_nothing(self):
        of = world(signal=("svcb-query", SIGNAL), secure=("target",))
        deny, block = attacker(of, "deny-svcb", "ns-zone", how="drop"), attacker(of, "block-tls", "target")
        placed = {"ns-zone": [deny], "target": [block]}
        net = network(of, policy("committed"), ["svcb-query", SIGNAL], placed)
        for link in placed:
            switch(net, link, False)
        net.ask("www.example.org.")
        for link in placed:
            switch(net, link, True)
        net.advance(3700)
        assert net.ask(SECRET).rcode() == dns.rcode.SERVFAIL
        assert not over(net)

    def test_a_hint_does_not_weaken_it(self):
        of = world(signal=("oots", SIGNAL), secure=("target",), signed=())
        net = network(
            of, policy("committed"), ["oots", SIGNAL], {"target": [attacker(of, "block-tls", "target")]}
        )
        switch(net, "target", False)
        for name in ("www.example.org.", "mail.example.org."):
            net.ask(name)
        switch(net, "target", True)
        net.advance(61)
        assert net.ask(SECRET).rcode() == dns.rcode.SERVFAIL
        assert not over(net)

    @pytest.mark.parametrize(
        ("link", "forge", "kept"),
        [
            ("ns-zone", "glue", {"name-server": REFUSED, "zone": REFUSED, "address": ("NOERROR", set())}),
            (
                "target-parent",
                "name-servers",
                dict.fromkeys(("name-server", "address", "zone"), ("NOERROR", set())),
            ),
        ],
        ids=["address", "name-server"],
    )
    def test_a_forged_delegation_is_noticed_by_what_it_was_kept_for(self, link, forge, kept):
        for key, expected in kept.items():
            run = Promised({"forge-ns": {"forge": forge}}, link, commitment=key, max_age=10 * DAY).learn()
            switch(run.net, link, True)
            run.net.advance(DAY)
            assert run.ask() == expected, key

    def test_kept_for_one_address_it_does_not_hold_for_the_others(self):
        for key, expected in {"address": OPEN, "name-server": REFUSED}.items():
            assert Promised(BLOCK, commitment=key).learn().attack().ask() == expected, key


class TestLifetime:
    def test_it_expires(self):
        run = Promised(BLOCK, max_age=3600).learn()
        run.net.advance(3500)
        switch(run.net, "target", True)
        assert run.ask() == REFUSED
        run.net.advance(101)
        assert run.ask() == OPEN

    def test_it_is_renewed_each_time(self):
        run = Promised(BLOCK, max_age=3600).learn()
        run.net.advance(3500)
        assert run.ask() == SAFE
        switch(run.net, "target", True)
        run.net.advance(3500)
        assert run.ask() == REFUSED

    def test_a_flush_does_not_touch_it(self):
        run = Promised(BLOCK).learn()
        run.net.resolver.flush()
        assert run.attack().ask() == REFUSED

    def test_a_restart_forgets_it(self):
        run = Promised(BLOCK).learn()
        restart(run.net)
        assert run.attack().ask() == OPEN

    def test_it_can_be_taken_back(self):
        run = Promised({"inject-commitment": {"max_age": 0, "certificate": "mis-issued"}, **BLOCK}).learn()
        run.net._chains["target"].active = {0}
        run.net.advance(61)
        assert run.ask() == SAFE
        run.net._chains["target"].active = {1}
        run.net.advance(61)
        assert run.ask() == OPEN

    def test_nothing_is_promised_by_a_promise_for_no_time(self):
        assert Promised(BLOCK, max_age=0).learn().attack().ask() == OPEN


class TestAcceptance:
    def accepted(self, source, certificate="own-name", **options):
        injected = {"inject-commitment": {"certificate": certificate}}
        run = Promised(injected, commitment_from=source, **options)
        switch(run.net, "target", True)
        run.ask()
        run.ask()
        return run.attack(on=False).ask() == REFUSED

    @pytest.mark.parametrize(
        ("source", "taken"), [("any", True), ("encrypted", False), ("authenticated", False)]
    )
    def test_from_clear_text(self, source, taken):
        assert self.accepted(source, secure=(), looks_for=[SIGNAL]) is taken

    @pytest.mark.parametrize(
        ("source", "taken"), [("any", True), ("encrypted", True), ("authenticated", False)]
    )
    def test_from_a_session_with_whoever(self, source, taken):
        secure = {"target": {"certificate": "self-signed"}}
        assert self.accepted(source, "self-signed", secure=secure) is taken

    @pytest.mark.parametrize("authentication", ["none", "when-possible"])
    def test_who_looks_at_no_certificate_knows_no_authenticated_server(self, authentication):
        run = Promised(BLOCK, authentication=authentication).learn().attack()
        assert run.ask() == (OPEN if authentication == "none" else REFUSED)

    def test_a_zone_is_bound_by_whoever_was_taken_for_its_server(self):
        run = Promised({"forge-ns": {}}, "target-parent", secure=(), commitment="zone", max_age=10 * DAY)
        switch(run.net, "target-parent", True)
        run.ask()
        run.ask()
        switch(run.net, "target-parent", False)
        run.net.advance(DAY)
        assert run.ask() == REFUSED


def test_the_signal_reads_what_it_hears():
    made = response()
    signal = signals.load(SIGNAL)
    told = heard(made)
    signal.read_response(told, 0.0)
    assert told.promise is None
    message.add_option(made, encode(9))
    signal.read_response(told, 0.0)
    assert told.promise == 9
