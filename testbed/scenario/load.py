"""Reads scenario files into cells: parse, expand, validate, and say all that is wrong."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path

from pydantic import ValidationError

import testbed
from testbed import topology
from testbed.core.notation import quoted
from testbed.scenario import matrix, rules, source
from testbed.scenario.cell import Cell
from testbed.scenario.context import DEFAULT_TOPOLOGY, Context
from testbed.scenario.errors import ScenarioError, ScenarioErrors
from testbed.scenario.expectation import Rule
from testbed.scenario.matrix import Axis, AxisError, Choice, Complaint
from testbed.scenario.model import Scenario
from testbed.scenario.parts import SAID_OF_KEY
from testbed.scenario.select import matcher
from testbed.scenario.source import Node

SCENARIOS = Path(testbed.__file__).parents[1] / "scenarios"
"""The scenarios that come with the testbed."""

SUFFIX = ".yaml"


def collect(paths: Iterable[Path | str], expression: str | None = None) -> list[Cell]:
    """The cells of all scenario files in files and folders, those of folders in the order of their names.

    ``expression`` selects some of them, as ``testbed.scenario.select`` describes. Raises ScenarioError for
    whatever is unusable in any of the files, and when nothing is left.
    """
    select = selector(expression)
    cells: list[Cell] = []
    errors: list[ScenarioError] = []
    for path in _files(map(Path, paths), errors):
        try:
            cells += load_file(path)
        except ScenarioError as error:
            errors += error.errors
    errors += _taken(cells)
    if errors:
        raise _together(errors)
    return select(cells)


def selector(expression: str | None) -> Callable[[list[Cell]], list[Cell]]:
    """What picks those cells that an expression selects; all of them, where it is None.

    Raises ScenarioError for a malformed expression; what it returns raises it when nothing is left.
    """
    if expression is None:
        return lambda cells: cells
    matches = matcher(expression)

    def select(cells: list[Cell]) -> list[Cell]:
        selected = [cell for cell in cells if matches(f"{cell.id} {cell.scenario.title}")]
        if not selected:
            message = f"selects none of the {len(cells)} scenarios; use words of their ids or titles"
            raise ScenarioError(f"-k {quoted(expression)}", 0, 0, message)
        return selected

    return select


def load_file(path: Path) -> list[Cell]:
    """The cells of a scenario file. Raises ScenarioError for all that is unusable in it."""
    return load_text(source.read(path), path)


def load_text(text: str, path: Path) -> list[Cell]:
    """The cells of a text; ``path`` is where it is from, which errors name and attackers are near.

    Raises ScenarioError for all that is unusable in it.
    """
    tree = source.parse(text, path)
    if not isinstance(tree.value, Mapping):
        message = "this is no scenario; write a mapping with at least `id` and `title`"
        raise ScenarioError(path, *tree.position, message)
    axes, complaints = matrix.axes_of(tree)
    try:
        choices = list(matrix.choices(tree, () if complaints else axes))
    except AxisError as error:
        complaints.append(error.complaint)
        choices = [Choice(tree, {}, {})]
    scenarios = []
    complaints_by_choice = []
    for choice in choices:
        validated = _validated(choice.tree, path.parent)
        if isinstance(validated, Scenario):
            scenarios.append(validated)
        else:
            complaints_by_choice.append((choice, validated))
    complaints += _merged(complaints_by_choice, len(choices))
    cells = list(zip(scenarios, choices, strict=True)) if not complaints else []
    if cells:
        complaints += _useless_rules(tree, axes, cells)
    if complaints:
        raise _together(ScenarioError(path, *position, message) for position, message in complaints)
    return [_cell(scenario, choice, path, tree) for scenario, choice in cells]


def _cell(scenario: Scenario, choice: Choice, path: Path, tree: Node) -> Cell:
    line = tree.locate(("id",)).line
    expected = rules.applying(scenario.expect, scenario, choice)
    claimed = rules.applying(scenario.claimed, scenario, choice) or expected
    return Cell(
        id=scenario.id + choice.suffix,
        scenario=scenario,
        cell=choice.values,
        labels=choice.labels,
        expectation=expected.expectation if expected else None,
        claimed=claimed.expectation if claimed else None,
        why=(expected.why if expected else "") or scenario.why,
        path=path,
        line=line,
        expected_at=_line_of(expected, scenario, tree) if expected else line,
    )


def _line_of(rule: Rule, scenario: Scenario, tree: Node) -> int:
    number = next(index for index, other in enumerate(scenario.expect) if other is rule)
    return tree.locate(("expect", number)).line


def _validated(tree: Node, folder: Path) -> Scenario | list[Complaint]:
    """The scenario in a tree, or all that is wrong with it."""
    named = tree.child("topology")
    name = named.value if named is not None else DEFAULT_TOPOLOGY
    known = topology.load(name) if isinstance(name, str) and name in topology.names() else None
    try:
        return Scenario.model_validate(tree.plain(), context=Context(folder, known))
    except ValidationError as error:
        return [
            (tree.locate(item["loc"], key=item["type"] == SAID_OF_KEY), item["ctx"]["text"])
            for item in error.errors(include_url=False)
        ]


def _merged(found: Sequence[tuple[Choice, list[Complaint]]], cells: int) -> Iterator[Complaint]:
    """Each complaint once, with a cell to look at where it does not concern them all."""
    concerned: dict[Complaint, list[Choice]] = {}
    for choice, complaints in found:
        for complaint in dict.fromkeys(complaints):
            concerned.setdefault(complaint, []).append(choice)
    for (position, message), choices in concerned.items():
        where = f" (in {choices[0].suffix})" if len(choices) < cells else ""
        yield position, message + where


def _useless_rules(
    tree: Node, axes: Sequence[Axis], cells: Sequence[tuple[Scenario, Choice]]
) -> Iterator[Complaint]:
    for field in ("expect", "claimed"):
        for path, message, key in rules.useless(field, getattr(cells[0][0], field), axes, cells):
            yield tree.locate(path, key=key), message


def _files(paths: Iterable[Path], errors: list[ScenarioError]) -> list[Path]:
    """Every scenario file once; what is none is added to the errors."""
    files: dict[Path, Path] = {}
    for path in paths:
        if path.is_dir():
            inside = sorted(path.rglob(f"*{SUFFIX}"))
            if not inside:
                errors.append(
                    ScenarioError(path, 0, 0, f"there is no scenario here; put a {SUFFIX} file into it")
                )
        elif path.exists():
            inside = [path]
        else:
            errors.append(ScenarioError(path, 0, 0, "there is no such file or folder; check the path"))
            continue
        for file in inside:
            files.setdefault(file.resolve(), file)
    return list(files.values())


def _taken(cells: Iterable[Cell]) -> Iterator[ScenarioError]:
    """An error for each file whose id another file has."""
    first: dict[str, Cell] = {}
    for cell in cells:
        other = first.setdefault(cell.scenario.id, cell)
        if other.path != cell.path:
            message = f"the id {quoted(cell.scenario.id)} stands in {other.path}:{other.line} too; change one"
            yield ScenarioError(cell.path, cell.line, 1, message)


def _together(errors: Iterable[ScenarioError]) -> ScenarioError:
    """All errors in one, in the order of files and lines."""
    ordered = sorted(errors, key=lambda error: (str(error.path), error.line, error.column))
    unique = {str(error): error for error in ordered}
    return ScenarioErrors(unique.values())
