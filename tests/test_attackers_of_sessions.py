"""Attackers that hold up or break off what encrypts, or what is not encrypted, without reading in it."""

from __future__ import annotations

import pytest
from signalling import SECRET, over
from worlds import attacker, network, policy, world

from testbed.attack.api import Delay, Established, Handshake, Reset

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
