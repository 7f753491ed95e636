"""What the models of a scenario file have in common: strictness, errors with a place, shorthand."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, Self, TypeVar

from pydantic import BaseModel, ConfigDict, ModelWrapValidatorHandler, ValidationError, model_validator
from pydantic_core import InitErrorDetails, PydanticCustomError

from testbed.core.notation import quoted
from testbed.scenario.errors import unknown

AnyModel = TypeVar("AnyModel", bound=BaseModel)

SAID = "said"
"""Type of the errors whose message is for the reader as it stands."""

SAID_OF_KEY = "said_of_key"
"""The same, where it is a key and not its value that is wrong."""


class Problems:
    """Collects what is wrong with a part, each with a path below it, for pydantic to report together."""

    def __init__(self) -> None:
        self._found: list[InitErrorDetails] = []

    def add(self, path: Sequence[str | int], message: str, *, key: bool = False) -> None:
        """Report a message of ours. ``key`` says that it is the last key of the path that is wrong."""
        kind = PydanticCustomError(SAID_OF_KEY if key else SAID, "{text}", {"text": message})
        self._found.append(InitErrorDetails(type=kind, loc=tuple(path), input=None))

    def take(
        self, path: Sequence[str | int], error: ValidationError, model: type[BaseModel] | None = None
    ) -> None:
        """Report what was found below a path. ``model`` is the one whose keys an unknown key may resemble."""
        for item in error.errors(include_url=False):
            kind, below = item["type"], item["loc"]
            if kind in (SAID, SAID_OF_KEY):
                text = item["ctx"]["text"]
            elif kind == "extra_forbidden" and model is not None and len(below) == 1:
                text = unknown("key", str(below[0]), keys_of(model))
            elif _follows(item):
                continue
            else:
                text = explain(item)
            self.add((*path, *below), text, key=kind in (SAID_OF_KEY, "extra_forbidden"))

    def error(self) -> ValidationError:
        """All of them in one exception."""
        return ValidationError.from_exception_data("scenario", self._found)

    def finish(self) -> None:
        """Raise that exception if there is anything to report."""
        if self._found:
            raise self.error()


@contextmanager
def problems() -> Iterator[Problems]:
    """Problems that are raised together at the end of the block."""
    found = Problems()
    yield found
    found.finish()


def checked(model: type[AnyModel], data: Any, context: Any = None) -> AnyModel:
    """An instance of a model. Raises ValidationError, with messages for the reader of the file."""
    try:
        return model.model_validate(data, context=context)
    except ValidationError as error:
        raise _in_words(error, model) from None


def _in_words(error: ValidationError, model: type[BaseModel]) -> ValidationError:
    found = Problems()
    found.take((), error, model)
    return found.error()


def keys_of(model: type[BaseModel]) -> list[str]:
    """The keys that a mapping for this model may have."""
    return [field.alias or name for name, field in model.model_fields.items()]


class Part(BaseModel):
    """Base of the models of a scenario file: frozen, and no key is passed over in silence."""

    model_config = ConfigDict(
        extra="forbid", frozen=True, arbitrary_types_allowed=True, populate_by_name=False
    )

    @model_validator(mode="wrap")
    @classmethod
    def _explained(cls, data: Any, handler: ModelWrapValidatorHandler[Self]) -> Self:
        try:
            return handler(data)
        except ValidationError as error:
            raise _in_words(error, cls) from None


def spelt_out(value: Any, what: str) -> dict[str, Any]:
    """A list of names as a mapping with nothing under each; mappings unchanged.

    Raises ValidationError when a name stands there twice, or is no text, ValueError for other values.
    """
    if isinstance(value, Mapping):
        return {name: {} if below is None else below for name, below in value.items()}
    if not isinstance(value, list | tuple):
        raise ValueError(f"{described(value)} does not fit here; list names of {what}s, or give a mapping")
    mapping: dict[str, Any] = {}
    with problems() as found:
        for index, name in enumerate(value):
            if not isinstance(name, str):
                found.add((index,), f"{quoted(name)} is no {what}; list names, or give a mapping")
            elif name in mapping:
                found.add((index,), f"{what} {quoted(name)} is listed twice; list it once")
            else:
                mapping[name] = {}
    return mapping


def as_list(value: Any) -> Any:
    """A single value as a list of one; lists unchanged."""
    return value if isinstance(value, list | tuple) else [value]


_QUOTE = "'"

_WANTED = {
    "string_type": "text",
    "int_type": "a whole number",
    "int_parsing": "a whole number",
    "int_from_float": "a whole number",
    "float_type": "a number",
    "float_parsing": "a number",
    "finite_number": "a finite number",
    "bool_type": "true or false",
    "bool_parsing": "true or false",
    "list_type": "a list",
    "tuple_type": "a list",
    "set_type": "a list",
    "frozen_set_type": "a list",
    "dict_type": "a mapping",
    "mapping_type": "a mapping",
    "model_type": "a mapping",
    "model_attributes_type": "a mapping",
    "none_required": "left out",
}
_LIMITS = {
    "greater_than_equal": "at least {ge}",
    "greater_than": "more than {gt}",
    "less_than_equal": "at most {le}",
    "less_than": "less than {lt}",
    "multiple_of": "a multiple of {multiple_of}",
    "too_short": "a list of at least {min_length}",
    "too_long": "a list of at most {max_length}",
    "string_too_short": "a text of at least {min_length} characters",
    "string_too_long": "a text of at most {max_length} characters",
}
"""What the values of a type of error must be; the names are those of the error's context."""


