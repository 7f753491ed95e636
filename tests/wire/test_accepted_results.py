"""What runs come to is what was accepted: part of the matrix, and the costs. For scenarios see test_suite."""

from __future__ import annotations

import pytest
from running import run_cells

from testbed import results
from testbed.compare import reference
from testbed.tables import costs, matrix


@pytest.fixture(scope="module")
def accepted():
    return results.read(reference.FOLDER)


def changed(before, after):
    return {found.id: found.texts for found in reference.differences(before, after)}


def test_a_sample_of_the_matrix(accepted, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    found = matrix.rows(run_cells(matrix.cells(parts=matrix.SAMPLE)))
    kept = {
        row: {name: cells[name] for name in columns if name in cells}
        for row, columns in found.items()
        if (cells := accepted.matrix.get(row)) is not None
    }
    assert not changed(kept, found)


def test_costs(accepted, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    found = costs.entries(costs.table(run_cells(costs.cells())))
    kept = {id: entry for id, entry in accepted.entries.items() if id.startswith(f"{costs.FOLDER}/")}
    assert not changed(kept, found)
