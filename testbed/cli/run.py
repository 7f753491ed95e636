"""``adox run``: runs scenarios and reports on them."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import Annotated

import typer

from testbed.cli._accepting import Accept, AcceptInconclusive, BaselineFile, baseline, gone
from testbed.cli._reporting import Github, JsonFile, JunitFile, Page, Reports, SarifFile, exit_code
from testbed.cli._running import play
from testbed.engines import catalogue
from testbed.run import shard as shards
from testbed.scenario.cell import Cell
from testbed.scenario.engine import REFERENCE, engine_named
from testbed.scenario.errors import ScenarioError
from testbed.scenario.load import SCENARIOS, collect, selector

RUNS = Path("results/runs")
"""Where evidence goes, below the working directory."""


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
    shard: Annotated[
        str | None,
        typer.Option(metavar="I/N", help="Only part I of N: each of several runners takes another."),
    ] = None,
    baseline_file: BaselineFile = None,
    accept: Accept = False,
    accept_inconclusive: AcceptInconclusive = False,
    jobs: Annotated[
        int | None, typer.Option("--jobs", "-j", min=1, help="Workers; default: one for each CPU.")
    ] = None,
    seed: Annotated[int, typer.Option(min=0, help="Seed of everything that is random.")] = 0,
    results: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="Folder for the evidence; default: a new one in results/runs."),
    ] = None,
    json_file: JsonFile = None,
    junit_file: JunitFile = None,
    sarif_file: SarifFile = None,
    report: Page = None,
    github: Github = None,
) -> None:
    """Run scenarios, and compare what happened with what is expected.

    Exit status: 0 all as expected or accepted, 1 some result is not, 2 unusable input, 3 this machine cannot
    run it.
    """
    known = baseline(baseline_file, accept, accept_inconclusive)
    select = selector(expression)
    places = paths or [SCENARIOS]
    every = collect(places)
    cells = select(every)
    if engine is not None:
        cells = [_with_engine(cell, engine) for cell in cells]
    if shard is not None:
        cells = _part(cells, shard)
    folder = results or RUNS / datetime.now().strftime("%Y-%m-%dT%H-%M-%S.%f")
    reports = Reports(json_file, junit_file, sarif_file, report, github, shard)
    screen = reports.screen()
    notes: list[str] = []
    if known is None:
        runs, seconds = play(cells, jobs, folder, seed, screen)
    else:
        known.check(cells)
        runs, seconds = play(cells, jobs, folder, seed, screen, known.judge)
        runs, notes = known.compare(runs, gone(known.accepted, every, places))
    reports.write(runs, screen, notes, seconds)
    screen.print(f"Evidence: {folder}", highlight=False)
    raise typer.Exit(exit_code(runs))


def _part(cells: Sequence[Cell], shard: str) -> list[Cell]:
    """The cells of one runner. Raises ScenarioError for a text that names no part."""
    try:
        return shards.cells_of(cells, shards.parse(shard))
    except ValueError as error:
        raise ScenarioError("--shard", 0, 0, str(error)) from error


def _with_engine(cell: Cell, engine: str) -> Cell:
    """The cell, run with another engine. Raises ScenarioError when there is none of this name."""
    try:
        named = engine_named(engine, Path.cwd())
        if named != REFERENCE:
            catalogue.load(named)
    except ValueError as error:
        raise ScenarioError(f"--engine {engine}", 0, 0, str(error)) from error
    return cell.with_engine(named)
