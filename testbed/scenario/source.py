"""YAML as a tree of values that know their line and column, and that can be exchanged one by one.

Positions survive until the last check because values are never taken out of the tree: a cell of a matrix
is the tree with some nodes exchanged, so that an error in it points at the axis value that caused it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError, YAMLError
from ruamel.yaml.nodes import MappingNode, ScalarNode, SequenceNode
from ruamel.yaml.nodes import Node as YamlNode
from ruamel.yaml.reader import ReaderError

from testbed.core.notation import quoted
from testbed.scenario.errors import ScenarioError

MAX_BYTES = 1 << 18
MAX_NODES = 20_000
MAX_DEPTH = 40

Scalar = bool | int | float | str | None

FieldPath = tuple[str | int, ...]
"""Where a value is: keys and list indices from the top."""

_TAGS = frozenset({"null", "bool", "int", "float", "str", "seq", "map", "timestamp", "merge", "value"})
"""The types of YAML that may stand in a file; the last three are read as text."""


class Position(NamedTuple):
    """A place in a file; both count from 1."""

    line: int
    column: int


@dataclass(frozen=True, slots=True)
class Node:
    """A value and where it begins. ``keys`` says where the keys of a mapping begin."""

    value: Scalar | tuple[Node, ...] | Mapping[str, Node]
    position: Position
    keys: Mapping[str, Position] = field(default_factory=dict)

    def plain(self) -> Any:
        """The value as dicts, lists and scalars."""
        if isinstance(self.value, Mapping):
            return {key: node.plain() for key, node in self.value.items()}
        if isinstance(self.value, tuple):
            return [node.plain() for node in self.value]
        return self.value

    def child(self, key: str | int) -> Node | None:
        """The value under a key or an index. In a list of words, a word is its own key."""
        if isinstance(self.value, Mapping):
            return self.value.get(key) if isinstance(key, str) else None
        if not isinstance(self.value, tuple):
            return None
        if isinstance(key, int):
            return self.value[key] if 0 <= key < len(self.value) else None
        return next((node for node in self.value if node.value == key), None)

    def locate(self, path: Sequence[str | int], *, key: bool = False) -> Position:
        """Where the value at a path begins, or its key; the nearest value around it where it is not there.

        Steps that the file does not have are passed over: they come from shorthand that was spelt out.
        """
        node, position = self, self.position
        for step in path:
            child = node.child(step)
            if child is None:
                continue
            position = node.keys.get(str(step), child.position) if key else child.position
            node = child
        return position

    def replaced(self, path: Sequence[str | int], new: Node, key: Position) -> Node:
        """The tree with another value at a path. ``key`` is where keys that must be made are said to be.

        Lists of words become mappings where the path enters them. Raises LookupError, with the step at
        which it ends, when the path cannot be followed.
        """
        if not path:
            return new
        step, rest = path[0], path[1:]
        if isinstance(step, int):
            if not isinstance(self.value, tuple) or not 0 <= step < len(self.value):
                raise LookupError(step)
            items = list(self.value)
            items[step] = items[step].replaced(rest, new, key)
            return Node(tuple(items), self.position)
        entries, keys = self._entries(step)
        keys.setdefault(step, key)
        below = entries.get(step, Node(None, new.position))
        entries[step] = below.replaced(rest, new, key)
        return Node(entries, self.position, keys)

    def _entries(self, step: str) -> tuple[dict[str, Node], dict[str, Position]]:
        """Keys and values of this node taken as a mapping, to be changed by the caller."""
        if isinstance(self.value, Mapping):
            return dict(self.value), dict(self.keys)
        if self.value is None:
            return {}, {}
        if isinstance(self.value, tuple) and all(isinstance(node.value, str) for node in self.value):
            entries = {str(node.value): Node(None, node.position) for node in self.value}
            return entries, {name: node.position for name, node in entries.items()}
        raise LookupError(step)


def read(path: Path) -> str:
    """The text of a scenario file. Raises ScenarioError when it cannot be read, or is not UTF-8."""
    try:
        data = path.read_bytes()
    except OSError as error:
        raise ScenarioError(path, 0, 0, f"cannot be read ({error.strerror}); give a readable file") from error
    if len(data) > MAX_BYTES:
        raise ScenarioError(path, 1, 1, f"{len(data)} octets are no scenario; at most {MAX_BYTES} are read")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        before = data[: error.start]
        line, column = before.count(b"\n") + 1, error.start - before.rfind(b"\n")
        message = f"octet 0x{data[error.start]:02x} is not UTF-8; save the file in UTF-8"
        raise ScenarioError(path, line, column, message) from error


def parse(text: str, path: Path) -> Node:
    """The tree of a text in YAML 1.2.

    Raises ScenarioError for malformed YAML, keys that are given twice, and what scenario files have no
    use for: several documents, tags, keys that are not text, aliases that contain themselves.
    """
    try:
        root = YAML(typ="safe", pure=True).compose(text)
    except MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line, column = (mark.line + 1, mark.column + 1) if mark else (1, 1)
        raise ScenarioError(path, line, column, _malformed(error)) from error
    except ReaderError as error:
        line, column = _line_and_column(text, error.position)
        message = f"character U+{ord(text[error.position]):04X} is not allowed in YAML; delete it"
        raise ScenarioError(path, line, column, message) from error
    except RecursionError as error:
        raise ScenarioError(path, 1, 1, f"nested too deeply; {MAX_DEPTH} levels are plenty") from error
    except (YAMLError, ValueError, OverflowError) as error:
        escape = _NO_CHARACTER.search(text)
        line, column = _line_and_column(text, escape.start()) if escape else Position(1, 1)
        message = "malformed YAML: an escape that stands for no character; check the text in double quotes"
        raise ScenarioError(path, line, column, message) from error
    tree = _Builder(path).node(root, ()) if root is not None else None
    if tree is None or tree.value is None:
        raise ScenarioError(path, 1, 1, "the file is empty; a scenario has at least `id` and `title`")
    return tree


_HINTS = {
    "cannot start any token": "indent with spaces, and put such a character in quotes",
    "mapping values are not allowed": "check the indentation, and put text that contains ': ' in quotes",
    "could not find expected ':'": "a key is followed by a colon and a space",
    "expected a single document": "one file holds one scenario",
    "found undefined alias": "define the anchor first, or put text that begins with '*' in quotes",
    "found duplicate anchor": "name every anchor once",
}


_NO_CHARACTER = re.compile(r"\\U(?!00(?:0[0-9a-f]|10))[0-9a-f]{8}", re.IGNORECASE)
"""An escape beyond U+10FFFF, the last code point of Unicode."""


def _line_and_column(text: str, offset: int) -> Position:
    before = text[:offset]
    return Position(before.count("\n") + 1, offset - before.rfind("\n"))


def _malformed(error: MarkedYAMLError) -> str:
    """What the parser found, on one line, with advice."""
    problem = " ".join(str(error.problem or error.context or "it cannot be parsed").split())
    context = " ".join(str(error.context or "").split())
    told = f"{context} {problem}"
    hint = next((hint for part, hint in _HINTS.items() if part in told), "check indentation and quotes here")
    return f"malformed YAML: {problem}; {hint}"


class _Builder:
    """Turns the nodes of the YAML library into ours, and refuses what scenario files have no use for."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.count = 0

    def error(self, node: YamlNode, message: str) -> ScenarioError:
        line, column = _position(node)
        return ScenarioError(self.path, line, column, message)

    def node(self, node: YamlNode, inside: tuple[int, ...]) -> Node:
        """Our node for one of theirs; ``inside`` are the identities of those around it."""
        self.count += 1
        if self.count > MAX_NODES:
            raise self.error(node, f"more than {MAX_NODES} values; use fewer aliases")
        if id(node) in inside:
            raise self.error(node, "the alias contains itself; write the value out")
        if len(inside) >= MAX_DEPTH:
            raise self.error(node, f"nested too deeply; {MAX_DEPTH} levels are plenty")
        tag = str(node.tag).removeprefix("tag:yaml.org,2002:")
        if tag not in _TAGS:
            raise self.error(node, f"the tag {quoted(tag)} has no meaning here; leave it out")
        inside = (*inside, id(node))
        if isinstance(node, ScalarNode):
            return Node(_scalar(tag, str(node.value)), _position(node))
        if isinstance(node, SequenceNode):
            return Node(tuple(self.node(item, inside) for item in node.value), _position(node))
        assert isinstance(node, MappingNode)
        return self._mapping(node, inside)

    def _mapping(self, node: MappingNode, inside: tuple[int, ...]) -> Node:
        entries: dict[str, Node] = {}
        keys: dict[str, Position] = {}
        for key_node, value_node in node.value:
            key = key_node.value
            if not isinstance(key_node, ScalarNode) or not isinstance(key, str):
                raise self.error(key_node, "a key must be text, not a list or a mapping")
            if key in keys:
                message = f"the key {quoted(key)} stands in line {keys[key].line} already; give it once"
                raise self.error(key_node, message)
            keys[key] = _position(key_node)
            value = self.node(value_node, inside)
            entries[key] = value if value.value is not None else Node(None, keys[key])
        return Node(entries, _position(node), keys)


def _position(node: YamlNode) -> Position:
    return Position(node.start_mark.line + 1, node.start_mark.column + 1)


def _scalar(tag: str, text: str) -> Scalar:
    """The value of a scalar. What is no finite number, or is a date, stays the text that it is."""
    match tag:
        case "null":
            return None
        case "bool":
            return text.lower() in ("true", "yes", "on", "y")
        case "int":
            return _integer(text)
        case "float" if text.lstrip("+-").lower() not in (".inf", ".nan"):
            return _float(text)
    return text


def _integer(text: str) -> int | str:
    digits = text.replace("_", "").lower()
    sign, digits = (-1, digits[1:]) if digits.startswith("-") else (1, digits.removeprefix("+"))
    base = {"0o": 8, "0x": 16, "0b": 2}.get(digits[:2], 10)
    try:
        return sign * int(digits if base == 10 else digits[2:], base)
    except ValueError:
        return text


def _float(text: str) -> float | str:
    try:
        value = float(text.replace("_", ""))
    except ValueError:
        return text
    return value if abs(value) != float("inf") else text
