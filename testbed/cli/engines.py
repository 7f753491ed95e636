"""``adox engines``: the resolvers and authoritative servers that are programs, and what they can do."""

from __future__ import annotations

import json
import re
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from testbed.cli import ExitCode
from testbed.core.notation import quoted
from testbed.engines import catalogue
from testbed.engines.apt import FetchError
from testbed.engines.description import Authoritative, Engine
from testbed.engines.fetch import PROGRAMS, fetch
from testbed.scenario import engine as engines
from testbed.scenario.errors import ScenarioError, unknown

FETCH = "fetch"
_PACKAGE = re.compile(r"[a-z0-9][a-z0-9.+-]+", re.ASCII)


def command(
    action: Annotated[
        str, typer.Argument(metavar="[fetch]", show_default=False, help="What to do instead of listing them.")
    ] = "",
    name: Annotated[
        str, typer.Argument(metavar="[NAME]", show_default=False, help="An engine, or a package, to fetch.")
    ] = "",
    suite: Annotated[
        str | None,
        typer.Option(metavar="SUITE", help="The suite to fetch from; default: the distribution's newest."),
    ] = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print one JSON object instead of a table.")
    ] = False,
) -> None:
    """List engines, resolvers and authoritative servers: versions, and what their descriptions declare.

    ``fetch NAME`` unpacks the version that another suite has into the project's folder build/engines, beside
    the installed one; it exits 3 when that cannot be had.
    """
    if action:
        _fetch(action, name, suite)
        return
    resolvers = [_row(catalogue.load(each)) for each in [*catalogue.names(), *engines.fetched()]]
    named = [*catalogue.authoritatives(), *engines.fetched_authoritatives()]
    servers = [_row_of_server(catalogue.authoritative(each)) for each in named]
    if as_json:
        made = {"schema": 1, "engines": resolvers, "authoritatives": servers}
        typer.echo(json.dumps(made, indent=2))
        return
    console = Console(highlight=False)
    console.print(_table("Resolvers", [row for row in resolvers if row["engine"] in catalogue.names()]))
    console.print()
    packaged = [row for row in servers if row["engine"] in catalogue.authoritatives()]
    console.print(_table("Authoritative servers", packaged))
    console.print()
    others = sorted({*engines.fetched(), *engines.fetched_authoritatives()})
    if others:
        console.print(f"Fetched, and described alike: {', '.join(others)}.", soft_wrap=True)
    console.print("What they really do, `adox grade ENGINE...` finds out.", soft_wrap=True)


def _table(heading: str, rows: list[dict[str, Any]]) -> Table:
    """Engines of a kind side by side."""
    table = Table(heading, box=None, pad_edge=False, header_style="bold")
    for row in rows:
        table.add_column(Text(row["engine"]))
    for field in rows[0]:
        if field != "engine":
            table.add_row(field, *(Text(_shown(row[field])) for row in rows))
    return table


def _fetch(action: str, name: str, suite: str | None) -> None:
    if action != FETCH:
        raise ScenarioError("adox engines", 0, 0, unknown("action", action, [FETCH]))
    if not _PACKAGE.fullmatch(name):
        raise ScenarioError("adox engines fetch", 0, 0, f"{quoted(name)} names no engine and no package")
    try:
        folder = fetch(name, suite)
    except FetchError as error:
        typer.echo(f"adox: {name} cannot be fetched: {error}", err=True)
        raise typer.Exit(ExitCode.CANNOT_RUN) from error
    programs = ", ".join(sorted(path.name for path in (folder / PROGRAMS).iterdir()))
    typer.echo(f"{folder.name}: {programs}, in {folder / PROGRAMS}")
    if folder.name in engines.fetched():
        typer.echo(f"Run scenarios with it: adox run --engine {folder.name}")
    if folder.name in engines.fetched_authoritatives():
        typer.echo(f"Have it play a server: world: {{servers: {{target: {folder.name}}}}}")


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


def _row_of_server(engine: Authoritative) -> dict[str, Any]:
    """What is known of an authoritative server; ``offers`` is what it has in this version, or would have."""
    described = engine.description
    absent = catalogue.lacks(engine, described.offers)
    return {
        "engine": engine.name,
        "program": described.title,
        "version": catalogue.version(engine) or "",
        "state": catalogue.missing(engine) or "installed",
        "offers": [name for name in described.offers if name not in absent],
        "later": [f"{name} from {described.offers[name]} on" for name in absent],
        "time travel": described.time_travel,
        "key log": described.key_log,
    }


def _shown(value: Any) -> str:
    return ", ".join(map(str, value)) or "-" if isinstance(value, list) else str(value)
