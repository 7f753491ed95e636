"""What changed between two sets of results, run by run, and where in a run it began."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import zip_longest

from testbed.compare.findings import HOW
from testbed.compare.reference import differences
from testbed.record import Exposure, Run, TraceLine
from testbed.results import Results

_FALLING_SILENT = "nothing more"


@dataclass(frozen=True, slots=True)
class Change:
    """A run that came out otherwise: which fields, and what explains it, where records are at hand."""

    id: str
    fields: tuple[str, ...]
    reasons: tuple[str, ...] = ()


def changes(before: Results, after: Results) -> Iterator[Change]:
    """Every run, and every row of the matrix, of which there is something else after than before."""
    for found in differences(before.entries, after.entries):
        old, new = before.runs.get(found.id), after.runs.get(found.id)
        reasons = tuple(_reasons(old, new)) if old is not None and new is not None else ()
        yield Change(found.id, found.texts, reasons)
    for found in differences(before.matrix, after.matrix):
        yield Change(found.id, found.texts)


def _reasons(before: Run, after: Run) -> Iterator[str]:
    """What explains a change: packets that show more or less, and the decision at which the ways parted."""
    old, new = _shown(before), _shown(after)
    yield from (f"exposed now: {_of(exposure)}" for key, exposure in new.items() if key not in old)
    yield from (f"exposed no more: {_of(exposure)}" for key, exposure in old.items() if key not in new)
    if before.answer != after.answer:
        yield f"the client got: {_answers(before)} -> {_answers(after)}"
    yield from (
        f"{run}: {text}" for run, text in (("before", before.reason), ("after", after.reason)) if text
    )
    parted = first_difference(before, after)
    if parted is not None:
        number, one, other = parted
        yield f"decision {number} of the resolver: {_said(one)} -> {_said(other)}"


def first_difference(before: Run, after: Run) -> tuple[int, TraceLine | None, TraceLine | None] | None:
    """The first decision, counted from 1, in which two traces differ; None when they do not. Times may."""
    pairs = zip_longest(before.trace, after.trace)
    for number, (one, other) in enumerate(pairs, 1):
        if (
            one is None
            or other is None
            or (one.step, one.kind, one.text) != (other.step, other.kind, other.text)
        ):
            return number, one, other
    return None


def _shown(run: Run) -> dict[tuple[str, ...], Exposure]:
    """What an attacker can read, by what is the same in every run: not by the number of the packet."""
    found: dict[tuple[str, ...], Exposure] = {}
    for exposure in run.exposures:
        key = (exposure.link, exposure.secret, exposure.how, str(exposure.step), str(exposure.at_rest))
        found.setdefault(key, exposure)
    return found


def _of(exposure: Exposure) -> str:
    rest = ", without the attack too" if exposure.at_rest else ""
    where = f"packet {exposure.packet} of {exposure.capture}"
    return f"the {exposure.secret}, {HOW[exposure.how]}{rest}, in {where}: {exposure.text}"


def _answers(run: Run) -> str:
    return ", ".join(run.answer) or "nothing"


def _said(line: TraceLine | None) -> str:
    return f"{line.kind}: {line.text}" if line is not None else _FALLING_SILENT
