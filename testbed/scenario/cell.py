"""A concrete scenario: one file, or one combination of the values in its matrix."""

from __future__ import annotations

import dataclasses
import functools
import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import dns.name
import dns.rdata
from pydantic import BaseModel

from testbed import topology
from testbed.scenario.expectation import Expectation
from testbed.scenario.model import Scenario
from testbed.scenario.steps import AttackStep
from testbed.topology import Topology


@dataclass(frozen=True)
class Cell:
    """What is run: a scenario without alternatives, and what is expected of it.

    ``id`` is the scenario's, with the values of its axes in brackets. ``cell`` has these values by the path
    of the axis, ``labels`` as short texts by its short name. ``claimed`` is what the document says that the
    claim comes from, the expectation unless the file says otherwise; both are None where the file does not
    say. ``path`` and ``line`` are where the scenario stands, ``expected_at`` is the line of what is expected:
    of the rule that applies, or of the scenario where there is none.
    """

    id: str
    scenario: Scenario
    cell: Mapping[str, Any]
    labels: Mapping[str, str]
    expectation: Expectation | None
    claimed: Expectation | None
    why: str
    path: Path
    line: int
    expected_at: int

    @property
    def topology(self) -> Topology:
        """The topology that it takes place in."""
        return topology.load(self.scenario.topology)

    def with_engine(self, engine: str) -> Cell:
        """The same with another engine, named as ``testbed.scenario.engine.engine_named`` does."""
        resolver = self.scenario.resolver.model_copy(update={"engine": engine})
        return dataclasses.replace(self, scenario=self.scenario.model_copy(update={"resolver": resolver}))

    @functools.cached_property
    def baseline_key(self) -> str:
        """The same for cells that do not differ but in their attackers: they share a baseline.

        Steps that switch attackers count as steps, but not what they switch.
        """
        scenario = self.scenario
        steps = ["attack" if isinstance(step, AttackStep) else _canonical(step) for step in scenario.steps]
        world = _canonical(scenario.world)
        world["signal_options"] = _canonical(list(scenario.world.signal.items()))  # in order of preference
        key = [_canonical(self.topology), world, _canonical(scenario.resolver), steps]
        return hashlib.sha256(json.dumps(key, sort_keys=True).encode()).hexdigest()


def _canonical(value: Any) -> Any:
    """A value as JSON has it, the same for the same meaning however a file put it."""
    if isinstance(value, BaseModel):
        return {name: _canonical(getattr(value, name)) for name in type(value).model_fields}
    if isinstance(value, dns.name.Name | dns.rdata.Rdata):
        return value.to_text()
    if dataclasses.is_dataclass(value):
        return {field.name: _canonical(getattr(value, field.name)) for field in dataclasses.fields(value)}
    if isinstance(value, Mapping):
        return {str(key): _canonical(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_canonical(item) for item in value]
    return value if value is None or isinstance(value, bool | int | float) else str(value)
