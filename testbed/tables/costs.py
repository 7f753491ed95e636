"""What a mechanism costs until the answer: measured on the wire, beside what protocols' structure predicts.

Measured is what there is more than with plain DNS over UDP, in the same world: queries, round trips,
handshakes and octets. Four states of the resolver are told apart:

- *empty*: nothing is cached.
- *cold*: the parents are known, the target and its server are not.
- *warm*: delegation, addresses and signal are cached, no session is open (a minute after another query).
- *open*: as warm, and the session of the query before is still open.

Costs of one query are a difference of two runs: one that asks for something cached in its place has
everything that goes on in the background, too.

The prediction counts round trips between the resolver and servers, all links being equally long. A transport
takes so many before the answer; a signal adds those in which the resolver waits for it. It knows nothing of
implementations, and where one does something else there is a note that says why.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from testbed.compare.reference import OCTETS, VERDICT, Entry
from testbed.core.transport import Transport
from testbed.record import NOT_RUN, Counts, Run, Verdict
from testbed.scenario.cell import Cell
from testbed.scenario.world import SERVED
from testbed.tables.generated import write
from testbed.tables.mechanisms import EVERY, Mechanism, all_of_them

State = Literal["empty", "cold", "warm", "open"]
STATES: tuple[State, ...] = ("empty", "cold", "warm", "open")
UNMET: tuple[State, ...] = ("empty", "cold")
"""States in which nothing is known of the target's server."""

FOLDER = "costs"
PLAIN = "none"
"""The mechanism that all others are compared with: the server could encrypt, and nobody knows."""

GUIDE = "ds-glue"
"""The signal with which transports are compared: it costs no round trip."""

ROUND_TRIPS: Mapping[Transport, Mapping[State, int]] = {
    Transport.UDP: {"empty": 1, "cold": 1, "warm": 1, "open": 1},
    Transport.DOT: {"empty": 3, "cold": 3, "warm": 3, "open": 1},
    Transport.DOH: {"empty": 3, "cold": 3, "warm": 3, "open": 1},
    Transport.DOQ: {"empty": 2, "cold": 2, "warm": 2, "open": 1},
}
"""Until the answer, that included. TCP and TLS 1.3 take one each (RFC 9293, RFC 8446), QUIC one for both."""

COMPARED = tuple(transport for transport in SERVED if transport in ROUND_TRIPS)
"""The encrypted transports that are compared."""

ASKING: Mapping[str, int] = {"svcb-query": 1, "tlsa-query": 1, "child-signal": 1}
"""Signals that are waited for, and for how many round trips when nothing of them is cached."""

SPARING: Mapping[str, int] = {"ds-glue": 1}
"""Signals that bring along what would have to be asked for, here the server's address."""

AFTERWARDS = ("probing", "oots", "commitment")
"""Mechanisms with which the first query goes out in clear, so that there is nothing to wait for."""

UNUSED = ("none", "deleg-base")
"""Mechanisms with which no query to the target is ever encrypted."""

_BESIDE = "a handshake that goes on beside the query is counted, though nothing waits for it"
_ALL_ON_THE_WAY = (
    "servers on the way are asked about as well, before they are asked anything else, and keys are fetched "
    "to validate what is said"
)
_LONGER = "the server's name is a label longer, and the minimised query for its address takes a step more"
NOTES: Mapping[str, str] = {
    "probing": _BESIDE,
    "commitment": _BESIDE,
    "svcb-query": _ALL_ON_THE_WAY,
    "tlsa-query": f"{_ALL_ON_THE_WAY}; {_LONGER.partition(', ')[2].replace('address', 'records')}",
    "child-signal": "the zone that holds the server's name is asked for its signal, too",
    "name-menu": _LONGER,
    "name-pin": _LONGER,
}
"""Why more is measured than is predicted, for mechanisms with which that is so."""

ASKED, CACHED = "asked", "cached"
_ASKED = "secret.example.org A"
_OTHERS = ({"query": "www.example.org A"}, "wait-idle", {"query": "mail.example.org A"})
_BEFORE: Mapping[State, tuple[Any, ...]] = {
    "empty": (),
    "cold": ({"query": "a.nic.org A"}, {"query": "a.nic.net A"}),
    "warm": (*_OTHERS, {"advance": "1m"}),
    "open": (*_OTHERS, {"advance": "1s"}),
}
"""What happens before the query that is looked at; what is asked first is cached after that."""


@dataclass(frozen=True, slots=True)
class Cost:
    """What a query costs more than with plain DNS. ``in_clear``: it can be read on the target's link."""

    mechanism: str
    transport: Transport
    state: State
    added: Counts
    predicted: int
    in_clear: bool


