"""Picks the rule of an `expect` list that applies to a cell, and finds rules that are no use."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from pydantic import BaseModel

from testbed.core.notation import quoted
from testbed.core.policy import Policy
from testbed.scenario.errors import unknown
from testbed.scenario.expectation import Rule
from testbed.scenario.matrix import Axis, Choice
from testbed.scenario.model import Scenario
from testbed.scenario.source import FieldPath


def applying(rules: Sequence[Rule], scenario: Scenario, choice: Choice) -> Rule | None:
    """The first rule whose conditions hold in a cell."""
    return next((rule for rule in rules if _applies(rule, scenario, choice)), None)


def useless(
    field: str, rules: Sequence[Rule], axes: Sequence[Axis], cells: Sequence[tuple[Scenario, Choice]]
) -> Iterator[tuple[FieldPath, str, bool]]:
    """What is wrong with the rules of a field: where, what, and whether it is the key there that is wrong."""
    known = {axis.text: axis for axis in axes}
    misled = False
    for number, rule in enumerate(rules):
        for path, wanted in rule.when.items():
            message = _misleading(path, wanted, known, cells[0][0])
            if message:
                misled = True
                yield (field, number, "when", path), message, True
    if misled:
        return
    applied = [applying(rules, scenario, choice) for scenario, choice in cells]
    for number, rule in enumerate(rules):
        if not any(rule is other for other in applied):
            yield (field, number), "no cell comes to this rule; correct its `when`, or move it up", False
    if field == "expect" and rules:
        for (_, choice), rule_applied in zip(cells, applied, strict=True):
            if rule_applied is None:
                place = f" to the cell {choice.suffix}" if choice.suffix else ""
                message = f"no rule applies{place}; add one, without `when` if it is for all the rest"
                yield (field,), message, True
                return


def _misleading(path: str, wanted: Any, axes: Mapping[str, Axis], scenario: Scenario) -> str:
    """Why a condition can never be what its author meant; empty when it can."""
    if path in axes:
        values = [_canonical(node.plain()) for node in axes[path].values]
        for value in _alternatives(wanted, values):
            if _canonical(value) not in values:
                words = [node.value for node in axes[path].values if isinstance(node.value, str)]
                return unknown("value", str(value), words, f" on the axis {quoted(path)}")
        return ""
    try:
        value_at(scenario, path)
    except LookupError:
        return unknown("axis or field", path, _paths(scenario, ""))
    return ""


def _alternatives(wanted: Any, values: Sequence[str]) -> Sequence[Any]:
    """The values that a condition lists. A list that is itself a value of the axis is one value."""
    return wanted if isinstance(wanted, list) and _canonical(wanted) not in values else [wanted]


def _applies(rule: Rule, scenario: Scenario, choice: Choice) -> bool:
    return all(_holds(path, wanted, scenario, choice) for path, wanted in rule.when.items())


def _holds(path: str, wanted: Any, scenario: Scenario, choice: Choice) -> bool:
    if path in choice.values:
        actual = _canonical(choice.values[path])
        return any(_canonical(value) == actual for value in _alternatives(wanted, [actual]))
    value = value_at(scenario, path)
    return _equal(value, wanted) or (isinstance(wanted, list) and any(_equal(value, item) for item in wanted))


def value_at(scenario: Scenario, path: str) -> Any:
    """The value of a field of a scenario. What is said of a role that is not mentioned is None.

    Raises LookupError when there is no such field.
    """
    value: Any = scenario
    for step in path.split("."):
        if isinstance(value, BaseModel):
            names = {field.alias or name: name for name, field in type(value).model_fields.items()}
            name = names[step]
            value = getattr(value, step if hasattr(value, step) else name)
        elif isinstance(value, Mapping):
            if step not in value:
                return None
            value = value[step]
        elif isinstance(value, tuple) and step.isdecimal():
            value = value[int(step)]
        else:
            raise LookupError(step)
    return value


def _paths(value: Any, path: str) -> Iterator[str]:
    """The paths of everything inside a value, and its own."""
    if path:
        yield path.removeprefix(".")
    if isinstance(value, BaseModel):
        for name, field in type(value).model_fields.items():
            yield from _paths(getattr(value, name), f"{path}.{field.alias or name}")
    elif isinstance(value, Mapping):
        for key, item in value.items():
            yield from _paths(item, f"{path}.{key}")
    elif isinstance(value, tuple):
        for number, item in enumerate(value):
            yield from _paths(item, f"{path}.{number}")


def _equal(value: Any, wanted: Any) -> bool:
    """Whether a field has a value in the form of files: policies by name, roles as a list, a link alone."""
    match value:
        case Policy():
            value = value.name
        case dict() if isinstance(wanted, list):
            value, wanted = sorted(value), sorted(map(str, wanted))
        case tuple():
            items = wanted if isinstance(wanted, list) else [wanted]
            return len(value) == len(items) and all(map(_equal, value, items))
        case None | bool() | int() | float():
            return _canonical(value) == _canonical(wanted)
        case _:
            value = str(value)
    return bool(value == wanted)


def _canonical(value: Any) -> str:
    return json.dumps(value, sort_keys=True)
