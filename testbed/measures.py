"""What no single run can decide: claims that are about the matrix as a whole.

A measure is a function from the matrix to findings, and is named by a claim.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

from testbed import topology
from testbed.matrix import ALL_SIGNED, EVERY_SERVER, LEADS, LETTERS, TARGET_ONLY
from testbed.mechanisms import EVERY
from testbed.reference import Entry
from testbed.scenario.context import Context
from testbed.scenario.world import World
from testbed.world.changes import changes

IN_THE_PARENT = (
    "deleg",
    "ds-glue",
    "ds-pin",
    "name-menu",
    "name-pin",
    "svcb-at-target-parent",
    "svcb-glue",
    "tlsa-in-parent",
)
"""Signals that stand in a delegation."""

PROBING = "probing"
TOPOLOGY = "hosted"
WITHSTOOD = ("D", ".")
IDLE = ("-", "x", "?")
"""Cells in which nothing was decided."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was measured, in a sentence, and whether it is as claimed."""

    text: str
    holds: bool


Measure = Callable[[Mapping[str, Entry]], list[Finding]]


def signals_and_probing(matrix: Mapping[str, Entry]) -> list[Finding]:
    """Probing needs no change and withstands no active attacker; signals do, if they are in a delegation."""
    return [*_of_probing(matrix), *_of_signals(matrix)] if matrix else []


def _of_probing(matrix: Mapping[str, Entry]) -> Iterator[Finding]:
    changed = _changed(PROBING)
    yield Finding(f"{PROBING}: {changed} RRsets have to change", changed == 0)
    counted = [
        _withstood(cells)
        for row, cells in matrix.items()
        if row.startswith(f"{PROBING}/") and row.endswith("/opportunistic")
    ]
    kept, met = (sum(numbers) for numbers in zip(*counted, strict=True)) if counted else (0, 0)
    yield Finding(f"{PROBING}, opportunistic: withstands {kept} of {met} active attackers", kept == 0)


def _of_signals(matrix: Mapping[str, Entry]) -> Iterator[Finding]:
    for name in IN_THE_PARENT:
        for deployment in (TARGET_ONLY, EVERY_SERVER):
            cells = matrix.get(f"{name}/{deployment}/{ALL_SIGNED}/strict")
            if cells is not None:
                kept, met = _withstood(cells)
                changed = _changed(name)
                text = (
                    f"{name}, strict, {deployment}, every zone signed: {changed} RRsets have to change, "
                    f"withstands {kept} of {met} active attackers"
                )
                yield Finding(text, changed > 0 and kept == met)


def _withstood(cells: Entry) -> tuple[int, int]:
    """How many attackers on a single link got nothing, and how many could do something."""
    met = [cell for link in EVERY if (cell := cells.get(f"{LEADS} {LETTERS[link]}", "-")) not in IDLE]
    return sum(cell in WITHSTOOD for cell in met), len(met)


def _changed(signal: str) -> int:
    """How many RRsets change when the target's server begins to encrypt."""
    place = topology.load(TOPOLOGY)
    world = {"signal": [signal], "signed": list(EVERY), "secure": ["target"]}
    described = World.model_validate(world, context=Context(topology=place))
    return changes(place, described, ("target",)).rrsets


MEASURES: Mapping[str, Measure] = {"signals-and-probing": signals_and_probing}
