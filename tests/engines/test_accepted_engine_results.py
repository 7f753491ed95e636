"""What real resolvers come to is what was accepted for them, and what probing costs them is, too."""

import os

import pytest
from all_cells import all_cells

from testbed.compare import reference
from testbed.engines import catalogue
from testbed.run.pool import Pool
from testbed.tables import engine_results, probing

pytestmark = pytest.mark.accepted

CELLS = all_cells()
KEPT = probing.parse((engine_results.FOLDER / probing.FILE).read_text())


@pytest.fixture(scope="module")
def records():
    """The records of every scenario that an engine can be run with, by engine; programs mostly wait."""
    names = catalogue.names()
    cells = [cell for name in names for cell in engine_results.cells(name, CELLS)]
    cells += probing.cells(CELLS, ["reference"])
    with Pool(2 * len(os.sched_getaffinity(0)), 0, None) as pool:
        found = list(pool.run(cells))
    return {name: [run for run in found if run.engine == name] for name in [*names, "reference"]}


@pytest.mark.parametrize("name", catalogue.names())
def test_every_difference_is_a_known_one(records, name):
    known = engine_results.explanations(name)
    found = engine_results.entries(records[name], known)
    changes = reference.differences(engine_results.load(name), found)
    assert {change.id: change.texts for change in changes} == {}


@pytest.mark.parametrize(
    "name", [name for name in probing.resolvers() if name in ["reference", *catalogue.names()]]
)
def test_probing_costs_what_the_table_says(records, name):
    runs = [run for run in records[name] if run.id.startswith(probing.SCENARIOS)]
    assert list(probing.contradictions(KEPT, probing.rows(runs).values())) == []
