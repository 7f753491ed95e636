"""The matrix: mechanisms x attacker's position x signed zones x policy, each cell a run on the wire.

It takes place in the topology ``hosted``. The attacker is ``forge-unsigned``, which does the obvious thing
wherever it sits, and it sits on each link and on each pair of links. Without a server of its own it *strips*:
takes announcements away, blocks encryption, and reads. With one it *leads*: the resolver is led to that
server.

What is left out, and why:

- ``strips`` is run on single links and on pairs, ``leads`` on single links: whoever can lead the resolver to
  a server of its own needs no second link.
- Zones are signed all, or none, or all but one and what lies below it: an unsigned zone makes all below it
  insecure. Two zones of different branches that are unsigned together are left out.
- Where every server encrypts, all or no zone is signed, and links are attacked one at a time: what could be
  altered on a link is inside TLS.
- *always* sends no query in clear, and where only the target encrypts it gets no answers at all. It is run
  where every server encrypts; there, too, it needs a signal that it has before the first query.
- DoT only. Credentials are those that the named policies accept.
- Three links at once, off-path attackers, and the links to mirror and evil: scenario files have these.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from testbed.compare.reference import Entry
from testbed.record import Run, Verdict
from testbed.scenario.cell import Cell
from testbed.tables.generated import write
from testbed.tables.mechanisms import EVERY, Mechanism, all_of_them

FOLDER = "matrix"
ATTACKER = "forge-unsigned"
LATER = "-later"
"""Ends the name of a mechanism that the resolver had used before the attacker came."""

LETTERS = dict(zip(EVERY, "RPQZT", strict=True))
"""Links as the heads of columns give them."""

SINGLES = tuple((link,) for link in EVERY)
PAIRS = tuple(itertools.combinations(EVERY, 2))
BOTH = (*SINGLES, *PAIRS)
LISTENS, STRIPS, LEADS = "listens", "strips", "leads"
GROUPS: Mapping[str, Sequence[tuple[str, ...]]] = {
    LISTENS: SINGLES,
    STRIPS: BOTH,
    LEADS: SINGLES,
}
"""The columns: what the attacker does, and where."""

ALL_SIGNED, NONE_SIGNED = "all", "none"
SIGNED: Mapping[str, tuple[str, ...]] = {
    ALL_SIGNED: EVERY,
    "target-unsigned": ("root", "target-parent", "ns-parent", "ns-zone"),
    "target-parent-unsigned": ("root", "ns-parent", "ns-zone"),
    "ns-zone-unsigned": ("root", "target-parent", "target", "ns-parent"),
    "ns-parent-unsigned": ("root", "target-parent", "target"),
    NONE_SIGNED: (),
}
"""Which zones are signed, by role."""

TARGET_ONLY, EVERY_SERVER = "target-encrypts", "all-encrypt"


@dataclass(frozen=True, slots=True)
class Part:
    """A part of the matrix in which every combination is run."""

    deployment: str
    signed: tuple[str, ...]
    policies: tuple[str, ...]
    places: Mapping[str, Sequence[tuple[str, ...]]]


WHOLE = (
    Part(
        TARGET_ONLY, tuple(SIGNED), ("opportunistic", "strict", "committed"), {STRIPS: BOTH, LEADS: SINGLES}
    ),
    Part(
        EVERY_SERVER,
        (ALL_SIGNED, NONE_SIGNED),
        ("opportunistic", "strict", "committed", "always"),
        {STRIPS: SINGLES, LEADS: SINGLES},
    ),
)
SAMPLE = (Part(TARGET_ONLY, (ALL_SIGNED, NONE_SIGNED), ("strict",), {STRIPS: SINGLES, LEADS: SINGLES}),)
"""A twentieth of the whole, with something of everything in it."""

_CONTACT = (
    {"query": "www.example.org A"},
    "wait-idle",
    {"query": "mail.example.org A"},
    {"advance": "1m"},
    {"query": "secret.example.org A"},
)
"""For what is learned from contact: two queries before the one that matters, and no session left open."""

HEADER = """\
# What each mechanism withstands: accepted results of `adox matrix`; tables/matrix.py says what is left out.
#
# row      mechanism / which servers encrypt / which zones are signed / policy of the resolver
#          -later: the mechanism had been used before the attacker came
# listens  what can be read on a link without any attack: Z the zone, N the name, . nothing
# strips   an attacker that takes announcements away, blocks encryption, and reads
# leads    an attacker that also has a server of its own, and leads the resolver to it
# links    R root, P target-parent, Q ns-parent, Z ns-zone, T target, and pairs of them
# cells    H hijack, N leak of the name, Z leak of the zone, V downgrade, D denial, . safe; v also downgraded
#          - nothing that this attacker could do; x no answer without an attack either; ? inconclusive
"""

_CODES = {
    Verdict.HIJACK: "H",
    Verdict.DOWNGRADE: "V",
    Verdict.DENIAL: "D",
    Verdict.SAFE: ".",
    Verdict.INCONCLUSIVE: "?",
    Verdict.SKIPPED: "?",
    Verdict.NOT_APPLICABLE: "?",
}
_SECRETS = {"none": ".", "zone": "Z", "name": "N"}
_IDLE, _NO_SERVICE = "the attack never fired", "the baseline failed"


@dataclass(frozen=True, slots=True)
class Place:
    """Where a cell is in the table: its row, and its columns' group and links."""

    row: str
    group: str
    links: tuple[str, ...]


