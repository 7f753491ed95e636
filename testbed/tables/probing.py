"""What probing costs and comes to, with the reference resolver and with every real one that probes.

The scenarios ``engines/probing-*`` give a resolver two occasions to probe before it matters, on a network
where each server has one address, so that no choice of addresses is in the numbers. Each is run several
times; a number that is not always the same is shown as the least and the most, such as "10-12".
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Mapping, Sequence

from testbed.compare.reference import name_of
from testbed.engines import catalogue
from testbed.record import Run
from testbed.scenario import engine as engines
from testbed.scenario.cell import Cell

SCENARIOS = "engines/probing-"
FILE = "probing.txt"
REPEATS = 10

VARIES = "*"
NUMBERS = ("queries", "packets", "handshakes", "round_trips")

Row = tuple[str, ...]
"""Claim, run, resolver, verdict, and the numbers."""

_HEAD: Row = ("claim", "run", "resolver", "verdict", *NUMBERS)
_ABOVE = """# Probing (RFC 9539): what it comes to under attack, and what it costs until the last answer.
# Each was run {repeats} times; where a number was not the same each time, the least and the most are given.
# Claim 41 is about servers that promise to encrypt, of which probing knows nothing; probing-attacked-later is
# its attack on one that promises nothing. Claim 42 has the attacker of claim 39, on such a server.
"""


def resolvers() -> list[str]:
    """The reference resolver, and the engines on this machine that probe, fetched ones included."""
    return [engines.REFERENCE, *filter(_probes, catalogue.startable())]


def _probes(name: str) -> bool:
    return any("probing" in kind.get("signals", ()) for kind in catalogue.load(name).description.follows)


def label(name: str) -> str:
    """What a resolver is called in the table: by its version, wherever it was got from."""
    if name == engines.REFERENCE:
        return name
    loaded = catalogue.load(name)
    kind = name.rpartition("-")[0] if name in engines.fetched() else name
    return f"{kind}-{catalogue.version(loaded)}"


def cells(among: Iterable[Cell], names: Sequence[str]) -> list[Cell]:
    """The cells to run, once each."""
    ours = [cell for cell in among if cell.id.startswith(SCENARIOS)]
    return [cell.with_engine(name) for name in names for cell in ours]


def rows(runs: Iterable[Run]) -> dict[tuple[str, str], Row]:
    """A row for each run and resolver, from one record or several of the same."""
    order = sorted(runs, key=_key)
    found = {}
    for (id, engine), same in itertools.groupby(order, key=_key):
        records = list(same)
        claim = str(records[0].claim or "-")
        verdicts = _agreed(_verdict(run) for run in records)
        numbers = (_spread([getattr(run.counts, name) for run in records]) for name in NUMBERS)
        found[id, label(engine)] = (claim, id, label(engine), verdicts, *numbers)
    return found


def _key(run: Run) -> tuple[str, str]:
    return name_of(run.id), run.engine


def _verdict(run: Run) -> str:
    secret = f",{run.leak}" if run.leak != "none" else ""
    flags = "".join(f",{name}" for name in ("downgrade", "denial") if getattr(run, name))
    return f"{run.verdict}{secret}{flags}"


def _agreed(values: Iterable[str]) -> str:
    different = set(values)
    return different.pop() if len(different) == 1 else VARIES


def _spread(values: Sequence[int]) -> str:
    least, most = min(values), max(values)
    return str(least) if least == most else f"{least}-{most}"


def table(found: Mapping[tuple[str, str], Row]) -> str:
    """The rows as text, with columns below each other."""
    lines = [_HEAD, *sorted(found.values(), key=_place)]
    widths = [max(len(line[column]) for line in lines) for column in range(len(_HEAD))]
    texts = ("  ".join(part.ljust(width) for part, width in zip(line, widths, strict=True)) for line in lines)
    return _ABOVE.format(repeats=REPEATS) + "".join(f"{text.rstrip()}\n" for text in texts)


def _place(row: Row) -> tuple[int, str, bool, str]:
    claim, run, resolver = row[:3]
    return int(claim) if claim.isdigit() else 41, run, resolver != engines.REFERENCE, resolver


def parse(text: str) -> dict[tuple[str, str], Row]:
    """The rows of a table."""
    lines = (tuple(line.split()) for line in text.splitlines() if not line.startswith("#"))
    return {(line[1], line[2]): line for line in lines if line != _HEAD}


def contradictions(kept: Mapping[tuple[str, str], Row], fresh: Iterable[Row]) -> Iterator[tuple[str, str]]:
    """Runs of which new rows say something else than kept ones, and what; as far as these say anything."""
    for row in fresh:
        _, run, resolver, *_ = row
        others = [
            f"{name}: {old} -> {new}"
            for name, old, new in zip(_HEAD, kept.get((run, resolver), ()), row, strict=False)
            if not (_within(new, old) if name in NUMBERS else old in (new, VARIES))
        ]
        if others:
            yield run, f"{resolver}: {', '.join(others)}"


def _within(inner: str, outer: str) -> bool:
    (least, most), (from_, to) = _ends(outer), _ends(inner)
    return least <= from_ and to <= most


def _ends(spread: str) -> tuple[int, int]:
    least, _, most = spread.partition("-")
    return int(least), int(most or least)
