"""``adox grade``: report cards of resolvers, found out by experiment."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from testbed.cli import ExitCode
from testbed.cli._running import run_all
from testbed.engines import catalogue
from testbed.grading import measure
from testbed.grading.grade import Card, grade
from testbed.grading.subject import subject
from testbed.reports import card
from testbed.scenario.engine import REFERENCE, engine_named
from testbed.scenario.errors import ScenarioError

FOLDER = Path("results/grades")


def command(
    engines: Annotated[list[str], typer.Argument(help="Engines by name, or paths of one's own.")],
    results: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="Folder for scenarios, evidence and pages; default: a new one."),
    ] = None,
    jobs: Annotated[
        int | None, typer.Option("--jobs", "-j", min=1, help="Workers; default: one for each CPU.")
    ] = None,
) -> None:
    """Find out what resolvers do about encryption, and compare them. Exits 3 when one is not installed."""
    subjects = [subject(_named(name)) for name in engines]
    for one in subjects:
        lacking = None if one.engine == REFERENCE else catalogue.missing(catalogue.load(one.engine))
        if lacking is not None:
            typer.echo(f"adox: {one.title}: {lacking}", err=True)
            raise typer.Exit(ExitCode.CANNOT_RUN)
    folder = results or FOLDER / datetime.now().strftime("%Y-%m-%dT%H-%M-%S")
    cards = grade(
        subjects,
        folder / "scenarios",
        lambda cells: run_all(cells, jobs, folder / "runs", measured=False),
    )
    measure.keep(cards)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "card.md").write_text(card.markdown(cards))
    (folder / "card.html").write_text(card.page(cards))
    console = Console(highlight=False)
    console.print(_table(cards))
    console.print(Text(card.LEGEND, style="dim"))
    console.print(f"Report: {folder / 'card.html'}, {folder / 'card.md'}", soft_wrap=True)


def _named(name: str) -> str:
    try:
        return engine_named(name, Path.cwd())
    except ValueError as error:
        raise ScenarioError(f"adox grade {name}", 0, 0, str(error)) from error


def _table(cards: list[Card]) -> Table:
    table = Table("question", *card.headings(cards), show_lines=True)
    for asks, cells in card.lines(cards):
        table.add_row(Text(asks), *(Text(cell) for cell in cells))
    table.add_row(Text(card.SPEED), *(Text(text) for text in card.speeds(cards)))
    return table
