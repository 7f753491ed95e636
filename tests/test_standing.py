"""How runs stand to accepted results: what fails a build and what does not."""

from __future__ import annotations

from pathlib import Path

import pytest
import records
from hypothesis import given
from hypothesis import strategies as st

from testbed.compare.baseline import LEVELS, Result, levels, result_of
from testbed.compare.standing import judged
from testbed.record import Standing, Verdict
from testbed.reports.summary import Status, differing, fails, status

HERE = Path()
EVERY = [*records.sample(), records.unexpected(), records.safe(expected=None), records.denial(expected=False)]


def standing(run, before):
    """How a run stands to what came out before."""
    return judged(run, result_of(before, HERE))


def unknown(run):
    return run.model_copy(update={"verdict": Verdict.INCONCLUSIVE, "expected": False, "reason": "it idled"})


@pytest.mark.parametrize("run", EVERY, ids=lambda run: f"{run.id}-{run.expected}")
def test_what_is_as_accepted_never_fails(run):
    if run.verdict is not Verdict.SKIPPED:
        found = standing(run, run)
        assert found.standing is Standing.SAME
        assert not fails(found)


def test_a_known_failure_is_no_failure():
    assert status(records.unexpected()) is Status.DIFFERS
    assert status(standing(records.unexpected(), records.unexpected())) is Status.KNOWN


def test_without_a_line_the_expectation_decides():
    assert judged(records.unexpected(), None) == records.unexpected()
    assert fails(judged(records.unexpected(), None))


@pytest.mark.parametrize("expected", [True, False, None])
def test_what_is_worse_fails_whatever_is_expected(expected):
    """Even as expected: an attack that is expected to succeed and that the resolver withstood, so far."""
    before = records.safe()
    after = before.model_copy(update={"verdict": Verdict.LEAK, "leak": "zone", "expected": expected})
    found = standing(after, before)
    assert found.standing is Standing.WORSE
    assert differing(found) == ("leak: accepted none, got zone",)
    assert fails(found)


def test_what_is_exposed_without_an_attack_counts():
    """A resolver that gives encryption up has nothing left for the attack to take."""
    before = records.safe()
    after = records.passive()
    found = standing(after.model_copy(update={"leak": "none", "verdict": Verdict.SAFE}), before)
    assert found.changes == ("at-rest: accepted none, got zone",)
    assert fails(found)


def test_what_is_better_is_reported_and_does_not_fail():
    before = records.unexpected()
    after = before.model_copy(update={"leak": "zone"})
    found = standing(after, before)
    assert (found.standing, found.changes) == (Standing.BETTER, ("leak: accepted name, got zone",))
    assert status(found) is Status.KNOWN


def test_what_is_as_expected_at_last_is_better():
    before = records.denial(expected=False, mismatches=("detected: expected false, got true",))
    found = standing(records.denial(), before)
    assert (found.standing, found.changes) == (Standing.BETTER, ("as expected now: detected",))
    assert status(found) is Status.AS_EXPECTED


def test_what_newly_differs_from_the_expectation_fails():
    """As safe as before, but something else that is expected is no longer so."""
    text = "detected: expected true, got false"
    found = standing(records.denial(expected=False, mismatches=(text,)), records.denial())
    assert (found.standing, differing(found)) == (Standing.WORSE, (text,))
    known = records.denial(expected=False, mismatches=(text,))
    assert standing(known, known).standing is Standing.SAME


@pytest.mark.parametrize(("expected", "stands"), [(True, Standing.BETTER), (False, Standing.WORSE)])
def test_better_and_worse_at_once_is_better_only_if_expected(expected, stands):
    """It leaked, and fails closed now."""
    before = records.downgrade(expected=False, mismatches=("verdict: expected denial, got leak",))
    closed = {"verdict": Verdict.DENIAL, "leak": "none", "downgrade": False, "denial": True, "exposures": ()}
    after = before.model_copy(update={**closed, "expected": expected})
    assert standing(after, before).standing is stands
    assert standing(before, after).standing is Standing.WORSE


class TestInconclusive:
    def test_is_not_accepted_because_something_else_is(self):
        found = standing(unknown(records.safe()), records.safe())
        assert found.standing is None
        assert status(found) is Status.INCONCLUSIVE

    def test_is_accepted_where_it_is_written_down(self):
        found = standing(unknown(records.safe()), unknown(records.safe()))
        assert status(found) is Status.KNOWN

    def test_is_worse_than_what_is_expected(self):
        assert standing(records.safe(), unknown(records.safe())).standing is Standing.BETTER

    def test_is_not_worse_than_what_is_not(self):
        found = standing(records.unexpected(), unknown(records.unexpected()))
        assert found.standing is None
        assert fails(found)


class TestNotRun:
    @pytest.mark.parametrize("verdict", [Verdict.SKIPPED, Verdict.NOT_APPLICABLE])
    def test_coverage_that_is_lost_fails(self, verdict):
        lost = records.safe(verdict=verdict, expected=None, reason="it is gone")
        found = standing(lost, records.safe())
        assert found.standing is Standing.LOST
        assert differing(found) == (f"verdict: accepted safe, got {verdict}",)
        assert fails(found)

    def test_where_nothing_was_known_nothing_is_lost(self):
        lost = records.safe(verdict=Verdict.SKIPPED, expected=None)
        found = standing(lost, unknown(records.safe()))
        assert status(found) is Status.SKIPPED


def outcomes():
    secrets = st.sampled_from(["none", "zone", "name"])
    flags = st.booleans()
    return st.builds(
        lambda leak, downgrade, hijack, denial, expected: records.safe(
            verdict=Verdict.LEAK,
            leak=leak,
            downgrade=downgrade,
            hijack=hijack,
            denial=denial,
            expected=expected,
            mismatches=("verdict: expected safe, got leak",) if expected is False else (),
        ),
        *(secrets, flags, flags, flags, st.sampled_from([True, False, None])),
    )


@given(outcomes(), outcomes())
def test_only_what_is_no_worse_in_any_respect_or_expected_passes(before, after):
    kept = result_of(before, HERE)
    found = judged(after, kept)
    order = ("no", "none", "zone", "name", "yes")
    rises = [order.index(levels(after)[name]) - order.index(kept.level(name)) for name in LEVELS]
    if all(rise >= 0 for rise in rises) and any(rises):
        assert fails(found)
    if all(rise <= 0 for rise in rises) and any(rises):
        assert not fails(found)
    if any(rise > 0 for rise in rises) and after.expected is not True:
        assert fails(found)


def test_a_result_says_how_bad_it_is():
    result = Result("a/b", {"verdict": "leak", "leak": "zone", "denial": "yes"})
    found = {name: result.level(name) for name in LEVELS}
    assert found == {"hijack": "no", "leak": "zone", "at-rest": "none", "downgrade": "no", "denial": "yes"}
