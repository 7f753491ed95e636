"""Grades resolvers: writes the experiments down as scenario files, runs them, and reads their records."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from io import StringIO
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML

from testbed.grading.asking import Question
from testbed.grading.questions import QUESTIONS
from testbed.grading.reading import Finding, Runs
from testbed.grading.subject import Subject
from testbed.record import Run
from testbed.scenario.cell import Cell
from testbed.scenario.load import load_text


@dataclass(frozen=True)
class Grade:
    """The answer to a question about a resolver, and the scenario files that reproduce it."""

    question: Question
    finding: Finding
    scenarios: tuple[Path, ...]
    runs: Runs = field(default_factory=dict, repr=False)


Card = tuple[Subject, tuple[Grade, ...]]
"""A report card."""


TOPOLOGY = "ipv6-only"
"""Every server has one address: what a resolver does is to depend on nothing that it picks at random."""


def grade(
    subjects: Sequence[Subject],
    folder: Path,
    run_all: Callable[[Sequence[Cell]], Sequence[Run]],
    questions: Sequence[Question] = QUESTIONS,
) -> list[Card]:
    """The report cards of subjects. Scenario files are written into ``folder``, one of each subject's.

    ``run_all`` runs cells; the order of the records does not matter.
    """
    placed: dict[str, tuple[int, str, str]] = {}
    cells: list[Cell] = []
    for number, subject in enumerate(subjects):
        for question in questions:
            for name, parts in question.experiments(subject).items():
                cell = _written(subject, question, name, parts, folder)
                placed[cell.id] = (number, question.name, name)
                cells.append(cell)
    files = {cell.id: cell.path for cell in cells}
    runs: dict[tuple[int, str], dict[str, Run]] = {}
    for run in run_all(cells):
        number, question_name, name = placed[run.id]
        runs.setdefault((number, question_name), {})[name] = run
    cards = []
    for number, subject in enumerate(subjects):
        grades = []
        for question in questions:
            returned = runs.get((number, question.name), {})
            found = {name: returned[name] for name in question.experiments(subject) if name in returned}
            paths = tuple(sorted(files[run.id] for run in found.values()))
            grades.append(Grade(question, question.answer(subject, found), paths, found))
        cards.append((subject, tuple(grades)))
    return cards


def _written(subject: Subject, question: Question, name: str, parts: dict[str, Any], folder: Path) -> Cell:
    """The scenario of an experiment, written into a file."""
    label = _word(Path(subject.engine).name)
    own = {key: value for key, value in parts.items() if key != "policy"}
    scenario = {
        "id": f"grade/{label}/{question.name}/{_word(name)}",
        "title": f"{question.asks} ({name})",
        "topology": TOPOLOGY,
        **own,
        "resolver": {"engine": subject.engine, "policy": {**subject.policy, **parts.get("policy", {})}},
    }
    path = folder / label / question.name / f"{_word(name)}.yaml"
    path.parent.mkdir(parents=True, exist_ok=True)
    text = StringIO()
    yaml = YAML()
    yaml.width = 110
    yaml.representer.ignore_aliases = lambda *_: True
    yaml.dump(scenario, text)
    path.write_text(text.getvalue())
    (cell,) = load_text(text.getvalue(), path)
    return cell


def _word(text: str) -> str:
    """A text as part of an id and of a file's name."""
    return "-".join("".join(c if c.isalnum() else " " for c in text.lower()).split())
