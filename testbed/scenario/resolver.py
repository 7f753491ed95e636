"""The resolver in a scenario: the engine under test, and the policy that it is told to follow."""

from __future__ import annotations

from typing import Any

from pydantic import Field, StrictStr, ValidationError, ValidationInfo, field_validator

from testbed import signals
from testbed.core.policy import POLICIES, Policy
from testbed.scenario.context import context_of
from testbed.scenario.engine import REFERENCE, engine_named
from testbed.scenario.errors import unknown
from testbed.scenario.parts import Part, checked, described, problems

DEFAULT_POLICY = "strict"


class Resolver(Part):
    """The system under test, and the policy that it is told to follow."""

    engine: StrictStr = Field(REFERENCE, description="Name of an engine, or path of one's own.")
    policy: Policy = Field(
        POLICIES[DEFAULT_POLICY],
        description="A named policy, or switches over one: `base` names it, strict if left out.",
    )

    @field_validator("engine", mode="after")
    @classmethod
    def _found(cls, value: str, info: ValidationInfo) -> str:
        return engine_named(value, context_of(info).folder)

    @field_validator("policy", mode="before")
    @classmethod
    def _over_a_named_one(cls, value: Any) -> Policy:
        if isinstance(value, Policy):
            return value
        if isinstance(value, str):
            return _named_policy(value)
        if not isinstance(value, dict):
            raise ValueError(
                f"{described(value)} is no policy; name one, or give a mapping over one with `base`"
            )
        with problems() as found:
            base = POLICIES[DEFAULT_POLICY]
            try:
                base = _named_policy(value.get("base", DEFAULT_POLICY))
            except ValueError as error:
                found.add(("base",), str(error))
            switches = {key: given for key, given in value.items() if key != "base"}
            try:
                policy = checked(Policy, {**base.model_dump(), **switches})
            except ValidationError as error:
                found.take((), error)
            else:
                for index, name in enumerate(policy.signals or ()):
                    if name not in signals.names():
                        found.add(("signals", index), unknown("signal", name, signals.names()))
        return policy


def _named_policy(name: Any) -> Policy:
    try:
        return POLICIES[name]
    except (KeyError, TypeError):
        raise ValueError(unknown("policy", str(name), POLICIES)) from None