def scenarios(mechanisms: Iterable[Mechanism], parts: Iterable[Part] = WHOLE) -> Iterator[dict[str, Any]]:
    """The scenario files that the matrix consists of."""
    for mechanism, part in itertools.product(mechanisms, parts):
        for signed, group in itertools.product(part.signed, part.places):
            yield _scenario(mechanism, part, signed, group)
            if mechanism.learns:
                yield _scenario(mechanism, part, signed, group, later=True)


def _scenario(
    mechanism: Mechanism, part: Part, signed: str, group: str, *, later: bool = False
) -> dict[str, Any]:
    name = mechanism.name + (LATER if later else "")
    attack: dict[str, Any] = {"attacker": ATTACKER, "on": ["root"], "with": {"own_server": group == LEADS}}
    if later:
        attack["from_step"] = len(_CONTACT) - 1
    switches = {f"resolver.policy.{switch}": [value] for switch, value in mechanism.policy.items()}
    return {
        "id": f"{FOLDER}/{name}/{part.deployment}/{signed}/{group}",
        "title": f"{name}: an attacker that {group}, {part.deployment}, signed: {signed}",
        "world": {
            "signal": list(mechanism.signals),
            "signed": list(SIGNED[signed]),
            "secure": list(mechanism.secure if part.deployment == TARGET_ONLY else EVERY),
        },
        "attack": [attack],
        **({"steps": list(_CONTACT)} if mechanism.learns else {}),
        "matrix": {
            "resolver.policy": list(part.policies),
            **switches,
            "attack.0.on": [list(links) for links in part.places[group]],
        },
    }


def cells(names: Iterable[str] = (), parts: Iterable[Part] = WHOLE) -> list[Cell]:
    """The cells of all mechanisms, or of those that are named."""
    wanted = set(names)
    chosen = [item for item in all_of_them() if not wanted or item.name in wanted]
    return write(FOLDER, scenarios(chosen, tuple(parts)))


def _place(scenario: str, policy: str, links: Sequence[str]) -> Place:
    row, _, group = scenario.removeprefix(f"{FOLDER}/").rpartition("/")
    return Place(f"{row}/{policy}", group, tuple(links))


def column(group: str, links: Sequence[str]) -> str:
    """The name of a column: "strips QT"."""
    return f"{group} {''.join(LETTERS[link] for link in links)}"


def code(run: Run) -> str:
    """A run as a cell of the table."""
    if run.reason.startswith(_IDLE):
        return "-"
    if run.reason.startswith(_NO_SERVICE):
        return "x"
    if run.verdict is Verdict.LEAK:
        return _SECRETS[run.leak] + "v" * run.downgrade
    return _CODES[run.verdict]


def rows(runs: Iterable[Run]) -> dict[str, Entry]:
    """Runs as rows of the table, in the order of names: for each the cells by the names of their columns."""
    found: dict[str, dict[str, str]] = {}
    for run in runs:
        place = _place(run.scenario, run.policy, run.cell["attack.0.on"])
        row = found.setdefault(place.row, {})
        row[column(place.group, place.links)] = code(run)
        if len(place.links) == 1 and place.group == STRIPS and run.baseline is not None:
            row[column(LISTENS, place.links)] = _SECRETS[run.baseline.leak]
    return {row: found[row] for row in sorted(found)}


def columns() -> list[str]:
    """The names of all columns, from the left."""
    return [column(group, links) for group, places in GROUPS.items() for links in places]


def table(found: Mapping[str, Entry]) -> str:
    """The matrix as text."""
    width = max(map(len, found), default=3)
    heads = [f"{'row':{width}}"]
    heads += [f"{g} {' '.join(f'{column(g, links).split()[1]:2}' for links in GROUPS[g])}" for g in GROUPS]
    lines = [" | ".join(heads).rstrip()]
    for row, kept in found.items():
        parts = [f"{row:{width}}"]
        for group, places in GROUPS.items():
            shown = " ".join(f"{kept.get(column(group, links), '~'):2}" for links in places)
            parts.append(" " * (len(group) + 1) + shown)
        lines.append(" | ".join(parts).rstrip())
    return HEADER + "\n".join(lines) + "\n"


def parse(text: str) -> dict[str, Entry]:
    """The rows of a text that ``table`` made. Raises ValueError for anything else."""
    names = columns()
    found: dict[str, Entry] = {}
    for number, line in enumerate(text.splitlines(), 1):
        if line.startswith(("#", "row ")) or not line.strip():
            continue
        row, *groups = line.split("|")
        shown = " ".join(groups).split()
        if len(groups) != len(GROUPS) or len(shown) != len(names):
            raise ValueError(f"line {number}: {len(shown)} cells where there should be {len(names)}")
        if row.strip() in found:
            raise ValueError(f"line {number}: the row {row.strip()!r} stands there twice")
        found[row.strip()] = {name: cell for name, cell in zip(names, shown, strict=True) if cell != "~"}
    return found
