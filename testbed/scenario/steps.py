"""The steps of a scenario: what happens one after the other, in the baseline and under attack alike."""

from __future__ import annotations

import re
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, PlainValidator, StrictStr, WithJsonSchema

from testbed.core.notation import DurationText, QuestionText, RecordText, duration_text, quoted
from testbed.scenario.errors import listed, unknown
from testbed.scenario.parts import Part, as_list, described

_INDEX = re.compile(r"[0-9]{1,4}")


def _switched(value: Any) -> Any:
    """On and off are text in YAML 1.2, and truth values for those who think in YAML 1.1."""
    switch = {"on": True, "off": False, True: True, False: False}
    if isinstance(value, str | bool) and value in switch:
        return switch[value]
    raise ValueError(f"{described(value)} is neither on nor off; write one of them")


_SWITCH = {"enum": ["on", "off", True, False]}
_SWITCHES = {"type": "object", "additionalProperties": _SWITCH, "minProperties": 1}
Switch = Annotated[bool, BeforeValidator(_switched)]


def _switches(value: Any) -> Any:
    """One switch for all attackers stays one; in a mapping, an index becomes a number."""
    if not isinstance(value, dict):
        return _switched(value)
    if not value:
        raise ValueError("no attacker is named; write on, off, or a mapping from attackers to on or off")
    return {int(key) if _INDEX.fullmatch(str(key)) else key: on for key, on in value.items()}


class QueryStep(Part):
    """The client asks the resolver, and waits for what comes back."""

    question: QuestionText = Field(
        alias="query", description="What the client asks: a name, and a type or A."
    )

    def __str__(self) -> str:
        return f"the client asks for {self.question}"


class AdvanceStep(Part):
    """Time passes, ``seconds`` of it. Timers on the way run when they are due."""

    seconds: DurationText = Field(alias="advance", description="How much time passes, like 90s, 1h or 1d12h.")

    def __str__(self) -> str:
        return f"{duration_text(self.seconds)} later"


class AttackStep(Part):
    """Attackers are switched on or off: all of them, or those that are named or numbered from 0."""

    switch: Annotated[
        bool | dict[int | str, Switch],
        BeforeValidator(_switches),
        WithJsonSchema({"anyOf": [_SWITCH, _SWITCHES]}),
    ] = Field(
        alias="attack",
        description="on or off for all attackers, or for each by its name or its number in the list, from 0.",
    )

    def __str__(self) -> str:
        if isinstance(self.switch, bool):
            return f"all attackers are switched {_word(self.switch)}"
        return listed(f"attacker {which} is switched {_word(on)}" for which, on in self.switch.items())

    def switch_of(self, index: int, name: str) -> bool | None:
        """What this step does to the attacker with a number and a name: on, off, or None for nothing."""
        if isinstance(self.switch, bool):
            return self.switch
        return self.switch.get(index, self.switch.get(name))


class RestartStep(Part):
    """The resolver is stopped and started again: it forgets what it keeps in memory only."""

    restarted: Literal["resolver"] = Field(alias="restart", description="What is stopped and started again.")

    def __str__(self) -> str:
        return f"the {self.restarted} is restarted"


class FlushStep(Part):
    """The resolver's cache is emptied the way its operator would do it."""

    flushed: Literal["resolver"] = Field(alias="flush", description="Whose cache is emptied.")

    def __str__(self) -> str:
        return f"the {self.flushed}'s cache is flushed"


class WaitIdleStep(Part):
    """Wait until nothing is under way any more: background probes have ended."""

    wait_idle: Literal[True] = Field(alias="wait-idle", description="Wait until nothing is under way.")

    def __str__(self) -> str:
        return "nothing happens until all is quiet"


class BreakStep(Part):
    """The encryption of a server breaks down: open sessions are reset, connections refused. Do53 goes on."""

    role: StrictStr = Field(alias="break", description="The role whose server can be reached in clear only.")

    def __str__(self) -> str:
        return f"the encrypted services of {self.role} break down"


class MendStep(Part):
    """The encryption of a server works again."""

    role: StrictStr = Field(alias="mend", description="The role whose server offers encryption again.")

    def __str__(self) -> str:
        return f"the encrypted services of {self.role} work again"


class OrderStep(Part):
    """Somebody who does not run a server orders a certificate for its name; the CA checks that by DNS."""

    role: StrictStr = Field(
        alias="order",
        description="The role for whose server's name somebody who does not run it orders a certificate.",
    )

    def __str__(self) -> str:
        return f"somebody else orders a certificate for the name of {self.role}"


class ChangeStep(Part):
    """Operators put RRsets into the place of those of the same name and type, and sign all zones anew."""

    records: Annotated[
        tuple[RecordText, ...],
        BeforeValidator(as_list),
        WithJsonSchema({"anyOf": [{"type": "string"}, {"type": "array", "items": {"type": "string"}}]}),
    ] = Field(
        alias="change",
        min_length=1,
        description="Records, NAME TTL TYPE RDATA, that take the place of those of the same name and type.",
    )

    def __str__(self) -> str:
        return f"zones are changed and signed anew: {listed(map(str, self.records))}"


Step = (
    QueryStep
    | AdvanceStep
    | AttackStep
    | RestartStep
    | FlushStep
    | WaitIdleStep
    | BreakStep
    | MendStep
    | OrderStep
    | ChangeStep
)

STEPS: dict[str, type[Step]] = {
    "query": QueryStep,
    "advance": AdvanceStep,
    "attack": AttackStep,
    "restart": RestartStep,
    "flush": FlushStep,
    "wait-idle": WaitIdleStep,
    "break": BreakStep,
    "mend": MendStep,
    "order": OrderStep,
    "change": ChangeStep,
}
"""Each kind of step by the key that says so."""


def _parse(value: Any) -> Step:
    """A step from its form in a file. Raises ValueError or ValidationError when it is none."""
    if isinstance(value, Step):
        return value
    if value == "wait-idle":
        return WaitIdleStep.model_validate({"wait-idle": True})
    if isinstance(value, str):
        message = "give it a value, as in `query: secret.example.org A`" if value in STEPS else ""
        raise ValueError(
            f"the step {quoted(value)} says too little; {message}" if message else _no_step(value)
        )
    if not isinstance(value, dict) or not value:
        raise ValueError(f"{described(value)} is no step; write one of {listed(STEPS, 'or')}")
    kinds = [key for key in value if key in STEPS]
    if not kinds:
        raise ValueError(_no_step(next(iter(value))))
    if len(kinds) > 1:
        raise ValueError(f"{listed(kinds)} in one step; begin each step with a dash of its own")
    return STEPS[kinds[0]].model_validate(value)


def _no_step(word: object) -> str:
    return unknown("step", str(word), STEPS)


Steps = tuple[
    Annotated[Step, PlainValidator(_parse, json_schema_input_type=Step | Literal["wait-idle"])],
    ...,
]


def _word(on: bool) -> str:
    return "on" if on else "off"
