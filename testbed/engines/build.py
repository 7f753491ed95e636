"""An engine built from its source, with options that its package was not built with. Only when asked for.

::

    python -m testbed.engines.build unbound build/unbound-no-ecdsa --disable-ecdsa

The source is what the machine's own release of the distribution has, as its authors published it (the
packagers' changes are left out), and apt checks its signature. Nothing outside of the folder changes. A C
compiler and the libraries' headers have to be there; nobody installs them unasked.
"""

from __future__ import annotations

import os
import platform
import shutil
import subprocess
import sys
import tarfile
import tempfile
from collections.abc import Sequence
from pathlib import Path

from testbed.engines import catalogue
from testbed.engines.apt import Apt, FetchError
from testbed.engines.description import Engine, Talk
from testbed.engines.fetch import PROGRAMS, describe

LOG = "build.log"

USAGE = "python -m testbed.engines.build ENGINE FOLDER [OPTION OF ./configure]..."


def build(name: str, folder: Path, options: Sequence[str]) -> None:
    """Make a folder an engine, like the packaged one of that name but for a program that is built for it.

    Raises FetchError where the source is not to be had, or does not build.
    """
    engine = catalogue.load(name)
    release = platform.freedesktop_os_release().get("VERSION_CODENAME")
    with tempfile.TemporaryDirectory(prefix="build-") as place:
        apt = Apt(Path(place) / "apt", release, sources=True)
        apt.update()
        tree = unpacked(apt.source(engine.description.package), Path(place) / "tree")
        compiled(tree, folder, options, programs(engine))
    describe(
        engine.folder, folder, " ".join(["python -m testbed.engines.build", name, folder.name, *options])
    )


def programs(engine: Engine) -> list[str]:
    """The programs that an engine needs of its source: itself, and what its cache is emptied with."""
    orders = (order[0] for order in engine.description.flush if not isinstance(order, Talk))
    return list(dict.fromkeys([engine.description.program, *orders]))


def unpacked(archive: Path, place: Path) -> Path:
    """The one folder of an archive, unpacked. All files are of the same age, so that none looks outdated."""
    place.mkdir()
    with tarfile.open(archive) as opened:
        opened.extractall(place, filter="data")
    (tree,) = place.iterdir()
    for path in tree.rglob("*"):
        if not path.is_symlink():
            os.utime(path, (0, 0))
    return tree


def compiled(tree: Path, folder: Path, options: Sequence[str], names: Sequence[str]) -> None:
    """Build programs in a source tree, and put them into a folder, with a log of what the tools said."""
    (folder / PROGRAMS).mkdir(parents=True, exist_ok=True)
    with (folder / LOG).open("w", encoding="utf-8") as log:
        for command in (["./configure", *options], ["make", f"-j{os.cpu_count() or 1}"]):
            try:
                done = subprocess.run(
                    command,
                    cwd=tree,
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=subprocess.STDOUT,
                    check=False,
                )
            except OSError as error:
                raise FetchError(f"{command[0]}: {error.strerror}") from error
            if done.returncode:
                raise FetchError(f"{command[0]} ended with status {done.returncode}; see {folder / LOG}")
    for name in names:
        if not (tree / name).is_file():
            raise FetchError(f"building it made no {name}; see {folder / LOG}")
        shutil.copy(tree / name, folder / PROGRAMS / name)


def main(arguments: Sequence[str]) -> int:
    """The command. Exit status: 0 built, 2 wrong arguments, 3 it cannot be built."""
    if len(arguments) < 2 or arguments[0] not in catalogue.names():
        sys.stderr.write(f"usage: {USAGE}; engines: {', '.join(catalogue.names())}\n")
        return 2
    name, folder, *options = arguments
    try:
        build(name, Path(folder), options)
    except FetchError as error:
        sys.stderr.write(f"{name} cannot be built: {error}\n")
        return 3
    sys.stdout.write(f"Run scenarios with it: adox run --engine ./{Path(folder)}/\n")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
