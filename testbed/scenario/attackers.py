"""The attackers in a scenario: which, where they sit, and with which parameters."""

from __future__ import annotations

import math
from typing import Any, Self

from pydantic import (
    BaseModel,
    Field,
    PrivateAttr,
    SerializeAsAny,
    StrictBool,
    StrictInt,
    StrictStr,
    ValidationInfo,
    field_validator,
    model_validator,
)

from testbed.attack import catalogue
from testbed.attack.api import Attacker, Parameters, Timing
from testbed.attack.timing import When
from testbed.core.notation import DurationText, duration_text, quoted
from testbed.scenario import checks
from testbed.scenario.context import context_of
from testbed.scenario.errors import listed, unknown
from testbed.scenario.parts import Part, as_list, checked, problems


class Window(Part):
    """A part of the timeline, in time since the scenario began."""

    start: DurationText | None = Field(None, alias="from", description="When it begins; default: at once.")
    end: DurationText | None = Field(None, alias="until", description="When it ends; default: never.")

    @model_validator(mode="after")
    def _possible(self) -> Self:
        if self.start is not None and self.end is not None and self.start >= self.end:
            first, last = duration_text(self.start), duration_text(self.end)
            raise ValueError(f"nothing lies between {first} and {last}; give a later `until`")
        return self

    def __str__(self) -> str:
        first = f"from {duration_text(self.start)} on" if self.start is not None else ""
        last = f"until {duration_text(self.end)}" if self.end is not None else ""
        return " ".join(filter(None, (first, last)))


class Attack(Part):
    """One attacker: which, where, and how."""

    attacker: StrictStr = Field(description="Name of the attacker: a file in `attackers/`, here or above.")
    on: tuple[StrictStr, ...] = Field(
        (),
        description="The link, or list of links, that it sits on. Off-path attackers sit on none, and send "
        "from the attacker's own host.",
    )
    parameters: SerializeAsAny[BaseModel] = Field(
        default_factory=dict,
        validate_default=True,
        alias="with",
        description="Parameters, as the attacker's class defines them.",
    )
    operator: StrictBool = Field(
        False,
        description="Whether it runs the servers at the far ends of the links, and is on none of them: it "
        "reads and changes messages where they are not encrypted any more.",
    )
    from_step: StrictInt | None = Field(
        None, ge=0, description="Number of the step, counted from 0, from which on it is active."
    )
    active: StrictBool = Field(True, description="Whether it is active from the beginning.")
    during: Window = Field(
        Window(), description="The part of the timeline in which it acts; it reads at any time."
    )
    when: When = Field(
        "always",
        description="first-contact: it leaves servers alone that it met in an earlier step. cache-lapsed: it "
        "lets pass what is asked for the first time. ticket-expired: it waits until a TLS session with a "
        "server that it met in an earlier step resumes nothing.",
    )
    from_event: StrictInt = Field(
        1, ge=1, description="The first event that it acts on, counted from 1 among those that it would."
    )
    at_most: StrictInt | None = Field(None, ge=1, description="After how many actions it has had enough.")
    _type: type[Attacker] = PrivateAttr()

    @property
    def attacker_type(self) -> type[Attacker]:
        """The attacker's class."""
        return self._type

    @property
    def timing(self) -> Timing:
        """When it acts, as the attacker's place goes by it."""
        start, end = self.during.start, self.during.end
        return Timing(
            start=start if start is not None else 0.0,
            end=end if end is not None else math.inf,
            from_event=self.from_event,
            at_most=self.at_most,
            when=self.when,
        )

    def __str__(self) -> str:
        place = "running the servers of" if self.operator else "on"
        return f"{self.attacker} {place} {listed(self.on)}" if self.on else self.attacker

    @field_validator("attacker", mode="after")
    @classmethod
    def _known(cls, value: str, info: ValidationInfo) -> str:
        folders = context_of(info).attacker_folders
        try:
            catalogue.load(value, folders)
        except KeyError:
            raise ValueError(unknown("attacker", value, catalogue.names(folders))) from None
        except catalogue.AttackerError as error:
            raise ValueError(f"the attacker {quoted(value)} cannot be used; {error}") from error
        return value

    @field_validator("on", mode="before")
    @classmethod
    def _links(cls, value: Any, info: ValidationInfo) -> Any:
        known, links = context_of(info).topology, as_list(value)
        with problems() as found:
            for index, link in enumerate(links):
                if link in links[:index]:
                    found.add((index,), f"the link {quoted(link)} is listed twice; list it once")
                elif known is not None and isinstance(link, str) and link not in known.links:
                    found.add((index,), unknown("link", link, known.links, f" in topology {known.name}"))
        return links

    @field_validator("parameters", mode="before")
    @classmethod
    def _parameters(cls, value: Any, info: ValidationInfo) -> Any:
        if "attacker" not in info.data:
            return Parameters()
        attacker = catalogue.load(info.data["attacker"], context_of(info).attacker_folders)
        return checked(attacker.Parameters, {} if value is None else value)

    @model_validator(mode="after")
    def _possible(self, info: ValidationInfo) -> Self:
        self._type = catalogue.load(self.attacker, context_of(info).attacker_folders)
        with problems() as found:
            for path, message in checks.attack(self):
                found.add(path, message)
        return self
