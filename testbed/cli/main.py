"""``adox``: finds its commands, and loads the one that is asked for.

A command is a file in this folder, without an underscore in front, that has a function ``command``; its name
is the file's. Only the file of the command that runs is imported, so that none waits for what another needs.
"""

from __future__ import annotations

import ast
import importlib
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import typer
from typer.core import TyperCommand, TyperGroup

from testbed import __version__
from testbed.cli import ExitCode
from testbed.scenario.errors import ScenarioError


class CommandGroup(TyperGroup):
    """Knows every command by its name and its first sentence, and loads one when it is to run."""

    def __init__(self, **settings: Any) -> None:
        super().__init__(**settings)
        for path in sorted(Path(__file__).parent.glob("[!_]*.py")):
            if path != Path(__file__):
                name = path.stem.replace("_", "-")
                self.add_command(TyperCommand(name, help=_summary(path)))

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        """The command that the arguments begin with, in full."""
        name, _, rest = super().resolve_command(ctx, args)
        module = importlib.import_module(f"testbed.cli.{str(name).replace('-', '_')}")
        single = typer.Typer(add_completion=False, pretty_exceptions_enable=False)
        single.command(name)(module.command)
        return name, typer.main.get_command(single), rest


def _summary(path: Path) -> str:
    """The first line of what the function ``command`` in a file says of itself; the file is not run."""
    for node in ast.parse(path.read_bytes()).body:
        if isinstance(node, ast.FunctionDef) and node.name == "command":
            return (ast.get_docstring(node) or "").partition("\n")[0]
    return ""


app = typer.Typer(
    cls=CommandGroup,
    add_completion=False,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"adox {__version__}")
        raise typer.Exit


@app.callback()
def _adox(
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    """Downgrade attacks on encrypted DNS between resolvers and authoritative servers, on real packets."""


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line, and exit. Unusable input is reported one line for each thing that is wrong."""
    try:
        app(arguments, prog_name="adox")
    except ScenarioError as error:
        typer.echo(error, err=True)
        sys.exit(ExitCode.UNUSABLE_INPUT)


if __name__ == "__main__":
    main()
