"""What a question of a report card is, and what the experiments of several of them have in common."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from testbed.grading.reading import Finding, Packet, Runs, protection, queries, unusable
from testbed.grading.subject import Subject

Experiments = Mapping[str, dict[str, Any]]
"""Parts of scenarios by the experiments' names: everything but id, title and resolver."""

WARM_UP = 5
"""How often a server is asked until a resolver that probes has found out about its TLS: some probe only
servers that they meet repeatedly."""


@dataclass(frozen=True)
class Question:
    """What is asked about a resolver. ``experiments`` are none where the question makes no sense for it."""

    name: str
    asks: str
    experiments: Callable[[Subject], Experiments]
    read: Callable[[Subject, Runs], Finding]

    def answer(self, subject: Subject, runs: Runs) -> Finding:
        """What the records of the experiments come to."""
        if not runs:
            return Finding("open", "not asked: it has no such function, or cannot be told the time")
        return unusable(runs) or self.read(subject, runs)


def world(subject: Subject, **service: Any) -> dict[str, Any]:
    """A world in which only the server encrypts that the subject can find out about."""
    return {"signal": ["none"], "secure": {subject.role: service or {}}}


def warm(subject: Subject) -> list[Any]:
    """Steps after which a resolver knows the server."""
    return [*(subject.ask(number) for number in range(WARM_UP)), "wait-idle"]


def last(subject: Subject, runs: Runs, name: str, number: int) -> tuple[str, tuple[Packet, ...]]:
    """How the question of a number, asked in the last step that asked it, reached the server."""
    run = runs[name]
    text = f"n{number}."
    steps = [crossing.step for crossing in queries(run, subject.role) if text in crossing.text]
    return protection(run, subject.role, max(steps, default=-1), text)
