"""What experiments found out about engines, kept for each version of a program.

A measurement counts as long as the engine's folder is as it was: other templates may make another engine of
the same program. Scenarios that a program was measured to have no counterpart of are not applicable to it.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, ValidationError

import testbed
from testbed.engines import catalogue
from testbed.engines.description import TEMPLATE, Description, Engine
from testbed.scenario.engine import DESCRIPTION

FOLDER = Path(testbed.__file__).parents[1] / "results" / "measured"
"""Where measurements are, a file for each version of an engine."""

NEVER = "never"


class Abilities(BaseModel):
    """What an engine was found to be able to; None where that was not found out.

    ``transports`` are those that it encrypts over, none if it does not; ``first_query`` says whether it does
    from the first query on. ``signals`` are those that lead to encryption, ``unheard`` those that it is said
    to know and that do not. ``authentication`` says what a server must prove before it is sent a query.
    ``mirror`` are the ways to treat ZONEMD in which it refuses what it should. ``decrypts``: whether queries
    in its sessions can be read in captures.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    digest: str
    transports: tuple[str, ...] | None = None
    first_query: bool | None = None
    signals: tuple[str, ...] | None = None
    unheard: tuple[str, ...] = ()
    authentication: Literal["none", "required"] | None = None
    mirror: tuple[str, ...] | None = None
    time_travel: bool | None = None
    decrypts: bool | None = None


def digest(engine: Engine) -> str:
    """The same as long as an engine's description and templates are."""
    found = hashlib.sha256()
    for path in sorted([engine.folder / DESCRIPTION, *engine.folder.glob(f"*{TEMPLATE}")]):
        found.update(f"{path.name}\0".encode() + path.read_bytes() + b"\0")
    return found.hexdigest()[:16]


def place(engine: Engine) -> Path:
    """The file of an engine's measurement. Versions of a program have one each."""
    words = re.sub(r"[^A-Za-z0-9.]+", "-", f"{engine.name} {catalogue.version(engine) or ''}").strip("-")
    return FOLDER / f"{words}.json"


def keep(engine: Engine, abilities: Abilities) -> Path:
    """Write a measurement down, in the place of an older one."""
    path = place(engine)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(abilities.model_dump_json(indent=2) + "\n")
    return path


def load(engine: Engine) -> Abilities | None:
    """What was measured of an engine as it is now; None if nothing was."""
    try:
        found = Abilities.model_validate_json(place(engine).read_text())
    except (OSError, ValidationError):
        return None
    return found if found.digest == digest(engine) else None


def as_measured(described: Description, found: Abilities) -> Description:
    """A description in which what was measured has taken the place of what is declared."""
    kinds = [dict(kind) for kind in described.follows]
    if found.transports == ():
        kinds = [kind for kind in kinds if NEVER in _encryption(kind)] or [{"encryption": (NEVER,)}]
    for kind in kinds:
        if "signals" in kind:
            kind["signals"] = tuple(name for name in kind["signals"] if name not in found.unheard)
        if found.authentication is not None and found.transports and NEVER not in _encryption(kind):
            kind["authentication"] = (found.authentication,)
        if found.mirror is not None and "mirror" in kind:
            kind["mirror"] = tuple(way for way in kind["mirror"] if way == "off" or way in found.mirror)
    time_travel = "none" if found.time_travel is False else described.time_travel
    return described.model_copy(update={"follows": tuple(kinds), "time_travel": time_travel})


def disagreements(described: Description, found: Abilities) -> Iterator[str]:
    """What was measured otherwise than it is declared, a text for each; the measured decides."""
    measured = as_measured(described, found)
    for field in ("encryption", "authentication", "signals", "mirror"):
        declared, shown = _values(described, field), _values(measured, field)
        if declared != shown:
            yield f"{field}: declared {_listed(declared)}; measured {_listed(shown)}"
    if measured.time_travel != described.time_travel:
        yield f"time travel: declared {described.time_travel}; measured {measured.time_travel}"


def _encryption(kind: Mapping[str, tuple[Any, ...]]) -> tuple[Any, ...]:
    return kind.get("encryption", ())


def _values(described: Description, field: str) -> list[str]:
    return sorted({str(value) for kind in described.follows for value in kind.get(field, ())})


def _listed(values: list[str]) -> str:
    return ", ".join(values) or "none"
