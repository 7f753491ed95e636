"""Scenario files for tests: a good one, what is made of it, and what is said of bad ones."""

from pathlib import Path

from testbed.scenario.cell import Cell
from testbed.scenario.errors import ScenarioError
from testbed.scenario.load import load_text

DATA = Path(__file__).parent / "data"
"""Where the attackers "tamper" and "spray" are."""

PLACE = DATA / "bad.yaml"

GOOD = """\
id: section/name
title: A title
world:
  signal: [ds-glue]
  signed: [root, target-parent]
  secure: [root, target-parent, target]
resolver:
  policy: strict
attack:
  - attacker: tamper
    on: ns-parent
steps:
  - query: secret.example.org A
expect:
  verdict: leak
"""


def changed(*changes: tuple[str, str]) -> str:
    """The good file with some texts exchanged, each of which must be there."""
    text = GOOD
    for old, new in changes:
        assert old in text, old
        text = text.replace(old, new)
    return text


def cells(text: str) -> list[Cell]:
    return load_text(text, PLACE)


def cell(text: str) -> Cell:
    (only,) = cells(text)
    return only


def complaints(text: str) -> list[str]:
    """What is wrong with a text, without the name of the file; nothing when it is good."""
    error = error_of(text)
    if error is None:
        return []
    lines = [str(single) for single in error.errors]
    prefix = f"{PLACE}:"
    assert str(error).split("\n") == lines
    assert all(line.startswith(prefix) for line in lines)
    return [line.removeprefix(prefix) for line in lines]


def error_of(text: str) -> ScenarioError | None:
    try:
        load_text(text, PLACE)
    except ScenarioError as error:
        return error
    return None
