"""What an attacker is written against: events that it is shown, actions that it answers with.

An attacker is one class in one file. It overrides the hooks that it needs and answers each event with an
action, or with None to let it pass. It holds no socket and no clock: the hop on the link, or the in-memory
driver, calls it and carries out what it says. Which flows are taken from the kernel's forwarding follows
from the hooks that are overridden; whatever no hook asked for never leaves the kernel.
"""

from __future__ import annotations

import enum
import random
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import ClassVar, Literal

import dns.flags
import dns.message
import dns.name
import dns.rrset
from pydantic import BaseModel, ConfigDict, Field

from testbed.core.transfer import Incoming, transfer
from testbed.core.transport import Transport
from testbed.core.zone import Zone


class Capability(enum.StrEnum):
    """What an attacker must be able to do."""

    PASSIVE = "passive"
    ON_PATH = "active on-path"
    OFF_PATH = "off-path"
    KEY_THIEF = "key thief"
    MISISSUED = "mis-issued certificate"
    OPERATOR = "malicious operator"


# -- actions ---------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Drop:
    """Swallow it; the sender hears nothing."""


@dataclass(frozen=True, slots=True)
class Reset:
    """Reset the TCP connection (RFC 9293 section 3.5.2), or answer a datagram with ICMP port unreachable."""


@dataclass(frozen=True, slots=True)
class Unreachable:
    """Answer with ICMP: administratively prohibited (RFC 792, RFC 4443)."""


@dataclass(frozen=True, slots=True)
class Reply:
    """Answer the query in the server's place."""

    message: dns.message.Message


@dataclass(frozen=True, slots=True)
class Replace:
    """Send this on instead."""

    message: dns.message.Message


@dataclass(frozen=True, slots=True)
class Delay:
    """Send it on unchanged after some seconds."""

    seconds: float


@dataclass(frozen=True, slots=True)
class Alert:
    """Answer the ClientHello with a fatal TLS alert (RFC 8446 section 6.2) and close."""

    description: int


@dataclass(frozen=True, slots=True)
class Impersonate:
    """Terminate the session with this kind of certificate and open one of one's own to the true server."""

    certificate: CertificateKind


CertificateKind = Literal["own-name", "self-signed", "expired", "mis-issued"]
"""own-name: valid, for the attacker's name; self-signed: for the victim's name; expired: once valid for
the victim's name; mis-issued: valid for the victim's name, from a CA that the resolver trusts."""


@dataclass(frozen=True, slots=True)
class Substitute:
    """Send these messages instead of those of a zone transfer."""

    messages: tuple[dns.message.Message, ...]


MessageAction = Drop | Reset | Reply | Replace | Delay | None
TransferAction = Drop | Reset | Substitute | Delay | None
ConnectAction = Drop | Reset | Unreachable | None
HandshakeAction = Drop | Reset | Alert | Impersonate | None


# -- events ----------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Query:
    """A query on its way to the server: the wire form, and the parsed one for who asks for it."""

    wire: bytes
    transport: Transport
    server: str
    _parsed: list[dns.message.Message] = field(default_factory=list, repr=False, compare=False)

    @property
    def message(self) -> dns.message.Message:
        """The parsed query. Raises dns.exception.DNSException when it is not one."""
        if not self._parsed:
            self._parsed.append(dns.message.from_wire(self.wire))
        return self._parsed[0]


@dataclass(frozen=True, slots=True)
class Response:
    """A response on its way to the resolver, with the query that it answers."""

    wire: bytes
    query: Query
    _parsed: list[dns.message.Message] = field(default_factory=list, repr=False, compare=False)

    @property
    def transport(self) -> Transport:
        """What it travels over."""
        return self.query.transport

    @property
    def message(self) -> dns.message.Message:
        """The parsed response. Raises dns.exception.DNSException when it is not one."""
        if not self._parsed:
            self._parsed.append(dns.message.from_wire(self.wire))
        return self._parsed[0]


