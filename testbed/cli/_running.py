"""What commands have in common that run scenarios and then make something else of the records."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import typer
from rich.console import Console

from testbed.cli import ExitCode
from testbed.network.sandbox import SandboxError
from testbed.record import Run
from testbed.reports import console
from testbed.run.pool import Pool
from testbed.scenario.cell import Cell


def run_all(
    cells: Sequence[Cell], jobs: int | None, results: Path | None, seed: int = 0, *, measured: bool = True
) -> list[Run]:
    """Run cells and show how it goes on standard error; the records are in the cells' order.

    ``results`` is where evidence goes, None to keep none; ``measured`` says whether what was measured of
    engines counts before what they declare. Exits where no sandbox can be made.
    """
    screen = console.terminal(sys.stderr)
    runs, seconds = play(cells, jobs, results, seed, screen, measured=measured)
    screen.print(f"{len(runs)} runs in {seconds:.0f} s", highlight=False)
    return runs


def play(
    cells: Sequence[Cell],
    jobs: int | None,
    results: Path | None,
    seed: int,
    screen: Console,
    judge: Callable[[Run], Run] = lambda run: run,
    *,
    measured: bool = True,
) -> tuple[list[Run], float]:
    """Run cells and show how it goes; their records, in the cells' order, and how many seconds it took.

    ``judge`` says more about a run before it is shown. Exits where no sandbox can be made.
    """
    runs: list[Run] = []
    try:
        with (
            Pool(jobs or len(os.sched_getaffinity(0)), seed, results, measured=measured) as pool,
            console.Progress(len(cells), screen) as progress,
        ):
            for run in map(judge, pool.run(cells)):
                runs.append(run)
                progress.finished(run)
    except SandboxError as error:
        typer.echo(f"adox: {error}", err=True)
        raise typer.Exit(ExitCode.CANNOT_RUN) from error
    place = {cell.id: number for number, cell in enumerate(cells)}
    return sorted(runs, key=lambda run: place[run.id]), progress.elapsed_s
