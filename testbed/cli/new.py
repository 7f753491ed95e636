"""``adox new``: writes the beginning of something, for its author to go on from."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated

import typer

from testbed.attack import catalogue
from testbed.attack.resources import Capability
from testbed.attack.skeleton import attacker, test
from testbed.core.notation import quoted
from testbed.scenario.errors import ScenarioError, unknown

KINDS = ("attacker",)
CAPABILITIES = {"on-path": Capability.ON_PATH, "off-path": Capability.OFF_PATH}
_NAME = re.compile(r"[a-z][a-z0-9]*(-[a-z0-9]+)*", re.ASCII)


def command(
    kind: Annotated[str, typer.Argument(metavar="attacker", help="What it is to be.")],
    name: Annotated[str, typer.Argument(metavar="NAME", help="Its name: words with hyphens between them.")],
    capability: Annotated[
        str, typer.Option(metavar="CAPABILITY", help="on-path: it sits on a link. off-path: on none.")
    ] = "on-path",
) -> None:
    """Write an attacker that works, attackers/NAME.py, and its test, tests/test_attacker_NAME.py.

    Both go below the working directory. Nothing that is there is overwritten.
    """
    if kind not in KINDS:
        raise ScenarioError(kind, 0, 0, unknown("kind", kind, KINDS))
    if capability not in CAPABILITIES:
        raise ScenarioError(capability, 0, 0, unknown("capability", capability, CAPABILITIES))
    if not _NAME.fullmatch(name):
        raise ScenarioError(
            name, 0, 0, f"{quoted(name)} is no name; write words of a-z and 0-9 with '-' between them"
        )
    if name in catalogue.names(catalogue.folders_near(Path.cwd())):
        raise ScenarioError(name, 0, 0, f"there is an attacker {quoted(name)} already; choose another name")
    stem = name.replace("-", "_")
    able = CAPABILITIES[capability]
    files = {
        Path(catalogue.FOLDER) / f"{stem}.py": attacker(name, able),
        Path("tests") / f"test_attacker_{stem}.py": test(name, able),
    }
    for path in files:
        if path.exists():
            raise ScenarioError(path, 0, 0, "this file exists already; choose another name")
    for path, text in files.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
        typer.echo(f"wrote {path}")
