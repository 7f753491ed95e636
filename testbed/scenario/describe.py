"""A scenario in words, for people who do not want to read YAML."""

from __future__ import annotations

import inspect
import textwrap
from collections.abc import Iterator, Sequence
from typing import Any

from pydantic import BaseModel

from testbed import signals
from testbed.core.policy import Policy
from testbed.scenario.attackers import Attack
from testbed.scenario.cell import Cell
from testbed.scenario.expectation import Expectation
from testbed.scenario.resolver import Resolver
from testbed.scenario.steps import Step
from testbed.scenario.world import Service, Signing, World
from testbed.topology import Topology

WIDTH = 100


def describe(cells: Sequence[Cell]) -> Iterator[str]:
    """Lines that explain a cell, or all cells of a scenario: the first in full, the rest by their values."""
    first = cells[0]
    scenario, place = first.scenario, first.topology
    yield scenario.id if len(cells) > 1 else first.id
    yield from _wrapped(scenario.title, "  ")
    if len(cells) > 1:
        yield f"  Described is the first of {len(cells)} cells, {_suffix(first)}."
    if scenario.claim is not None or scenario.says:
        yield ""
        yield f"Claim {scenario.claim}" if scenario.claim is not None else "Claim"
        yield from _wrapped(scenario.says, "  ")
    for heading, lines in (
        ("World", _world(scenario.world, place)),
        ("Resolver", _resolver(scenario.resolver)),
        ("Attack", _attack(scenario.attack)),
        ("Steps", _steps(first)),
        ("Rollout", _rollout(first)),
        ("Expected", _expected(first)),
        ("Matrix", _matrix(cells)),
    ):
        text = [wrapped for line in lines for wrapped in _wrapped(line, "  ")]
        if text:
            yield ""
            yield heading
            yield from text


def _wrapped(text: str, indent: str) -> Iterator[str]:
    yield from textwrap.wrap(text, WIDTH, initial_indent=indent, subsequent_indent=indent + "  ")


def _world(world: World, place: Topology) -> Iterator[str]:
    yield f"Topology {place.name}: {place.summary}."
    if not world.signal:
        yield "No signal is published."
    for name, parameters in world.signal.items():
        about = "; ".join([signals.load(name).summary, *_options(parameters)])
        yield f"The signal {name} is published: {about}."
    signed = [_about(role, how, str(place.by_role[role].zone)) for role, how in world.signed.items()]
    yield f"Signed zones: {', '.join(signed)}." if signed else "No zone is signed."
    secure = [_about(role, how, str(place.by_role[role].name)) for role, how in world.secure.items()]
    yield f"Servers that offer encryption: {', '.join(secure)}." if secure else "No server offers encryption."
    zones = "this zone only" if world.hosted_zones == 1 else f"{world.hosted_zones} zones"
    yield f"The target's server hosts {zones}."
    for role, seconds in world.latency.items():
        yield f"The server {role} takes {seconds:g} s to answer."
    for role, cut in world.fragments.items():
        yield f"The server {role} cuts responses over UDP into packets of {cut.mtu} octets; ids {cut.ids}."
    for record in world.records:
        yield f"Further record: {record}"


def _about(role: str, how: Signing | Service, name: str) -> str:
    """A role, the name of its zone or server, and what is special about it."""
    return f"{role} ({'; '.join([name, *_options(how)])})"


def _resolver(resolver: Resolver) -> Iterator[str]:
    policy = resolver.policy
    yield f"Engine {resolver.engine}, policy {policy.name}:"
    for name in Policy.model_fields:
        if name != "name":
            value = getattr(policy, name)
            shown = "those that are published" if value is None else _text(value)
            yield f"  {name}: {shown}"


def _attack(attacks: Sequence[Attack]) -> Iterator[str]:
    if not attacks:
        yield "Nobody attacks."
    for attack in attacks:
        when = "".join(f", {part}" for part in _times(attack))
        kind = "; ".join([str(attack.attacker_type.capability), *_options(attack.parameters)])
        about = (inspect.getdoc(attack.attacker_type) or "").partition("\n")[0]
        yield f"{attack} ({kind}){when}. {about}"


def _times(attack: Attack) -> Iterator[str]:
    """When it acts, where that is not always."""
    if attack.from_step is not None:
        yield f"from step {attack.from_step} on"
    elif not attack.active:
        yield "not active at first"
    if str(attack.during):
        yield str(attack.during)
    if attack.when != "always":
        yield attack.when
    if attack.from_event > 1:
        yield f"from event {attack.from_event} on"
    if attack.at_most is not None:
        yield f"{attack.at_most} times at most"


def _steps(cell: Cell) -> Iterator[str]:
    for number, step in enumerate(cell.scenario.steps):
        yield f"{number}  {_sentence(step)}"


def _rollout(cell: Cell) -> Iterator[str]:
    if cell.scenario.rollout:
        roles = ", ".join(cell.scenario.rollout)
        yield f"Counted is what has to change in zones when these begin to offer encryption: {roles}."


def _sentence(step: Step) -> str:
    text = str(step)
    return f"{text[:1].upper()}{text[1:]}."


def _expected(cell: Cell) -> Iterator[str]:
    yield f"{_expectation(cell.expectation)}."
    if cell.claimed != cell.expectation:
        yield f"The document claims: {_expectation(cell.claimed)}."
    if cell.why:
        yield cell.why


def _expectation(expectation: Expectation | None) -> str:
    if expectation is None:
        return "anything"
    text = str(expectation) or "anything"
    return f"{text}; without the attack: {expectation.baseline}" if expectation.baseline else text


def _matrix(cells: Sequence[Cell]) -> Iterator[str]:
    if len(cells) == 1:
        return
    labels = [cell.labels for cell in cells]
    for name in labels[0]:
        yield f"{name}: {', '.join(dict.fromkeys(label[name] for label in labels))}"
    for cell in cells:
        yield f"  {_suffix(cell)}  {_expectation(cell.expectation)}"


def _suffix(cell: Cell) -> str:
    return cell.id.removeprefix(cell.scenario.id)


def _options(model: BaseModel) -> list[str]:
    """What of a part differs from its defaults: ["how: drop"]."""
    changed = model.model_dump(exclude_defaults=True)
    return [f"{name.replace('_', ' ')}: {_text(value)}" for name, value in changed.items()]


def _text(value: Any) -> str:
    """A value as a file would give it."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, list | tuple):
        return ", ".join(map(_text, value)) or "none"
    return str(value)
