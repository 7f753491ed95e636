"""Which programs a scenario runs: the names of engines, or the paths of somebody's own.

An engine is a resolver under test, or an authoritative server that plays a role.
"""

from __future__ import annotations

from pathlib import Path

import testbed
from testbed.core.notation import quoted
from testbed.scenario.errors import unknown

REFERENCE = "reference"
"""The engine that comes with the testbed: its own resolver, its own authoritative server."""

DESCRIPTION = "engine.yaml"
"""The file that says of a folder that it is an engine."""

FETCHED = Path(testbed.__file__).parents[1] / "build" / "engines"
"""Where engines of other versions are, each in a folder of its name."""

PACKAGED = Path(testbed.__file__).parent / "engines"
"""Where the engines are that come with the testbed: resolvers, each in a folder of its name."""

AUTHORITATIVE = "authoritative"
"""The folder for authoritative servers: all that are in PACKAGED, the one that is in an engine of FETCHED."""


def names() -> list[str]:
    """The resolvers that come with the testbed: the reference, and every folder of ``testbed/engines/``."""
    return sorted({path.parent.name for path in PACKAGED.glob(f"*/{DESCRIPTION}")} | {REFERENCE})


def fetched() -> list[str]:
    """The resolvers that were fetched."""
    return sorted(path.parent.name for path in FETCHED.glob(f"*/{DESCRIPTION}"))


def authoritatives() -> list[str]:
    """The authoritative servers that come with the testbed, the reference among them."""
    folder = PACKAGED / AUTHORITATIVE
    return sorted({path.parent.name for path in folder.glob(f"*/{DESCRIPTION}")} | {REFERENCE})


def fetched_authoritatives() -> list[str]:
    """The authoritative servers that were fetched."""
    return sorted(path.parents[1].name for path in FETCHED.glob(f"*/{AUTHORITATIVE}/{DESCRIPTION}"))


def engine_named(text: str, folder: Path) -> str:
    """The resolver that is meant: a known name, or the absolute path of a file or folder that exists.

    Paths are relative to ``folder``, that of the scenario. Raises ValueError for anything else.
    """
    return _named(text, folder, [*names(), *fetched()])


def authoritative_named(text: str, folder: Path) -> str:
    """The authoritative server that is meant, likewise."""
    return _named(text, folder, [*authoritatives(), *fetched_authoritatives()])


def _named(text: str, folder: Path, known: list[str]) -> str:
    if not text:
        raise ValueError("the name of the engine is empty; write reference, or leave it out")
    if "/" in text or text.startswith((".", "~")):
        path = (folder / Path(text).expanduser()).resolve() if "\0" not in text else None
        if path is None or not path.exists():
            raise ValueError(f"there is no engine at {quoted(text)}; paths are relative to the scenario file")
        return str(path)
    if text not in known:
        raise ValueError(f"{unknown('engine', text, known)}; a path of your own has a slash in it")
    return text
