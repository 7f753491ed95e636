"""From runs to claims: which of the document's statements the packets bear out, and where they do not.

A claim is *confirmed* when all of its runs come out as the document says, *refuted* when none does, and
*refined* when it depends: it holds under the conditions measured, and the runs say which these are.
"""

from __future__ import annotations

import functools
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from pydantic import BaseModel, ConfigDict
from ruamel.yaml import YAML

from testbed.compare.reference import VERDICT, Entry
from testbed.record import Verdict
from testbed.tables.measures import MEASURES, Finding

DATA = Path(__file__).with_suffix(".yaml")


class Claim(BaseModel):
    """A statement of the document, in our own words.

    ``later`` says what it waits for before it can be tested; ``measured`` names what is counted for it in
    the matrix.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    number: int
    heading: str
    setup: str
    attacker: str
    says: str
    later: str = ""
    measured: str = ""


class Status(StrEnum):
    """What has become of a claim."""

    CONFIRMED = "confirmed"
    REFINED = "refined"
    REFUTED = "refuted"
    NOT_RUN = "not run"


@dataclass(frozen=True, slots=True)
class Evidence:
    """A run that says something about a claim: its id, its result, and whether that is as claimed."""

    id: str
    entry: Entry
    holds: bool

    @property
    def scenario(self) -> str:
        """The id of its scenario."""
        return self.id.partition("[")[0]

    @property
    def labels(self) -> dict[str, str]:
        """The values of its scenario's axes, by their short names."""
        inside = self.id.partition("[")[2].removesuffix("]")
        pairs = (pair.partition("=") for pair in inside.split(",") if pair)
        return {name: value for name, _, value in pairs}


@dataclass(frozen=True, slots=True)
class Finished:
    """A claim, and what came of it. ``open`` are its runs that came to nothing."""

    claim: Claim
    evidence: tuple[Evidence, ...]
    findings: tuple[Finding, ...]
    open: tuple[str, ...]

    @property
    def held(self) -> list[bool]:
        """Whether each thing that says something about it is as claimed."""
        return [*(item.holds for item in self.evidence), *(item.holds for item in self.findings)]

    @property
    def status(self) -> Status:
        """Confirmed, refined, refuted, or not run."""
        held = self.held
        if not held:
            return Status.NOT_RUN
        return Status.CONFIRMED if all(held) else Status.REFINED if any(held) else Status.REFUTED

    def by_scenario(self) -> dict[str, list[Evidence]]:
        """The runs of each scenario."""
        grouped: dict[str, list[Evidence]] = defaultdict(list)
        for item in self.evidence:
            grouped[item.scenario].append(item)
        return dict(grouped)


@functools.cache
def load() -> tuple[Claim, ...]:
    """All claims, in the order of their numbers."""
    data = YAML(typ="safe").load(DATA.read_text(encoding="utf-8"))
    return tuple(sorted((Claim.model_validate(item) for item in data), key=lambda claim: claim.number))


def assess(entries: Mapping[str, Entry], matrix: Mapping[str, Entry] | None = None) -> tuple[Finished, ...]:
    """What became of each claim, from results by id and, where it is at hand, the matrix."""
    runs: dict[int, list[Evidence]] = defaultdict(list)
    unfinished: dict[int, list[str]] = defaultdict(list)
    for id, entry in sorted(entries.items()):
        if "claim" not in entry:
            continue
        number = int(entry["claim"])
        if "as-claimed" in entry:
            runs[number].append(Evidence(id, entry, entry["as-claimed"] == "yes"))
        elif entry[VERDICT] in ("inconclusive", "skipped", "not-applicable"):
            unfinished[number].append(id)
    return tuple(
        Finished(
            claim,
            tuple(runs[claim.number]),
            tuple(MEASURES[claim.measured](matrix or {})) if claim.measured else (),
            tuple(unfinished[claim.number]),
        )
        for claim in load()
    )


def conditions(chosen: Sequence[Evidence], all_of_scenario: Sequence[Evidence]) -> str:
    """Which cells of a scenario's matrix some are, in a few words: "how=drop or reset"; empty for all.

    Only axes on which the chosen ones do not take every value are named. Where they are no rectangle of the
    matrix, each is named.
    """
    if len(chosen) == len(all_of_scenario):
        return ""
    every, some = _values(all_of_scenario), _values(chosen)
    narrowed = {axis: values for axis, values in some.items() if len(values) < len(every[axis])}
    inside = [item for item in all_of_scenario if all(item.labels.get(a) in v for a, v in narrowed.items())]
    if len(inside) != len(chosen):
        return "; ".join(", ".join(f"{a}={v}" for a, v in item.labels.items()) for item in chosen)
    return ", ".join(f"{axis}={' or '.join(values)}" for axis, values in narrowed.items())


def _values(items: Sequence[Evidence]) -> dict[str, list[str]]:
    """The values that occur on each axis, in order."""
    found: dict[str, list[str]] = {}
    for item in items:
        for axis, value in item.labels.items():
            values = found.setdefault(axis, [])
            if value not in values:
                values.append(value)
    return found


def outcomes(items: Sequence[Evidence], whys: Mapping[str, str]) -> Iterator[tuple[str, str, list[Evidence]]]:
    """Runs by what they came to, as a text: "leak of the name, downgrade", and why, if ``whys`` has it."""
    grouped: dict[tuple[str, str], list[Evidence]] = defaultdict(list)
    for item in items:
        grouped[outcome(item.entry), whys.get(item.id, "")].append(item)
    for (text, why), members in grouped.items():
        yield text, why, members


def outcome(entry: Entry) -> str:
    """What a run came to, in words."""
    words = [entry[VERDICT]]
    secret, rest = entry.get("leak"), entry.get("at-rest")
    if secret is not None and entry[VERDICT] == Verdict.LEAK:
        words = [f"leak of the {secret}"]
    elif secret is not None:
        words.append(f"the {secret} exposed at rest" if secret == rest else f"leak of the {secret}")
    words += [flag for flag in ("downgrade", "denial", "detected") if flag in entry and flag != words[0]]
    return ", ".join(words)


def tally(finished: Sequence[Finished]) -> str:
    """The counts in words: "49 of 49 claims ran: 30 confirmed, 12 refined, 7 refuted; 6 come later"."""
    due = [item for item in finished if not item.claim.later]
    ran = [item for item in due if item.status is not Status.NOT_RUN]
    counts = {status: sum(item.status is status for item in ran) for status in Status}
    parts = ", ".join(f"{count} {status}" for status, count in counts.items() if count)
    later = len(finished) - len(due)
    return f"{len(ran)} of {len(due)} claims ran{': ' if parts else ''}{parts}; {later} come later"
