"""Imports go one way: packages form no circle, the core needs nothing of the machine, verdicts no network."""

from __future__ import annotations

import ast
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
FILES = [path for folder in ("testbed", "attackers", "topologies") for path in (ROOT / folder).rglob("*.py")]
OF_THE_MACHINE = {"asyncio", "mininet", "os", "selectors", "socket", "ssl", "subprocess", "threading", "time"}


def package(path):
    """``testbed/core/zone.py`` belongs to ``core``, ``attackers/observe.py`` to ``attackers``."""
    parts = path.relative_to(ROOT).with_suffix("").parts
    return parts[1] if parts[0] == "testbed" else parts[0]


def imported(path):
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module == "testbed":
            yield from (f"testbed.{alias.name}" for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module


def ours(module):
    """The package of ours that a module is of, if it is."""
    first, _, rest = module.partition(".")
    if first in ("attackers", "topologies"):
        return first
    return rest.partition(".")[0] if first == "testbed" and rest else None


def graph():
    needed = {}
    for path in FILES:
        found = {ours(module) for module in imported(path)} - {None, package(path)}
        needed.setdefault(package(path), set()).update(found)
    return needed


def test_packages_form_no_circle():
    try:
        TopologicalSorter(graph()).prepare()
    except CycleError as error:
        pytest.fail(f"these import each other in a circle: {' -> '.join(error.args[1])}")


def test_the_core_stands_alone():
    assert graph()["core"] == set()
    for path in FILES:
        if package(path) in ("core", "signals", "attack", "attackers", "topologies", "topology", "record"):
            machine = {module.partition(".")[0] for module in imported(path)} & OF_THE_MACHINE
            assert not machine, f"{path.relative_to(ROOT)} imports {machine}"


def test_verdicts_come_from_evidence_alone():
    assert graph()["verdict"] <= {"core", "evidence", "record", "topology"}


def test_only_the_command_line_imports_the_command_line():
    assert [package for package, needed in graph().items() if "cli" in needed] == []
