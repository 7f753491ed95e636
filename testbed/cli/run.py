"""``adox run``: runs scenarios and reports on them."""

from __future__ import annotations

import sys
from datetime import datetime
from pathlib import Path
from typing import Annotated

import typer

from testbed.cli import ExitCode
from testbed.cli._running import play
from testbed.engines import catalogue
from testbed.reports import console, html, jsonfile, junit
from testbed.reports.summary import Status, status
from testbed.scenario.cell import Cell
from testbed.scenario.engine import REFERENCE, engine_named
from testbed.scenario.errors import ScenarioError
from testbed.scenario.load import SCENARIOS, collect

RUNS = Path("results/runs")
"""Where evidence goes, below the working directory."""

_GOOD = (Status.AS_EXPECTED, Status.UNJUDGED, Status.SKIPPED, Status.NOT_APPLICABLE)


def command(
    paths: Annotated[
        list[Path] | None,
        typer.Argument(help="Scenario files and folders; default: those that come with the testbed."),
    ] = None,
    expression: Annotated[
        str | None,
        typer.Option(
            "-k", metavar="EXPR", help="Only those whose id and title match: 'ds-glue and not drop'."
        ),
    ] = None,
    engine: Annotated[
        str | None, typer.Option(metavar="E", help="Run this resolver instead of the scenarios' own.")
    ] = None,
    jobs: Annotated[
        int | None, typer.Option("--jobs", "-j", min=1, help="Workers; default: one for each CPU.")
    ] = None,
    seed: Annotated[int, typer.Option(min=0, help="Seed of everything that is random.")] = 0,
    results: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="Folder for the evidence; default: a new one in results/runs."),
    ] = None,
    json_file: Annotated[
        str | None, typer.Option("--json", metavar="FILE", help="Write the records as JSON; - is stdout.")
    ] = None,
    junit_file: Annotated[
        str | None, typer.Option("--junit", metavar="FILE", help="Write JUnit XML; - is stdout.")
    ] = None,
    report: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Write an HTML page with diagrams.")
    ] = None,
) -> None:
    """Run scenarios, and compare what happened with what is expected.

    Exit status: 0 all as expected, 1 some verdict differs, 2 unusable input, 3 this machine cannot run it.
    """
    cells = collect(paths or [SCENARIOS], expression)
    if engine is not None:
        cells = [_with_engine(cell, engine) for cell in cells]
    folder = results or RUNS / datetime.now().strftime("%Y-%m-%dT%H-%M-%S.%f")
    screen = console.terminal(sys.stderr if "-" in (json_file, junit_file) else sys.stdout)
    runs, seconds = play(cells, jobs, folder, seed, screen)
    console.report(runs, screen, seconds)
    if json_file is not None:
        jsonfile.write(runs, json_file)
    if junit_file is not None:
        junit.write(runs, junit_file)
    if report is not None:
        screen.print(f"Report: {html.write(runs, report)}", highlight=False)
    screen.print(f"Evidence: {folder}", highlight=False)
    if runs and all(status(run) is Status.SKIPPED for run in runs):
        raise typer.Exit(ExitCode.CANNOT_RUN)
    good = all(status(run) in _GOOD for run in runs)
    raise typer.Exit(ExitCode.AS_EXPECTED if good else ExitCode.DIFFERS)


def _with_engine(cell: Cell, engine: str) -> Cell:
    """The cell, run with another engine. Raises ScenarioError when there is none of this name."""
    try:
        named = engine_named(engine, Path.cwd())
        if named != REFERENCE:
            catalogue.load(named)
    except ValueError as error:
        raise ScenarioError(f"--engine {engine}", 0, 0, str(error)) from error
    return cell.with_engine(named)
