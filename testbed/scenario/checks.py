"""Contradictions: what is well-formed and still cannot be meant, because it cannot come true."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

from testbed import topology as topologies
from testbed.attack.api import Capability
from testbed.core.transport import Transport
from testbed.record import SECRETS
from testbed.scenario.errors import listed, unknown
from testbed.scenario.parts import as_list
from testbed.scenario.steps import AttackStep, BreakStep, MendStep, OrderStep, QueryStep

if TYPE_CHECKING:
    from testbed.scenario.attackers import Attack
    from testbed.scenario.expectation import PhaseExpectation
    from testbed.scenario.model import Scenario
    from testbed.scenario.world import World
    from testbed.topology import Topology

Problem = tuple[tuple[str | int, ...], str]
"""Where it is, below the part that was checked, and what is wrong; what would be right."""

_FLAGS = ("hijack", "downgrade", "denial")
_ANY_FLAG = (False, True)


def _headline(leak: str, hijack: bool, downgrade: bool, denial: bool) -> str:
    """The worst of what happened, in the order that verdicts have."""
    worst = {"hijack": hijack, "leak": leak != "none", "downgrade": downgrade, "denial": denial}
    return next((verdict for verdict, happened in worst.items() if happened), "safe")


def _possible(verdict: str, allowed: Mapping[str, Sequence[bool]], leaks: Sequence[str]) -> bool:
    """Whether flags and leaks that are allowed can add up to a verdict. Inconclusive says nothing of them.

    A leak that is there without the attack, too, does not make the verdict.
    """
    choices = [allowed.get(flag) or _ANY_FLAG for flag in _FLAGS]
    return verdict == "inconclusive" or any(
        _headline(leak, *flags) == verdict
        for leak in (*leaks, "none")
        for flags in itertools.product(*choices)
    )


def contradictions(expectation: PhaseExpectation) -> Iterator[tuple[str, str]]:
    """Fields of an expectation that no outcome can have together with its verdict."""
    if not expectation.verdict:
        return
    verdicts = tuple(str(verdict) for verdict in expectation.verdict)
    flags = {flag: getattr(expectation, flag) for flag in _FLAGS}
    leaks = expectation.leak or SECRETS
    if any(_possible(verdict, flags, leaks) for verdict in verdicts):
        return
    alone = [flag for flag in _FLAGS if not any(_possible(v, {flag: flags[flag]}, SECRETS) for v in verdicts)]
    if not any(_possible(verdict, {}, leaks) for verdict in verdicts):
        alone.append("leak")
    named = listed(verdicts, "or")
    for field in alone:
        values = listed((str(value).lower() for value in getattr(expectation, field)), "or")
        yield field, f"`{field}: {values}` cannot go with `verdict: {named}`; change one of the two"
    if not alone:
        yield "verdict", f"no outcome with these flags has the verdict {named}; the worst of them names it"


def world(world: World, topology: Topology | None) -> Iterator[Problem]:
    """Zones that nobody could validate, and ports that two services would share."""
    for role, service in world.secure.items():
        used: dict[tuple[str, int], Transport] = {}
        for transport, port in service.offers:
            over = transport.carrier
            other = used.setdefault((over, port), transport)
            if other is not transport:
                yield (
                    ("secure", role, "port"),
                    f"{other} and {transport} cannot share {over} port {port}; drop one",
                )
    if topology is None:
        return
    yield from _agents(world, topology)
    signed = {topology.by_role[role].zone for role in world.signed}
    for role, signing in world.signed.items():
        parent = topology.by_role[role].parent
        if parent is None or signing.island or topology.by_role[parent].zone in signed:
            continue
        zone, above = topology.by_role[role].zone, topology.by_role[parent].zone
        yield (
            ("signed", role),
            f"{role} ({zone}) is signed but its parent {parent} ({above}) is not; "
            f"sign {parent} too, or set `island: true` for {role}",
        )


def _agents(world: World, topology: Topology) -> Iterator[Problem]:
    """Agents that no server may name (RFC 9567)."""
    for role, agent in world.report_channel.items():
        if role not in topology.by_role:
            yield ("report_channel", role), unknown("role", role, topology.roles)
        elif agent.is_subdomain(topology.by_role[role].zone):
            zone = topology.by_role[role].zone
            message = f"{agent} lies in {zone}, on which it is to report; take a domain outside of it"
            yield ("report_channel", role), message
        elif len(agent) == 1:
            yield ("report_channel", role), "the root is no agent domain; name one"


def attack(attack: Attack) -> Iterator[Problem]:
    """An attacker in a place where its kind cannot be."""
    capability = attack.attacker_type.capability
    if capability is Capability.OFF_PATH and attack.on:
        yield ("on",), f"{attack.attacker} is off-path and sits on no link; leave `on` out"
    if attack.operator and (capability is Capability.OFF_PATH or "client" in attack.on):
        yield ("operator",), f"{attack.attacker} runs no server there; leave `operator` out"
    elif attack.operator and capability is Capability.ON_PATH and not _changes_messages(attack):
        yield ("operator",), f"{attack.attacker} does nothing to messages; an operator does nothing else"
    if capability is Capability.OFF_PATH and attack.when == "ticket-expired":
        yield ("when",), f"{attack.attacker} is off-path and sees no sessions; wait for something else"
    if capability not in (Capability.OFF_PATH, Capability.OPERATOR) and not attack.on:
        yield ("attacker",), f"{attack.attacker} ({capability}) must sit on a link; say which with `on`"


def _changes_messages(attack: Attack) -> bool:
    return any(attack.attacker_type.overrides(hook) for hook in ("query", "response", "transfer"))


def scenario(scenario: Scenario) -> Iterator[Problem]:
    """Parts that do not fit together."""
    yield from _steps(scenario)
    yield from _breakdowns(scenario)
    yield from _rollout(scenario)
    yield from _transports(scenario)
    yield from _orders(scenario)
    yield from _spoofed(scenario)
    yield from _occupations(scenario)


def _steps(scenario: Scenario) -> Iterator[Problem]:
    names = [attack.attacker for attack in scenario.attack]
    if not any(isinstance(step, QueryStep) for step in scenario.steps):
        yield ("steps",), "the client asks for nothing; add a `query` step"
    for number, step in enumerate(scenario.steps):
        if not isinstance(step, AttackStep):
            continue
        if not names:
            yield ("steps", number), "there is no attacker to switch; add one under `attack`"
        elif isinstance(step.switch, dict):
            for which in step.switch:
                path = ("steps", number, "attack", str(which))
                if isinstance(which, int) and which >= len(names):
                    yield path, f"there is no attacker number {which}; the last is number {len(names) - 1}"
                elif isinstance(which, str) and which not in names:
                    yield path, unknown("attacker", which, names, " in this scenario")
    for index, attack in enumerate(scenario.attack):
        if attack.from_step is not None and attack.from_step >= len(scenario.steps):
            last = len(scenario.steps) - 1
            yield (
                ("attack", index, "from_step"),
                f"there is no step {attack.from_step}; steps are counted from 0, the last is {last}",
            )
        elif not any(
            index in scenario.attackers_at(number)
            for number, step in enumerate(scenario.steps)
            if not isinstance(step, AttackStep)
        ):
            yield ("attack", index), f"{attack.attacker} is never active; switch it on in some step"


def _rollout(scenario: Scenario) -> Iterator[Problem]:
    """Servers that are to begin with an encryption which they never have, and counts of nothing."""
    secure = scenario.world.secure
    for number, role in enumerate(scenario.rollout):
        if role not in secure:
            yield ("rollout", number), unknown("role", role, secure, " among those that offer encryption")
    for field in ("expect", "claimed"):
        for number, rule in enumerate(getattr(scenario, field)):
            for name in ("changed_rrsets", "changed_zones"):
                if getattr(rule, name) and not scenario.rollout:
                    yield (field, number, name), "nothing is counted without a `rollout`; say of which roles"


def _breakdowns(scenario: Scenario) -> Iterator[Problem]:
    """Servers whose encryption breaks although they have none, or is mended although nothing broke."""
    broken: set[str] = set()
    secure = scenario.world.secure
    for number, step in enumerate(scenario.steps):
        if isinstance(step, BreakStep):
            if step.role not in secure:
                message = unknown("role", step.role, secure, " among those that offer encryption")
                yield ("steps", number, "break"), message
            broken.add(step.role)
        elif isinstance(step, MendStep):
            if step.role not in broken:
                yield ("steps", number, "mend"), f"nothing of {step.role} is broken; break it before"
            broken.discard(step.role)


def _orders(scenario: Scenario) -> Iterator[Problem]:
    """Certificates that are ordered where there is no CA, or that nobody ever ordered."""
    place = topologies.load(scenario.topology)
    orders = [(number, step) for number, step in enumerate(scenario.steps) if isinstance(step, OrderStep)]
    for number, step in orders:
        if place.ca_addresses is None:
            message = f"topology {place.name} has no CA; take one that has, such as hosted-ca"
            yield ("steps", number, "order"), message
        elif step.role not in place.by_role:
            yield ("steps", number, "order"), unknown("role", step.role, place.roles)
    for index, attack in enumerate(scenario.attack):
        if not orders and getattr(attack.parameters, "certificate", None) == "obtained":
            message = "no certificate is ordered; add an `order` step before it is wanted"
            yield ("attack", index, "with", "certificate"), message


def _spoofed(scenario: Scenario) -> Iterator[Problem]:
    """Off-path attackers that speak for a server that there is not."""
    roles = topologies.load(scenario.topology).roles
    for index, attack in enumerate(scenario.attack):
        if attack.attacker_type.capability is Capability.OFF_PATH:
            server = getattr(attack.parameters, "server", None)
            if server is not None and server not in roles:
                yield ("attack", index, "with", "server"), unknown("role", server, roles)


def _occupations(scenario: Scenario) -> Iterator[Problem]:
    """Attackers that take the connections of a server that keeps as many as come."""
    place = topologies.load(scenario.topology)
    for index, attack in enumerate(scenario.attack):
        role = getattr(attack.parameters, "server", None)
        if not attack.attacker_type.overrides("occupy") or role not in place.by_role:
            continue
        if role not in scenario.world.connections:
            message = f"{role} keeps as many connections as come; limit them under `world.connections`"
            yield ("attack", index, "with", "server"), message


def _transports(scenario: Scenario) -> Iterator[Problem]:
    """Attackers that are after a transport which nobody offers could never fire."""
    offered = {Transport.UDP, Transport.TCP}
    for service in scenario.world.secure.values():
        offered.update(service.transports)
    for index, attack in enumerate(scenario.attack):
        for name in type(attack.parameters).model_fields:
            value = getattr(attack.parameters, name)
            wanted = [item for item in as_list(value) if isinstance(item, Transport)]
            if wanted and not offered.intersection(wanted):
                named = listed(dict.fromkeys(wanted), "or")
                yield (
                    ("attack", index, "with", name),
                    f"no server offers {named}, so {attack.attacker} finds nothing; "
                    "add it under `world.secure`",
                )
