"""What no single run can decide: claims that are about the matrix as a whole.

A measure is a function from the matrix to findings, and is named by a claim.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import dns.name
import dns.rdatatype

from testbed import topology
from testbed.compare.reference import Entry
from testbed.core import message
from testbed.core.deleg import DE_FLAG
from testbed.core.transport import Transport
from testbed.scenario.context import Context
from testbed.scenario.world import World
from testbed.tables.matrix import ALL_SIGNED, EVERY_SERVER, LEADS, LETTERS, TARGET_ONLY
from testbed.tables.mechanisms import EVERY
from testbed.world.build import build

IN_THE_PARENT = (
    "deleg",
    "ds-glue",
    "ds-pin",
    "name-menu",
    "name-pin",
    "svcb-at-target-parent",
    "svcb-glue",
    "tlsa-in-parent",
)
"""Signals that stand in a delegation."""

PROBING = "probing"
TOPOLOGY = "hosted"
WITHSTOOD = ("D", ".")
IDLE = ("-", "x", "?")
"""Cells in which nothing was decided."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was measured, in a sentence, and whether it is as claimed."""

    text: str
    holds: bool


Measure = Callable[[Mapping[str, Entry]], list[Finding]]


def signals_and_probing(matrix: Mapping[str, Entry]) -> list[Finding]:
    """Probing needs no change and withstands no active attacker; signals do, if they are in a delegation."""
    return [*_of_probing(matrix), *_of_signals(matrix)] if matrix else []


def _of_probing(matrix: Mapping[str, Entry]) -> Iterator[Finding]:
    changed = changed_delegations(PROBING)
    yield Finding(f"{PROBING}: {changed} delegations have to change", changed == 0)
    rows = [
        cells
        for row, cells in matrix.items()
        if row.startswith(f"{PROBING}/") and row.endswith("/opportunistic")
    ]
    for where, links in (("the target's link", EVERY[-1:]), ("other links", EVERY[:-1])):
        counted = [_withstood(cells, links) for cells in rows]
        kept, met = (sum(numbers) for numbers in zip(*counted, strict=True)) if counted else (0, 0)
        yield Finding(f"{PROBING}, opportunistic, {where}: withstands {kept} of {met} attackers", kept == 0)


def _of_signals(matrix: Mapping[str, Entry]) -> Iterator[Finding]:
    for name in IN_THE_PARENT:
        for deployment in (TARGET_ONLY, EVERY_SERVER):
            cells = matrix.get(f"{name}/{deployment}/{ALL_SIGNED}/strict")
            if cells is not None:
                kept, met = _withstood(cells, EVERY)
                changed = changed_delegations(name)
                text = (
                    f"{name}, strict, {deployment}, every zone signed: {changed} delegations have to change, "
                    f"withstands {kept} of {met} attackers"
                )
                yield Finding(text, changed > 0 and kept == met)


def _withstood(cells: Entry, links: Sequence[str]) -> tuple[int, int]:
    """How many attackers on a single link got nothing, and how many could do something."""
    met = [cell for link in links if (cell := cells.get(f"{LEADS} {LETTERS[link]}", "-")) not in IDLE]
    return sum(cell in WITHSTOOD for cell in met), len(met)


@functools.cache
def changed_delegations(signal: str) -> int:
    """In how many delegations parents say something else once the target's server encrypts.

    Ten zones are on it. What a parent says is taken from its responses, whatever is in its zone.
    """
    before, after = (_delegations(signal, secure) for secure in ((), ("target",)))
    return sum(before[place] != after[place] for place in before)


def _delegations(signal: str, secure: tuple[str, ...]) -> dict[tuple[str, dns.name.Name], frozenset[str]]:
    """The RRsets of each referral towards a zone of the target's server, and to the zone of its name."""
    hosted = topology.load(TOPOLOGY)
    described = World.model_validate(
        {"signal": [signal], "secure": list(secure)}, context=Context(topology=hosted)
    )
    world = build(hosted, described)
    cuts = [("target-parent", zone.origin) for zone in world.hosting["target"]]
    cuts.append(("ns-parent", hosted.by_role["ns-zone"].zone))
    said = {}
    for role, zone in cuts:
        query = message.query(zone, dns.rdatatype.A, id=0)
        query.ednsflags |= DE_FLAG
        (response,) = world.authoritative(role).respond(query, Transport.TCP)
        said[role, zone] = frozenset(
            rrset.to_text() for section in (response.authority, response.additional) for rrset in section
        )
    return said


MEASURES: Mapping[str, Measure] = {"signals-and-probing": signals_and_probing}
