"""An attacker for the tests of scenario files: it sits on a link and has parameters of several types."""

from typing import Literal

from pydantic import Field

from testbed.attack.api import Attacker, Capability, MessageAction, Parameters, Query
from testbed.core.transport import Transport


class TamperParameters(Parameters):
    """One of each type."""

    how: Literal["drop", "forge"] = Field("drop", description="What it does.")
    seconds: float = Field(1.0, ge=0, le=60, description="How long it waits.")
    transport: Transport | None = Field(None, description="What it is after.")
    ports: tuple[int, ...] = Field((853,), description="Where it looks.")


class Tamper(Attacker):
    """Tampers with queries."""

    capability = Capability.ON_PATH
    source = "a test"
    Parameters = TamperParameters

    def query(self, query: Query) -> MessageAction:
        """Let it pass."""
        return None
