"""What real resolvers come to: what is kept of it, and that each difference has one explanation."""

import pytest
from all_cells import all_cells
from records import record

from testbed.compare import reference
from testbed.engines import catalogue
from testbed.record import Counts
from testbed.reports.engines import page
from testbed.scenario.errors import ScenarioError
from testbed.tables import engine_results, probing
from testbed.tables.engine_results import DIFFERS, Explanation, Kind

CELLS = all_cells()
KEPT = {
    "a/b[x=1]": {"verdict": "denial", "differs": "verdict"},
    "a/b[x=2]": {"verdict": "leak", "leak": "name"},
}


def run(**fields):
    return record("a/b", verdict="safe", **{"mismatches": (), "engine": "reference", **fields})


def explanation(*runs, **more):
    return Explanation(title="it differs", kind=Kind.BUG, runs=runs, why="because", **more)


@pytest.mark.parametrize("name", catalogue.names())
def test_each_accepted_difference_has_one_explanation(name):
    kept = engine_results.load(name)
    assert kept
    assert list(engine_results.unexplained(kept, engine_results.explanations(name))) == []


@pytest.mark.parametrize("name", catalogue.names())
def test_what_is_accepted_is_of_scenarios_that_the_engine_can_be_run_with(name):
    known = engine_results.explanations(name)
    ids = {reference.name_of(cell.id) for cell in engine_results.cells(name, CELLS)}
    chance = {id for id in ids if any(one.varies and one.covers(id) for one in known)}
    assert ids - chance == set(engine_results.load(name))


def test_what_is_not_explained_or_too_often_is_said():
    assert list(engine_results.unexplained(KEPT, [])) == ["a/b[x=1] has no explanation"]
    assert list(engine_results.unexplained(KEPT, [explanation("a/b[x=1]")])) == []
    twice = [explanation("a/b[*"), explanation("a/*=1]")]
    assert list(engine_results.unexplained(KEPT, twice)) == ["a/b[x=1] has 2 explanations"]
    useless = [explanation("a/b[*"), explanation("a/b[x=2]")]
    assert list(engine_results.unexplained(KEPT, useless)) == [
        "'it differs' explains a/b[x=2], where nothing differs"
    ]


def test_of_the_numbers_it_is_kept_only_that_they_differ():
    wrong = ("verdict: expected leak, got safe", "acted: expected 2, got 1", "queries: expected 1, got 2")
    kept = engine_results.entries([run(mismatches=wrong)], [])
    assert [entry[DIFFERS] for entry in kept.values()] == ["verdict,counts"]


def test_nothing_is_kept_of_what_is_chance():
    one = run()
    assert engine_results.entries([one], [explanation("*", varies=True)]) == {}
    assert DIFFERS not in engine_results.entries([one], [])[reference.name_of(one.id)]


def test_a_mistake_in_an_explanation_is_found_where_it_is(tmp_path, monkeypatch):
    engine = catalogue.load("unbound")
    text = "- title: t\n  kind: bad\n  runs: [a]\n  why: w\n"
    (tmp_path / engine_results.DIFFERENCES).write_text(text)
    monkeypatch.setattr(engine, "folder", tmp_path)
    monkeypatch.setattr(catalogue, "load", lambda name: engine)
    with pytest.raises(ScenarioError) as caught:
        engine_results.explanations("unbound")
    assert "differences.yaml:2:" in str(caught.value)


def test_the_page_names_every_run_that_differs():
    made = page({"x": ("Resolver X", KEPT, [explanation("a/b[x=1]"), explanation("c[*", varies=True)])})
    assert "| Resolver X | 2 | 1 | 1 | 0 | 0 | 0 |" in made
    assert "- `a/b[x=1]`: denial; otherwise than expected: verdict" in made
    assert "- `c[*`: not the same each time" in made


def test_of_numbers_that_vary_the_least_and_the_most_are_shown():
    runs = [run(engine="reference", counts=Counts(queries=3, packets=packets)) for packets in (9, 8, 12)]
    found = probing.rows(runs)
    ((_, _, resolver, _, queries, packets, *_),) = found.values()
    assert (resolver, queries, packets) == ("reference", "3", "8-12")
    assert probing.parse(probing.table(found)) == found


def test_contradictions_are_found_where_something_is_known():
    before = probing.rows([run(counts=Counts(queries=3, packets=n)) for n in (8, 10)])
    fresh = probing.rows([run(counts=Counts(queries=4, packets=n)) for n in (9, 10)])
    assert list(probing.contradictions(before, fresh.values())) == [("a/b", "reference: queries: 3 -> 4")]
    fresh = probing.rows([run(counts=Counts(queries=3, packets=n)) for n in (9, 11)])
    assert list(probing.contradictions(before, fresh.values())) == [
        ("a/b", "reference: packets: 8-10 -> 9-11")
    ]
    assert list(probing.contradictions({}, fresh.values())) == []
