"""What several tests on the wire look at: every scenario that comes with the testbed, run once."""

from __future__ import annotations

import os

import pytest

from testbed.network.sandbox import SandboxError
from testbed.run.pool import Pool
from testbed.scenario.load import SCENARIOS, collect


@pytest.fixture(scope="session")
def runs(tmp_path_factory):
    cells = collect([SCENARIOS])
    found = run_all(cells, tmp_path_factory.mktemp("evidence"))
    assert sorted(run.id for run in found) == sorted(cell.id for cell in cells)
    return found


@pytest.fixture(scope="session")
def run_cells():
    return run_all


def run_all(cells, evidence=None):
    """The records of cells; skipped where no sandbox can be made."""
    try:
        with Pool(len(os.sched_getaffinity(0)), 0, evidence) as pool:
            return list(pool.run(cells))
    except SandboxError as error:
        pytest.skip(str(error))
