"""What commands have in common that compare runs with accepted results, and write them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer

from testbed.compare.baseline import Accepted, read, updated
from testbed.compare.reference import name_of
from testbed.compare.standing import stand
from testbed.network.pcapng import write_whole
from testbed.record import Run, Verdict
from testbed.reports import standing
from testbed.scenario.cell import Cell
from testbed.scenario.errors import ScenarioError

BaselineFile = Annotated[
    Path | None,
    typer.Option("--baseline", metavar="FILE", help="Accepted results: only what is worse fails."),
]
Accept = Annotated[bool, typer.Option("--accept", help="Write the results into the file of --baseline.")]
AcceptInconclusive = Annotated[
    bool, typer.Option("--accept-inconclusive", help="The same, those that are inconclusive too.")
]


@dataclass(frozen=True, slots=True)
class Baseline:
    """The accepted results that runs are compared with, and whether those of now are to take their place."""

    accepted: Accepted
    accept: bool
    inconclusive: bool

    def check(self, cells: Sequence[Cell]) -> None:
        """Raise ScenarioError where the file has results of another resolver than is to be run."""
        if not self.accept:
            for cell in cells:
                self.accepted.of(cell.id, cell.scenario.resolver.engine)

    def judge(self, run: Run) -> Run:
        """A run with its standing, where the results of now are not the accepted ones anyway."""
        return run if self.accept else stand([run], self.accepted)[0]

    def compare(self, runs: Sequence[Run], gone: Sequence[str] = ()) -> tuple[list[Run], list[str]]:
        """The runs with their standing, and what is to be said beside; writes the file if it is to be.

        Raises ScenarioError where results are of another resolver.
        """
        if not self.accept:
            stood = stand(runs, self.accepted)
            return stood, standing.notes(stood, gone)
        new = updated(self.accepted, runs, gone, inconclusive=self.inconclusive)
        write_whole(new.path, new.text().encode())
        open_runs = sum(run.verdict is Verdict.INCONCLUSIVE for run in runs) if not self.inconclusive else 0
        notes = [f"wrote {new.path}: {len(new.results)} accepted results"]
        if open_runs:
            notes.append(
                f"inconclusive, and so not accepted ({open_runs}); --accept-inconclusive takes them in, too"
            )
        stood = stand(runs, new)
        return stood, notes + standing.notes(stood)


def baseline(file: Path | None, accept: bool, inconclusive: bool) -> Baseline | None:
    """What the options ask for. Raises ScenarioError for a file that is none, and options without one."""
    accept = accept or inconclusive
    if file is None:
        if accept:
            raise ScenarioError("--accept", 0, 0, "there is no file to write; name it with --baseline FILE")
        return None
    fresh = accept and not file.exists()
    return Baseline(Accepted(file) if fresh else read(file), accept, inconclusive)


def gone(accepted: Accepted, cells: Sequence[Cell], paths: Sequence[Path]) -> list[str]:
    """The ids in a file that no scenario has any more: neither its file, nor the folder of its section."""
    ids = {name_of(cell.id) for cell in cells}
    scenarios = {cell.scenario.id for cell in cells}
    folders = [path for path in paths if path.is_dir()]
    sections = {
        _section(cell.scenario.id)
        for cell in cells
        if any(cell.path.is_relative_to(folder) for folder in folders)
    }
    return [
        id
        for id in sorted(accepted.results)
        if id not in ids and (id.partition("[")[0] in scenarios or _section(id) in sections)
    ]


def _section(id: str) -> str:
    return id.partition("/")[0]
