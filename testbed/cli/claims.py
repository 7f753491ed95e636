"""``adox claims``: which statements of the document the packets bear out."""

from __future__ import annotations

import json
from datetime import datetime
from pathlib import Path
from typing import Annotated

import typer

from testbed import results
from testbed.cli import ExitCode
from testbed.cli._running import run_all
from testbed.cli.run import RUNS
from testbed.compare import reference
from testbed.reports import claims as report
from testbed.reports.output import write_text
from testbed.scenario.errors import ScenarioError
from testbed.scenario.load import SCENARIOS, SUFFIX, collect
from testbed.tables import claims


def command(
    paths: Annotated[
        list[Path] | None,
        typer.Argument(
            help="Scenarios to run, or results to read: JSON, folders of runs, accepted results. "
            "Default: the accepted results that come with the testbed."
        ),
    ] = None,
    jobs: Annotated[
        int | None, typer.Option("--jobs", "-j", min=1, help="Workers; default: one for each CPU.")
    ] = None,
    json_file: Annotated[
        str | None, typer.Option("--json", metavar="FILE", help="Write it as JSON; - is stdout.")
    ] = None,
    markdown: Annotated[
        str | None, typer.Option("--markdown", metavar="FILE", help="Write it as Markdown; - is stdout.")
    ] = None,
) -> None:
    """Say of each claim whether its runs confirm, refine or refute it, and which runs these are.

    Exit status: 0 every claim that can be tested was, 1 some was not, 2 unusable input, 3 this machine cannot
    run it.
    """
    found = results.Results()
    scenarios = [path for path in paths or () if _holds_scenarios(path)]
    for path in [path for path in paths or [reference.FOLDER] if path not in scenarios]:
        try:
            more = results.read(path)
        except results.UnusableError as error:
            raise ScenarioError(path, 0, 0, str(error).partition(": ")[2]) from error
        found.entries |= more.entries
        found.matrix |= more.matrix
    if scenarios:
        folder = RUNS / datetime.now().strftime("%Y-%m-%dT%H-%M-%S.%f")
        found.add(run_all(collect(scenarios), jobs, folder))
        typer.echo(f"Evidence: {folder}", err=True)
    finished = claims.assess(found.entries, found.matrix)
    if json_file is not None:
        write_text(json.dumps(report.plain(finished), indent=2) + "\n", json_file)
    if markdown is not None:
        write_text(report.page(finished, words()), markdown)
    if "-" not in (json_file, markdown):
        for line in report.terminal(finished):
            typer.echo(line)
    missing = [item for item in finished if item.status is claims.Status.NOT_RUN and not item.claim.later]
    raise typer.Exit(ExitCode.DIFFERS if missing else ExitCode.AS_EXPECTED)


def words() -> report.Words:
    """What the scenarios that come with the testbed say of themselves."""
    cells = collect([SCENARIOS])
    titles = {cell.scenario.id: cell.scenario.title for cell in cells}
    return report.Words(titles, {cell.id: cell.why for cell in cells if cell.why})


def _holds_scenarios(path: Path) -> bool:
    return path.suffix == SUFFIX or (path.is_dir() and next(path.rglob(f"*{SUFFIX}"), None) is not None)
