"""How scenario files say what an attacker is after: messages by their question, records by type and owner."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Annotated

import dns.name
import dns.rdatatype
import dns.rrset
from pydantic import AfterValidator, Field

from testbed.attack.api import Attacker, CertificateKind, Handshake, HandshakeAction, Impersonate, Parameters
from testbed.attack.scene import Scene, stand_in
from testbed.core.notation import parse_name, parse_record, parse_type
from testbed.core.transport import Transport

_BELOW = "*."
_TRANSFERRED_OVER = {
    Transport.UDP: ("udp", 53),
    Transport.TCP: ("tcp", 53),
    Transport.DOT: ("tcp", 853),
    Transport.DOH: ("tcp", 443),
    Transport.DOQ: ("udp", 853),
    Transport.DOH3: ("udp", 443),
}


def _type(text: str) -> str:
    return dns.rdatatype.to_text(parse_type(text))


def _pattern(text: str) -> str:
    parse_name(stand_in(text.removeprefix(_BELOW)))
    return text


def _line(text: str) -> str:
    parse_record(stand_in(text))
    return text


TypeName = Annotated[str, AfterValidator(_type)]
"""A record type as files write it."""

NamePattern = Annotated[str, AfterValidator(_pattern)]
"""A name, or ``*.`` and a name for all that is below it; words in braces stand for the world's names."""

RecordLine = Annotated[str, AfterValidator(_line)]
"""A record in presentation format (RFC 1035 section 5.1); words in braces stand for the world's names."""


def meets(scene: Scene, patterns: Iterable[str], name: dns.name.Name) -> bool:
    """Whether a name is among those that patterns stand for."""
    return any(_meets(scene, pattern, name) for pattern in patterns)


def _meets(scene: Scene, pattern: str, name: dns.name.Name) -> bool:
    meant = scene.name(pattern.removeprefix(_BELOW))
    return name.is_subdomain(meant) and (name != meant) is pattern.startswith(_BELOW)


def rrsets(scene: Scene, lines: Iterable[str]) -> list[dns.rrset.RRset]:
    """The RRsets that lines make up."""
    made: dict[tuple[dns.name.Name, dns.rdatatype.RdataType], dns.rrset.RRset] = {}
    for line in lines:
        record = parse_record(scene.fill(line))
        key = record.name, record.rdata.rdtype
        if key in made:
            made[key].add(record.rdata)
        else:
            made[key] = dns.rrset.from_rdata(record.name, record.ttl, record.rdata)
    return list(made.values())


def endpoint(transport: Transport) -> tuple[str, int]:
    """The protocol and the server's port of a transport."""
    return _TRANSFERRED_OVER[transport]


class Asked(Parameters):
    """Parameters of attackers that are after messages about something."""

    types: tuple[TypeName, ...] = Field((), description="Types that are asked for; empty: any.")
    names: tuple[NamePattern, ...] = Field(
        (), description="Names that are asked for, or `*.` and a name for all below it; empty: any."
    )
    certificate: CertificateKind | None = Field(
        None,
        description="What it shows to resolvers that use TLS, to get at messages inside; empty: nothing.",
    )


class Selecting(Attacker):
    """Base of attackers that are after messages about something, and leave TLS alone unless told."""

    Parameters = Asked

    @property
    def ports(self) -> frozenset[int]:
        """None, where it cannot get at what is inside."""
        return frozenset() if self.parameters.certificate is None else super().ports

    def handshake(self, handshake: Handshake) -> HandshakeAction:
        """Terminate the session; whether the resolver puts up with the certificate is its affair."""
        self.matched()
        return Impersonate(self.parameters.certificate)

    def wanted(self, question: dns.rrset.RRset | None) -> bool:
        """Whether a question is what it is after; counts it when it is."""
        if not self.fits(question):
            return False
        self.matched()
        return True

    def fits(self, question: dns.rrset.RRset | None) -> bool:
        """Whether a question is one that its parameters name."""
        chosen = self.parameters
        if question is None or (chosen.types and dns.rdatatype.to_text(question.rdtype) not in chosen.types):
            return False
        return not chosen.names or meets(self.scene, chosen.names, question.name)
