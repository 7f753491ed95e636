"""Runs a script of this folder in a sandbox, or skips with the reason why it cannot."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from testbed.network import sandbox

HERE = Path(__file__).parent
ROOT = HERE.parents[1]


def run(script: str, *arguments: str, timeout: float = 120) -> str:
    """Standard output of a script. Fails when the script does."""
    try:
        worker = sandbox.launch([str(HERE / script), *arguments], visible=[ROOT], stdin=subprocess.DEVNULL)
        worker.wait_ready()
    except sandbox.SandboxError as error:
        pytest.skip(str(error))
    with worker:
        output, _ = worker.process.communicate(timeout=timeout)
        assert worker.process.returncode == 0, f"{script} ended with {worker.process.returncode}"
        return output.decode()