def explain(item: Any) -> str:
    """One error of pydantic's in plain words: what is wrong, and what would be right."""
    kind, context, value = item["type"], item.get("ctx", {}), item.get("input")
    name = next((f"`{step}`" for step in reversed(item["loc"]) if isinstance(step, str)), "here")
    match kind:
        case "missing":
            text = f"{name} is missing; add it"
        case "extra_forbidden":
            text = f"unknown key {name}; leave it out"
        case "value_error":
            text = str(context["error"])
        case "literal_error" | "enum":
            text = unknown("value", str(value), _choices(context["expected"]), f" for {name}")
        case _ if kind in _WANTED:
            text = f"{described(value)} does not fit {name}; it must be {_WANTED[kind]}"
        case "too_short" | "string_too_short" if context["min_length"] == 1:
            text = f"{name} is empty; put something into it"
        case _ if kind in _LIMITS:
            text = f"{described(value)} does not fit {name}; it must be {_LIMITS[kind].format(**context)}"
        case "string_pattern_mismatch":
            text = f"{quoted(value)} does not fit {name}; it must match {context['pattern']}"
        case _:
            message = item["msg"]
            text = f"{described(value)} does not fit {name}; {message[:1].lower()}{message[1:]}"
    return text


def _follows(item: Any) -> bool:
    """Whether an error only follows from another one that is reported, too.

    A list counts as too short without its wrong items; a default may be made from a field that is wrong.
    """
    return item["type"] == "default_factory_not_called" or (
        item["type"] == "too_short" and bool(len(item["input"]) >= item["ctx"]["min_length"])
    )


def _choices(expected: str) -> list[str]:
    """The words in pydantic's "'a', 'b' or 'c'"."""
    head, _, tail = expected.rpartition(" or ")
    words = [*head.split(", "), tail] if head else [tail]
    return [word.strip("'") for word in words]


def described(value: Any) -> str:
    """A value of a wrong type, so that its reader recognises it."""
    match value:
        case None:
            text = "nothing"
        case bool():
            text = str(value).lower()
        case int() | float():
            text = f"the number {quoted(value).strip(_QUOTE)}"
        case str():
            text = f"the text {quoted(value)}" if value else "an empty text"
        case list() | tuple():
            text = "a list" if value else "an empty list"
        case dict():
            text = "a mapping" if value else "an empty mapping"
        case _:
            text = quoted(value)
    return text
