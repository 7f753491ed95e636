"""The scenarios that come with the testbed are complete: each says what it expects, and why."""

from __future__ import annotations

import pytest
from all_cells import all_cells

from testbed.scenario.load import SCENARIOS

CELLS = all_cells()
CLAIMS = {1, 2, *range(4, 11), *range(18, 24), *range(30, 34), *range(38, 41)}


@pytest.mark.parametrize("cell", CELLS, ids=lambda cell: cell.id)
def test_says_what_it_expects_and_why(cell):
    assert cell.expectation is not None
    assert cell.why
    if cell.scenario.claim is not None:
        assert cell.scenario.says


def test_ids_follow_the_files():
    for cell in CELLS:
        assert cell.scenario.id == str(cell.path.relative_to(SCENARIOS).with_suffix(""))


def test_the_claims_are_covered():
    assert {cell.scenario.claim for cell in CELLS} >= CLAIMS
