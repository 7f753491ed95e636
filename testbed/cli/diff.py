"""``adox diff``: what changed between two sets of results."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from testbed.cli import ExitCode
from testbed.compare.findings import visible
from testbed.difference import changes
from testbed.results import UnusableError, read


def command(
    before: Annotated[Path, typer.Argument(metavar="A", help="Results to compare with.")],
    after: Annotated[Path, typer.Argument(metavar="B", help="Results to be explained.")],
) -> None:
    """Explain what changed between two sets of results: JSON, folders of runs, or accepted results.

    Records, from JSON or from a folder, also tell of packets and of the resolver's decisions. Exit status: 0
    nothing changed, 1 something did, 2 unusable input.
    """
    try:
        found = list(changes(read(before), read(after)))
    except UnusableError as error:
        typer.echo(f"adox: {error}", err=True)
        raise typer.Exit(ExitCode.UNUSABLE_INPUT) from error
    for change in found:
        typer.echo(visible(change.id))
        for text in (*change.fields, *change.reasons):
            typer.echo(f"    {visible(text)}")
    typer.echo(f"{len(found)} differ" if found else "no difference")
    raise typer.Exit(ExitCode.DIFFERS if found else ExitCode.AS_EXPECTED)
