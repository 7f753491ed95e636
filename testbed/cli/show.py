"""``adox show``: one scenario in words."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from testbed.scenario.describe import describe
from testbed.scenario.errors import ScenarioError, unknown
from testbed.scenario.load import SCENARIOS, collect


def command(
    id: Annotated[str, typer.Argument(metavar="ID", help="Id of a scenario, or of one cell of its matrix.")],
    paths: Annotated[
        list[Path] | None,
        typer.Argument(help="Where to look for it; default: the scenarios that come with the testbed."),
    ] = None,
) -> None:
    """Explain a scenario in words: the world, the attack, the steps, and what is expected and why."""
    cells = collect(paths or [SCENARIOS])
    chosen = [cell for cell in cells if id in (cell.id, cell.scenario.id)]
    if not chosen:
        known = [name for cell in cells for name in (cell.id, cell.scenario.id)]
        raise ScenarioError(id, 0, 0, unknown("scenario", id, set(known)))
    for line in describe(chosen):
        typer.echo(line)
