"""What real resolvers come to is what was accepted for them, and what probing costs them is, too."""

import os

import pytest
from all_cells import all_cells

from testbed.compare import reference
from testbed.engines import catalogue
from testbed.run.pool import Pool
from testbed.tables import engine_results, probing

pytestmark = pytest.mark.accepted

KEPT = probing.parse((engine_results.FOLDER / probing.FILE).read_text())
ROUNDS = 3


def run_all(cells):
    """The records of cells; programs mostly wait."""
    with Pool(2 * len(os.sched_getaffinity(0)), 0, None) as pool:
        return list(pool.run(cells))


@pytest.fixture(scope="module")
def records():
    """The records of every scenario that an engine can be run with, by engine."""
    names = catalogue.names()
    found = run_all([cell for name in names for cell in engine_results.cells(name, all_cells())])
    return {name: [run for run in found if run.engine == name] for name in names}


@pytest.mark.parametrize("name", catalogue.names())
def test_every_difference_is_a_known_one(records, name):
    known = engine_results.explanations(name)
    found = engine_results.entries(records[name], known)
    changes = reference.differences(engine_results.load(name), found)
    assert {change.id: change.texts for change in changes} == {}


@pytest.mark.parametrize("name", probing.resolvers())
def test_probing_costs_what_the_table_says(name):
    """What a resolver did by chance in the background it does not do again and again."""
    cells = probing.cells(all_cells(), [name])
    for _ in range(ROUNDS):
        contradicted = dict(probing.contradictions(KEPT, probing.rows(run_all(cells)).values()))
        cells = [cell for cell in cells if reference.name_of(cell.id) in contradicted]
        if not cells:
            break
    assert contradicted == {}
