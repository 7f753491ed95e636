"""Sets the clock of the resolver's host wrong: who validates by the time believes whoever tells it."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from testbed.attack.api import Attacker, Capability, ClockAction, Parameters, SetClock
from testbed.core.notation import DurationText


class ShiftClockParameters(Parameters):
    """By how much."""

    by: DurationText = Field("1d", validate_default=True, description="How wrong it is, like 90s or 400d.")
    into: Literal["future", "past"] = Field("future", description="Where to.")


class ShiftClock(Attacker):
    """Tells the resolver's host a wrong time, as whoever forges unauthenticated NTP does.

    The time is wrong while it is active. How it came to that is not played: hosts take any time when they
    start, and small steps later.
    """

    capability = Capability.OFF_PATH
    source = "RFC 7384 section 3.2; RFC 8633 section 4; Malhotra et al., NDSS 2016"
    position = "on no link"
    Parameters = ShiftClockParameters

    def clock(self) -> ClockAction:
        """As wrong as it is told."""
        self.matched()
        seconds = self.parameters.by
        return SetClock(seconds if self.parameters.into == "future" else -seconds)
