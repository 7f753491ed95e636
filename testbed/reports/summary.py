"""What all reports share: how runs are grouped and counted, and which packet shows what.

Nothing here judges a run. The functions pick and sort what a record says, so that every report says the same.
"""

from __future__ import annotations

import json
import math
import re
import shlex
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import PurePath
from typing import Any

from testbed.compare.findings import decisive, visible
from testbed.record import Run, Spent, Standing, Verdict
from testbed.scenario.matrix import short_names

POLICY_AXIS = "resolver.policy"

_COLUMN_ORDER = ("opportunistic", "strict", "committed", "always")

_ANCHOR = re.compile(r"[^A-Za-z0-9]+")
_DIGITS = re.compile(r"(\d+)")


class Status(StrEnum):
    """What a run means for whoever waits for the suite to pass. Only the first two are a pass."""

    AS_EXPECTED = "as expected"
    KNOWN = "as accepted"
    DIFFERS = "differs"
    UNJUDGED = "no expectation"
    INCONCLUSIVE = "inconclusive"
    SKIPPED = "skipped"
    NOT_APPLICABLE = "not applicable"


def status(run: Run) -> Status:
    """How a run counts. Inconclusive is never a pass, whatever the scenario expected.

    Where results are accepted, what is worse than that differs, even if it is as the scenario expects.
    """
    if run.standing in (Standing.WORSE, Standing.LOST):
        return Status.DIFFERS
    if run.standing is not None and not run.expected:
        return Status.KNOWN
    if run.verdict in _NO_VERDICT:
        return _NO_VERDICT[run.verdict]
    if run.expected is None:
        return Status.UNJUDGED
    return Status.AS_EXPECTED if run.expected else Status.DIFFERS


_NO_VERDICT = {
    Verdict.SKIPPED: Status.SKIPPED,
    Verdict.NOT_APPLICABLE: Status.NOT_APPLICABLE,
    Verdict.INCONCLUSIVE: Status.INCONCLUSIVE,
}

FAILING = (Status.DIFFERS, Status.INCONCLUSIVE)
"""What makes a suite fail."""


def fails(run: Run) -> bool:
    """Whether a run makes the suite fail."""
    return status(run) in FAILING


def differing(run: Run) -> tuple[str, ...]:
    """In what a run that differs does so, one text per field: from what is accepted, or else expected."""
    return run.changes if run.standing in (Standing.WORSE, Standing.LOST) else run.mismatches


def sentence(run: Run) -> str:
    """A run in one line: which it is, in what it differs or why nothing is known, the packet to look at."""
    why = "; ".join(differing(run)) or run.reason or str(run.verdict)
    found = decisive(run)
    shows = f" (packet {found.packet} on link {found.link}: {found.text})" if found is not None else ""
    return visible(f"{run.id}: {why}{shows}")


def took(spent: Spent) -> str:
    """What an attack took, in words: "2 injected, there for 90 s"."""
    counted = {"injected": spent.injected, "altered": spent.altered, "connections held": spent.held}
    parts = [f"{number} {what}" for what, number in counted.items() if number]
    if spent.presence_s:
        parts.append(f"there for {spent.presence_s:g} s")
    return ", ".join(parts) or "nothing"


# -- grouping --------------------------------------------------------------------------------------


def section(run: Run) -> str:
    """The section of the threat model: the first part of the scenario's id."""
    return run.scenario.partition("/")[0]


def label(value: object) -> str:
    """The value of a matrix axis as a short text."""
    if isinstance(value, str):
        return value
    if isinstance(value, list | tuple):
        return ", ".join(map(label, value)) or "none"
    if isinstance(value, dict):
        return ", ".join(f"{name}: {label(item)}" for name, item in value.items())
    return json.dumps(value, ensure_ascii=False, default=str)


def axes(run: Run) -> dict[str, str]:
    """The matrix axes of a run by the names that they have in its id; the policy has a column instead."""
    paths = [tuple(int(step) if step.isdigit() else step for step in axis.split(".")) for axis in run.cell]
    names = short_names(paths)
    return {
        names[path]: label(value)
        for path, (axis, value) in zip(paths, run.cell.items(), strict=True)
        if not (axis == POLICY_AXIS and value == run.policy)
    }


@dataclass(slots=True)
class Row:
    """A scenario, or a part of its matrix: what ran, by column. Mostly one run in each."""

    scenario: str
    title: str
    claim: int | None
    axes: dict[str, str]
    cells: dict[str, list[Run]] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """The scenario's id without its section."""
        return self.scenario.partition("/")[2] or self.scenario


@dataclass(slots=True)
class Section:
    """The rows of one section of the threat model."""

    name: str
    rows: list[Row]


