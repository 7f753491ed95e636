"""Worlds and resolvers on any topology, in memory."""

from __future__ import annotations

from worlds import policy

from testbed import signals, topology
from testbed.core.resolver.state import Configuration
from testbed.memory import MemoryNetwork
from testbed.scenario.context import Context
from testbed.scenario.world import World as Described
from testbed.world.build import World, build


def described(place: str, **options: object) -> Described:
    """What a scenario on a topology says of its world."""
    return Described.model_validate(options, context=Context(topology=topology.load(place)))


def world(place: str, **options: object) -> World:
    """The world that it describes."""
    return build(topology.load(place), described(place, **options))


def network(of: World, **attackers: object) -> MemoryNetwork:
    """A network with a strict resolver that looks for DS glue; ``attackers`` are by link."""
    configuration = Configuration(
        policy=policy("strict"),
        roots=of.roots(),
        trust_anchor=of.trust_anchor,
        authorities=(of.authority.certificate,),
        signals=(signals.load("ds-glue"),),
        families=of.topology.families,
    )
    return MemoryNetwork(of, configuration, attackers)
