"""The attackers in a scenario: which, where they sit, and with which parameters."""

from __future__ import annotations

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
from testbed.attack.api import Attacker, Parameters
from testbed.scenario import checks
from testbed.scenario.context import context_of
from testbed.scenario.errors import listed, quoted, unknown
from testbed.scenario.parts import Part, as_list, checked, problems


class Attack(Part):
    """One attacker: which, where, and how."""

    attacker: StrictStr = Field(description="Name of the attacker: a file in `attackers/`, here or above.")
    on: tuple[StrictStr, ...] = Field(
        (), description="The link, or list of links, that it sits on. Off-path attackers sit on none."
    )
    parameters: SerializeAsAny[BaseModel] = Field(
        default_factory=dict,
        validate_default=True,
        alias="with",
        description="Parameters, as the attacker's class defines them.",
    )
    from_step: StrictInt | None = Field(
        None, ge=0, description="Number of the step, counted from 0, from which on it is active."
    )
    active: StrictBool = Field(True, description="Whether it is active from the beginning.")
    _type: type[Attacker] = PrivateAttr()

    @property
    def attacker_type(self) -> type[Attacker]:
        """The attacker's class."""
        return self._type

    def __str__(self) -> str:
        return f"{self.attacker} on {listed(self.on)}" if self.on else self.attacker

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
