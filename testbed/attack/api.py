"""What an attacker is written against: events that it is shown, actions that it answers with.

An attacker is one class in one file. It overrides the hooks that it needs and answers each event with an
action, or with None to let it pass. It holds no socket and no clock: the hop on the link, or the in-memory
driver, calls it and carries out what it says. Which flows are taken from the kernel's forwarding follows
from the hooks that are overridden; whatever no hook asked for never leaves the kernel.

An off-path attacker is on no link. It has one hook, and answers with the packets that it sends.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import Any, ClassVar

from pydantic import BaseModel, ConfigDict, Field

from testbed.attack.actions import (
    Action,
    Alert,
    Alter,
    Answer,
    CertificateKind,
    ConnectAction,
    DatagramAction,
    Delay,
    Drop,
    EstablishedAction,
    HandshakeAction,
    Impersonate,
    MessageAction,
    Replace,
    Reply,
    Reset,
    Substitute,
    TransferAction,
    Unreachable,
)
from testbed.attack.events import (
    Arrival,
    Connect,
    Datagram,
    Established,
    Handshake,
    Moment,
    Query,
    Response,
    Transfer,
)
from testbed.attack.resources import Capability, Resources
from testbed.attack.scene import Scene
from testbed.attack.spoofed import (
    Spoofed,
    SpoofedDatagram,
    SpoofedError,
    SpoofedFragment,
    SpoofedSegment,
)
from testbed.attack.timing import Timing
from testbed.core.acme import Challenge
from testbed.core.zone import Zone

__all__ = [
    "HOOKS",
    "TLS_PORTS",
    "Alert",
    "Alter",
    "Answer",
    "Arrival",
    "Attacker",
    "Capability",
    "CertificateKind",
    "Connect",
    "ConnectAction",
    "Datagram",
    "DatagramAction",
    "Delay",
    "Drop",
    "Established",
    "EstablishedAction",
    "Handshake",
    "HandshakeAction",
    "Impersonate",
    "MessageAction",
    "Moment",
    "Parameters",
    "Query",
    "Replace",
    "Reply",
    "Reset",
    "Resources",
    "Response",
    "Rewriter",
    "RewriterParameters",
    "Scene",
    "Spoofed",
    "SpoofedDatagram",
    "SpoofedError",
    "SpoofedFragment",
    "SpoofedSegment",
    "Substitute",
    "Timing",
    "Transfer",
    "TransferAction",
    "Unreachable",
]

TLS_PORTS = frozenset((853, 443))
"""Ports of DoT, DoQ and DoH."""

HOOKS = ("query", "response", "transfer", "connect", "handshake", "established", "datagram", "off_path")
"""The hooks that an attacker can have; the last one is for those that are on no link."""


class Parameters(BaseModel):
    """Base of an attacker's parameters: what a scenario may set in its ``with`` mapping."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Attacker:
    """Base of all attackers. A file in ``attackers/`` defines exactly one subclass; its name is the file's.

    Subclasses set ``capability`` and ``source`` (the paper, RFC or draft section that the attack is
    from), may narrow ``Parameters``, and override hooks. A hook returns an action, or None to let the
    event pass. ``matched`` is for the attacker to call when it saw what it is after; what it did, and what
    that took, is counted from its actions.

    When it acts is not its affair: ``timing`` is the scenario's to say. ``step`` is the number of the step in
    which it was last shown something.
    """

    capability: ClassVar[Capability]
    source: ClassVar[str]
    position: ClassVar[str] = "any link"
    """Where it sits, in words."""
    Parameters: ClassVar[type[BaseModel]] = Parameters

    def __init__(self, scene: Scene, parameters: BaseModel) -> None:
        self.scene = scene
        self.parameters: Any = parameters
        self.timing = Timing()
        self.step = 0
        self.matches = 0
        self.actions: Counter[str] = Counter()
        self.spent = Resources()

    def matched(self) -> None:
        """Count something that this attacker was after."""
        self.matches += 1

    def count(self, action: Action) -> None:
        """Count something that it did; whoever carries it out calls this."""
        self.actions[type(action).__name__.lower()] += 1
        self.spent.note(action)

    # -- hooks -------------------------------------------------------------------------------------

    def query(self, query: Query) -> MessageAction:
        """A query is on its way to the server: over UDP, TCP, or a session that an attacker terminates."""
        return None

    def response(self, response: Response) -> MessageAction:
        """A response is on its way to the resolver."""
        return None

    def transfer(self, transfer: Transfer) -> TransferAction:
        """A zone transfer is on its way to the resolver; its messages are not shown to ``response``."""
        return None

    def connect(self, connect: Connect) -> ConnectAction:
        """The resolver opens a connection to one of ``ports``."""
        return None

    def handshake(self, handshake: Handshake) -> HandshakeAction:
        """The resolver sent a ClientHello, over TCP."""
        return None

    def established(self, session: Established) -> EstablishedAction:
        """The resolver sends data in a TLS session that is passed through; once for each record of data."""
        return None

    def datagram(self, datagram: Datagram) -> DatagramAction:
        """A datagram that is no plain DNS passes, either way, to or from one of ``ports``."""
        return None

    # -- off-path ----------------------------------------------------------------------------------

    def off_path(self, moment: Moment) -> Iterable[Spoofed]:
        """The resolver is about to be asked something: what it sends in others' names, and when.

        For attackers whose capability is OFF_PATH. They see nothing of what others send.
        """
        return ()

    # -- beside the link ---------------------------------------------------------------------------

    @property
    def ports(self) -> frozenset[int]:
        """The servers' ports for which connections, handshakes, sessions and datagrams are shown to it."""
        return TLS_PORTS

    def challenged(self, challenge: Challenge) -> None:
        """The CA tells whoever ordered a certificate what it will look for, by another way than links."""

    def serves(self) -> Iterable[Zone]:
        """Zones that the attacker's own server serves beside its own one."""
        return ()

    # -- what it is --------------------------------------------------------------------------------

    @classmethod
    def overrides(cls, hook: str) -> bool:
        """Whether this attacker has a hook of its own, so that the flows it needs must be handed to it."""
        return getattr(cls, hook) is not getattr(Attacker, hook)

    @classmethod
    def needs(cls, parameters: BaseModel) -> tuple[Capability, ...]:
        """What it must be able to do with these parameters: its capability, and a certificate or a key."""
        kind = getattr(parameters, "certificate", None)
        extra = {"mis-issued": Capability.MISISSUED, "wrong-usage": Capability.MISISSUED}
        extra["stolen"] = Capability.KEY_THIEF
        return (cls.capability, extra[kind]) if kind in extra else (cls.capability,)


class RewriterParameters(Parameters):
    """Parameters of attackers that change messages."""

    certificate: CertificateKind = Field(
        "own-name", description="What it shows to resolvers that use TLS, to get at the messages inside."
    )


class Rewriter(Attacker):
    """Base of attackers that change messages: it tries to get between the ends of TLS sessions, too."""

    Parameters = RewriterParameters

    def handshake(self, handshake: Handshake) -> HandshakeAction:
        """Terminate the session; whether the resolver puts up with the certificate is its affair."""
        self.matched()
        return Impersonate(self.parameters.certificate)
