"""Version numbers in what programs print."""

from __future__ import annotations

import re


def version_in(text: str) -> str | None:
    """The first version number in what a program prints: digits, a dot, and what hangs on it.

    A time of day or a date before it, as in a log line, has no dot and is passed over.
    """
    found = re.search(r"(?<![\w.])v?(\d+\.\d+[\w.+~-]*)", text)
    return found[1].rstrip(".") if found else None
