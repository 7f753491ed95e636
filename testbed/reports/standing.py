"""What is to be said of runs beside accepted results, apart from what fails."""

from __future__ import annotations

from collections.abc import Sequence

from testbed.compare.findings import visible
from testbed.record import Run, Standing, Verdict


def better(runs: Sequence[Run]) -> list[str]:
    """A text for each run that is better than accepted: "ds-glue/x: leak: accepted name, got none"."""
    return [visible(f"{run.id}: {'; '.join(run.changes)}") for run in runs if run.standing is Standing.BETTER]


def notes(runs: Sequence[Run], gone: Sequence[str] = ()) -> list[str]:
    """Lines for a person: what is better, what is accepted though nothing is known, what is ``gone``.

    ``gone`` are the ids of results that are accepted of runs that no scenario has any more.
    """
    lines = []
    if found := better(runs):
        lines += [f"better than accepted ({len(found)}); --accept takes them in:"]
        lines += [f"    {text}" for text in found]
    unknown = [run for run in runs if run.standing is Standing.SAME and run.verdict is Verdict.INCONCLUSIVE]
    if unknown:
        lines.append(f"inconclusive, and accepted as that ({len(unknown)}): nothing is known of these")
    if gone:
        lines += [f"accepted, but in no scenario any more ({len(gone)}); --accept removes them:"]
        lines += [f"    {visible(id)}" for id in gone]
    return lines
