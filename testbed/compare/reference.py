"""Results as text that a diff shows well: a line for each run, in the order of ids.

::

    ds-glue/stripped[policy=strict] denial fired acted=2 detected claim=21:as-claimed cost=9/8/0 ...

The accepted results of the scenarios that come with the testbed are kept in ``results/reference``, and a run
that differs is a change of behaviour that somebody has to look at. What is written is what comes out the same
on every machine: no times, and no octets, as the length of an ECDSA signature in a handshake varies.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import testbed
from testbed.compare.findings import at_rest, decisive, visible
from testbed.record import NOT_RUN, Counts, Outcome, Run, Verdict

FOLDER = Path(testbed.__file__).parents[1] / "results" / "reference"
"""Where the accepted results are."""

SCENARIOS_FILE = "scenarios.txt"
MATRIX_FILE = "matrix.txt"
COSTS_FILE = "costs.txt"

Entry = Mapping[str, str]
"""What is known of one run: "verdict", and what else there is to say, by name."""

VERDICT = "verdict"
PACKET = "packet"
"""The field that names the packet to look at. A retransmission shifts it."""

OCTETS = "octets"
"""The field with a number of octets. Signatures in handshakes vary in length."""

ENGINE = "engine"
"""The field that names the resolver, where a file of accepted results is one's own."""

NOT_COMPARED = (PACKET, OCTETS, ENGINE)

_FLAGS = ("downgrade", "hijack", "denial", "detected", "fired")
FOUND = (VERDICT, "leak", *_FLAGS)
"""The fields that say how bad it was."""

_NUMBERS = ("encrypting_share", "changed_rrsets", "changed_zones")
_YES = "yes"
_WORD = re.compile(r"\S+")


class UnreadableError(ValueError):
    """A text is no list of results. ``line`` and ``column`` count from 1; ``message`` says why."""

    def __init__(self, line: int, column: int, message: str) -> None:
        super().__init__(f"line {line}: {message}")
        self.line = line
        self.column = column
        self.message = message


def entry(run: Run) -> dict[str, str]:
    """What is kept of a run."""
    kept = {VERDICT: str(run.verdict)}
    if run.leak != "none":
        kept["leak"] = run.leak
    if (resting := at_rest(run)) != "none":
        kept["at-rest"] = resting
    kept |= {flag: _YES for flag in _FLAGS if getattr(run, flag)}
    if run.acted and not run.servers:
        kept["acted"] = str(run.acted)
    kept |= {
        name.replace("_", "-"): str(value) for name in _NUMBERS if (value := getattr(run, name)) is not None
    }
    if run.claim is not None:
        kept["claim"] = str(run.claim)
    if run.as_claimed is not None:
        kept["as-claimed"] = _YES if run.as_claimed else "no"
    if run.verdict in NOT_RUN or run.servers:  # programs do not send as many packets each time
        return kept
    kept["cost"] = _cost(run.counts)
    if run.baseline is not None:
        kept["without-attack"] = _baseline(run.baseline)
    found = decisive(run)
    if found is not None:
        kept[PACKET] = f"{found.capture or f'{found.link}.pcapng'}:{found.packet}".replace(" ", "_")
    return kept


def _cost(counts: Counts) -> str:
    return f"{counts.queries}q,{counts.round_trips}rt,{counts.handshakes}hs"


def _baseline(outcome: Outcome) -> str:
    return f"{outcome.verdict},{_cost(outcome.counts)}"


def entries(runs: Iterable[Run]) -> dict[str, Entry]:
    """What is kept of runs, by id."""
    return {name_of(run.id): entry(run) for run in runs}


def name_of(id: str) -> str:
    """The id of a run as it stands in a line."""
    return visible(id).replace(" ", "_")


def write(kept: Mapping[str, Entry], title: str) -> str:
    """A text with a line for each run, and a title above them."""
    lines = [f"# {title}", "# id verdict name=value ...; a name alone: yes"]
    lines += [line(id, kept[id]) for id in sorted(kept)]
    return "\n".join(lines) + "\n"


def line(id: str, kept: Entry) -> str:
    """The line of a run."""
    parts = [id, kept[VERDICT]]
    parts += [name if value == _YES else f"{name}={value}" for name, value in kept.items() if name != VERDICT]
    return " ".join(parts)


@dataclass(frozen=True, slots=True)
class Line:
    """A run as it stands in a text: where, and in which column each of its fields begins."""

    number: int
    id: str
    kept: Entry
    columns: Mapping[str, int]


def parse(text: str) -> dict[str, Entry]:
    """The results in a text that ``write`` made. Raises UnreadableError for anything else."""
    return {line.id: line.kept for line in lines(text)}


def lines(text: str) -> Iterator[Line]:
    """The results in a text, line by line. Raises UnreadableError for what is none."""
    known: set[str] = set()
    for number, written in enumerate(text.splitlines(), 1):
        if written.startswith("#") or not written.strip():
            continue
        found = _parse_line(number, written)
        if found.id in known:
            raise UnreadableError(number, 1, f"{found.id!r} stands there twice")
        known.add(found.id)
        yield found


def _parse_line(number: int, written: str) -> Line:
    (id, column), *words = ((word[0], word.start() + 1) for word in _WORD.finditer(written))
    if not words or words[0][0] not in set(Verdict):
        raise UnreadableError(number, words[0][1] if words else column, f"there is no verdict after {id!r}")
    kept, columns = {VERDICT: words[0][0]}, {VERDICT: words[0][1]}
    for word, column in words[1:]:
        name, equals, value = word.partition("=")
        if not name or name in kept or (equals and not value):
            raise UnreadableError(number, column, f"{word!r} is no name=value, or stands there twice")
        kept[name] = value if equals else _YES
        columns[name] = column
    return Line(number, id, kept, columns)


@dataclass(frozen=True, slots=True)
class Difference:
    """How two results of the same run differ, a text for each field; or one of them is missing."""

    id: str
    texts: tuple[str, ...]


def differences(before: Mapping[str, Entry], after: Mapping[str, Entry]) -> Iterator[Difference]:
    """Every run of which there is something else after than before, in the order of ids."""
    for id in sorted({*before, *after}):
        old, new = before.get(id), after.get(id)
        if old is None or new is None:
            kept = old or new or {}
            yield Difference(id, (f"{'new' if old is None else 'gone'}: {kept.get(VERDICT, '')}",))
            continue
        names = dict.fromkeys((*old, *new))
        texts = tuple(
            f"{name}: {old.get(name, '-')} -> {new.get(name, '-')}"
            for name in names
            if name not in NOT_COMPARED and old.get(name) != new.get(name)
        )
        if texts:
            yield Difference(id, texts)


def load(name: str, folder: Path = FOLDER) -> dict[str, Entry]:
    """The accepted results of a file; none if there is no such file. Raises UnreadableError, OSError."""
    path = folder / name
    return parse(path.read_text(encoding="utf-8")) if path.exists() else {}
