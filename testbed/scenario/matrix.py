"""Expands a matrix: every combination of the values on its axes is a scenario of its own."""

from __future__ import annotations

import itertools
import json
import math
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from testbed.core.notation import quoted
from testbed.scenario.errors import unknown
from testbed.scenario.source import FieldPath, Node, Position

FIELDS = ("topology", "world", "resolver", "attack", "steps")
"""The fields that axes may lead into."""

MAX_CELLS = 4096
MAX_LABEL = 40

POLICY = ("resolver", "policy")

Complaint = tuple[Position, str]
"""Where something is wrong; and what, and what would be right."""


@dataclass(frozen=True)
class Axis:
    """The values that a field takes. ``name`` is an end of its path that no other axis shares.

    ``labels`` are the values as ids give them, each different.
    """

    path: FieldPath
    name: str
    values: tuple[Node, ...]
    labels: tuple[str, ...]
    position: Position

    @property
    def text(self) -> str:
        """The path as a file gives it."""
        return ".".join(map(str, self.path))


@dataclass(frozen=True)
class Choice:
    """One combination: the tree of the file with these values in place.

    ``values`` go by path, ``labels`` by the short name of the axis.
    """

    tree: Node
    values: Mapping[str, Any]
    labels: Mapping[str, str]

    @property
    def suffix(self) -> str:
        """What it adds to the id of the scenario: "[policy=strict,how=drop]", or nothing without a matrix."""
        inside = ",".join(f"{name}={label}" for name, label in self.labels.items())
        return f"[{inside}]" if inside else ""


def axes_of(tree: Node) -> tuple[list[Axis], list[Complaint]]:
    """The axes of a file in their order, and what is wrong with them.

    A matrix that has the wrong type is passed over: validating the scenario finds that.
    """
    matrix = tree.child("matrix")
    if matrix is None or not isinstance(matrix.value, Mapping):
        return [], []
    lists = {text: node.value for text, node in matrix.value.items() if isinstance(node.value, tuple)}
    paths = {text: _path(text) for text in lists}
    names = short_names(list(paths.values()))
    complaints = [*_misplaced(paths, matrix.keys), *_repeated(lists)]
    axes = [
        Axis(path, names[path], lists[text], _labels(lists[text]), matrix.keys[text])
        for text, path in paths.items()
        if lists[text]
    ]
    size = math.prod(len(axis.values) for axis in axes)
    if size > MAX_CELLS:
        complaints.append((matrix.position, f"{size} combinations are too many; at most {MAX_CELLS} are run"))
    return axes, complaints


def choices(tree: Node, axes: Sequence[Axis]) -> Iterator[Choice]:
    """Every combination, the last axis fastest; the tree itself where there are no axes.

    Raises AxisError when an axis leads nowhere.
    """
    for picked in itertools.product(*(range(len(axis.values)) for axis in axes)):
        cell, values, labels = tree, {}, {}
        for axis, index in zip(axes, picked, strict=True):
            cell = _placed(cell, axis, axis.values[index])
            values[axis.text] = axis.values[index].plain()
            labels[axis.name] = axis.labels[index]
        yield Choice(cell, values, labels)


class AxisError(Exception):
    """An axis leads to something that the file does not have."""

    def __init__(self, axis: Axis, step: str | int) -> None:
        super().__init__(axis, step)
        self.complaint: Complaint = (
            axis.position,
            f"the path {quoted(axis.text)} leads nowhere: there is no {quoted(step)} to go to; "
            "name a field, or an item that the file has",
        )


def _placed(tree: Node, axis: Axis, value: Node) -> Node:
    """The tree with a value of an axis in it. A switch over a named policy makes that policy its base."""
    policy = _at(tree, POLICY)
    if axis.path[:2] == POLICY and len(axis.path) > 2 and policy and isinstance(policy.value, str):
        spelt_out = Node({"base": policy}, policy.position, {"base": policy.position})
        tree = tree.replaced(POLICY, spelt_out, policy.position)
    try:
        return tree.replaced(axis.path, value, axis.position)
    except LookupError as error:
        raise AxisError(axis, error.args[0]) from error


def _at(tree: Node, path: FieldPath) -> Node | None:
    node: Node | None = tree
    for step in path:
        node = node.child(step) if node is not None else None
    return node


def _path(text: str) -> FieldPath:
    return tuple(int(step) if re.fullmatch(r"[0-9]{1,4}", step) else step for step in text.split("."))


def _misplaced(paths: Mapping[str, FieldPath], keys: Mapping[str, Position]) -> Iterator[Complaint]:
    """Axes that lead out of the fields that may vary, or that undo each other."""
    before: list[tuple[str, FieldPath]] = []
    for text, path in paths.items():
        if path[0] not in FIELDS:
            yield keys[text], unknown("field", str(path[0]), FIELDS, " for an axis")
        for other, deeper in before:
            if deeper[: len(path)] == path:
                yield (
                    keys[text],
                    f"this axis would undo {quoted(other)}, which is inside it; put it before that",
                )
        before.append((text, path))


def _repeated(lists: Mapping[str, tuple[Node, ...]]) -> Iterator[Complaint]:
    for text, nodes in lists.items():
        seen: set[str] = set()
        for node in nodes:
            value = json.dumps(node.plain(), sort_keys=True)
            if value in seen:
                yield node.position, f"the value is on the axis {quoted(text)} already; list it once"
            seen.add(value)


def short_names(paths: Sequence[FieldPath]) -> dict[FieldPath, str]:
    """For each path the shortest end of it that is the end of no other and does not begin with a number."""
    names = {}
    for path in paths:
        others = [other for other in paths if other != path]
        length = 1
        while length < len(path) and (
            isinstance(path[-length], int) or any(other[-length:] == path[-length:] for other in others)
        ):
            length += 1
        names[path] = ".".join(map(str, path[-length:]))
    return names


def _labels(values: Sequence[Node]) -> tuple[str, ...]:
    """A short text for each value, no two alike; its number on the axis where it has no short text."""
    labels: list[str] = []
    for number, node in enumerate(values):
        label = re.sub(r"[^\w.+:-]+", "-", _label(node.plain()), flags=re.ASCII).strip("-")
        if not label or len(label) > MAX_LABEL:
            label = f"#{number}"
        labels.append(f"{label}#{number}" if label in labels else label)
    return tuple(labels)


def _label(value: Any) -> str:
    match value:
        case None:
            return "none"
        case bool():
            return str(value).lower()
        case list():
            return "+".join(map(_label, value)) or "none"
        case {"attacker": str(attacker)}:
            return attacker
        case dict():
            below = (
                f"{key}:{_label(item)}" if item not in (None, {}, []) else key for key, item in value.items()
            )
            return "+".join(below) or "none"
    return str(value)
