"""What several tests on the wire look at: every scenario that comes with the testbed, run once."""

from __future__ import annotations

import os

import pytest

from testbed.engines.apt import FetchError
from testbed.engines.fetch import describe, fetch, packaged_engines
from testbed.network.sandbox import SandboxError
from testbed.run.pool import Pool
from testbed.scenario import engine
from testbed.scenario.load import SCENARIOS, collect
from testbed.versions import numbers

SPEAKS_QUIC = (3, 4)
"""The first version of Knot DNS that does, on ordinary sockets."""


@pytest.fixture(scope="session")
def fetched_knot():
    """A folder with Knot DNS of a version that speaks DoQ, fetched if need be; or why there is none."""
    there = [path for path in engine.FETCHED.glob("knot-[0-9]*") if numbers_of(path) >= SPEAKS_QUIC]
    try:
        found = max(there, key=numbers_of) if there else fetch("knot")
    except FetchError as error:
        return f"Knot DNS 3.4 cannot be fetched: {error}"
    if numbers_of(found) < SPEAKS_QUIC:
        return f"the newest that can be fetched is {found.name}, which does not speak DoQ"
    for place, packaged in packaged_engines("knot").items():
        describe(packaged.folder, found / place, "adox engines fetch knot")
    return found


def numbers_of(folder):
    return numbers(folder.name.removeprefix("knot-"))


@pytest.fixture(scope="session")
def runs(tmp_path_factory, fetched_knot):
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
