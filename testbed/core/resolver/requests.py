"""What the resolver core asks of its driver, and what it is told in return."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import dns.message
import dns.name

from testbed.core.delegation import address_of
from testbed.core.transport import Transport

if TYPE_CHECKING:  # scenario files are read without it, and it takes long to load
    from cryptography import x509

    from testbed.core.identity import Identity, Proof
    from testbed.core.transfer import Incoming


@dataclass(frozen=True, slots=True)
class Datagram:
    """Send a query over UDP from a source port of the core's choice; answered with the response's octets.

    ``accepts`` decides which datagrams from that server count as the response. Fails with TransportError.
    """

    server: str
    port: int
    source_port: int
    wire: bytes
    timeout: float

    def accepts(self, wire: bytes) -> bool:
        """Whether these octets answer the query: same ID, QR set, same question (RFC 5452 section 9.1)."""
        end = question_end(self.wire)
        return (
            len(wire) >= end
            and wire[:2] == self.wire[:2]
            and bool(wire[2] & 0x80)
            and wire[4:6] == self.wire[4:6]
            and wire[12:end].lower() == self.wire[12:end].lower()
        )


@dataclass(frozen=True, slots=True)
class Dial:
    """Open a session over TCP, TLS or QUIC; answered with a Session. Fails with TransportError.

    ``resume`` lets it take up an earlier session with the same server, ``early_data`` lets queries go out
    with the first flight. ``path`` is for DoH: the URI template of the requests, None for other transports.
    """

    server: str
    port: int
    transport: Transport
    sni: str | None
    timeout: float
    resume: bool = False
    early_data: bool = False
    path: str | None = None


@dataclass(frozen=True, slots=True)
class Transmit:
    """Send a query in a session; answered with the response's octets. Fails with TransportError."""

    session: Session
    wire: bytes
    timeout: float


@dataclass(frozen=True, slots=True)
class Transfer:
    """Send a query for a zone transfer in a session, and feed ``incoming`` until it is complete.

    Nothing is answered. ``timeout`` is for the whole. Fails with TransportError, as ``incoming`` may.
    """

    session: Session
    wire: bytes
    incoming: Incoming
    timeout: float


@dataclass(frozen=True, slots=True)
class HangUp:
    """Close a session. Nothing is answered."""

    session: Session


@dataclass(eq=False, slots=True)
class Session:
    """An open session, as the driver presents it to the core: who it is with, and what the server showed.

    ``chain`` is what the server presented, the end-entity certificate first; nobody has verified it yet.
    """

    number: int
    server: str
    port: int
    transport: Transport
    chain: tuple[x509.Certificate, ...] = ()
    resumed: bool = False
    alpn: str | None = None
    open: bool = True
    authenticated: bool = False
    probed: bool = False
    proofs: dict[Identity, Proof] = field(default_factory=dict)
    """What came of checking an identity against ``chain``."""


@dataclass(frozen=True, slots=True)
class Answer:
    """The response to a client's query; ``token`` is what the driver gave with the query."""

    token: object
    message: dns.message.Message


def question_end(wire: bytes) -> int:
    """Offset just behind the first question of a message that we made, whose names are not compressed."""
    offset = 12
    while wire[offset]:
        offset += wire[offset] + 1
    return offset + 5


def sni_text(name: dns.name.Name) -> str:
    """A name as it appears in SNI and in certificates: without the final dot (RFC 6066 section 3)."""
    return name.to_text(omit_final_dot=True).lower()


def sni(server: dns.name.Name) -> str | None:
    """What goes into SNI for a server: None where its address is all that is known (RFC 6066 section 3)."""
    return sni_text(server) if address_of(server) is None else None
