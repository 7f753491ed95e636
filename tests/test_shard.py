"""Parts of a suite for several runners: nothing twice, nothing left out, about the same work for each."""

from __future__ import annotations

import pytest
from all_cells import all_cells
from hypothesis import given
from hypothesis import strategies as st

from testbed.run.shard import Shard, cells_of, deal, parse
from testbed.scenario.load import selector

ITEMS = st.lists(
    st.tuples(st.integers(0, 9999), st.integers(0, 12), st.booleans()), unique_by=lambda item: item[0]
)


def dealt(items, count):
    return deal(items, count, lambda item: item[1], lambda item: str(item[0]), lambda item: item[2])


@given(ITEMS, st.integers(1, 9))
def test_every_item_is_in_one_part(items, count):
    parts = dealt(items, count)
    assert len(parts) == count
    assert sorted(item for part in parts for item in part) == sorted(items)


@given(ITEMS, st.integers(1, 9), st.randoms())
def test_the_order_of_items_makes_no_difference(items, count, random):
    mixed = list(items)
    random.shuffle(mixed)
    assert [set(part) for part in dealt(items, count)] == [set(part) for part in dealt(mixed, count)]
    for part in dealt(mixed, count):
        assert part == [item for item in mixed if item in set(part)]


@given(ITEMS, st.integers(1, 9))
def test_parts_have_about_the_same_work(items, count):
    """No part has more than a fair one and a piece: which is at most a fair one, and its baseline."""
    busy = [item for item in items if item[2]]
    fair = -(-len(busy) // count)
    for part in dealt(items, count):
        work = [item for item in part if item[2]]
        assert len(work) <= 3 * fair


@given(ITEMS, st.integers(1, 9))
def test_groups_stay_together_where_that_is_fair(items, count):
    parts = dealt(items, count)
    for works in (True, False):
        some = [item for item in items if item[2] is works]
        for group in {item[1] for item in some}:
            members = {item for item in some if item[1] == group}
            if len(members) <= -(-len(some) // count):
                assert sum(bool(members & set(part)) for part in parts) == 1


@pytest.mark.parametrize("count", [2, 3, 5])
def test_the_scenarios_are_dealt_out_fairly(count):
    cells = all_cells()
    parts = [cells_of(cells, Shard(number, count)) for number in range(1, count + 1)]
    assert sorted(cell.id for part in parts for cell in part) == sorted(cell.id for cell in cells)
    sizes = [len(part) for part in parts]
    assert max(sizes) <= 1.2 * min(sizes)
    keys = [{(cell.path, cell.baseline_key) for cell in part} for part in parts]
    whole = {(cell.path, cell.baseline_key) for cell in cells}
    assert sum(map(len, keys)) <= len(whole) + count


def test_what_an_engine_cannot_run_is_no_work():
    cells = [cell.with_engine("unbound") for cell in selector("root-servers or no-signal")(list(all_cells()))]
    one, other = (cells_of(cells, Shard(number, 2)) for number in (1, 2))
    assert len(one) + len(other) == len(cells)
    assert one
    assert other


def test_a_part_is_written_as_a_fraction():
    assert parse("2/3") == Shard(2, 3)
    assert str(parse("2/3")) == "2/3"


@pytest.mark.parametrize(
    "text", ["", "1", "0/2", "3/2", "1/0", "-1/2", "1/2/3", "a/b", "1 / 2", "1/99999", "²/3"]
)
def test_what_is_no_part_is_refused(text):
    with pytest.raises(ValueError, match="no part of a whole"):
        parse(text)
