"""What is measured in the matrix as a whole: signals that need changes, and probing that does not."""

from __future__ import annotations

import pytest

from testbed.tables.matrix import columns
from testbed.tables.measures import MEASURES, changed_delegations, signals_and_probing


def matrix(**cells):
    """Rows in which every attacker is denied, but for some."""
    denied = dict.fromkeys(columns(), "D")
    rows = {
        "probing/target-encrypts/all/opportunistic": dict.fromkeys(columns(), "Nv"),
        "ds-glue/target-encrypts/all/strict": denied,
        "ds-glue/all-encrypt/all/strict": denied,
    }
    for place, row in cells.items():
        name = next(name for name in rows if name.startswith(f"{place.replace('_', '-')}/"))
        rows[name] = {**rows[name], **row}
    return rows


def held(rows):
    return [finding.holds for finding in signals_and_probing(rows)]


def test_all_is_as_claimed_where_signals_withstand_all_and_probing_nothing():
    assert held(matrix()) == [True, True, True, True, True]


@pytest.mark.parametrize(
    ("column", "expected"),
    [("leads T", [True, False, True, True, True]), ("leads R", [True, True, False, True, True])],
)
def test_probing_that_withstands_somebody_refines_it(column, expected):
    assert held(matrix(probing={column: "D"})) == expected


def test_a_signal_that_loses_somewhere_refines_it():
    assert held(matrix(ds_glue={"leads P": "N"})) == [True, True, True, False, True]


@pytest.mark.parametrize("idle", ["-", "x", "?"])
def test_where_nothing_was_decided_nothing_counts(idle):
    assert all(held(matrix(probing={"leads R": idle}, ds_glue={"leads P": idle})))
    texts = [finding.text for finding in signals_and_probing(matrix(ds_glue={"leads P": idle}))]
    assert any("withstands 4 of 4" in text for text in texts)


@pytest.mark.parametrize(
    ("signal", "delegations"),
    [
        ("probing", 0),
        ("svcb-query", 0),
        ("child-signal", 0),
        ("ds-glue", 1),
        ("svcb-glue", 1),
        ("tlsa-in-parent", 1),
        ("ds-pin", 10),
        ("name-pin", 10),
        ("name-menu", 10),
        ("svcb-at-target-parent", 10),
        ("deleg", 10),
    ],
)
def test_delegations_that_change_are_counted_from_what_parents_say(signal, delegations):
    assert changed_delegations(signal) == delegations


def test_without_a_matrix_nothing_is_said():
    assert signals_and_probing({}) == []
    assert MEASURES["signals-and-probing"]({}) == []
