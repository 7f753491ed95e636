"""What an engine's folder says of a program: how it is started, and what it can do as a resolver or a server.

A folder holds ``engine.yaml`` and templates, ``NAME.j2`` each, from which the program's files are made. A new
engine needs nothing else, and no Python.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal, TypeVar, get_args

import jinja2
from pydantic import Field, StrictStr, ValidationError, field_validator

from testbed import signals
from testbed.core.notation import quoted
from testbed.core.policy import Policy
from testbed.core.transport import Transport
from testbed.scenario import source
from testbed.scenario.engine import DESCRIPTION as FILE
from testbed.scenario.errors import ScenarioError, ScenarioErrors, unknown
from testbed.scenario.parts import SAID_OF_KEY, Part, as_list, checked, described, problems, spelt_out

TEMPLATE = ".j2"

ENCRYPTED = tuple(str(transport) for transport in Transport if transport.encrypted)

Words = tuple[StrictStr, ...]


class Talk(Part):
    """Something that is said to a program over a UNIX socket; its answer is awaited."""

    socket: StrictStr = Field(description="The socket, relative to the program's folder.")
    say: StrictStr = Field(description="What is written to it.")


Kind = Literal["resolver", "authoritative"]

_CONFUSED = {
    "resolver": "this is an authoritative server, no resolver; name it in `world.servers`",
    "authoritative": "this is a resolver; write `kind: authoritative` where it is an authoritative server",
}
"""What to say where something else was wanted."""


class ProgramDescription(Part):
    """A program that can be started. Words of commands, and values of the environment, are templates, too."""

    kind: Kind = Field("resolver", description="What it is: a resolver under test, or a server of a role.")
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
    stop: Literal["TERM", "INT", "QUIT", "KILL"] = Field("TERM", description="The signal that ends it.")
    time_travel: Literal["faketime", "none"] = Field(
        "faketime", description="How it is told what time it is in the world; none: it cannot be."
    )
    key_log: Literal["none", "SSLKEYLOGFILE"] = Field(
        "none",
        description="How it tells the secrets of its TLS sessions. The other end tells them in any case.",
    )


class Description(ProgramDescription):
    """A resolver that can be put to the test.

    ``follows`` are the kinds of policies that it can follow: for each of a policy's fields the values that it
    has a counterpart for; of fields that are left out only the default is followed. ``signals`` are the ones
    that it knows, apart from none at all.
    """

    flush: tuple[Words | Talk, ...] = Field(
        (), description="What empties its cache: commands, or words over a socket, one after the other."
    )
    quiet: float = Field(
        0.3, gt=0, le=10, description="Seconds without a packet after which it has nothing more to do."
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


class AuthoritativeDescription(ProgramDescription):
    """An authoritative server that can play a role.

    ``offers`` says from which version on it has an encrypted transport, "0" standing for all versions.
    """

    kind: Kind = "authoritative"
    offers: dict[StrictStr, StrictStr] = Field(
        default_factory=dict,
        description="Encrypted transports that it has: a list, or a mapping to the first version that did.",
    )

    @field_validator("offers", mode="before")
    @classmethod
    def _since(cls, value: Any) -> dict[str, str]:
        since: dict[str, str] = {}
        with problems() as found:
            for name, version in spelt_out(value, "transport").items():
                if name not in ENCRYPTED:
                    found.add((name,), unknown("transport", name, ENCRYPTED), key=True)
                elif version and not (isinstance(version, str) and re.fullmatch(r"\d+(\.\d+)*", version)):
                    found.add(
                        (name,), f'{described(version)} is no version; write it in quotes, such as "3.4"'
                    )
                else:
                    since[name] = version or "0"
        return since


AnyDescription = TypeVar("AnyDescription", bound=ProgramDescription)


class Described:
    """A description and the folder that it stands in. ``name`` is what scenarios call it."""

    description: ProgramDescription

    def __init__(self, name: str, folder: Path) -> None:
        self.name = name
        self.folder = folder

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.name}>"

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


class Engine(Described):
    """A resolver."""

    description: Description


class Authoritative(Described):
    """An authoritative server."""

    description: AuthoritativeDescription


@functools.lru_cache(maxsize=64)
def load(folder: Path) -> Engine:
    """The resolver in a folder. Raises ScenarioError, with line and column, for all that is wrong."""
    found = Engine(folder.name, folder)
    found.description = _read(folder, Description)
    return found


@functools.lru_cache(maxsize=64)
def load_authoritative(folder: Path, name: str = "") -> Authoritative:
    """The authoritative server in a folder, which scenarios call by the folder's name if by no other."""
    found = Authoritative(name or folder.name, folder)
    found.description = _read(folder, AuthoritativeDescription)
    return found


def _read(folder: Path, model: type[AnyDescription]) -> AnyDescription:
    path = folder / FILE
    if not path.is_file():
        raise ScenarioError(folder, 0, 0, f"this is no engine; put a file {FILE} into the folder")
    tree = source.parse(source.read(path), path)
    kind, wanted = tree.child("kind"), model.model_fields["kind"].default
    given = kind.value if kind is not None else "resolver"
    if given != wanted and given in get_args(Kind):
        where = kind.position if kind is not None else (1, 1)
        raise ScenarioError(path, *where, _CONFUSED[wanted])
    try:
        return checked(model, tree.plain())
    except ValidationError as error:
        raise ScenarioErrors(
            ScenarioError(
                path, *tree.locate(item["loc"], key=item["type"] == SAID_OF_KEY), item["ctx"]["text"]
            )
            for item in error.errors(include_url=False)
        ) from error
