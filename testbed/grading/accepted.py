"""Accepted report cards: text in results/reference/engines, a file for each version of an engine."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from testbed.compare import reference
from testbed.engines import catalogue
from testbed.grading.grade import Grade
from testbed.grading.subject import Subject, subject
from testbed.scenario import engine as engines

FOLDER = reference.FOLDER / "engines"

ROUNDS = 2
"""How often everything is found out before it is accepted: what differs between rounds is no answer."""

_UPSTREAM = re.compile(r"\d[\d.]*\d")


def place(graded: Subject, folder: Path = FOLDER) -> Path:
    """The file of a subject's card. Packages of one version of a program share it."""
    name = graded.engine
    if graded.engine in catalogue.names() and (found := _UPSTREAM.match(graded.version)):
        name = f"{graded.engine}-{found[0]}"
    return folder / f"{name}.md"


def subjects() -> Sequence[Subject]:
    """The engines that have cards: the reference, and those of known packages that are on this machine."""
    return [subject(name) for name in (engines.REFERENCE, *catalogue.startable())]


def varying(rounds: Sequence[Sequence[Grade]]) -> set[str]:
    """The names of questions that were not answered alike in several rounds, evidence included."""
    return {
        first.question.name
        for first, *others in zip(*rounds, strict=True)
        if any(_said(first) != _said(other) for other in others)
    }


def _said(one: Grade) -> tuple[str, ...]:
    finding = one.finding
    return (finding.mark, finding.text, *(packet.text for packet in finding.packets))
