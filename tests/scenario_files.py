"""Scenario files for tests: a good one, what is made of it, and what is said of bad ones."""

from pathlib import Path
from typing import NamedTuple

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


class Mistake(NamedTuple):
    """A change that makes the good file bad.

    ``said`` is what must be said of it; ``seen`` tells that an editor can see it with the schema alone.
    """

    text: str
    said: list[str]
    seen: bool


def _mistakes() -> dict[str, Mistake]:
    """The mistakes in ``data/mistakes.txt``, by title.

    There each has a title after ==, with a star if it is seen; the lines that are taken out of the good file
    after a minus, those that come in their place after a plus, and what is said of it after !.
    """
    found = {}
    for block in (DATA / "mistakes.txt").read_text().split("\n\n"):
        title, *lines = block.strip("\n").split("\n")
        taken, put, said = ([line[1:] for line in lines if line[0] == sign] for sign in "-+!")
        old = "".join(f"{line}\n" for line in taken)
        assert GOOD.count(old) == 1, title
        text = GOOD.replace(old, "".join(f"{line}\n" for line in put))
        name = title.removeprefix("== ").removesuffix(" *")
        found[name] = Mistake(text, [line.strip() for line in said], title.endswith(" *"))
    return found


MISTAKES = _mistakes()
