"""What an attacker is, as it says of itself: for lists, for pages, and for who chooses one."""

from __future__ import annotations

import inspect
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from testbed.attack import catalogue
from testbed.attack.api import HOOKS, Attacker


@dataclass(frozen=True)
class Parameter:
    """Something that a scenario may set. ``values`` are the words that it may be, where these are given."""

    name: str
    values: tuple[str, ...]
    kind: str
    default: Any
    about: str


@dataclass(frozen=True)
class Description:
    """An attacker: its name, what it must be able to do and where, where the attack is from, what can be set.

    ``needs`` are what some parameters take beside ``capability``; ``hooks`` is what it is shown.
    """

    name: str
    summary: str
    capability: str
    needs: tuple[str, ...]
    position: str
    source: str
    hooks: tuple[str, ...]
    parameters: tuple[Parameter, ...]


def describe(name: str, folders: Iterable[Path] = ()) -> Description:
    """The description of an attacker. Raises KeyError and AttackerError as ``catalogue.load`` does."""
    kind = catalogue.load(name, folders)
    parameters = tuple(_parameters(kind))
    return Description(
        name=name,
        summary=" ".join((inspect.getdoc(kind) or "").partition("\n\n")[0].split()),
        capability=str(kind.capability),
        needs=tuple(_needs(kind, parameters)),
        position=kind.position,
        source=kind.source,
        hooks=tuple(hook for hook in HOOKS if kind.overrides(hook)),
        parameters=parameters,
    )


def descriptions(folders: Iterable[Path] = ()) -> list[Description]:
    """All that can be found, by name."""
    places = tuple(folders)
    return [describe(name, places) for name in catalogue.names(places)]


def _needs(kind: type[Attacker], parameters: Iterable[Parameter]) -> Iterator[str]:
    """What further capabilities a choice of certificate takes."""
    made = kind.Parameters.model_construct
    values = (value for one in parameters if one.name == "certificate" for value in one.values)
    found = (need for value in values for need in kind.needs(made(certificate=value))[1:])
    return (str(need) for need in dict.fromkeys(found))


def _parameters(kind: type[Attacker]) -> Iterator[Parameter]:
    schema = kind.Parameters.model_json_schema()
    shared = schema.get("$defs", {})
    for name, field in schema.get("properties", {}).items():
        yield Parameter(
            name=name,
            values=tuple(_values(field, shared)),
            kind=_kind(field, shared),
            default=field.get("default"),
            about=field.get("description", ""),
        )


def _values(field: dict[str, Any], shared: dict[str, Any]) -> Iterator[str]:
    """The words that a field may be, or that the items of a list may be."""
    if "$ref" in field:
        yield from _values(shared[field["$ref"].rpartition("/")[2]], shared)
    yield from map(str, field.get("enum", ()))
    if field.get("type") == "boolean":
        yield from ("true", "false")
    for part in (*field.get("anyOf", ()), field.get("items")):
        if isinstance(part, dict):
            yield from _values(part, shared)


def _kind(field: dict[str, Any], shared: dict[str, Any]) -> str:
    """What kind of value a field takes, in a word."""
    if "$ref" in field:
        return _kind(shared[field["$ref"].rpartition("/")[2]], shared)
    kinds = [_kind(part, shared) for part in field.get("anyOf", ()) if part.get("type") != "null"]
    words = {"integer": "whole number", "array": "list", "string": "text", "boolean": "true or false"}
    if field.get("type") == "array":
        return "list"
    return kinds[0] if kinds else words.get(field.get("type", ""), field.get("type", ""))
