"""What a scenario expects: allowed values for fields of an outcome, and rules for the cells of a matrix."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Annotated, Any, Literal, Self, get_args

from pydantic import BeforeValidator, Field, PlainValidator, StrictBool, WithJsonSchema, model_validator

from testbed.record import SECRETS, Counts, Outcome, Secret
from testbed.scenario.checks import contradictions
from testbed.scenario.errors import listed
from testbed.scenario.parts import Part, as_list, described, problems

ExpectedVerdict = Literal["hijack", "leak", "downgrade", "denial", "safe", "inconclusive"]
"""Every verdict that a run can come to; one that was skipped comes to none."""


CONCLUSIVE = tuple(verdict for verdict in get_args(ExpectedVerdict) if verdict != "inconclusive")
"""The verdicts that a run may come to where a scenario expects none in particular."""


def _one_or_more(schema: dict[str, Any]) -> WithJsonSchema:
    return WithJsonSchema({"anyOf": [schema, {"type": "array", "items": schema, "minItems": 1}]})


Verdicts = Annotated[
    tuple[ExpectedVerdict, ...],
    Field(min_length=1),
    BeforeValidator(as_list),
    _one_or_more({"enum": list(get_args(ExpectedVerdict))}),
]
Secrets = Annotated[
    tuple[Secret, ...], Field(min_length=1), BeforeValidator(as_list), _one_or_more({"enum": list(SECRETS)})
]
Flags = Annotated[
    tuple[StrictBool, ...], Field(min_length=1), BeforeValidator(as_list), _one_or_more({"type": "boolean"})
]


_RANGE = re.compile(r"(0|[1-9][0-9]{0,8})-(0|[1-9][0-9]{0,8})")


def _number(value: Any) -> Any:
    """A number, or from a text like 5-20 all from the first to the last."""
    if isinstance(value, range):
        return value
    if isinstance(value, str) and (ends := _RANGE.fullmatch(value)):
        first, last = map(int, ends.groups())
        if first < last:
            return range(first, last + 1)
    if isinstance(value, int) and not isinstance(value, bool) and value >= 0:
        return value
    raise ValueError(f"{described(value)} is neither a whole number nor a range like 5-20")


_NUMBER = {"anyOf": [{"type": "integer", "minimum": 0}, {"type": "string", "pattern": "^[0-9]+-[0-9]+$"}]}
Numbers = Annotated[
    tuple[Annotated[int | range, PlainValidator(_number)], ...],
    Field(min_length=1),
    BeforeValidator(as_list),
    _one_or_more(_NUMBER),
]
"""Numbers and ranges of numbers; any of them will do."""


class PhaseExpectation(Part):
    """Allowed values for the outcome of one phase. A field that is not given may be anything."""

    verdict: Verdicts = Field((), description="The headline: the worst of what happened, or safe.")
    leak: Secrets = Field((), description="The most that the attacker may learn.")
    downgrade: Flags = Field(
        (), description="Whether some query went out less protected than without attack."
    )
    hijack: Flags = Field((), description="Whether the client accepts an answer that differs from the truth.")
    denial: Flags = Field((), description="Whether the client gets no answer although it did without attack.")
    detected: Flags = Field((), description="Whether the resolver tells somebody (EDE code, log).")
    fired: Flags = Field((), description="Whether some attacker met what it was after, and acted.")
    acted: Numbers = Field((), description="How many messages and connections attackers interfered with.")
    injected: Numbers = Field((), description="How many packets and messages attackers made up and sent.")
    queries: Numbers = Field((), description="How many queries the resolver sends until the last answer.")
    round_trips: Numbers = Field((), description="How often the resolver waits until the last answer.")
    handshakes: Numbers = Field((), description="How many TLS and QUIC handshakes there are until then.")
    encrypting_share: Numbers = Field(
        (),
        description="Where some servers of a zone encrypt and others do not: per cent of the queries to them "
        "that go to those that do.",
    )
    changed_rrsets: Numbers = Field((), description="How many RRsets have to change for the `rollout`.")
    changed_zones: Numbers = Field((), description="In how many zones these are.")

    @model_validator(mode="after")
    def _possible(self) -> Self:
        with problems() as found:
            for field, message in contradictions(self):
                found.add((field,), message)
        return self

    def given(self) -> Iterator[tuple[str, tuple[Any, ...]]]:
        """The fields that are restricted, and what each may be."""
        for name in PhaseExpectation.model_fields:
            allowed = getattr(self, name)
            if allowed:
                yield name, allowed

    def mismatches(self, outcome: Outcome) -> tuple[str, ...]:
        """How an outcome differs, one text for each field: "leak: expected none, got name".

        An inconclusive outcome differs unless that very verdict is expected.
        """
        wanted = dict(self.given())
        wanted.setdefault("verdict", CONCLUSIVE)
        return tuple(
            f"{name}: expected {allowed_text(allowed)}, got {allowed_text((got,))}"
            for name, allowed in wanted.items()
            if not _allows(allowed, got := _outcome_of(outcome, name))
        )

    def __str__(self) -> str:
        return ", ".join(f"{name} {allowed_text(allowed)}" for name, allowed in self.given())


class Expectation(PhaseExpectation):
    """Allowed values for a whole run."""

    baseline: PhaseExpectation | None = Field(None, description="The same for the run without the attackers.")

    def mismatches(self, outcome: Outcome, baseline: Outcome | None = None) -> tuple[str, ...]:
        """How a run differs from this; texts about the baseline begin with "baseline "."""
        texts = super().mismatches(outcome)
        if self.baseline is None:
            return texts
        if baseline is None:
            return (*texts, "baseline: expected one, got none")
        return (*texts, *(f"baseline {text}" for text in self.baseline.mismatches(baseline)))


class Rule(Expectation):
    """An expectation for those cells of a matrix in which the fields have certain values."""

    when: dict[str, Any] = Field(
        default_factory=dict,
        description="Paths of fields, and the value or list of values for which this rule applies.",
    )
    why: str = Field("", description="Why this is the outcome here, in a sentence or two.")

    @property
    def expectation(self) -> Expectation | None:
        """The rule without its conditions; None when it expects nothing in particular."""
        fields = {name: getattr(self, name) for name in Expectation.model_fields}
        return Expectation.model_construct(**fields) if any(fields.values()) else None


Rules = Annotated[
    tuple[Rule, ...],
    Field(min_length=1),
    BeforeValidator(as_list),
]
"""A single mapping stands for one rule that always applies."""


def _outcome_of(outcome: Outcome, field: str) -> Any:
    """What a field of an expectation is compared with: one of the outcome, or of what it cost."""
    return getattr(outcome.counts if field in Counts.model_fields else outcome, field)


def _allows(allowed: tuple[Any, ...], got: Any) -> bool:
    return any(got in item if isinstance(item, range) else got == item for item in allowed)


def allowed_text(allowed: tuple[Any, ...]) -> str:
    """Allowed values as a file would give them: "leak or downgrade"."""
    return listed(map(_text, allowed), "or")


def _text(value: Any) -> str:
    return f"{value.start}-{value.stop - 1}" if isinstance(value, range) else str(value).lower()
