"""Which run a record is of."""

from __future__ import annotations

from pathlib import Path
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
        "servers": scenario.world.programs,
        "policy": scenario.resolver.policy.name,
        "cell": dict(cell.cell),
        "claim": scenario.claim,
        "file": _named(cell.path),
        "line": cell.expected_at,
    }


def _named(path: Path) -> str:
    """A file as one names it in the working directory: the same on every machine where it is below that."""
    whole, here = path.resolve(), Path.cwd()
    return str(whole.relative_to(here) if whole.is_relative_to(here) else whole)
