"""Newer programs from packages, unpacked into a folder of the project's, beside the ones that are installed.

A fetched program is started by the dynamic loader that came with it, which finds the libraries that came with
it, a newer C library too. One that is an engine gets a description, derived from the packaged engine's: a
resolver in the folder itself, an authoritative server in a folder in it.
"""

from __future__ import annotations

import json
import re
import shutil
import tempfile
from pathlib import Path

from testbed.engines import catalogue
from testbed.engines.apt import Apt, FetchError, source, upstream
from testbed.engines.description import Described
from testbed.scenario.engine import AUTHORITATIVE, DESCRIPTION, FETCHED

ROOT, PROGRAMS = "root", "bin"
"""What is in a fetched folder: what was unpacked, and the commands that start its programs."""

ELF = b"\x7fELF"

COMMAND = """#!/bin/sh
root="${{0%/*}}/../{root}"
exec "$root/{loader}" --library-path "{libraries}" "$root/{program}" "$@"
"""


def fetch(name: str, suite: str | None = None) -> Path:
    """The folder of an engine, or of any package, as a suite has it; the distribution's newest by default.

    What is there already is not downloaded again. Raises FetchError.
    """
    packaged = packaged_engines(name)
    if not all(engine.description.relocatable for engine in packaged.values()):
        raise FetchError("it reads files of its own where an installed version has them")
    package = next((engine.description.package for engine in packaged.values()), name)
    FETCHED.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=FETCHED.parent, prefix="fetch-") as place:
        apt = Apt(Path(place), suite)
        apt.update()
        needed = apt.needed(package)
        (wanted,) = (each for each in needed if each["Package"] == package)
        folder = FETCHED / f"{name}-{upstream(wanted['Version'])}"
        if not folder.exists():
            fresh = Path(place) / folder.name
            root = fresh / ROOT
            root.mkdir(parents=True)
            files = apt.download(needed)
            same = {each["Package"] for each in needed if source(each) == source(wanted)}
            for each in same:
                apt.unpack(files[each], root)
            programs = programs_in(root)
            for each in files.keys() - same:
                apt.unpack(files[each], root)
            write_commands(fresh, programs)
            fresh.rename(folder)
    for place, engine in packaged.items():
        describe(engine.folder, folder / place, f"adox engines fetch {name} --suite {apt.suite}")
    return folder


def packaged_engines(name: str) -> dict[str, Described]:
    """The resolver and the authoritative server of a name, by their place in a fetched folder."""
    found: dict[str, Described] = {}
    if name in catalogue.names():
        found["."] = catalogue.load(name)
    if name in catalogue.authoritatives():
        found[AUTHORITATIVE] = catalogue.authoritative(name)
    return found


def programs_in(root: Path) -> list[Path]:
    """The programs below a folder, scripts apart, relative to it."""
    places = (path for place in ("bin", "sbin", "usr/bin", "usr/sbin") for path in (root / place).glob("*"))
    return sorted(
        path.relative_to(root) for path in places if path.is_file() and path.read_bytes()[:4] == ELF
    )


def write_commands(folder: Path, programs: list[Path]) -> None:
    """Write a command for each of the programs. Raises FetchError where no loader came with them."""
    root = folder / ROOT
    loaders = sorted(path for top in ("usr/lib", "lib") for path in root.glob(f"{top}/*/ld-linux*.so.*"))
    if not loaders:
        raise FetchError("no dynamic loader came with the package")
    loader = loaders[0].relative_to(root)
    places = [f"{top}/{loader.parent.name}" for top in ("usr/lib", "lib")]
    libraries = ":".join(f"$root/{place}" for place in places if (root / place).is_dir())
    (folder / PROGRAMS).mkdir()
    for program in programs:
        path = folder / PROGRAMS / program.name
        path.write_text(COMMAND.format(root=ROOT, loader=loader, libraries=libraries, program=program))
        path.chmod(0o755)


def describe(packaged: Path, folder: Path, how: str) -> None:
    """Make a folder an engine, like the packaged one but for its program. ``how`` says how to get that.

    The folder is that of what was fetched, or one in it.
    """
    folder.mkdir(exist_ok=True)
    programs = PROGRAMS if folder.name != AUTHORITATIVE else f"../{PROGRAMS}"
    for path in packaged.iterdir():
        if path.is_file():
            shutil.copyfile(path, folder / path.name)
    text = (packaged / DESCRIPTION).read_text()
    text = re.sub(r"(?m)^program: (?:.*/)?([^/\n]+)$", rf"program: {programs}/\1", text)
    (folder / DESCRIPTION).write_text(re.sub(r"(?m)^package: .*$", lambda _: f"how: {json.dumps(how)}", text))
