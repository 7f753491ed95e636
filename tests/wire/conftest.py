"""What several tests on the wire look at: every scenario that comes with the testbed, run once."""

from __future__ import annotations

import pytest
from all_cells import all_cells
from running import run_cells

from testbed.engines.apt import FetchError
from testbed.engines.fetch import describe, fetch, packaged_engines
from testbed.scenario import engine
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
    cells = all_cells()
    found = run_cells(cells, tmp_path_factory.mktemp("evidence"))
    assert sorted(run.id for run in found) == sorted(cell.id for cell in cells)
    return found