@dataclass(frozen=True, slots=True)
class Transfer:
    """A zone transfer on its way to the resolver: all its messages, with the query that they answer."""

    wires: tuple[bytes, ...]
    query: Query

    @property
    def zone(self) -> Zone:
        """The zone that is transferred. Raises TransportError when the messages carry none."""
        incoming = Incoming(self.query.message.question[0].name, self.query.message.id)
        for wire in self.wires:
            incoming.take(wire)
        return incoming.zone()

    def of(self, zone: Zone) -> Substitute:
        """The action that puts another zone into its place."""
        return Substitute(tuple(transfer(zone, lambda: dns.message.make_response(self.query.message))))


@dataclass(frozen=True, slots=True)
class Connect:
    """The first packet of a connection: a TCP SYN, or the first datagram of a QUIC connection."""

    protocol: Literal["tcp", "udp"]
    port: int
    server: str


@dataclass(frozen=True, slots=True)
class Handshake:
    """A TLS ClientHello, over TCP or in the first datagram of QUIC, before anything was answered."""

    server: str
    port: int
    sni: str | None
    alpn: tuple[str, ...]
    size: int


# -- the attacker ----------------------------------------------------------------------------------


@dataclass(frozen=True)
class Scene:
    """What an attacker knows of the world: names and addresses, never a verdict.

    ``own_name``, ``own_zone`` and ``own_addresses`` are those of the server that the attacker runs.
    """

    target_zone: dns.name.Name
    sensitive_name: dns.name.Name
    own_name: dns.name.Name
    own_zone: dns.name.Name
    own_addresses: tuple[str, str]
    server_names: Mapping[str, dns.name.Name]
    """Name of each server by role."""
    zones: Mapping[dns.name.Name, Zone]
    """Every zone as its operator serves it; whoever can ask for it can copy it."""
    link: str
    """The link that it sits on."""
    rng: random.Random
    past: Mapping[dns.name.Name, Zone] = field(default_factory=dict)
    """Zones as they once were, signed and genuine; whoever kept a copy has it."""


class Parameters(BaseModel):
    """Base of an attacker's parameters: what a scenario may set in its ``with`` mapping."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Attacker:
    """Base of all attackers. A file in ``attackers/`` defines exactly one subclass; its name is the file's.

    Subclasses set ``capability`` and ``source`` (the paper, RFC or draft section that the attack is
    from), may narrow ``Parameters``, and override hooks. A hook returns an action, or None to let the
    event pass. ``matched`` is for the attacker to call when it saw what it is after; what it did is
    counted from its actions.
    """

    capability: ClassVar[Capability]
    source: ClassVar[str]
    Parameters: ClassVar[type[BaseModel]] = Parameters

    def __init__(self, scene: Scene, parameters: BaseModel) -> None:
        self.scene = scene
        self.parameters = parameters
        self.matches = 0
        self.actions: Counter[str] = Counter()

    def matched(self) -> None:
        """Count something that this attacker was after."""
        self.matches += 1

    def query(self, query: Query) -> MessageAction:
        """A query is on its way to the server: over UDP, TCP, or a session that this attacker terminates."""
        return None

    def response(self, response: Response) -> MessageAction:
        """A response is on its way to the resolver."""
        return None

    def transfer(self, transfer: Transfer) -> TransferAction:
        """A zone transfer is on its way to the resolver; its messages are not shown to ``response``."""
        return None

    def connect(self, connect: Connect) -> ConnectAction:
        """The resolver opens a connection."""
        return None

    def handshake(self, handshake: Handshake) -> HandshakeAction:
        """The resolver sent a ClientHello."""
        return None

    def serves(self) -> Iterable[Zone]:
        """Zones that the attacker's own server serves beside its own one."""
        return ()

    @classmethod
    def overrides(cls, hook: str) -> bool:
        """Whether this attacker has a hook of its own, so that the flows it needs must be handed to it."""
        return getattr(cls, hook) is not getattr(Attacker, hook)


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
        assert isinstance(self.parameters, RewriterParameters)
        self.matched()
        return Impersonate(self.parameters.certificate)
