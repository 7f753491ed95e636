"""``adox schema``: the JSON Schema of scenario files."""

from __future__ import annotations

import json

import typer

from testbed.attack.catalogue import AttackerError
from testbed.scenario.errors import ScenarioError
from testbed.scenario.schema import schema


def command() -> None:
    """Print the JSON Schema of scenario files, for editors."""
    try:
        made = schema()
    except AttackerError as error:
        raise ScenarioError(error.path, 0, 0, error.message) from error
    typer.echo(json.dumps(made, indent=2))
