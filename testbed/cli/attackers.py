"""``adox attackers``: which attackers there are."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Annotated

import typer

from testbed.attack import catalogue
from testbed.attack.catalogue import AttackerError
from testbed.attack.describe import Description, describe, descriptions
from testbed.reports import attackers as report
from testbed.scenario.errors import ScenarioError, unknown

HEADINGS = ("attacker", "capability", "sits on", "source", "parameters")


def command(
    names: Annotated[
        list[str] | None, typer.Argument(metavar="[NAME]...", help="Tell everything about these.")
    ] = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print one JSON object instead of a table.")
    ] = False,
) -> None:
    """List attackers: what each must be able to do, where it sits, where it is from, what can be set.

    Found are those that come with the testbed, and those in folders `attackers` here or above.
    """
    folders = catalogue.folders_near(Path.cwd())
    known = catalogue.names(folders)
    for name in names or ():
        if name not in known:
            raise ScenarioError(name, 0, 0, unknown("attacker", name, known))
    try:
        found = [describe(name, folders) for name in names] if names else descriptions(folders)
    except AttackerError as error:
        raise ScenarioError(error.path, 0, 0, error.message) from error
    if as_json:
        typer.echo(json.dumps(report.plain(found), indent=2))
    elif names:
        for one in found:
            typer.echo("\n".join(report.details(one)))
    elif sys.stdout.isatty():
        _print_table(found)
    else:
        for one in found:
            typer.echo("\t".join(_row(one)))


def _row(one: Description) -> tuple[str, ...]:
    parameters = ", ".join(parameter.name for parameter in one.parameters) or "-"
    return one.name, one.capability, one.position, one.source, parameters


def _print_table(found: list[Description]) -> None:
    from rich.console import Console  # noqa: PLC0415 a pipe has no use for it, and need not wait for it
    from rich.table import Table  # noqa: PLC0415
    from rich.text import Text  # noqa: PLC0415

    table = Table(*HEADINGS, box=None, pad_edge=False, header_style="bold")
    for one in found:
        table.add_row(*map(Text, _row(one)))
    Console(highlight=False).print(table)
