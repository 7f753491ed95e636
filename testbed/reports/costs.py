"""The table of costs, as Markdown."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from testbed.compare.reference import OCTETS, VERDICT, Entry
from testbed.record import Verdict
from testbed.tables.costs import FOLDER, STATES, note

_HEADS = (
    "mechanism",
    "state",
    "round trips",
    "predicted",
    "queries",
    "handshakes",
    "octets",
    "read in clear",
    "why measured and predicted differ",
)
_FIGURES = ("round-trips", "predicted", "queries", "handshakes", OCTETS)


def table(entries: Mapping[str, Entry]) -> str:
    """A line for each mechanism and state, from ``testbed.tables.costs.entries`` or accepted results."""
    return "\n".join(_lines(entries)) + "\n"


def _lines(entries: Mapping[str, Entry]) -> Iterator[str]:
    yield f"| {' | '.join(_HEADS)} |"
    yield "|" + " --- |" * len(_HEADS)
    for id in sorted(entries, key=_order):
        entry = entries[id]
        _, mechanism, transport, state = id.split("/")
        cells = (
            f"{mechanism} over {transport}",
            state,
            *(entry.get(name, "") for name in _FIGURES),
            "yes" if entry[VERDICT] == Verdict.LEAK else "no",
            note(mechanism, int(entry["round-trips"]), int(entry["predicted"])),
        )
        yield f"| {' | '.join(cells)} |"


def _order(id: str) -> tuple[str, str, int]:
    _, mechanism, transport, state = id.split("/")
    return mechanism, transport, [str(one) for one in STATES].index(state)


def page(entries: Mapping[str, Entry]) -> str:
    """The page of documentation with the table."""
    return f"{_INTRODUCTION}\n{table({id: e for id, e in entries.items() if id.startswith(FOLDER)})}"


_INTRODUCTION = """\
# What encryption costs until the answer

This page is written by `adox accept` from [costs.txt](../results/reference/costs.txt); `adox costs` measures
anew.

Figures are what one query costs more than with plain DNS over UDP in the same world: topology `hosted`, every
zone signed, only the target's server encrypting, a strict resolver. *Round trips* are counted as
[verdicts.md](verdicts.md) says. *Predicted* follows from the protocols' structure alone: TCP, TLS 1.3 and the
query take a round trip each, QUIC one less, and a signal as many as the resolver has to wait for it.

| state | what the resolver knows |
| --- | --- |
| empty | nothing |
| cold | the parents, but neither the target nor its server |
| warm | delegation, addresses and signal; no session is open |
| open | the same, and the session of the query before is still open |

*Read in clear* says whether somebody who listens at the target reads the whole name.
"""
