"""Attackers that take a server's connections: what scenario files may say of them, and the way there."""

from __future__ import annotations

from scenario_files import cell, complaints
from worlds import attacker, world

from testbed import topology
from testbed.attack.api import Capability, Occupy
from testbed.core.transport import Transport
from testbed.network.layout import hop_name, lay_out
from testbed.scenario.describe import describe
from testbed.topology import EVIL

HEAD = "id: a\ntitle: b\n"
LIMITED = HEAD + "world: {connections: {target: {most: 5}}}\n"
ATTACK = "attack: [{attacker: exhaust-connections, with: {server: %s}}]\n"


def test_it_asks_for_what_it_was_told_and_sits_on_no_link():
    one = attacker(world(), "exhaust-connections", "", server="root", transport="dot", connections=7)
    assert one.capability is Capability.OFF_PATH
    assert one.occupy() == Occupy("root", Transport.DOT, 7)
    assert one.matches == 1


def test_a_server_with_a_limit_is_described():
    (line,) = [line for line in describe([cell(LIMITED + ATTACK % "target")]) if "keeps 5" in line]
    assert line.strip() == "The server target keeps 5 connections. When it has them: refuse."


def test_a_server_that_is_not_there_or_keeps_all_that_come_is_no_target():
    (unknown,) = complaints(LIMITED + ATTACK % "tarjet")
    assert "unknown role 'tarjet'" in unknown
    (unlimited,) = complaints(LIMITED + ATTACK % "root")
    assert unlimited.endswith("root keeps as many connections as come; limit them under `world.connections`")
    assert complaints(LIMITED + ATTACK % "target") == []
    (elsewhere,) = complaints(HEAD + "world: {connections: {nobody: {most: 5}}}\n")
    assert "nobody" in elsewhere


def test_there_is_a_way_from_the_attackers_host_to_each_server_and_back():
    for name in topology.names():
        place = topology.load(name)
        if EVIL not in place.by_role:
            continue
        plans, evil = lay_out(place), place.by_role[EVIL]
        hop = hop_name(evil.link)
        (out,) = [end for end in plans[EVIL].ends if end.to == hop]
        for server in place.servers:
            if server.link == evil.link:
                continue
            assert set(server.addresses) <= set(out.reached)
            (back,) = [end for end in plans[server.role].ends if end.to == hop]
            assert len(back.reached) == len(server.addresses)
            assert set(back.reached) <= {evil.ipv4, evil.ipv6}
