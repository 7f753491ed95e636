"""Attackers that hold up or break off what encrypts, or what is not encrypted, without reading in it."""

from __future__ import annotations

import pytest
from signalling import SECRET, over
from worlds import attacker, network, policy, world

from testbed.attack.api import Delay, Established, Handshake, Reset
from testbed.core.tls_messages import parse_client_hello
from testbed.transports.tls import ClientPump

PLAIN = world(signed=())
ENCRYPTED = world(signal=("ds-glue",), secure=("target",))


def ask(name, base="strict", of=ENCRYPTED, link="target", **parameters):
    one = attacker(of, name, link, **parameters)
    net = network(of, policy(base), ("ds-glue",), {link: [one]})
    return net.ask(SECRET), net, one


@pytest.mark.parametrize(("base", "transports"), [("strict", set()), ("opportunistic", {"udp"})])
def test_a_session_that_is_reset_takes_the_query_with_it(base, transports):
    response, net, one = ask("reset-established", base)
    assert bool(response.answer) is bool(transports)
    assert over(net) == {"dot", *transports}
    assert one.actions["reset"] == one.spent.injected > 0


def test_some_records_may_pass_before():
    one = attacker(ENCRYPTED, "reset-established", "target", after=2)
    sessions = [Established("target", 853, None, number) for number in (1, 2, 3)]
    assert [one.established(session) for session in sessions] == [None, None, Reset()]


@pytest.mark.parametrize(("seconds", "answered"), [(0.1, True), (600.0, False)])
def test_handshakes_that_take_long(seconds, answered):
    response, _, one = ask("slow-handshake", seconds=seconds)
    assert bool(response.answer) is answered
    assert one.handshake(Handshake("target", 853, None, (), 300)) == Delay(seconds)


@pytest.mark.parametrize(("tcp", "answered"), [("reset", False), ("drop", False), ("passed", True)])
def test_truncated_and_no_tcp(tcp, answered):
    response, net, one = ask("truncate", of=PLAIN, tcp=tcp)
    assert bool(response.answer) is answered
    assert one.actions["reply"]
    assert "udp" in over(net)
    assert ("tcp" in over(net)) is answered


@pytest.mark.parametrize("how", ["version", "alpn", "old-server", "other-alpn"])
@pytest.mark.parametrize(("base", "transports"), [("strict", set()), ("opportunistic", {"udp"})])
def test_a_handshake_that_was_meddled_with_fails(how, base, transports):
    response, net, one = ask("downgrade-tls", base, how=how)
    assert bool(response.answer) is bool(transports)
    assert "dot" not in over(net)
    assert one.matches
    assert one.spent.injected == (one.matches if how in ("old-server", "other-alpn") else 0)


@pytest.mark.parametrize(("how", "gone"), [("version", 43), ("alpn", 16)])
def test_what_is_removed_from_a_client_hello(how, gone):
    one = attacker(ENCRYPTED, "downgrade-tls", "target", how=how)
    octets = ClientPump(sni="ns1.dnshost.net", alpn=("dot",)).outgoing()
    altered = one.handshake(Handshake("target", 853, None, (), 300, octets=octets))
    assert gone not in parse_client_hello(altered.payload).extensions
    assert one.handshake(Handshake("target", 853, None, (), 300, protocol="udp")) is None
    assert one.matches == 1
