"""Measures engines: takes what report cards are made from, and keeps what it says about abilities."""

from __future__ import annotations

from collections.abc import Sequence

from testbed.engines import catalogue, measured
from testbed.grading.abilities import abilities
from testbed.grading.grade import Card
from testbed.scenario.engine import REFERENCE


def keep(cards: Sequence[Card]) -> None:
    """Keep what the experiments of report cards show of programs."""
    for subject, grades in cards:
        if subject.engine != REFERENCE:
            engine = catalogue.load(subject.engine)
            measured.keep(engine, abilities(subject, grades, measured.digest(engine)))
