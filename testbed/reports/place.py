"""Where a scenario stands, as code hosts name it: relative to the repository that is being built."""

from __future__ import annotations

import os
from pathlib import Path

WORKSPACE = "GITHUB_WORKSPACE"
"""The variable that names the folder of the repository on a runner of GitHub Actions."""


def workspace() -> Path:
    """The folder of the repository: that of the runner, or the working directory."""
    return Path(os.environ.get(WORKSPACE) or Path.cwd()).resolve()


def within(file: str, root: Path) -> str | None:
    """A file's path from ``root``, with slashes; None where it is not below, or nobody knows it."""
    whole = (Path.cwd() / file).resolve()
    return whole.relative_to(root).as_posix() if file and whole.is_relative_to(root) else None
