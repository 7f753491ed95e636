"""Which engines there are, whether their programs are on this machine, and of which version."""

from __future__ import annotations

import functools
import os
import re
import shutil
import subprocess
from collections.abc import Iterable
from pathlib import Path

from testbed.engines import description
from testbed.engines.description import Authoritative, Described, Engine
from testbed.network.sandbox import SYSTEM_PATH
from testbed.scenario import engine as engines
from testbed.versions import numbers, version_in, words

FAKETIME = "faketime"
"""The package of what tells programs what time it is in the world."""


def names() -> list[str]:
    """The resolvers that come with the testbed, its own apart."""
    return [name for name in engines.names() if name != engines.REFERENCE]


def every() -> list[str]:
    """The resolvers that are known by name: those that come with the testbed, and those that were fetched."""
    return [*names(), *engines.fetched()]


def startable() -> list[str]:
    """Those of them that this machine can start."""
    return [name for name in every() if missing(load(name)) is None]


def load(name: str) -> Engine:
    """The engine that a scenario names, by its name or by the path of its folder.

    Raises ScenarioError for all that is wrong with its description.
    """
    if "/" in name:
        return description.load(Path(name))
    return description.load((engines.FETCHED if name in engines.fetched() else engines.PACKAGED) / name)


def authoritatives() -> list[str]:
    """The authoritative servers that come with the testbed, its own apart."""
    return [name for name in engines.authoritatives() if name != engines.REFERENCE]


def authoritative(name: str) -> Authoritative:
    """The authoritative server that a scenario names, by its name or by the path of its folder.

    Raises ScenarioError for all that is wrong with its description.
    """
    if "/" in name:
        return description.load_authoritative(Path(name))
    if name in engines.fetched_authoritatives():
        return description.load_authoritative(engines.FETCHED / name / engines.AUTHORITATIVE, name)
    return description.load_authoritative(engines.PACKAGED / engines.AUTHORITATIVE / name)


def able(name: str, transports: Iterable[str]) -> Authoritative:
    """The authoritative server of a name that has certain transports.

    It is the installed version, or else the newest of the fetched versions that has them. Where none has,
    it is the installed one. Raises ScenarioError.
    """
    wanted = list(transports)
    found = authoritative(name)
    if lacks(found, wanted) and name in authoritatives():
        others = [authoritative(each) for each in engines.fetched_authoritatives()]
        others = [each for each in others if re.fullmatch(rf"{re.escape(name)}-\d.*", each.name)]
        fitting = [each for each in others if not missing(each) and not lacks(each, wanted)]
        return max(fitting, key=lambda each: numbers(version(each)), default=found)
    return found


def lacks(server: Authoritative, transports: Iterable[str]) -> list[str]:
    """Which of some transports an authoritative server does not have in the version that is there."""
    since = server.description.offers
    here = numbers(version(server))
    return [each for each in transports if each not in since or here < numbers(since[each])]


def keeps_time(name: str) -> bool:
    """Whether an engine, named as in a scenario, can be told what time it is in the world."""
    return name == engines.REFERENCE or load(name).description.time_travel != "none"


def program(engine: Described) -> str | None:
    """Where an engine's program is; None if it is nowhere. Paths are relative to the engine's folder."""
    wanted = engine.description.program
    if "/" in wanted:
        path = engine.folder / Path(wanted).expanduser()
        return str(path.resolve()) if os.access(path, os.X_OK) and path.is_file() else None
    return shutil.which(wanted, path=search_path())


def search_path() -> str:
    """PATH with the places of system programs, which are not on every user's."""
    return os.pathsep.join([os.environ.get("PATH", os.defpath), *SYSTEM_PATH])


def faketime() -> str | None:
    """What to preload (ld.so(8)) so that programs are told another time; None where it is not installed.

    The C library's own allocator comes first: jemalloc, which some programs use instead, asks for the time
    before the library that tells it is ready, and neither recovers from that.
    """
    found = sorted(Path("/usr/lib").glob("*/faketime/libfaketimeMT.so.1"))
    if not found:
        return None
    allocator = found[0].parents[1] / "libc_malloc_debug.so.0"
    # By its name alone: each program takes the one of its own C library.
    return f"{allocator.name} {found[0]}" if allocator.exists() else str(found[0])


def missing(engine: Described) -> str | None:
    """What an engine lacks on this machine and how to get it; None if it can be started."""
    described = engine.description
    if program(engine) is None:
        how = f"apt-get install {described.package}" if described.package else described.how
        return f"{described.program} is not there" + (f"; {how}" if how else "")
    if described.time_travel == "faketime" and faketime() is None:
        return f"the library that tells programs the world's time is not there; apt-get install {FAKETIME}"
    return None


@functools.cache
def version(engine: Described) -> str | None:
    """The version that an engine's program says it has; None where it is not there or says nothing."""
    path = program(engine)
    if path is None:
        return None
    try:
        return version_in(words(path, engine.description.version))
    except (OSError, subprocess.TimeoutExpired):
        return None
