"""Attackers tried out in memory, without packets: what their tests are written with."""

from __future__ import annotations

import random
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from testbed import signals, topology
from testbed.attack import catalogue
from testbed.attack.api import Attacker, Capability
from testbed.core.policy import POLICIES, Policy
from testbed.core.resolver.state import Configuration
from testbed.memory import MemoryNetwork
from testbed.run.cast import scene
from testbed.scenario.world import World
from testbed.world.build import build


def rehearse(
    attacker: str,
    on: str = "",
    *,
    near: str | Path = ".",
    world: Mapping[str, Any] | None = None,
    policy: str | Policy = "strict",
    **parameters: Any,
) -> tuple[MemoryNetwork, Attacker]:
    """A network in memory with an attacker on a link, or on none if it is off-path, and the attacker.

    ``near`` is a file or a folder below which, or beside which, there is a folder ``attackers``. ``world`` is
    what a scenario file has under that key, ``policy`` the resolver's or its name, ``parameters`` what it
    has under ``with``. Raises KeyError when there is no such attacker.
    """
    place = Path(near)
    kind = catalogue.load(attacker, catalogue.folders_near(place if place.is_dir() else place.parent))
    described = World.model_validate(dict(world or {}))
    of = build(topology.load("hosted"), described)
    chosen = POLICIES[policy] if isinstance(policy, str) else policy
    one = kind(scene(of, on, random.Random(0)), kind.Parameters(**parameters))
    configuration = Configuration(
        policy=chosen,
        roots=of.roots(),
        trust_anchor=of.trust_anchor if chosen.dnssec else None,
        authorities=(of.authority.certificate,),
        signals=tuple(signals.load(name) for name in described.signal),
        root_sources=of.root_sources(),
    )
    if kind.capability is Capability.OFF_PATH:
        return MemoryNetwork(of, configuration, off_path=[one]), one
    return MemoryNetwork(of, configuration, {on: [one]}), one
