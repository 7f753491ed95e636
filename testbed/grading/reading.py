"""What is read out of the records of experiments."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from testbed.record import NOT_RUN, Crossing, Run

CLEAR = "clear"
ENCRYPTED = ("encrypted", "secure")

Runs = Mapping[str, Run]
"""The records of a question's experiments, by their names."""

_QUESTION = re.compile(r"\S*\. [A-Z0-9-]+")


@dataclass(frozen=True)
class Packet:
    """A packet that shows something: where it is, as "FILE:NUMBER", and what it is, in words."""

    place: str
    text: str


@dataclass(frozen=True)
class Finding:
    """The answer to a question. ``mark`` is "good", "weak", "bad", or "open" where nothing was found out.

    ``packets`` show it.
    """

    mark: str
    text: str
    packets: tuple[Packet, ...] = ()


def queries(run: Run, link: str, step: int | None = None) -> list[Crossing]:
    """The queries that went to the server on a link, in one step or in all."""
    return [
        crossing
        for crossing in run.ladder
        if crossing.link == link
        and crossing.towards == "far"
        and _QUESTION.fullmatch(crossing.text)
        and (step is None or crossing.step == step)
    ]


def packet(run: Run, crossing: Crossing) -> Packet:
    """Where the capture shows a crossing, and what is to be seen there."""
    place = f"{run.evidence or ''}/{crossing.link}.pcapng:{crossing.packet}"
    how = "encrypted" if crossing.protection in ENCRYPTED else CLEAR
    return Packet(place, f"{crossing.link}: {crossing.text}, {how}, over {crossing.transport}")


def protection(run: Run, link: str, step: int, text: str) -> tuple[str, tuple[Packet, ...]]:
    """How a question of a step reached a server, and the packets that show it.

    The words are "encrypted", "clear", "encrypted, then clear" and the like, or "not at all".
    """
    asked = [crossing for crossing in queries(run, link, step) if text in crossing.text]
    words = ["encrypted" if crossing.protection in ENCRYPTED else CLEAR for crossing in asked]
    shown = ", then ".join(dict.fromkeys(words)) or "not at all"
    return shown, tuple(packet(run, crossing) for crossing in asked[:2])


def unusable(runs: Runs) -> Finding | None:
    """What is said of experiments that came to nothing; None if all of them can be read."""
    for name, run in runs.items():
        if run.verdict in NOT_RUN:
            return Finding("open", run.reason)
        if not run.ladder:
            return Finding("open", f"{name}: {run.reason}")
    return None
