"""What a hook can answer with."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import dns.message

from testbed.attack.spoofed import Spoofed


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


CertificateKind = Literal[
    "own-name",
    "self-signed",
    "expired",
    "mis-issued",
    "obtained",
    "wrong-usage",
    "unknown-authority",
    "stolen",
]
"""own-name: valid, for the attacker's name; self-signed: for the victim's name; expired: once valid for
the victim's name; mis-issued: valid for the victim's name, from a CA that the resolver trusts;
obtained: such a one if that CA has issued it in the run, and otherwise the session is left alone;
wrong-usage: the same, but for clients only (RFC 5280 section 4.2.1.12); unknown-authority: for the
victim's name, from a CA that nobody knows; stolen: the victim's own, and its key."""


@dataclass(frozen=True, slots=True)
class Impersonate:
    """Terminate the session with this kind of certificate and open one of one's own to the true server."""

    certificate: CertificateKind


@dataclass(frozen=True, slots=True)
class Substitute:
    """Send these messages instead of those of a zone transfer."""

    messages: tuple[dns.message.Message, ...]


@dataclass(frozen=True, slots=True)
class Alter:
    """Send these octets on instead: for datagrams, and for messages that need not be parsed."""

    payload: bytes


@dataclass(frozen=True, slots=True)
class Answer:
    """Send a datagram with these octets back, in the name of the other end; what came is swallowed."""

    payload: bytes


MessageAction = Drop | Reset | Reply | Replace | Alter | Delay | None
TransferAction = Drop | Reset | Substitute | Delay | None
ConnectAction = Drop | Reset | Unreachable | None
HandshakeAction = Drop | Reset | Alert | Impersonate | Delay | None
EstablishedAction = Reset | None
DatagramAction = Drop | Reset | Unreachable | Alter | Answer | Delay | None

OnPathAction = (
    Drop | Reset | Unreachable | Reply | Replace | Delay | Alert | Impersonate | Substitute | Alter | Answer
)
"""What an attacker on a link can do to what passes."""

Action = OnPathAction | Spoofed
"""Any of them."""
