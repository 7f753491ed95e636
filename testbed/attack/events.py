"""What a hook is shown: messages, transfers, connections and handshakes on their way over a link.

Off-path attackers see nothing of these; what they are shown is ``Moment``.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

import dns.flags
import dns.message
import dns.name
import dns.rdatatype
import dns.rrset

from testbed.attack.actions import Substitute
from testbed.attack.spoofed import Address
from testbed.core.message import PAYLOAD
from testbed.core.transfer import Incoming, transfer
from testbed.core.transport import Transport
from testbed.core.zone import Zone


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

    @property
    def question(self) -> dns.rrset.RRset | None:
        """What is asked, at a fraction of the cost of the whole message; None when nothing is.

        Raises dns.exception.DNSException when it is no message.
        """
        asked = dns.message.from_wire(self.wire, question_only=True).question
        return asked[0] if asked else None

    def respond(self) -> dns.message.Message:
        """An empty response to it, with EDNS as the servers have it: DO is copied (RFC 3225 section 3).

        Raises dns.exception.DNSException when the query cannot be read.
        """
        query = self.message
        response = dns.message.make_response(query, our_payload=PAYLOAD)
        response.ednsflags |= query.ednsflags & dns.flags.DO
        return response


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
    def server(self) -> str:
        """The role of the server that it comes from."""
        return self.query.server

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
    def server(self) -> str:
        """The role of the server that it comes from."""
        return self.query.server

    @property
    def zone(self) -> Zone:
        """The zone that is transferred. Raises TransportError when the messages carry none."""
        question = self.query.message.question[0]
        incoming = Incoming(question.name, self.query.message.id, question.rdtype)
        for wire in self.wires:
            incoming.take(wire)
        return incoming.zone()

    def of(self, zone: Zone) -> Substitute:
        """The action that puts another zone into its place."""
        return Substitute(tuple(transfer(zone, self.query.respond)))


_BY_PORT = {
    ("udp", 53): Transport.UDP,
    ("tcp", 53): Transport.TCP,
    ("tcp", 853): Transport.DOT,
    ("tcp", 443): Transport.DOH,
    ("udp", 853): Transport.DOQ,
    ("udp", 443): Transport.DOH3,
}


@dataclass(frozen=True, slots=True)
class Connect:
    """The first packet of a connection: a TCP SYN, or the first datagram of a flow. ``size`` is in octets."""

    protocol: Literal["tcp", "udp"]
    port: int
    server: str
    size: int = 0

    @property
    def transport(self) -> Transport | None:
        """What a connection to this port is for; None where that cannot be told."""
        return _BY_PORT.get((self.protocol, self.port))


@dataclass(frozen=True, slots=True)
class Handshake:
    """A TLS ClientHello, over TCP or in the first datagram of QUIC, before anything was answered.

    ``size`` is that of the message, in octets.
    ``versions`` are those that are offered; ``resuming`` says that it comes with a ticket of an earlier
    session, ``early_data`` that data follow before the server has said anything (RFC 8446 section 2.3).
    """

    server: str
    port: int
    sni: str | None
    alpn: tuple[str, ...]
    size: int
    versions: tuple[int, ...] = ()
    resuming: bool = False
    early_data: bool = False
    protocol: Literal["tcp", "udp"] = "tcp"


@dataclass(frozen=True, slots=True)
class Established:
    """A TLS session that is passed through, and in which the resolver sends application data.

    ``records`` counts the records of data that the resolver has sent in it, this one included.
    """

    server: str
    port: int
    sni: str | None
    records: int


@dataclass(frozen=True, slots=True)
class Datagram:
    """A datagram of a flow that is no plain DNS: QUIC, on the ports where that is to be expected.

    ``number`` counts the datagrams of the flow in this direction, from 1.
    """

    payload: bytes
    port: int
    server: str
    towards: Literal["server", "resolver"]
    number: int


@dataclass(frozen=True, slots=True)
class Arrival:
    """A query over UDP that came to the attacker's own server: where it came from, and the octets."""

    source: Address
    wire: bytes

    @property
    def identifier(self) -> int:
        """The message ID."""
        return int.from_bytes(self.wire[:2], "big")


@dataclass(frozen=True, slots=True)
class Moment:
    """The resolver is about to be asked something, and the attacker knows, because it is behind it.

    Whoever gets a page or a mail to a user of the resolver has names looked up (RFC 5452 section 3).
    ``arrivals`` are the queries that have come to the attacker's own server so far.
    """

    name: dns.name.Name
    rdtype: dns.rdatatype.RdataType
    arrivals: tuple[Arrival, ...] = ()
