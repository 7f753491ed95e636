"""What attackers must be able to do, and what an attack takes: the price of a downgrade, in numbers."""

from __future__ import annotations

import enum
from dataclasses import dataclass

from testbed.attack.actions import (
    Action,
    Alert,
    Alter,
    Answer,
    Impersonate,
    Replace,
    Reply,
    Reset,
    Substitute,
    Unreachable,
)
from testbed.attack.spoofed import SpoofedDatagram, SpoofedError, SpoofedFragment, SpoofedSegment


class Capability(enum.StrEnum):
    """What an attacker must be able to do."""

    PASSIVE = "passive"
    ON_PATH = "active on-path"
    OFF_PATH = "off-path"
    KEY_THIEF = "key thief"
    MISISSUED = "mis-issued certificate"
    OPERATOR = "malicious operator"


@dataclass(slots=True)
class Resources:
    """What an attacker has spent.

    ``injected`` counts what it made up and sent: resets, ICMP errors, alerts, answers in a server's name,
    and every packet with a source address that is not its own.
    ``altered`` counts messages and datagrams that it changed on their way, ``held`` the connections that it
    sat in the middle of. ``presence`` is in seconds of the world's time in which it was there and had not yet
    had enough. What is only swallowed costs nothing of these.
    """

    injected: int = 0
    altered: int = 0
    held: int = 0
    presence: float = 0.0

    def note(self, action: Action) -> None:
        """Count what an action takes."""
        match action:
            case Reset() | Unreachable() | Alert() | Reply() | Answer():
                self.injected += 1
            case SpoofedDatagram() | SpoofedSegment() | SpoofedError() | SpoofedFragment():
                self.injected += 1
            case Replace() | Alter():
                self.altered += 1
            case Substitute(messages):
                self.altered += len(messages)
            case Impersonate():
                self.held += 1
