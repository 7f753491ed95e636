"""Signals, one file each: a module-level ``SIGNAL`` is found by being there."""

from __future__ import annotations

import functools
import importlib
import pkgutil
import re
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from testbed.core.signal import Signal

_STEM = re.compile(r"[a-z0-9][a-z0-9_]*", re.ASCII)


def names() -> tuple[str, ...]:
    """The names of all signals that can be found."""
    return _names(tuple(__path__))


@functools.cache
def _names(folders: tuple[str, ...]) -> tuple[str, ...]:
    found = (module.name for module in pkgutil.iter_modules(folders))
    return tuple(sorted(name.replace("_", "-") for name in found if not name.startswith("_")))


def load(name: str) -> Signal:
    """The signal of a name.

    Raises KeyError when no file in ``testbed/signals/`` bears it.
    """
    stem = name.replace("-", "_")
    if not _STEM.fullmatch(stem) or not any((Path(folder) / f"{stem}.py").is_file() for folder in __path__):
        raise KeyError(name)
    module = importlib.import_module(f"{__name__}.{stem}")
    signal: Signal = module.SIGNAL
    return signal
