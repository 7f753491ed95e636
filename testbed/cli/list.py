"""``adox list``: which scenarios there are."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from testbed.scenario.cell import Cell
from testbed.scenario.expectation import Expectation, allowed_text
from testbed.scenario.load import SCENARIOS, collect

HEADINGS = ("id", "claim", "attack", "expected", "title")


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
    as_json: Annotated[
        bool, typer.Option("--json", help="Print one JSON object instead of a table.")
    ] = False,
) -> None:
    """List scenarios: the attack, and the verdict that is expected."""
    cells = collect(paths or [SCENARIOS], expression)
    if as_json:
        scenarios = [_plain(cell) for cell in cells]
        typer.echo(json.dumps({"schema": 1, "scenarios": scenarios}, indent=2))
    elif sys.stdout.isatty():
        _print_table(cells)
    else:
        for cell in cells:
            typer.echo("\t".join(_row(cell)))


def _row(cell: Cell) -> tuple[str, ...]:
    """A line of the table; a dash stands for nothing."""
    scenario, expected = cell.scenario, cell.expectation
    verdict = allowed_text(expected.verdict) if expected and expected.verdict else "-"
    attack = ", ".join(str(item) for item in scenario.attack) or "-"
    claim = str(scenario.claim) if scenario.claim is not None else "-"
    return cell.id, claim, attack, verdict, scenario.title


def _print_table(cells: Sequence[Cell]) -> None:
    from rich.console import Console  # noqa: PLC0415 a pipe has no use for it, and need not wait for it
    from rich.table import Table  # noqa: PLC0415
    from rich.text import Text  # noqa: PLC0415

    table = Table(*HEADINGS, box=None, pad_edge=False, header_style="bold")
    for cell in cells:
        table.add_row(*map(Text, _row(cell)))
    Console(highlight=False).print(table)


def _plain(cell: Cell) -> dict[str, Any]:
    scenario = cell.scenario
    return {
        "id": cell.id,
        "scenario": scenario.id,
        "title": scenario.title,
        "claim": scenario.claim,
        "cell": dict(cell.cell),
        "attack": [{"attacker": item.attacker, "on": list(item.on)} for item in scenario.attack],
        "expect": _allowed(cell.expectation),
        "claimed": _allowed(cell.claimed),
        "path": str(cell.path),
        "line": cell.line,
    }


def _allowed(expectation: Expectation | None) -> dict[str, list[Any]] | None:
    """The restricted fields of an expectation, and what each may be."""
    return {name: list(allowed) for name, allowed in expectation.given()} if expectation else None
