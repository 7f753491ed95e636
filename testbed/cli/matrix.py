"""``adox matrix``: what each mechanism withstands, everywhere."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from testbed import signals
from testbed.cli import ExitCode
from testbed.cli._running import run_all
from testbed.compare import reference
from testbed.difference import changes
from testbed.reports.output import write_text
from testbed.results import Results
from testbed.scenario.errors import ScenarioError, unknown
from testbed.tables import matrix


def command(
    names: Annotated[
        list[str] | None, typer.Argument(metavar="[SIGNAL]...", help="Signals; default: all of them.")
    ] = None,
    jobs: Annotated[
        int | None, typer.Option("--jobs", "-j", min=1, help="Workers; default: one for each CPU.")
    ] = None,
    text_file: Annotated[
        str | None, typer.Option("--text", metavar="FILE", help="Write the table; - is stdout (default).")
    ] = None,
    results: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Keep the evidence of all runs in this folder.")
    ] = None,
) -> None:
    """Run signals x attacker's position x signed zones x policy, and compare with what is accepted.

    Exit status: 0 as accepted, 1 something differs, 3 this machine cannot run it. The scenarios are left in
    build/matrix, to be run alone.
    """
    for name in names or ():
        if name not in signals.names():
            raise ScenarioError(name, 0, 0, unknown("signal", name, signals.names()))
    cells = matrix.cells(names or ())
    found = matrix.rows(run_all(cells, jobs, results))
    write_text(matrix.table(found), text_file or "-")
    path = reference.FOLDER / reference.MATRIX_FILE
    accepted = matrix.parse(path.read_text(encoding="utf-8")) if path.exists() else {}
    if names:
        accepted = {row: cells for row, cells in accepted.items() if row in found}
    differing = list(changes(Results(matrix=accepted), Results(matrix=found)))
    for change in differing:
        typer.echo(f"{change.id}: {'; '.join(change.fields)}", err=True)
    raise typer.Exit(ExitCode.DIFFERS if differing else ExitCode.AS_EXPECTED)
