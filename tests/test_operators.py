"""Attackers that run servers: what becomes of queries and responses inside."""

from __future__ import annotations

import asyncio
import random
from pathlib import Path

import dns.message
import pytest
from worlds import scene_of, world

from testbed import topology
from testbed.attack.api import Attacker, Capability, Drop, Parameters, Reply, Reset
from testbed.core.transport import Transport
from testbed.run.cast import Placed
from testbed.run.operators import Operators
from testbed.scenario.errors import ScenarioError
from testbed.scenario.load import load_text

PLACE = topology.load("hosted")
QUERY = dns.message.make_query("secret.example.org.", "A")


class Operates(Attacker):
    """Does to each message what it is told."""

    capability = Capability.ON_PATH
    source = "a test"
    to_query = to_response = None

    def query(self, query):
        return self.to_query

    def response(self, response):
        return self.to_response


def true(wire, transport, peer):
    response = dns.message.make_response(dns.message.from_wire(wire))
    response.set_rcode(3)
    return [response.to_wire()]


async def slowly(wire, transport, peer):
    return true(wire, transport, peer)


def asked(operators, role="target", handler=true):
    """What a client gets of a role's server: RCODEs."""
    answered = operators.around(role, handler)(QUERY.to_wire(), Transport.DOT, "192.0.2.53")
    responses = asyncio.run(answered) if asyncio.iscoroutine(answered) else answered
    return [int(dns.message.from_wire(wire).rcode()) for wire in responses]


def operators(link="target", operates=True, **does):
    attacker = Operates(scene_of(world(), link, random.Random(0)), Parameters())
    for name, action in does.items():
        setattr(attacker, name, action)
    made = Operators([Placed(0, "operates", link, attacker, operates)], PLACE, lambda: 0.0)
    made.begin_step(0, {0})
    return made


LIE = Reply(dns.message.make_response(QUERY))


@pytest.mark.parametrize("handler", [true, slowly])
@pytest.mark.parametrize(
    ("does", "rcodes"),
    [
        ({}, [3]),
        ({"to_query": LIE}, [0]),
        ({"to_response": LIE}, [0]),
        ({"to_query": Drop()}, []),
        ({"to_response": Drop()}, []),
        ({"to_response": Reset()}, []),
    ],
)
def test_it_has_a_hand_in_what_its_server_says(does, rcodes, handler):
    assert asked(operators(**does), handler=handler) == rcodes


def test_other_servers_are_not_its():
    assert asked(operators(to_query=LIE), "root") == [3]


def test_who_sits_on_the_link_runs_no_server():
    assert asked(operators(operates=False, to_query=LIE)) == [3]


def test_it_acts_in_steps_in_which_it_is_active():
    made = operators(to_query=LIE)
    made.begin_step(1, set())
    assert asked(made) == [3]
    made.begin_step(2, {0})
    assert asked(made) == [0]


@pytest.mark.parametrize(
    ("attack", "said"),
    [
        ("{attacker: block-tls, on: target, operator: true}", "nothing to messages"),
        ("{attacker: forge-ns, on: client, operator: true}", "runs no server"),
        ("{attacker: blind-reset, operator: true}", "runs no server"),
    ],
)
def test_what_no_operator_can_be_is_said(attack, said):
    text = f"id: a/b\ntitle: t\nworld: {{secure: [target]}}\nattack: [{attack}]\n"
    with pytest.raises(ScenarioError, match=rf"^x\.yaml:4:\d+: .*{said}"):
        load_text(text, Path("x.yaml"))


def test_it_is_named_as_what_it_is():
    text = "id: a/b\ntitle: t\nattack: [{attacker: observe, on: target, operator: true}]\n"
    (cell,) = load_text(text, Path("x.yaml"))
    assert str(cell.scenario.attack[0]) == "observe running the servers of target"
