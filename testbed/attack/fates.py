"""What becomes of something on its way, once all attackers at a place have had their say."""

from __future__ import annotations

from dataclasses import dataclass

from testbed.attack.actions import Drop, Reset


@dataclass(frozen=True, slots=True)
class Forward:
    """Send this on, after some seconds."""

    wire: bytes
    delay: float = 0.0


@dataclass(frozen=True, slots=True)
class Return:
    """Send this back to where it came from."""

    wire: bytes


Fate = Forward | Return | Drop | Reset
"""What becomes of a message."""
