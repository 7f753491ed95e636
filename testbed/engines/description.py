"""What an engine's folder says: how a program is started and flushed, and which policies it can follow.

A folder holds ``engine.yaml`` and templates, ``NAME.j2`` each, from which the program's files are made. A new
engine needs nothing else, and no Python.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

import jinja2
from pydantic import Field, StrictStr, ValidationError, field_validator

from testbed import signals
from testbed.core.notation import quoted
from testbed.core.policy import Policy
from testbed.scenario import source
from testbed.scenario.engine import DESCRIPTION as FILE
from testbed.scenario.errors import ScenarioError, ScenarioErrors, unknown
from testbed.scenario.parts import SAID_OF_KEY, Part, as_list, checked, described, problems

TEMPLATE = ".j2"

Words = tuple[StrictStr, ...]


class Talk(Part):
    """Something that is said to a program over a UNIX socket; its answer is awaited."""

    socket: StrictStr = Field(description="The socket, relative to the program's folder.")
    say: StrictStr = Field(description="What is written to it.")


class Description(Part):
    """A program that can be put to the test.

    Words of commands, and values of the environment, are templates like the files. ``follows`` are the kinds
    of policies that it can follow: for each of a policy's fields the values that it has a counterpart for; of
    fields that are left out only the default is followed. ``signals`` are the ones that it knows, apart from
    none at all.
    """

    title: StrictStr = Field(min_length=1, description="The program's name for readers.")
    program: StrictStr = Field(min_length=1, description="The program: a name on PATH, or a path.")
    package: StrictStr = Field("", description="The Debian and Ubuntu package that it comes in.")
    how: StrictStr = Field("", description="How to get it, where it comes in no package.")
    relocatable: bool = Field(
        True, description="Whether it works from a place that is not its package's: it reads no files there."
    )
    version: Words = Field(("--version",), description="Arguments that make it print its version.")
    start: Words = Field(min_length=1, description="Arguments that keep it running in the foreground.")
    environment: dict[str, StrictStr] = Field(default_factory=dict, description="Variables for it.")
    flush: tuple[Words | Talk, ...] = Field(
        (), description="What empties its cache: commands, or words over a socket, one after the other."
    )
    quiet: float = Field(
        0.3, gt=0, le=10, description="Seconds without a packet after which it has nothing more to do."
    )
    stop: Literal["TERM", "INT", "QUIT", "KILL"] = Field("TERM", description="The signal that ends it.")
    time_travel: Literal["faketime", "none"] = Field(
        "faketime", description="How it is told what time it is in the world; none: it cannot be."
    )
    key_log: Literal["none", "SSLKEYLOGFILE"] = Field(
        "none", description="How it tells the secrets of its TLS sessions. The servers tell them in any case."
    )
    follows: tuple[dict[StrictStr, tuple[Any, ...]], ...] = Field(
        min_length=1, description="Kinds of policies that it can follow."
    )

    @field_validator("flush", mode="before")
    @classmethod
    def _one_or_several(cls, value: Any) -> Any:
        return as_list(value)

    @field_validator("follows", mode="before")
    @classmethod
    def _values_of_policies(cls, value: Any) -> tuple[dict[str, tuple[Any, ...]], ...]:
        if not isinstance(value, list | tuple):
            raise ValueError(f"{described(value)} does not fit `follows`; list mappings")
        with problems() as found:
            kinds: list[dict[str, tuple[Any, ...]]] = []
            for index, kind in enumerate(value):
                if not isinstance(kind, Mapping):
                    found.add((index,), f"{described(kind)} is no kind of policy; give a mapping")
                    continue
                kinds.append({str(key): tuple(as_list(given)) for key, given in kind.items()})
                for key, given in kinds[-1].items():
                    for message in _wrong(key, given):
                        found.add((index, key), message, key=key not in Policy.model_fields)
        return tuple(kinds)


def _wrong(field: str, values: tuple[Any, ...]) -> list[str]:
    """What is wrong with the values of a policy's field, if anything."""
    if field not in Policy.model_fields or field == "name":
        return [unknown("field", field, set(Policy.model_fields) - {"name"}, " of policies")]
    if field == "signals":
        known = signals.names()
        return [unknown("signal", str(name), known) for name in values if name not in known]
    wrong = []
    for value in values:
        try:
            checked(Policy, {field: (value,) if field == "credentials" else value})
        except ValidationError as error:
            wrong += [item["ctx"]["text"] for item in error.errors(include_url=False)]
    return wrong


class Engine:
    """A description and the folder that it stands in. ``name`` is what scenarios call it."""

    def __init__(self, name: str, folder: Path, described_as: Description) -> None:
        self.name = name
        self.folder = folder
        self.description = described_as

    def __repr__(self) -> str:
        return f"<Engine {self.name}>"

    @functools.cached_property
    def _templates(self) -> jinja2.Environment:
        return jinja2.Environment(
            loader=jinja2.FileSystemLoader(self.folder),
            undefined=jinja2.StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
            keep_trailing_newline=True,
            autoescape=False,  # noqa: S701 - configuration files are no HTML
        )

    def files(self, setting: Mapping[str, Any]) -> dict[str, str]:
        """The program's files by name, made from the templates.

        Raises ScenarioError with file and line for what is wrong with a template.
        """
        names = sorted(path.name for path in self.folder.glob(f"*{TEMPLATE}"))
        return {name.removesuffix(TEMPLATE): self._rendered(name, setting) for name in names}

    def _rendered(self, name: str, setting: Mapping[str, Any]) -> str:
        try:
            return self._templates.get_template(name).render(setting)
        except jinja2.TemplateSyntaxError as error:
            raise ScenarioError(self.folder / name, error.lineno, 1, str(error.message)) from error
        except jinja2.TemplateError as error:
            raise ScenarioError(self.folder / name, _line_in(error, name), 1, str(error.message)) from error

    def words(self, texts: tuple[str, ...], setting: Mapping[str, Any]) -> list[str]:
        """Words of a command, filled in. Raises ScenarioError for one that is no template."""
        filled = []
        for text in texts:
            try:
                filled.append(self._templates.from_string(text).render(setting))
            except jinja2.TemplateError as error:
                message = f"{quoted(text)}: {error.message}"
                raise ScenarioError(self.folder / FILE, 0, 0, message) from error
        return filled


def _line_in(error: Exception, name: str) -> int:
    """The line of a template that was being filled in when an error came up."""
    line, trace = 1, error.__traceback__
    while trace is not None:
        if Path(trace.tb_frame.f_code.co_filename).name == name:
            line = trace.tb_lineno
        trace = trace.tb_next
    return line


@functools.lru_cache(maxsize=64)
def load(folder: Path) -> Engine:
    """The engine in a folder. Raises ScenarioError, with line and column, for all that is wrong."""
    path = folder / FILE
    if not path.is_file():
        raise ScenarioError(folder, 0, 0, f"this is no engine; put a file {FILE} into the folder")
    tree = source.parse(source.read(path), path)
    try:
        description = checked(Description, tree.plain())
    except ValidationError as error:
        raise ScenarioErrors(
            ScenarioError(
                path, *tree.locate(item["loc"], key=item["type"] == SAID_OF_KEY), item["ctx"]["text"]
            )
            for item in error.errors(include_url=False)
        ) from error
    return Engine(folder.name, folder, description)
