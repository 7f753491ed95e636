"""Attackers who set the clock of the resolver's host."""

from __future__ import annotations

import pytest
from scenario_files import cell
from signalling import SECRET
from worlds import attacker, configuration, network, policy, world

from testbed.attack.timing import Timing
from testbed.attack.wall_clock import WallClock
from testbed.core.resolver.core import Resolver
from testbed.engines import catalogue
from testbed.engines.applicable import obstacle
from testbed.memory import MemoryNetwork

DAY = 86400.0
SIGNED = world()
ENCRYPTED = world(signal=("ds-glue",), secure=("target",), signed=())


def shifter(of=SIGNED, **parameters):
    return attacker(of, "shift-clock", "", **parameters)


def off_path(of, chosen, looks_for, one):
    """A network with an attacker that is on no link."""
    return MemoryNetwork(of, configuration(of, chosen, looks_for), off_path=[one])


def test_the_time_is_wrong_while_an_attacker_is_active():
    one, other = shifter(by="1h"), shifter(by="2d", into="past")
    now = 1000.0
    clock = WallClock(lambda: now, 0.0, [one, other])
    assert clock() == now
    assert clock.begin_step(0, [0])
    assert clock() == now + 3600
    assert not clock.begin_step(1, [0])
    assert clock.begin_step(2, [0, 1])
    assert clock() == now + 3600 - 2 * DAY
    assert clock.begin_step(3, [])
    assert clock() == now
    assert one.actions == other.actions == {"setclock": 1}


def test_an_attacker_that_comes_later_sets_it_later():
    one = shifter(by="1h")
    one.timing = Timing(start=50.0)
    now = 0.0
    clock = WallClock(lambda: now, 0.0, [one])
    assert not clock.begin_step(0, [0])
    now = 60.0
    assert clock.begin_step(1, [0])
    assert clock() == 60.0 + 3600


@pytest.mark.parametrize(
    ("by", "into", "answered"),
    [("20h", "past", True), ("2d", "past", False), ("29d", "future", True), ("31d", "future", False)],
)
def test_signatures_are_good_by_the_time_of_day(by, into, answered):
    net = off_path(SIGNED, policy(), (), shifter(by=by, into=into))
    assert bool(net.ask(SECRET).answer) is answered


@pytest.mark.parametrize(("by", "answered"), [("59d", True), ("61d", False)])
def test_certificates_are_good_by_the_time_of_day(by, answered):
    net = off_path(ENCRYPTED, policy(), ("ds-glue",), shifter(ENCRYPTED, by=by))
    assert bool(net.ask(SECRET).answer) is answered


@pytest.mark.parametrize(("timers", "asked_again"), [("monotonic", False), ("wall-clock", True)])
def test_what_is_remembered_ages_by_either_clock(timers, asked_again):
    one = shifter(by="2d")
    one.timing = Timing(start=1.0)
    net = off_path(world(signed=()), policy(timers=timers), (), one)
    assert net.ask(SECRET).answer
    sent = len(net.sent)
    net.now += 2.0
    assert net.ask(SECRET).answer
    assert (len(net.sent) > sent) is asked_again


def test_the_trace_keeps_the_true_time():
    now = 100.0
    settings = configuration(SIGNED, policy(timers="wall-clock"), ())
    resolver = Resolver(settings, lambda: now, network(SIGNED)._rng, lambda: now + DAY)
    assert resolver.now == now + DAY
    resolver._memory.note("test", "now")
    assert resolver.trace[0].time == now


def test_engines_that_cannot_be_told_the_time_are_left_out():
    text = "id: a\ntitle: b\nresolver: {engine: unbound}\nattack: [{attacker: shift-clock}]\n"
    described = catalogue.load("unbound").description
    told = "Unbound cannot be told another time than it is"
    assert obstacle(described.model_copy(update={"time_travel": "none"}), cell(text)) == told
    assert obstacle(described, cell(text)) != told
