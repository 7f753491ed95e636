"""Which resolver a scenario runs: the name of an engine, or the path of somebody's own."""

from __future__ import annotations

from pathlib import Path

import testbed
from testbed.core.notation import quoted
from testbed.scenario.errors import unknown

REFERENCE = "reference"
"""The engine that comes with the testbed."""

DESCRIPTION = "engine.yaml"
"""The file that says of a folder that it is an engine."""

FETCHED = Path(testbed.__file__).parents[1] / "build" / "engines"
"""Where engines of other versions are, each in a folder of its name."""


def names() -> list[str]:
    """The engines that come with the testbed: the reference, and every folder of ``testbed/engines/``."""
    folder = Path(testbed.__file__).parent / "engines"
    return sorted({path.parent.name for path in folder.glob(f"*/{DESCRIPTION}")} | {REFERENCE})


def fetched() -> list[str]:
    """The engines that were fetched."""
    return sorted(path.parent.name for path in FETCHED.glob(f"*/{DESCRIPTION}"))


def engine_named(text: str, folder: Path) -> str:
    """The engine that is meant: a known name, or the absolute path of a file or folder that exists.

    Paths are relative to ``folder``, that of the scenario. Raises ValueError for anything else.
    """
    if not text:
        raise ValueError("the name of the engine is empty; write reference, or leave it out")
    if "/" in text or text.startswith((".", "~")):
        path = (folder / Path(text).expanduser()).resolve() if "\0" not in text else None
        if path is None or not path.exists():
            raise ValueError(f"there is no engine at {quoted(text)}; paths are relative to the scenario file")
        return str(path)
    known = [*names(), *fetched()]
    if text not in known:
        raise ValueError(f"{unknown('engine', text, known)}; a path of your own has a slash in it")
    return text
