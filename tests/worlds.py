"""Worlds and resolvers for tests, in memory."""

from __future__ import annotations

import random
from collections.abc import Iterable, Mapping, Set
from typing import Any

from testbed import signals, topology
from testbed.attack import catalogue
from testbed.attack.api import Attacker, Scene
from testbed.core.policy import POLICIES, Policy
from testbed.core.resolver.state import Configuration
from testbed.memory import MemoryNetwork
from testbed.run.cast import ENCRYPTED, scene
from testbed.scenario.world import World as Described
from testbed.world.build import World, build

HOSTED = topology.load("hosted")
ALL_SIGNED = ("root", "target-parent", "ns-parent", "ns-zone", "target")


def world(*, signal: Any = (), signed: Any = ALL_SIGNED, secure: Any = (), **options: Any) -> World:
    described = Described.model_validate(
        {"signal": _listed(signal), "signed": _listed(signed), "secure": _listed(secure), **options}
    )
    return build(HOSTED, described)


def _listed(value: Any) -> Any:
    return list(value) if isinstance(value, tuple) else value


def policy(base: str = "strict", **switches: Any) -> Policy:
    return POLICIES[base].model_copy(update=switches)


def configuration(of: World, chosen: Policy, looks_for: Iterable[str]) -> Configuration:
    return Configuration(
        policy=chosen,
        roots=of.roots(),
        trust_anchor=of.trust_anchor if chosen.dnssec else None,
        authorities=(of.authority.certificate,),
        signals=tuple(signals.load(name) for name in looks_for),
        transports=ENCRYPTED,
        root_sources=of.root_sources(),
    )


def scene_of(of: World, link: str, obtained: Set[str] = frozenset()) -> Scene:
    return scene(of, link, random.Random(0), obtained)


def attacker(of: World, name: str, link: str, **parameters: Any) -> Attacker:
    kind = catalogue.load(name)
    return kind(scene_of(of, link), kind.Parameters(**parameters))


def network(
    of: World,
    chosen: Policy | None = None,
    looks_for: Iterable[str] = (),
    attackers: Mapping[str, list[Attacker]] | None = None,
    seed: int = 0,
) -> MemoryNetwork:
    return MemoryNetwork(of, configuration(of, chosen or policy(), looks_for), attackers or {}, seed)
