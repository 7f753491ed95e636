"""Whether an outcome is as a scenario expects it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from testbed.record import Outcome, Verdict

FIELDS = ("verdict", "leak", "downgrade", "hijack", "denial", "detected", "fired")
"""What can be expected of an outcome; ``baseline`` takes a mapping of the same."""

BASELINE = "baseline"


def mismatches(
    expectation: Mapping[str, Any], outcome: Outcome, baseline: Outcome | None = None
) -> tuple[str, ...]:
    """How an outcome differs from an expectation, one text per field: "leak: expected none, got name".

    A list of values means any of them. What nobody expected to be inconclusive, or skipped, never is as
    expected, even if the expectation says nothing of the verdict. ``baseline`` is that of a Run, unless
    given. Raises ValueError for a field that cannot be expected.
    """
    if baseline is None:
        baseline = getattr(outcome, BASELINE, None)
    found = _compare(expectation, outcome, "")
    wanted = expectation.get(BASELINE)
    if wanted is not None:
        if baseline is None:
            found.append("baseline: expected one, got none")
        else:
            found += _compare(wanted, baseline, f"{BASELINE} ")
    return tuple(found)


def _compare(expectation: Mapping[str, Any], outcome: Outcome, where: str) -> list[str]:
    found = []
    for field, wanted in expectation.items():
        if field == BASELINE and not where:
            continue
        if field not in FIELDS:
            raise ValueError(f"{where}{field} is nothing that an outcome has")
        values = list(wanted) if isinstance(wanted, (list, tuple)) else [wanted]
        got = getattr(outcome, field)
        if got not in values:
            found.append(f"{where}{field}: expected {' or '.join(map(_word, values))}, got {_word(got)}")
    unusable = outcome.verdict in (Verdict.INCONCLUSIVE, Verdict.SKIPPED)
    if unusable and "verdict" not in expectation:
        found.insert(0, f"{where}verdict: expected any, got {_word(outcome.verdict)}")
    return found


def _word(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)
