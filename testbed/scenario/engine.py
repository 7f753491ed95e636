"""Which resolver a scenario runs: the name of an engine, or the path of somebody's own."""

from __future__ import annotations

import importlib.util
import pkgutil
from pathlib import Path

from testbed.scenario.errors import quoted, unknown

REFERENCE = "reference"
"""The engine that comes with the testbed."""


def names() -> list[str]:
    """The engines that can be found: the reference, and every file or folder in ``testbed/engines/``."""
    spec = importlib.util.find_spec("testbed.engines")
    places = list(spec.submodule_search_locations or ()) if spec is not None else []
    modules = {module.name for module in pkgutil.iter_modules(places)}
    folders = {path.name for place in places for path in Path(place).iterdir() if path.is_dir()}
    found = {name.replace("_", "-") for name in modules | folders if not name.startswith(("_", "."))}
    return sorted(found | {REFERENCE})


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
    if text != REFERENCE and text not in names():
        raise ValueError(f"{unknown('engine', text, names())}; a path of your own has a slash in it")
    return text
