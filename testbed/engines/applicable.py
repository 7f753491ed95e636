"""Whether an engine can do what a scenario asks of it: its policy, the signals that matter, its steps."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import dns.name

from testbed.core.policy import Policy
from testbed.core.resolver.state import PRECONFIGURED
from testbed.core.transport import Transport
from testbed.engines.description import Description
from testbed.scenario.cell import Cell
from testbed.scenario.errors import listed
from testbed.scenario.steps import AdvanceStep, FlushStep

ROOT_SOURCE = "root-source"
"""The role of what gives a local root its copy."""

SILENT = frozenset({"none", "root-mirror"})
"""Entries among a policy's signals that announce no server's encryption."""

OF_ENCRYPTION = frozenset(
    {
        "encryption",
        "scope",
        "authentication",
        "credentials",
        "accept",
        "fallback",
        "adt",
        "discovery",
        "commitment",
        "commitment_from",
        "persistent",
        "preconfigured_root",
        "prefer_encrypted",
        "resumption",
        "padding",
    }
)
"""Fields of a policy that decide nothing as long as no signal leads to encryption."""


def signals_that_matter(cell: Cell) -> tuple[str, ...]:
    """The signals that a resolver would have to know to do as the scenario's policy says."""
    scenario, policy = cell.scenario, cell.scenario.resolver.policy
    named = policy.signals if policy.signals is not None else tuple(scenario.world.signal)
    known = [name for name in named if name not in SILENT and name != PRECONFIGURED]
    roots = (server.role for server in cell.topology.servers if server.zone == dns.name.root)
    if policy.preconfigured_root and any(
        role in scenario.world.secure for role in roots if role != ROOT_SOURCE
    ):
        known.append(PRECONFIGURED)
    return tuple(known)


def effective(cell: Cell) -> Policy:
    """The scenario's policy, without what decides nothing in it."""
    policy = cell.scenario.resolver.policy
    if policy.encryption == "always" or signals_that_matter(cell):
        return policy
    defaults = Policy()
    idle = {field: getattr(defaults, field) for field in OF_ENCRYPTION}
    return policy.model_copy(update={**idle, "encryption": "never"})


def obstacle(engine: Description, cell: Cell) -> str | None:
    """Why an engine cannot do what a scenario asks of it; None if it can."""
    for step in cell.scenario.steps:
        if isinstance(step, AdvanceStep) and engine.time_travel == "none":
            return f"{engine.title} cannot be told that time has passed"
        if isinstance(step, FlushStep) and not engine.flush:
            return f"{engine.title} cannot be told to empty its cache"
    if engine.time_travel == "none" and any(
        attack.attacker_type.overrides("clock") for attack in cell.scenario.attack
    ):
        return f"{engine.title} cannot be told another time than it is"
    policy, signals = effective(cell), signals_that_matter(cell)
    if policy.mirror != "off" and (carriers := _transfers_over(cell)) and Transport.DOT not in carriers:
        return f"{engine.title} has no counterpart of zone transfers over {listed(carriers)}"
    found = [list(_differences(kind, policy, signals)) for kind in engine.follows]
    fewest = min(found, key=len)
    return f"{engine.title} has no counterpart of {listed(fewest)}" if fewest else None


def _transfers_over(cell: Cell) -> tuple[Transport, ...]:
    """The encrypted transports that a copy of the root zone is to be had over, if any."""
    service = cell.scenario.world.secure.get(ROOT_SOURCE)
    return service.transports if service is not None else ()


def _differences(
    kind: Mapping[str, tuple[Any, ...]], policy: Policy, signals: tuple[str, ...]
) -> Iterator[str]:
    """What a policy asks for that is not in a kind of policies that an engine can follow."""
    defaults = Policy()
    known = kind.get("signals", ())
    unknown = [name for name in signals if name not in known]
    if unknown:
        yield f"the signal {listed(unknown)}"
    for field in Policy.model_fields:
        if field in ("name", "signals"):
            continue
        value = getattr(policy, field)
        if field == "credentials":
            allowed = set(kind.get(field, defaults.credentials))
            fits = policy.authentication == "none" or set(value) <= allowed
        else:
            fits = value in kind.get(field, (getattr(defaults, field),))
        if not fits:
            shown = ", ".join(value) if isinstance(value, tuple) else str(value).lower()
            yield f"{field}: {shown}"
