"""What a run leaves behind for the verdict: packets, secrets, answers and the resolver's own account.

Everything here is plain data. The run fills it in, the verdict reads it, nobody computes in it.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

import dns.message
import dns.name
import dns.rdatatype

from testbed.attack.resources import Resources

Side = Literal["resolver", "far"]
"""The two ends of a link, as seen from its hop: towards the resolver, or towards the other host."""


@dataclass(frozen=True, slots=True)
class Frame:
    """One Ethernet frame at one side of a link's hop.

    ``number`` counts from 1 through the frames of a link, both sides together, in the order in which
    they were seen; it is the packet number in the capture file. ``outgoing`` means that the hop sent it.
    ``time`` is in seconds of the run's display clock; ``step`` is the index of the step it belongs to.
    """

    number: int
    time: float
    side: Side
    outgoing: bool
    step: int
    data: bytes


@dataclass(slots=True)
class LinkCapture:
    """All frames of a link in one run, and what the kernel counted on its interfaces meanwhile.

    ``counted`` is the kernel's packet count by side; ``lost`` what the capture socket had to drop.
    """

    link: str
    frames: list[Frame]
    counted: dict[Side, int]
    lost: int = 0


@dataclass(frozen=True, slots=True)
class TlsSecret:
    """A line of a TLS key log (``LABEL client_random secret``) and who holds it.

    ``holder`` is "resolver", a server's role, or "attacker": the attacker can read only what it holds.
    """

    line: str
    holder: str


@dataclass(frozen=True, slots=True)
class ClientResult:
    """What the client got for one query: a message, or None when nothing came in time."""

    step: int
    qname: dns.name.Name
    qtype: dns.rdatatype.RdataType
    response: dns.message.Message | None
    truth: dns.message.Message


@dataclass(frozen=True, slots=True)
class AttackerReport:
    """What an attacker counted: the flows and messages of the kind it is after, and what it did to them.

    ``link`` is empty for one that is off-path.
    """

    attacker: str
    link: str
    matched: int
    acted: int
    actions: dict[str, int] = field(default_factory=dict)
    spent: Resources = field(default_factory=Resources)


@dataclass(frozen=True, slots=True)
class Decision:
    """One line of the resolver's trace: what it decided, and why. It explains a verdict, no more.

    ``time`` is Unix time in the world, which stands still while anything is under way.

    ``kind`` is a word such as "referral", "signal", "handshake", "fallback", "validation", "answer".
    ``authenticated`` is set on "handshake" decisions of the reference resolver.
    """

    time: float
    step: int
    kind: str
    text: str
    server: str | None = None
    transport: str | None = None
    authenticated: bool | None = None


@dataclass(slots=True)
class PhaseEvidence:
    """Everything one phase (baseline or attack) of a scenario left behind."""

    captures: dict[str, LinkCapture]
    secrets: list[TlsSecret]
    client: list[ClientResult]
    decisions: list[Decision]
    attackers: list[AttackerReport]
    trouble: list[str] = field(default_factory=list)
    """Reasons for which the machine could not keep up, if any: the phase is then inconclusive."""