@dataclass(slots=True)
class Matrix:
    """All runs as a table: a column for each policy (and engine, where there are several)."""

    columns: list[str]
    sections: list[Section]

    @property
    def rows(self) -> list[Row]:
        """Every row, from the top."""
        return [row for part in self.sections for row in part.rows]

    @property
    def runs(self) -> list[Run]:
        """Every run, in the order in which the table reads."""
        return [run for row in self.rows for column in self.columns for run in row.cells.get(column, [])]


def matrix(runs: Sequence[Run]) -> Matrix:
    """Lay out runs. The order in which they were finished makes no difference."""
    several = len({run.engine for run in runs}) > 1
    first_claim: dict[str, float] = {}
    for run in runs:
        claim = math.inf if run.claim is None else run.claim
        first_claim[section(run)] = min(claim, first_claim.get(section(run), math.inf))

    def position(run: Run) -> tuple[Any, ...]:
        claim = math.inf if run.claim is None else run.claim
        group = section(run)
        return first_claim[group], group, claim, *map(_natural, (run.scenario, *axes(run).values(), run.id))

    columns: dict[str, tuple[Any, ...]] = {}
    sections: dict[str, dict[tuple[Any, ...], Row]] = {}
    for run in sorted(runs, key=position):
        column = f"{run.engine}, {run.policy}" if several else run.policy
        columns[column] = _column_position(run)
        key = (run.scenario, *axes(run).items())
        row = sections.setdefault(section(run), {}).setdefault(
            key, Row(run.scenario, run.title, run.claim, axes(run))
        )
        row.cells.setdefault(column, []).append(run)
    return Matrix(
        columns=sorted(columns, key=lambda column: columns[column]),
        sections=[Section(name, list(rows.values())) for name, rows in sections.items()],
    )


def _column_position(run: Run) -> tuple[Any, ...]:
    known = _COLUMN_ORDER.index(run.policy) if run.policy in _COLUMN_ORDER else len(_COLUMN_ORDER)
    return run.engine, known, run.policy


def _natural(text: str) -> tuple[tuple[int, int, str], ...]:
    """A sort key for which "k=2" comes before "k=10"."""
    parts = _DIGITS.split(text)
    return tuple((1, int(part), "") if index % 2 else (0, 0, part) for index, part in enumerate(parts))


def anchors(runs: Iterable[Run]) -> list[str]:
    """A name for each run that may stand in an ``id`` attribute and in a link; no two are the same."""
    given: list[str] = []
    taken: set[str] = set()
    for run in runs:
        base = "run-" + (_ANCHOR.sub("-", run.id).strip("-").lower() or "x")
        name, number = base, 1
        while name in taken:
            number += 1
            name = f"{base}-{number}"
        taken.add(name)
        given.append(name)
    return given


# -- counting --------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Tally:
    """How many runs had which verdict, and how they count."""

    total: int
    verdicts: dict[Verdict, int]
    statuses: dict[Status, int]
    skip_reasons: dict[str, int]

    @property
    def sentence(self) -> str:
        """The counts in words: "9 runs: 6 as expected, 1 differs, 1 inconclusive, 1 skipped (no unbound)"."""
        parts = []
        for kind, count in self.statuses.items():
            word = "differ" if kind is Status.DIFFERS and count > 1 else kind.value
            parts.append(f"{count} {word}")
            if kind is Status.SKIPPED and self.skip_reasons:
                reasons = [
                    text if number == count else f"{number} {text}"
                    for text, number in self.skip_reasons.items()
                ]
                parts[-1] += f" ({'; '.join(reasons)})"
        head = f"{self.total} run" if self.total == 1 else f"{self.total} runs"
        return f"{head}: {', '.join(parts)}" if parts else head


def tally(runs: Sequence[Run]) -> Tally:
    """Count runs; the dictionaries hold what occurs, in the order of the enumerations."""
    verdicts = Counter(run.verdict for run in runs)
    statuses = Counter(status(run) for run in runs)
    reasons = Counter(visible(run.reason) for run in runs if run.verdict is Verdict.SKIPPED and run.reason)
    return Tally(
        total=len(runs),
        verdicts={verdict: verdicts[verdict] for verdict in Verdict if verdicts[verdict]},
        statuses={kind: statuses[kind] for kind in Status if statuses[kind]},
        skip_reasons=dict(sorted(reasons.items(), key=lambda item: (-item[1], item[0]))),
    )


# -- packets ---------------------------------------------------------------------------------------


def capture_path(run: Run, capture: str) -> str:
    """Where a capture file is: in the run's evidence folder, if there is one."""
    return str(PurePath(run.evidence) / capture) if run.evidence else capture


def tshark(path: str, packet: int) -> str:
    """The command that shows a packet of a capture, to be pasted into a shell."""
    return f"tshark -r {shlex.quote(path)} -Y 'frame.number == {packet}' -V"