def note(mechanism: str, round_trips: int, expected: int) -> str:
    """Why measured and predicted round trips differ; empty where they do not."""
    return "" if round_trips == expected else NOTES.get(mechanism, "not explained")


def predicted(mechanism: Mechanism, transport: Transport, state: State) -> int:
    """Round trips until the answer, beyond those of plain DNS over UDP."""
    unmet = state in UNMET
    if mechanism.name in UNUSED or (mechanism.name in AFTERWARDS and unmet):
        return 0
    more = ROUND_TRIPS[transport][state] - ROUND_TRIPS[Transport.UDP][state]
    if unmet:
        more += sum(ASKING.get(name, 0) - SPARING.get(name, 0) for name in mechanism.signals)
    if state == "empty":
        above = [role for role in mechanism.secure if role != "target"]
        more += len(above) * (ROUND_TRIPS[transport][state] - ROUND_TRIPS[Transport.UDP][state])
    return more


def scenarios(mechanisms: Iterable[Mechanism]) -> Iterator[dict[str, Any]]:
    """The scenario files that the table is made from: for each state the query, and one to compare."""
    for mechanism in mechanisms:
        for transport in COMPARED if mechanism.name == GUIDE else (Transport.DOT,):
            for state in STATES:
                for number in range(2 if _BEFORE[state] else 1):
                    yield _scenario(mechanism, transport, state, cached=bool(number))


def _scenario(mechanism: Mechanism, transport: Transport, state: State, *, cached: bool) -> dict[str, Any]:
    before = _BEFORE[state]
    last = before[0] if cached else {"query": _ASKED}
    return {
        "id": f"{FOLDER}/{mechanism.name}/{transport}/{state}/{CACHED if cached else ASKED}",
        "title": f"What {mechanism.name} over {transport} costs, {state}",
        "world": {
            "signal": list(mechanism.signals),
            "signed": list(EVERY),
            "secure": {role: {"transports": [str(transport)]} for role in mechanism.secure},
        },
        "resolver": {"policy": {"base": "strict", **mechanism.policy}},
        "attack": [{"attacker": "observe", "on": "target"}],
        "steps": [*before, last],
    }


def cells() -> list[Cell]:
    """All that has to run."""
    return write(FOLDER, scenarios(all_of_them()))


def table(runs: Iterable[Run]) -> list[Cost]:
    """Costs from the runs of all cells, by mechanism; one of which some run came to nothing is left out."""
    counted = {run.scenario: run for run in runs if run.verdict not in (Verdict.INCONCLUSIVE, *NOT_RUN)}
    plain = {state: _of_one_query(counted, f"{FOLDER}/{PLAIN}/{Transport.DOT}/{state}") for state in STATES}
    costs = []
    for mechanism in all_of_them():
        for transport, state in itertools.product(Transport, STATES):
            place = f"{FOLDER}/{mechanism.name}/{transport}/{state}"
            one, base = _of_one_query(counted, place), plain[state]
            if one is not None and base is not None:
                exposures = counted[f"{place}/{ASKED}"].exposures
                costs.append(
                    Cost(
                        mechanism.name,
                        transport,
                        state,
                        _minus(one, base),
                        predicted(mechanism, transport, state),
                        "name" in {exposure.secret for exposure in exposures},
                    )
                )
    return costs


def _of_one_query(counted: Mapping[str, Run], place: str) -> Counts | None:
    """What the last query cost; None when a run is missing."""
    asked, cached = counted.get(f"{place}/{ASKED}"), counted.get(f"{place}/{CACHED}")
    if asked is None or (cached is None and not place.endswith("/empty")):
        return None
    return _minus(asked.counts, cached.counts) if cached is not None else asked.counts


def _minus(one: Counts, other: Counts) -> Counts:
    return Counts(**{name: getattr(one, name) - getattr(other, name) for name in Counts.model_fields})


def entries(costs: Iterable[Cost]) -> dict[str, Entry]:
    """Costs as accepted results have them. Octets are rounded: signatures in handshakes vary in length."""
    kept: dict[str, Entry] = {}
    for cost in costs:
        added = cost.added
        kept[f"{FOLDER}/{cost.mechanism}/{cost.transport}/{cost.state}"] = {
            VERDICT: str(Verdict.LEAK if cost.in_clear else Verdict.SAFE),
            "round-trips": f"{added.round_trips:+d}",
            "predicted": f"{cost.predicted:+d}",
            "queries": f"{added.queries:+d}",
            "handshakes": f"{added.handshakes:+d}",
            OCTETS: f"{round(added.bytes, -1):+d}",
        }
    return kept
