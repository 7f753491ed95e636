"""Runs that do not take place, and their records: the reason stands in them, and they are never a pass."""

from __future__ import annotations

from testbed.engines import catalogue
from testbed.engines.applicable import obstacle
from testbed.record import Run, Verdict
from testbed.run.identity import identity
from testbed.scenario.cell import Cell
from testbed.scenario.engine import REFERENCE


def refusal(cell: Cell) -> Run | None:
    """The record of a scenario that its engine cannot run, or not on this machine; None if it can.

    Raises ScenarioError for what is wrong with the engine's description.
    """
    named = cell.scenario.resolver.engine
    if named == REFERENCE:
        return None
    engine = catalogue.load(named)
    cannot = obstacle(engine.description, cell)
    if cannot is not None:
        return record(cell, Verdict.NOT_APPLICABLE, cannot, None)
    lacking = catalogue.missing(engine)
    return record(cell, Verdict.SKIPPED, lacking, None) if lacking is not None else None


def record(cell: Cell, verdict: Verdict, reason: str, expected: bool | None) -> Run:
    """The record of a run that did not take place, or did not end."""
    return Run(
        verdict=verdict,
        reason=reason,
        **identity(cell),
        expected=expected,
        mismatches=(f"verdict: {reason}",) if expected is False else (),
    )
