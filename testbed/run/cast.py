"""Who takes part in a scenario: the resolver's configuration, and the attackers on their links."""

from __future__ import annotations

import random
from collections import defaultdict
from collections.abc import Collection, Sequence, Set
from dataclasses import dataclass

import dns.name

from testbed import signals
from testbed.attack.api import Attacker, Capability, Scene
from testbed.core.policy import Policy
from testbed.core.resolver.state import Configuration
from testbed.core.transport import Transport
from testbed.scenario.cell import Cell
from testbed.scenario.steps import QueryStep
from testbed.topology import EVIL
from testbed.verdict.facts import Facts
from testbed.world.build import World

ENCRYPTED = (Transport.DOT, Transport.DOQ, Transport.DOH, Transport.DOH3)
"""Encrypted transports that the reference resolver speaks, best first."""


@dataclass(frozen=True)
class Placed:
    """An attacker at its place. ``number`` is that of its entry in the scenario, from 0.

    ``link`` is empty for one that is off-path. One that ``operates`` runs the servers at the link's far end.
    """

    number: int
    name: str
    link: str
    attacker: Attacker
    operates: bool = False

    @property
    def passive(self) -> bool:
        """Whether it does nothing but read."""
        return self.attacker.capability is Capability.PASSIVE

    @property
    def off_path(self) -> bool:
        """Whether it is on no link."""
        return self.attacker.capability is Capability.OFF_PATH


def configuration(cell: Cell, world: World) -> Configuration:
    """What the reference resolver is started with."""
    policy = cell.scenario.resolver.policy
    names = policy.signals if policy.signals is not None else tuple(cell.scenario.world.signal)
    return Configuration(
        policy=policy,
        roots=world.roots(),
        trust_anchor=world.trust_anchor if policy.dnssec else None,
        authorities=(world.authority.certificate,),
        signals=tuple(signals.load(name) for name in names),
        transports=ENCRYPTED,
        families=world.topology.families,
        root_sources=world.root_sources(),
    )


def configuration_of_ca(cell: Cell, world: World) -> Configuration:
    """What the resolver of the CA is started with: it knows of no encryption."""
    validates = cell.scenario.world.ca.dnssec
    return Configuration(
        policy=Policy(name="ca", encryption="never", dnssec=validates),
        roots=world.roots(),
        trust_anchor=world.trust_anchor if validates else None,
        authorities=(),
        signals=(),
        families=world.topology.families,
    )


def attackers(cell: Cell, world: World, seed: int, obtained: Set[str] = frozenset()) -> list[Placed]:
    """The attackers of a scenario, one for each link that each sits on, and one for each that is off-path.

    ``obtained`` will have the roles for whose names they were issued certificates.
    """
    placed = []
    for number, attack in enumerate(cell.scenario.attack):
        off_path = attack.attacker_type.capability is Capability.OFF_PATH
        for link in ("",) if off_path else attack.on:
            rng = random.Random(f"{seed} {number} {link}")
            attacker = attack.attacker_type(scene(world, link, rng, obtained), attack.parameters)
            attacker.timing = attack.timing
            placed.append(Placed(number, attack.attacker, link, attacker, attack.operator))
    return placed


def by_link(placed: list[Placed]) -> dict[str, list[Placed]]:
    """The active attackers on links, by link, in the scenario's order."""
    links: dict[str, list[Placed]] = defaultdict(list)
    for one in placed:
        if not one.passive and not one.off_path and not one.operates:
            links[one.link].append(one)
    return links


def active_among(placed: Sequence[Placed], numbers: Collection[int]) -> set[int]:
    """The indices in a list of those attackers that have these numbers in the scenario."""
    return {index for index, one in enumerate(placed) if one.number in numbers}


def scene(world: World, link: str, rng: random.Random, obtained: Set[str] = frozenset()) -> Scene:
    """What an attacker on a link, or with "" on none, knows."""
    topology = world.topology
    own = topology.by_role.get(EVIL, topology.by_role["target"])
    return Scene(
        target_zone=topology.by_role["target"].zone,
        sensitive_name=topology.sensitive_name,
        own_name=own.name,
        own_zone=own.zone,
        own_addresses=(own.ipv4, own.ipv6),
        server_names={server.role: server.name for server in topology.servers},
        ask=lambda role, wire: world.authoritative(role).respond_wire(wire, Transport.UDP)[0],
        server_zones={server.role: server.zone for server in topology.servers},
        server_addresses={server.role: server.addresses for server in topology.servers},
        resolver_addresses=topology.resolver_addresses,
        zones=world.zones,
        link=link,
        rng=rng,
        past=world.past,
        obtained=obtained,
    )


def facts(cell: Cell, world: World) -> Facts:
    """What the verdict has to know of the world and of the attackers."""
    attack = cell.scenario.attack
    types = [one.attacker_type for one in attack]
    links = dict.fromkeys(link for one in attack for link in one.on if not one.operator)
    operated = [
        server.role
        for one in attack
        if one.operator
        for link in one.on
        for server in cell.topology.on_link(link)
    ]
    return Facts.of(
        cell.topology,
        offers=tuple(world.services),
        attacked_links=tuple(links),
        attacker_roles=(EVIL, *operated) if attack else (),
        passive=bool(types) and all(one.capability is Capability.PASSIVE for one in types),
        zones_hosted={role: len(zones) for role, zones in world.hosting.items()},
        sensitive_name=sensitive_name(cell),
    )


def sensitive_name(cell: Cell) -> dns.name.Name:
    """The topology's sensitive name, or the first name below the target zone, should it not be asked for."""
    topology = cell.topology
    target = topology.by_role["target"].zone
    asked: list[dns.name.Name] = [
        step.question.name for step in cell.scenario.steps if isinstance(step, QueryStep)
    ]
    below = [name for name in asked if name.is_subdomain(target)]
    if not below or topology.sensitive_name in below:
        return topology.sensitive_name
    return below[0]
