"""What real resolvers come to in the scenarios that they can be run with, and why that is not as expected.

Expectations belong to policies, so a run that differs is a finding about a resolver, or a mistake of ours.
What each engine came to is kept in ``results/reference/engines``; ``differences.yaml`` in its folder explains
whatever differs::

    - title: A refused copy of the root zone is reported to nobody
      kind: limit
      runs: ["root-servers/mirror-altered-copy[mirror=require,*]"]
      why: It asks the root servers instead, and its answers carry no EDE code (RFC 8914).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from enum import StrEnum
from pathlib import Path

from pydantic import Field, StrictStr, ValidationError

from testbed.compare import reference
from testbed.compare.reference import Entry
from testbed.engines import applicable, catalogue
from testbed.record import Run
from testbed.scenario import source
from testbed.scenario.cell import Cell
from testbed.scenario.errors import ScenarioError, ScenarioErrors
from testbed.scenario.parts import Part, checked

FOLDER = reference.FOLDER / "engines"
"""Where it is kept what each engine came to, a file each."""

DIFFERENCES = "differences.yaml"

DIFFERS = "differs"
"""The field with what was not as expected."""

COUNTED = frozenset({"queries", "packets", "bytes", "round_trips", "handshakes", "acted", "injected"})
COUNTS = "counts"
"""What stands for the numbers: which of them differ, and by how much, is another each time."""


class Kind(StrEnum):
    """Whose a difference is."""

    BUG = "bug"
    POLICY = "policy"
    LIMIT = "limit"
    OURS = "ours"


MEANING = {
    Kind.BUG: "it does not do what its documentation or an RFC says",
    Kind.POLICY: "it follows another policy, and there is no setting for ours",
    Kind.LIMIT: "it cannot be told to, or not in this network",
    Kind.OURS: "the testbed's mistake, not mended yet",
}


class Explanation(Part):
    """Why runs of an engine do not come to what was expected. ``runs`` are ids, in which * is anything."""

    title: StrictStr = Field(min_length=1, description="The difference, in a line.")
    kind: Kind = Field(description="Whose it is.")
    runs: tuple[StrictStr, ...] = Field(min_length=1, description="The runs that it explains.")
    varies: bool = Field(False, description="Whether they come to something else each time.")
    why: StrictStr = Field(min_length=1, description="The explanation, by packets or RFCs.")

    def covers(self, id: str) -> bool:
        """Whether it is about a run."""
        return any(_matches(pattern, id) for pattern in self.runs)


def _matches(pattern: str, id: str) -> bool:
    return re.fullmatch(".*".join(map(re.escape, pattern.split("*"))), id) is not None


class _File(Part):
    differences: tuple[Explanation, ...]


def explanations(engine: str) -> tuple[Explanation, ...]:
    """The explanations in an engine's folder. Raises ScenarioError for what is wrong with them."""
    path = catalogue.load(engine).folder / DIFFERENCES
    if not path.exists():
        return ()
    tree = source.parse(source.read(path), path)
    try:
        return checked(_File, {"differences": tree.plain()}).differences
    except ValidationError as error:
        raise ScenarioErrors(
            ScenarioError(path, *tree.locate(item["loc"][1:]), item["ctx"]["text"])
            for item in error.errors(include_url=False)
        ) from error


def cells(engine: str, among: Iterable[Cell]) -> list[Cell]:
    """The cells that an engine can be run with."""
    described = catalogue.load(engine).description
    return [cell.with_engine(engine) for cell in among if applicable.obstacle(described, cell) is None]


def entries(runs: Iterable[Run], known: Sequence[Explanation]) -> dict[str, Entry]:
    """What is kept of an engine's runs, by id: how bad it was, and what was not as expected.

    Nothing is kept of runs that are known to come to something else each time.
    """
    chance = [one for one in known if one.varies]
    kept = {reference.name_of(run.id): _entry(run) for run in runs}
    return {id: entry for id, entry in kept.items() if not any(one.covers(id) for one in chance)}


def _entry(run: Run) -> Entry:
    kept = {name: value for name, value in reference.entry(run).items() if name in reference.FOUND}
    wrong = (text.partition(":")[0].replace("baseline ", "").replace(" ", "_") for text in run.mismatches)
    fields = dict.fromkeys(COUNTS if field in COUNTED else field for field in wrong)
    return {**kept, DIFFERS: ",".join(fields)} if fields else kept


def differing(kept: Mapping[str, Entry]) -> list[str]:
    """The runs that were not as expected."""
    return [id for id, entry in kept.items() if DIFFERS in entry]


def unexplained(kept: Mapping[str, Entry], known: Sequence[Explanation]) -> Iterator[str]:
    """What is wrong with explanations of what is kept of an engine's runs, a line each."""
    wrong = differing(kept)
    for id in wrong:
        number = sum(one.covers(id) for one in known)
        if number != 1:
            yield f"{id} has {number or 'no'} explanation{'s' if number > 1 else ''}"
    for one in known:
        for pattern in () if one.varies else one.runs:
            if not any(_matches(pattern, id) for id in wrong):
                yield f"{one.title!r} explains {pattern}, where nothing differs"


def load(engine: str) -> dict[str, Entry]:
    """What an engine came to when that was accepted; nothing if it never was."""
    return reference.load(f"{engine}.txt", FOLDER)


def path_of(engine: str) -> Path:
    """The file that it is kept in."""
    return FOLDER / f"{engine}.txt"
