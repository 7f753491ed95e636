"""How long an engine takes to start, and how long its scenarios take, from the records of a report card."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median

from testbed.engines.program import READY
from testbed.grading.grade import Grade

_SECONDS = re.compile(r"\d+\.\d+")


@dataclass(frozen=True)
class Speed:
    """Medians, in seconds.

    ``ready`` is from a program's start to its first answer, None for one that is no program; ``scenario`` is
    of a run, baseline included.
    """

    ready: float | None
    scenario: float | None

    @property
    def text(self) -> str:
        """In words."""
        parts = [("answers", self.ready, "after its start"), ("a scenario takes", self.scenario, "")]
        said = [f"{what} {value:.2f} s {after}".strip() for what, value, after in parts if value is not None]
        return ", ".join(said) or "nothing was run"


def speed(grades: Sequence[Grade]) -> Speed:
    """The medians over all experiments of a card."""
    runs = [run for one in grades for run in one.runs.values() if run.ladder]
    starts = [
        float(found[0])
        for run in runs
        for line in run.trace
        if line.kind == READY and (found := _SECONDS.search(line.text))
    ]
    return Speed(median(starts) if starts else None, median(run.duration_s for run in runs) if runs else None)
