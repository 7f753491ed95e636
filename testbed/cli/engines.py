"""``adox engines``: the resolvers and authoritative servers that are programs, and what they can do."""

from __future__ import annotations

import json
import re
import tempfile
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from testbed.cli import ExitCode
from testbed.cli._running import run_all
from testbed.core.notation import quoted
from testbed.engines import catalogue, measured
from testbed.engines.apt import FetchError
from testbed.engines.description import Authoritative, Engine
from testbed.engines.fetch import PROGRAMS, fetch
from testbed.engines.measured import Abilities
from testbed.grading import abilities, measure
from testbed.grading.grade import grade
from testbed.grading.subject import subject
from testbed.scenario import engine as engines
from testbed.scenario.errors import ScenarioError, unknown

FETCH = "fetch"
MEASURED, DIFFERS = "measured", "disagreements"
_PACKAGE = re.compile(r"[a-z0-9][a-z0-9.+-]+", re.ASCII)


def command(
    action: Annotated[
        str,
        typer.Argument(
            metavar="[fetch | NAME]", show_default=False, help="What to do beside listing them, or for which."
        ),
    ] = "",
    name: Annotated[
        str, typer.Argument(metavar="[NAME]", show_default=False, help="An engine, or a package, to fetch.")
    ] = "",
    suite: Annotated[
        str | None,
        typer.Option(metavar="SUITE", help="The suite to fetch from; default: the distribution's newest."),
    ] = None,
    measuring: Annotated[
        bool,
        typer.Option(
            "--measure", help="Find out what they can do before they are listed; all that are here."
        ),
    ] = False,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print one JSON object instead of a table.")
    ] = False,
) -> None:
    """List engines, resolvers and authoritative servers: versions, what they declare, what was measured.

    What ``--measure`` or ``adox grade`` found out counts before what a description declares.

    ``fetch NAME`` unpacks the version that another suite has into the project's folder build/engines, beside
    the installed one; it exits 3 when that cannot be had.
    """
    if measuring:
        _measure([action] if action else catalogue.every())
    elif action:
        _fetch(action, name, suite)
        return
    resolvers = [_row(catalogue.load(each)) for each in catalogue.every()]
    named = [*catalogue.authoritatives(), *engines.fetched_authoritatives()]
    servers = [_row_of_server(catalogue.authoritative(each)) for each in named]
    if as_json:
        made = {"schema": 1, "engines": resolvers, "authoritatives": servers}
        typer.echo(json.dumps(made, indent=2))
        return
    console = Console(highlight=False)
    packaged = [row for row in resolvers if row["engine"] in catalogue.names()]
    table = _table("Resolvers", packaged)
    _add_measured(table, packaged)
    console.print(table)
    console.print()
    known = catalogue.authoritatives()
    console.print(_table("Authoritative servers", [row for row in servers if row["engine"] in known]))
    console.print()
    others = sorted({*engines.fetched(), *engines.fetched_authoritatives()})
    if others:
        console.print(f"Fetched, and described alike: {', '.join(others)}.", soft_wrap=True)
    for row in resolvers:
        for text in row[DIFFERS]:
            console.print(
                f"{row['engine']} {row['version']} differs, {text}. The measured counts.", soft_wrap=True
            )
    console.print("What they really do, `adox grade ENGINE...` finds out.", soft_wrap=True)


def _table(heading: str, rows: list[dict[str, Any]]) -> Table:
    """Engines of a kind side by side, by what they are and declare."""
    table = Table(heading, box=None, pad_edge=False, header_style="bold")
    for row in rows:
        table.add_column(Text(row["engine"]))
    for field in rows[0]:
        if field not in ("engine", MEASURED, DIFFERS):
            table.add_row(field, *(Text(_shown(row[field])) for row in rows))
    return table


def _add_measured(table: Table, rows: list[dict[str, Any]]) -> None:
    """What was found out by experiment, below what they declare."""
    for field in Abilities.model_fields:
        if field != "digest":
            heading = f"{MEASURED}: {field.replace('_', ' ')}"
            table.add_row(heading, *(Text(_found(row[MEASURED], field)) for row in rows))


def _measure(names: list[str]) -> None:
    """Run the experiments about abilities with those engines that are here, and keep what they show."""
    subjects = []
    for name in names:
        known = catalogue.every()
        if name not in known:
            raise ScenarioError("adox engines --measure", 0, 0, unknown("engine", name, known))
        if catalogue.missing(catalogue.load(name)) is None:
            subjects.append(subject(name))
    with tempfile.TemporaryDirectory() as folder:
        cards = grade(
            subjects,
            Path(folder),
            lambda cells: run_all(cells, None, None, measured=False),
            abilities.MEASURING,
        )
        measure.keep(cards)


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
    found = measured.load(engine)
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
        MEASURED: None if found is None else found.model_dump(mode="json", exclude={"digest"}),
        DIFFERS: [] if found is None else list(measured.disagreements(described, found)),
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


def _found(row: dict[str, Any] | None, field: str) -> str:
    """A field of what was measured, for people."""
    value = None if row is None else row[field]
    if value is None:
        return "?"
    if isinstance(value, bool):
        return "yes" if value else "no"
    return _shown(value)


def _shown(value: Any) -> str:
    return ", ".join(map(str, value)) or "-" if isinstance(value, list) else str(value)
