"""Where a text report goes."""

from __future__ import annotations

import sys
from pathlib import Path

STANDARD_OUTPUT = "-"
"""The path that stands for standard output."""


def write_text(text: str, path: str) -> None:
    """Write a report as UTF-8 to a file or to standard output, whatever the locale says. Raises OSError."""
    if path == STANDARD_OUTPUT:
        sys.stdout.flush()
        sys.stdout.buffer.write(text.encode())
        sys.stdout.buffer.flush()
    else:
        Path(path).write_text(text, encoding="utf-8")
