"""Which run a record is of."""

from __future__ import annotations

from typing import Any

from testbed.scenario.cell import Cell


def identity(cell: Cell) -> dict[str, Any]:
    """The fields of a record that say what was, or was to be, run."""
    scenario = cell.scenario
    return {
        "id": cell.id,
        "scenario": scenario.id,
        "title": scenario.title,
        "engine": scenario.resolver.engine,
        "policy": scenario.resolver.policy.name,
        "cell": dict(cell.cell),
        "claim": scenario.claim,
    }
