"""Finds attackers: files in ``attackers/``, and in folders of that name near a scenario.

``strip_ds_glue.py`` holds the attacker "strip-ds-glue": the one subclass of ``Attacker`` that it defines.
"""

from __future__ import annotations

import functools
import hashlib
import importlib
import importlib.util
import re
import sys
from collections.abc import Iterable
from pathlib import Path
from types import ModuleType

from testbed.attack.api import Attacker

FOLDER = "attackers"
_STEM = re.compile(r"[a-z0-9][a-z0-9_]*", re.ASCII)


class AttackerError(Exception):
    """A file in an ``attackers/`` folder holds no usable attacker. ``path`` is that file."""

    def __init__(self, path: Path, message: str) -> None:
        super().__init__(path, message)
        self.path = path
        self.message = message

    def __str__(self) -> str:
        return f"{self.path}: {self.message}"


def folders_near(place: Path) -> tuple[Path, ...]:
    """Folders of attackers for a scenario in the folder ``place``, nearest first.

    They are beside it or above it, or in the working directory.
    """
    absolute = place.resolve()
    candidates = [folder / FOLDER for folder in (absolute, *absolute.parents, Path.cwd())]
    return tuple(folder for folder in dict.fromkeys(candidates) if folder.is_dir())


def names(folders: Iterable[Path] = ()) -> list[str]:
    """The names of all attackers: those that come with the testbed, and those in further folders."""
    paths = (path for folder in (*folders, *_installed()) for path in folder.glob("*.py"))
    return sorted({path.stem.replace("_", "-") for path in paths if not path.name.startswith("_")})


def load(name: str, folders: Iterable[Path] = ()) -> type[Attacker]:
    """The attacker of a name. Where several files bear it, the one in the first folder is meant.

    Raises KeyError when there is none, and AttackerError when its file cannot be used.
    """
    stem = name.replace("-", "_")
    if _STEM.fullmatch(stem):
        for folder in (*folders, *_installed()):
            path = folder / f"{stem}.py"
            if path.is_file():
                return _from_file(path)
    raise KeyError(name)


@functools.cache
def _installed() -> tuple[Path, ...]:
    """Where the attackers are that come with the testbed."""
    spec = importlib.util.find_spec(FOLDER)
    places = spec.submodule_search_locations if spec is not None else None
    return tuple(Path(place).resolve() for place in places or ())


@functools.cache
def _from_file(path: Path) -> type[Attacker]:
    try:
        module = _module(path)
    except Exception as error:
        raise AttackerError(path, _cause(error, path)) from error
    defined = [
        item
        for item in vars(module).values()
        if isinstance(item, type) and issubclass(item, Attacker) and item.__module__ == module.__name__
    ]
    if len(defined) != 1:
        count = "no" if not defined else str(len(defined))
        raise AttackerError(path, f"{count} subclasses of Attacker are defined here; define exactly one")
    attacker = defined[0]
    missing = [name for name in ("capability", "source") if not hasattr(attacker, name)]
    if missing:
        raise AttackerError(path, f"{attacker.__name__} does not set {' and '.join(missing)}; set it")
    return attacker


def _module(path: Path) -> ModuleType:
    """The module in a file; one that comes with the testbed under its own name, so that it exists once."""
    if path.parent in _installed():
        return importlib.import_module(f"{FOLDER}.{path.stem}")
    digest = hashlib.sha256(str(path).encode()).hexdigest()[:12]
    name = f"{FOLDER}_{digest}_{path.stem}"
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module  # pydantic looks up the annotations of a class in its module
    try:
        spec.loader.exec_module(module)
    except BaseException:
        del sys.modules[name]
        raise
    return module


def _cause(error: Exception, path: Path) -> str:
    """What went wrong while a file was loaded, on one line, with the line of the file."""
    line = error.lineno if isinstance(error, SyntaxError) else None
    trace = error.__traceback__
    while trace is not None:
        if trace.tb_frame.f_code.co_filename == str(path):
            line = trace.tb_lineno
        trace = trace.tb_next
    place = f"line {line}: " if line else ""
    text = " ".join(str(error).split())
    return f"{place}{type(error).__name__}: {text}"
