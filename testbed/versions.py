"""Version numbers in what programs print."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterable

PATIENCE = 5.0
"""Seconds that a program may take to say its version."""


def version_in(text: str) -> str | None:
    """The first version number in what a program prints: digits, a dot, and what hangs on it.

    A time of day or a date before it, as in a log line, has no dot and is passed over.
    """
    found = re.search(r"(?<![\w.])v?(\d+\.\d+[\w.+~-]*)", text)
    return found[1].rstrip(".") if found else None


def numbers(version: str | None) -> tuple[int, ...]:
    """The numbers that a version begins with, to compare it with others; none where there is no version."""
    found = re.match(r"v?(\d+(?:\.\d+)*)", version or "")
    return tuple(map(int, found[1].split("."))) if found else ()


def words(program: str, arguments: Iterable[str], timeout: float = PATIENCE) -> str:
    """All that a program prints when asked for its version.

    Raises OSError when it does not start, subprocess.TimeoutExpired when it takes too long.
    """
    return subprocess.run(
        [program, *arguments],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        timeout=timeout,
        check=False,
    ).stdout
