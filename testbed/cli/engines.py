"""``adox engines``: the resolvers that can be put to the test, and what they can do."""

from __future__ import annotations

import json
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from testbed.engines import catalogue
from testbed.engines.description import Engine


def command(
    as_json: Annotated[
        bool, typer.Option("--json", help="Print one JSON object instead of a table.")
    ] = False,
) -> None:
    """List engines: which are installed, their versions, and what their descriptions declare."""
    rows = [_row(catalogue.load(name)) for name in catalogue.names()]
    if as_json:
        typer.echo(json.dumps({"schema": 1, "engines": rows}, indent=2))
        return
    table = Table("", box=None, pad_edge=False, header_style="bold")
    for row in rows:
        table.add_column(Text(row["engine"]))
    for name in rows[0]:
        if name != "engine":
            table.add_row(name, *(Text(_shown(row[name])) for row in rows))
    console = Console(highlight=False)
    console.print(table)
    console.print("What they really do, `adox grade ENGINE...` finds out.", soft_wrap=True)


def _row(engine: Engine) -> dict[str, Any]:
    """What is known of an engine; ``follows`` are values of policies' fields that it has counterparts for."""
    described = engine.description
    follows: dict[str, list[Any]] = {}
    for kind in described.follows:
        for field, values in kind.items():
            known = follows.setdefault(field, [])
            known += [value for value in values if value not in known]
    return {
        "engine": engine.name,
        "program": described.title,
        "version": catalogue.version(engine) or "",
        "state": catalogue.missing(engine) or "installed",
        "encryption": follows.get("encryption", []),
        "signals": follows.get("signals", []),
        "root mirror": follows.get("mirror", []),
        "minimisation": follows.get("minimisation", []),
        "time travel": described.time_travel,
        "flush": "yes" if described.flush else "no",
        "key log": described.key_log,
    }


def _shown(value: Any) -> str:
    return ", ".join(map(str, value)) or "-" if isinstance(value, list) else str(value)
