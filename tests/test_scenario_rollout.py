"""Scenario files: broken services, rollouts, and expectations that are ranges."""

from __future__ import annotations

import pytest
from scenario_files import GOOD, cell, changed, complaints

from testbed.record import Outcome, Verdict
from testbed.scenario.steps import BreakStep, MendStep

STEP = "  - query: secret.example.org A\n"


def with_steps(*steps: str) -> str:
    return changed((STEP, "".join(f"  - {step}\n" for step in (*steps, "query: secret.example.org A"))))


def test_what_breaks_and_is_mended():
    broken, mended, _ = cell(with_steps("break: target", "mend: target")).scenario.steps
    assert isinstance(broken, BreakStep)
    assert isinstance(mended, MendStep)
    assert broken.role == mended.role == "target"


def test_only_what_there_is_can_break():
    assert complaints(with_steps("break: ns-parent")) == [
        "13:12: unknown role 'ns-parent' among those that offer encryption; did you mean 'target-parent'?"
    ]


def test_only_what_broke_is_mended():
    assert complaints(with_steps("mend: target")) == [
        "13:11: nothing of target is broken; break it before",
    ]
    assert complaints(with_steps("break: target", "mend: target", "mend: target")) == [
        "15:11: nothing of target is broken; break it before",
    ]


def test_a_rollout_is_of_servers_that_encrypt():
    assert cell(GOOD + "rollout: target\n").scenario.rollout == ("target",)
    (said,) = complaints(GOOD + "rollout: [target, ns-parent]\n")
    assert said.startswith("16:19: unknown role 'ns-parent' among those that offer encryption")


def test_changes_are_counted_for_a_rollout_only():
    assert complaints(GOOD + "  changed_rrsets: 1\n") == [
        "16:19: nothing is counted without a `rollout`; say of which roles"
    ]
    assert complaints(GOOD + "  changed_rrsets: 1\nrollout: target\n") == []


def expected(text: str):
    return cell(f"{GOOD}  acted: {text}\n").expectation


@pytest.mark.parametrize(
    ("text", "number", "fits"),
    [
        ("3", 3, True),
        ("3", 4, False),
        ("2-4", 1, False),
        ("2-4", 2, True),
        ("2-4", 4, True),
        ("2-4", 5, False),
        ("[0, 2-4]", 0, True),
        ("[0, 2-4]", 1, False),
    ],
)
def test_numbers_and_ranges(text, number, fits):
    outcome = Outcome(verdict=Verdict.LEAK, acted=number)
    assert (expected(text).mismatches(outcome) == ()) is fits


def test_a_range_is_named_as_it_was_written():
    outcome = Outcome(verdict=Verdict.LEAK, acted=7)
    assert expected("[0, 2-4]").mismatches(outcome) == ("acted: expected 0 or 2-4, got 7",)


@pytest.mark.parametrize("text", ["-1", "4-2", "3-3", "2-", "a", "true", "1.5"])
def test_what_is_no_number_and_no_range(text):
    (said,) = complaints(f"{GOOD}  acted: {text}\n")
    assert said.endswith("is neither a whole number nor a range like 5-20")


def test_what_nobody_counted_is_not_as_expected():
    outcome = Outcome(verdict=Verdict.LEAK)
    text = cell(GOOD + "  changed_zones: 0\nrollout: target\n").expectation
    assert text.mismatches(outcome) == ("changed_zones: expected 0, got none",)
