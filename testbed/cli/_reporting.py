"""What commands have in common that report on runs: options, where reports go, the exit status."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from testbed.cli import ExitCode
from testbed.record import Run, Verdict
from testbed.reports import console, github, html, jsonfile, junit, place, sarif
from testbed.reports.output import STANDARD_OUTPUT
from testbed.reports.summary import fails

JsonFile = Annotated[
    str | None, typer.Option("--json", metavar="FILE", help="Write the records as JSON; - is stdout.")
]
JunitFile = Annotated[
    str | None, typer.Option("--junit", metavar="FILE", help="Write JUnit XML; - is stdout.")
]
SarifFile = Annotated[
    str | None, typer.Option("--sarif", metavar="FILE", help="Write SARIF 2.1.0; - is stdout.")
]
Page = Annotated[Path | None, typer.Option(metavar="DIR", help="Write an HTML page with diagrams.")]
Github = Annotated[
    bool | None,
    typer.Option(
        "--github/--no-github",
        help="Annotations and a job summary for GitHub Actions; default: where that is running.",
        show_default=False,
    ),
]


@dataclass(frozen=True, slots=True)
class Reports:
    """The reports that are asked for. ``shard`` is the part of the whole that is reported on."""

    json_file: str | None = None
    junit_file: str | None = None
    sarif_file: str | None = None
    page: Path | None = None
    github: bool | None = None
    shard: str | None = None

    def screen(self) -> Console:
        """Where people read: standard error where a report has standard output."""
        taken = STANDARD_OUTPUT in (self.json_file, self.junit_file, self.sarif_file)
        return console.terminal(sys.stderr if taken else sys.stdout)

    def write(
        self, runs: Sequence[Run], screen: Console, notes: Sequence[str] = (), seconds: float | None = None
    ) -> None:
        """Show runs and write the files. ``seconds`` is how long it all took, None to add up the runs'."""
        console.report(runs, screen, seconds)
        for note in notes:
            screen.print(note, soft_wrap=True)
        if self.json_file is not None:
            jsonfile.write(runs, self.json_file, self.shard)
        if self.junit_file is not None:
            junit.write(runs, self.junit_file)
        if self.sarif_file is not None:
            sarif.write(runs, self.sarif_file)
        if self.page is not None:
            screen.print(f"Report: {html.write(runs, self.page)}", soft_wrap=True)
        if self.github if self.github is not None else github.here():
            for command in github.commands(runs, place.workspace()):
                screen.print(command, soft_wrap=True)
            github.write_summary(runs, notes)


def exit_code(runs: Sequence[Run]) -> ExitCode:
    """What the exit status says of runs."""
    if runs and all(run.verdict is Verdict.SKIPPED for run in runs):
        return ExitCode.CANNOT_RUN
    return ExitCode.DIFFERS if any(map(fails, runs)) else ExitCode.AS_EXPECTED
