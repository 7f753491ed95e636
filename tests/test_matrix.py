"""The matrix: every combination that it promises is there, and its table is read back as it was written."""

from __future__ import annotations

import itertools

import pytest
import records
from hypothesis import given
from hypothesis import strategies as st

from testbed import signals
from testbed.record import Verdict
from testbed.tables import matrix
from testbed.tables.mechanisms import EVERY, all_of_them
from testbed.topology import load

ROWS = st.dictionaries(
    st.from_regex(r"[a-z][a-z0-9-]{0,20}(/[a-z-]{1,12}){3}", fullmatch=True),
    st.fixed_dictionaries(
        {}, optional={name: st.sampled_from(["H", "Nv", ".", "-"]) for name in matrix.columns()}
    ),
    max_size=4,
)


@pytest.fixture
def cells(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return matrix.cells(["ds-glue"])


def test_every_signal_is_a_mechanism():
    assert [mechanism.name for mechanism in all_of_them()] == list(signals.names())
    roles = load("hosted").by_role
    assert set(EVERY) <= set(roles)


def test_scenarios_of_every_signal_can_be_read(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    one_each = {scenario["id"].split("/")[1]: scenario for scenario in matrix.scenarios(all_of_them())}
    found = matrix.write("one-each", one_each.values())
    assert {cell.scenario.id.split("/")[1] for cell in found} == set(one_each)


def test_each_link_and_each_pair_of_links_is_attacked(cells):
    wanted = {frozenset(links) for size in (1, 2) for links in itertools.combinations(EVERY, size)}
    for policy, signed in itertools.product(matrix.WHOLE[0].policies, matrix.SIGNED):
        attacked = {
            frozenset(cell.scenario.attack[0].on)
            for cell in cells
            if cell.scenario.resolver.policy.name == policy
            and cell.scenario.id == f"matrix/ds-glue/{matrix.TARGET_ONLY}/{signed}/{matrix.STRIPS}"
        }
        assert attacked == wanted


def test_every_policy_is_there(cells):
    assert {cell.scenario.resolver.policy.name for cell in cells} == {
        "opportunistic",
        "strict",
        "committed",
        "always",
    }


def test_each_zone_is_unsigned_somewhere(cells):
    unsigned = [set(EVERY) - set(cell.scenario.world.signed) for cell in cells]
    for role in EVERY:
        assert any(role in zones for zones in unsigned)


def test_the_sample_is_a_small_part_of_the_whole(cells):
    chosen = matrix.cells(["ds-glue"], matrix.SAMPLE)
    assert {cell.id for cell in chosen} < {cell.id for cell in cells}
    assert len(chosen) <= len(cells) / 20


def test_later_means_that_the_attacker_comes_last(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    found = {cell.scenario.id.split("/")[1]: cell.scenario for cell in matrix.cells(["probing"])}
    assert set(found) == {"probing", "probing-later"}
    last = len(found["probing"].steps) - 1
    assert not found["probing-later"].attackers_at(last - 1)
    assert found["probing-later"].attackers_at(last)
    assert found["probing"].attackers_at(0)


@given(ROWS)
def test_a_table_is_read_back(rows):
    assert matrix.parse(matrix.table(rows)) == rows


@given(st.text())
def test_garbage_is_refused_or_read(text):
    try:
        rows = matrix.parse(text)
    except ValueError:
        return
    assert matrix.parse(matrix.table(rows)) == rows or not rows


@pytest.mark.parametrize(
    ("fields", "code"),
    [
        ({"verdict": Verdict.HIJACK, "leak": "name"}, "H"),
        ({"verdict": Verdict.LEAK, "leak": "name"}, "N"),
        ({"verdict": Verdict.LEAK, "leak": "zone", "downgrade": True}, "Zv"),
        ({"verdict": Verdict.DOWNGRADE, "downgrade": True}, "V"),
        ({"verdict": Verdict.DENIAL}, "D"),
        ({"verdict": Verdict.SAFE}, "."),
        ({"verdict": Verdict.INCONCLUSIVE, "reason": "the attack never fired: it matched nothing"}, "-"),
        ({"verdict": Verdict.INCONCLUSIVE, "reason": "the baseline failed: no answer"}, "x"),
        ({"verdict": Verdict.INCONCLUSIVE, "reason": "packets were lost"}, "?"),
    ],
)
def test_a_run_is_a_cell(fields, code):
    assert matrix.code(records.record("a/b", **fields)) == code


def test_runs_are_rows():
    def run(group, links, **fields):
        scenario = f"matrix/ds-glue/target-encrypts/all/{group}"
        cell = {"resolver.policy": "strict", "attack.0.on": links}
        return records.record(f"{scenario}[on={'+'.join(links)}]", cell=cell, **fields)

    at_rest = records.baseline().model_copy(update={"leak": "zone"})
    found = matrix.rows(
        [
            run("strips", ["target"], verdict=Verdict.DENIAL, baseline=at_rest),
            run("strips", ["ns-parent", "target"], verdict=Verdict.LEAK, leak="name"),
            run("leads", ["root"], verdict=Verdict.SAFE),
        ]
    )
    assert found == {
        "ds-glue/target-encrypts/all/strict": {
            "listens T": "Z",
            "strips T": "D",
            "strips QT": "N",
            "leads R": ".",
        }
    }
