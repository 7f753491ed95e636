"""How runs stand to accepted results: the same, better, worse, or lost. Only what is worse fails a build."""

from __future__ import annotations

from collections.abc import Iterable

from testbed.compare.baseline import LEVELS, Accepted, Result, levels, mismatched
from testbed.record import NOT_RUN, SECRETS, Run, Standing, Verdict

_SCALE = ("no", *SECRETS, "yes")
"""Levels from good to bad; of a flag or of a secret, never mixed."""


def stand(runs: Iterable[Run], accepted: Accepted) -> list[Run]:
    """The runs with what is to be said about them. Raises ScenarioError for results of another resolver."""
    return [judged(run, accepted.of(run.id, run.engine)) for run in runs]


def judged(run: Run, kept: Result | None) -> Run:
    """A run with its standing to what is accepted of it, if anything is."""
    standing, changes = _standing(run, kept) if kept is not None else (None, ())
    return run.model_copy(update={"standing": standing, "changes": changes})


def _standing(run: Run, kept: Result) -> tuple[Standing | None, tuple[str, ...]]:
    change = f"verdict: accepted {kept.verdict}, got {run.verdict}"
    if run.verdict in NOT_RUN:
        return (Standing.LOST, (change,)) if kept.verdict is not Verdict.INCONCLUSIVE else (None, ())
    if run.verdict is Verdict.INCONCLUSIVE:
        return (Standing.SAME, ()) if kept.verdict is Verdict.INCONCLUSIVE else (None, (change,))
    if kept.verdict is Verdict.INCONCLUSIVE:
        # Nothing was known, so that nothing can be the same: what is expected decides.
        return (Standing.BETTER, (change,)) if run.expected is not False else (None, (change,))
    return _compared(run, kept)


def _compared(run: Run, kept: Result) -> tuple[Standing, tuple[str, ...]]:
    """Both have a verdict."""
    now = levels(run)
    rises = {name: _SCALE.index(now[name]) - _SCALE.index(kept.level(name)) for name in LEVELS}
    changes = tuple(f"{name}: accepted {kept.level(name)}, got {now[name]}" for name in LEVELS if rises[name])
    worse = any(rise > 0 for rise in rises.values())
    better = any(rise < 0 for rise in rises.values())
    if worse and better:
        # Leaks no more but fails, say: for better only if that is wanted, and the gravest change is for good.
        gravest = next(rise for rise in rises.values() if rise)
        return (Standing.BETTER if run.expected and gravest < 0 else Standing.WORSE), changes
    if worse or better:
        return (Standing.WORSE if worse else Standing.BETTER), changes
    fresh = tuple(text for name, text in mismatched(run).items() if name not in kept.differs)
    if fresh:
        return Standing.WORSE, fresh
    if kept.differs and run.expected:
        return Standing.BETTER, (f"as expected now: {', '.join(sorted(kept.differs))}",)
    return Standing.SAME, ()
