"""``adox doctor``: what this machine has and lacks, and how to get what it lacks."""

from __future__ import annotations

import dataclasses
import json
from itertools import groupby
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from testbed import doctor
from testbed.cli import ExitCode


def command(
    as_json: Annotated[
        bool, typer.Option("--json", help="Print one JSON object instead of a table.")
    ] = False,
) -> None:
    """List what this machine has and lacks, and how to get that. Exits 3 when a run lacks something."""
    findings = doctor.examine()
    ready = doctor.ready(findings)
    if as_json:
        found = [dataclasses.asdict(finding) for finding in findings]
        typer.echo(json.dumps({"schema": 1, "ready": ready, "findings": found}, indent=2))
    else:
        console = Console(highlight=False)
        console.print(table(findings))
        console.print(conclusion(findings), soft_wrap=True)
    if not ready:
        raise typer.Exit(ExitCode.CANNOT_RUN)


def table(findings: list[doctor.Finding]) -> Table:
    """The findings, a section to each group."""
    shown = Table("", "state", "found, or how to get it", box=None, pad_edge=False, header_style="bold")
    for group, members in groupby(findings, key=lambda finding: finding.group):
        shown.add_row(Text(group, style="bold"))
        for finding in members:
            text = f"{finding.how} ({finding.detail})" if finding.how else finding.detail
            shown.add_row(
                Text(f"  {finding.name}", no_wrap=True), state(finding), Text(text, overflow="fold")
            )
    return shown


def state(finding: doctor.Finding) -> Text:
    """One word, red only for what a run cannot do without."""
    if finding.ok:
        return Text("ok", style="green")
    return Text("missing", style="red") if finding.needed else Text("absent", style="yellow")


def conclusion(findings: list[doctor.Finding]) -> str:
    """One line that says whether scenarios can run here, and what is in the way."""
    lacking = [finding.name for finding in findings if finding.needed and not finding.ok]
    if lacking:
        return f"Scenarios cannot run here: {', '.join(lacking)}. `make demo` installs what can be installed."
    absent = sum(not finding.ok for finding in findings)
    return "Scenarios can run here." + (f" Absent and not needed for that: {absent}." if absent else "")
