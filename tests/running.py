"""Runs scenarios for tests that look at what comes out."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

import pytest

from testbed.network.sandbox import SandboxError
from testbed.record import Run
from testbed.run.pool import Pool
from testbed.scenario.cell import Cell


def run_cells(cells: Sequence[Cell], evidence: Path | None = None, *, measured: bool = True) -> list[Run]:
    """The records of cells; skipped where no sandbox can be made. For ``measured`` see Pool."""
    try:
        with Pool(len(os.sched_getaffinity(0)), 0, evidence, measured=measured) as pool:
            return list(pool.run(cells))
    except SandboxError as error:
        pytest.skip(str(error))
