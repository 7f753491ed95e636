"""A scenario: the fields that a YAML file may have, and what they then are.

Every part is validated against what the validation context tells of: the topology, and the attackers and
signals that can be found. Shorthand is spelt out: a list of roles becomes a mapping from role to options.
"""

from __future__ import annotations

import re
from typing import Annotated, Any, Self

import dns.rdatatype
from pydantic import (
    BeforeValidator,
    Field,
    StrictInt,
    StrictStr,
    WithJsonSchema,
    field_validator,
    model_validator,
)

from testbed import topology as topologies
from testbed.core.notation import Question, quoted
from testbed.scenario import checks
from testbed.scenario.attackers import Attack
from testbed.scenario.context import DEFAULT_TOPOLOGY
from testbed.scenario.errors import unknown
from testbed.scenario.expectation import Rules
from testbed.scenario.parts import Part, as_list, problems
from testbed.scenario.resolver import Resolver
from testbed.scenario.steps import AttackStep, QueryStep, Step, Steps
from testbed.scenario.world import World

Roles = Annotated[
    tuple[StrictStr, ...],
    BeforeValidator(as_list),
    WithJsonSchema({"anyOf": [{"type": "string"}, {"type": "array", "items": {"type": "string"}}]}),
]
"""A role alone stands for a list of one."""

_ID = re.compile(r"[a-z0-9][a-z0-9._-]*(/[a-z0-9][a-z0-9._-]*)*", re.ASCII)
MAX_ID = 160


def _default_steps(data: dict[str, Any]) -> tuple[Step, ...]:
    """One query for the address of the sensitive name."""
    known = topologies.load(data.get("topology", DEFAULT_TOPOLOGY))
    return (QueryStep.model_validate({"query": Question(known.sensitive_name, dns.rdatatype.A)}),)


class Scenario(Part):
    """A scenario as a file describes it; with a matrix, one of its cells."""

    id: StrictStr = Field(description="Name of the scenario: section/what-is-special.")
    title: StrictStr = Field(min_length=1, description="What happens, in one line.")
    claim: StrictInt | None = Field(None, ge=1, description="Number of the claim that this tests.")
    says: StrictStr = Field("", description="What the document says that the claim comes from.")
    why: StrictStr = Field("", description="Why this is the outcome, in a sentence or two.")
    topology: StrictStr = Field(
        DEFAULT_TOPOLOGY, description="Hosts, roles and links: a file in `topologies/`."
    )
    world: World = Field(default_factory=dict, validate_default=True, description="The deployment.")
    resolver: Resolver = Field(Resolver(), description="The system under test.")
    attack: tuple[Attack, ...] = Field((), description="The attackers.")
    steps: Steps = Field(
        default_factory=_default_steps,
        min_length=1,
        description="What happens, in order. Default: one query for the address of the sensitive name.",
    )
    rollout: Roles = Field(
        (),
        description="Roles whose servers' encryption is looked at as a change: counted is what operators "
        "have to change in zones for it, compared with the same servers in clear only.",
    )
    expect: Rules = Field(
        (), description="The expected outcome: one mapping, or rules of which the first fits."
    )
    claimed: Rules = Field(
        (), description="The outcome that the document claims, in the form of `expect`, where it differs."
    )
    matrix: dict[str, Annotated[tuple[Any, ...], Field(min_length=1)]] = Field(
        default_factory=dict,
        description="Axes: paths of fields, and the values that each takes. Every combination is run.",
    )

    @field_validator("id", mode="after")
    @classmethod
    def _usable(cls, value: str) -> str:
        if not _ID.fullmatch(value) or len(value) > MAX_ID:
            raise ValueError(
                f"{quoted(value)} is no id; write words of a-z, 0-9, '-', '.' and '_' with '/' between them"
            )
        return value

    @field_validator("topology", mode="after")
    @classmethod
    def _exists(cls, value: str) -> str:
        if value not in topologies.names():
            raise ValueError(unknown("topology", value, topologies.names()))
        return value

    @model_validator(mode="after")
    def _possible(self) -> Self:
        with problems() as found:
            for path, message in checks.scenario(self):
                found.add(path, message)
        return self

    def attackers_at(self, step: int) -> tuple[int, ...]:
        """Which attackers, by their number from 0, are active while a step runs."""
        on = {index for index, attack in enumerate(self.attack) if attack.active and attack.from_step is None}
        for number, current in enumerate(self.steps[: step + 1]):
            on |= {index for index, attack in enumerate(self.attack) if attack.from_step == number}
            if isinstance(current, AttackStep):
                for index, attack in enumerate(self.attack):
                    switch = current.switch_of(index, attack.attacker)
                    on = on if switch is None else on | {index} if switch else on - {index}
        return tuple(sorted(on))
