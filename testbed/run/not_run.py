"""Runs that do not take place, and their records: the reason stands in them, and they are never a pass."""

from __future__ import annotations

from testbed.engines import catalogue, serving
from testbed.engines.applicable import obstacle
from testbed.engines.description import Description, Engine
from testbed.engines.measured import Abilities, as_measured, load
from testbed.record import Run, Verdict
from testbed.run.identity import identity
from testbed.scenario.cell import Cell
from testbed.scenario.engine import REFERENCE


def refusal(cell: Cell, *, measured: bool = True) -> Run | None:
    """The record of a scenario that its programs cannot run, or not on this machine; None if they can.

    What was measured of a resolver counts before what its description declares, unless ``measured`` is False.
    Raises ScenarioError for what is wrong with a program's description.
    """
    engine, servers = _resolver(cell), serving.parts(cell)
    cannot = _obstacle(engine, cell, measured) if engine is not None else None
    for part in servers:
        cannot = cannot or serving.obstacle(cell, part)
    if cannot is not None:
        return record(cell, Verdict.NOT_APPLICABLE, cannot, None)
    lacking = catalogue.missing(engine) if engine is not None else None
    for part in servers:
        lacking = lacking or serving.missing(cell, part)
    return record(cell, Verdict.SKIPPED, lacking, None) if lacking is not None else None


def _resolver(cell: Cell) -> Engine | None:
    """The engine that is a program, if it is one."""
    named = cell.scenario.resolver.engine
    return catalogue.load(named) if named != REFERENCE else None


def _obstacle(engine: Engine, cell: Cell, measured: bool) -> str | None:
    cannot = obstacle(engine.description, cell)
    found = load(engine) if measured else None
    return cannot if found is None else _by_measurement(engine.description, found, cell, cannot)


def _by_measurement(declared: Description, found: Abilities, cell: Cell, cannot: str | None) -> str | None:
    """Why an engine cannot, by what was measured; it is said where the description has it otherwise."""
    really = obstacle(as_measured(declared, found), cell)
    if really is None or cannot is not None:
        return really
    return f"{really}, as was measured; its description declares otherwise"


def record(cell: Cell, verdict: Verdict, reason: str, expected: bool | None) -> Run:
    """The record of a run that did not take place, or did not end."""
    return Run(
        verdict=verdict,
        reason=reason,
        **identity(cell),
        expected=expected,
        mismatches=(f"verdict: {reason}",) if expected is False else (),
    )
