"""Does the obvious thing wherever it sits: forges and strips what nobody signed, and blocks encryption."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import dns.message
import dns.name
import dns.rdata
import dns.rdataclass
import dns.rdatatype
import dns.rrset
from pydantic import Field

from testbed.attack.api import (
    Attacker,
    Capability,
    Connect,
    ConnectAction,
    MessageAction,
    Parameters,
    Query,
    Replace,
    Reset,
    Response,
)
from testbed.core.deleg import DE_FLAG, DELEGATION_TYPES
from testbed.core.zone import Zone

ENCRYPTED_PORTS = (853, 443)
"""Ports of DoT, DoQ and DoH."""

ANNOUNCING = frozenset((dns.rdatatype.SVCB, dns.rdatatype.TLSA))
"""Types of records that tell of encryption."""

SIGNING = frozenset((1, 3, 5, 6, 7, 8, 10, 12, 13, 14, 15, 16, 17, 23))
"""Algorithms of DS records that stand for a key that signs; others carry something else."""

NEGATIVE_TTL = 300
"""TTL of forged denials, in seconds."""

_WITHOUT_OWN_SERVER = (
    "Whether it leads the resolver to a server of its own, or only takes announcements away."
)


class ForgeUnsignedParameters(Parameters):
    """What the attacker has."""

    own_server: bool = Field(True, description=_WITHOUT_OWN_SERVER)


class ForgeUnsigned(Attacker):
    """Leaves alone what is signed, and so betrays itself as little as it can.

    It takes away what announces encryption: SVCB and TLSA records, delegation data in DS records and in
    records beside them, wherever no signature covers them or nobody would miss them. With a server of its own
    it puts its name into the delegations towards the target, and its address into glue and unsigned
    answers. Connections to the ports of encrypted transports are reset.
    """

    capability = Capability.ON_PATH
    source = "RFC 3833 section 2; RFC 9461 section 8.1; draft-ietf-dnsop-delext section 8"
    Parameters = ForgeUnsignedParameters
    parameters: ForgeUnsignedParameters

    @property
    def _leads_away(self) -> bool:
        return self.parameters.own_server

    def connect(self, connect: Connect) -> ConnectAction:
        """Reset what would be encrypted."""
        if connect.port not in ENCRYPTED_PORTS:
            return None
        self.matched()
        return Reset()

    def query(self, query: Query) -> MessageAction:
        """Ask for no delegation types in the resolver's name: no signature covers a query."""
        message = query.message
        if not message.ednsflags & DE_FLAG:
            return None
        message.ednsflags &= ~DE_FLAG
        return Replace(message)

    def response(self, response: Response) -> MessageAction:
        """Strip and forge."""
        message = response.message
        before = [list(section) for section in message.sections]
        for section in (message.answer, message.authority):
            section[:] = self._altered(section, signed=lambda rrset, within=section: _covered(rrset, within))
        message.additional[:] = self._altered(message.additional, signed=lambda _: False)
        if [list(section) for section in message.sections] == before:
            return None
        if not message.answer and before[1]:
            message.authority.append(self.scene.negative_soa(message.question[0].name, NEGATIVE_TTL))
        self.matched()
        return Replace(message)

    def _altered(self, section: list[dns.rrset.RRset], signed: object) -> list[dns.rrset.RRset]:
        """A section as it is sent on."""
        assert callable(signed)
        kept: list[dns.rrset.RRset] = []
        for rrset in section:
            if rrset.rdtype == dns.rdatatype.RRSIG or signed(rrset):
                kept.append(rrset)
                continue
            kept += self._forged(rrset)
        present = {(rrset.name, rrset.rdtype) for rrset in kept}
        return [
            rrset
            for rrset in kept
            if rrset.rdtype != dns.rdatatype.RRSIG or (rrset.name, rrset.covers) in present
        ]

    def _forged(self, rrset: dns.rrset.RRset) -> Iterator[dns.rrset.RRset]:
        """What becomes of an RRset that no signature protects: stripped, changed, or as it was."""
        if rrset.name.is_subdomain(self.scene.own_zone):
            yield rrset
        elif rrset.rdtype == dns.rdatatype.DS:
            ordinary = [ds for ds in rrset if ds.algorithm in SIGNING]
            if ordinary:
                yield dns.rrset.from_rdata_list(rrset.name, rrset.ttl, ordinary)
        elif rrset.rdtype not in ANNOUNCING and rrset.rdtype not in DELEGATION_TYPES:
            yield self._led_away(rrset) if self._leads_away else rrset

    def _led_away(self, rrset: dns.rrset.RRset) -> dns.rrset.RRset:
        """An RRset with the attacker's server in it, if it is of a kind that leads anywhere."""
        scene = self.scene
        if rrset.rdtype == dns.rdatatype.NS and rrset.name != dns.name.root:
            if scene.target_zone.is_subdomain(rrset.name):
                own = scene.own_name.to_text()
                return dns.rrset.from_text(rrset.name, rrset.ttl, "IN", rrset.rdtype, own)
        elif rrset.name in scene.server_names.values():
            return scene.led_away(rrset)
        return rrset

    def serves(self) -> Iterable[Zone]:
        """Every zone but the root and its own, with the same things forged as on the link."""
        if not self._leads_away:
            return
        for origin, zone in self.scene.zones.items():
            if origin not in (dns.name.root, self.scene.own_zone):
                yield Zone(origin, [served for rrset in zone for served in self._served(zone, rrset)])

    def _served(self, zone: Zone, rrset: dns.rrset.RRset) -> Iterator[dns.rrset.RRset]:
        """What the attacker's server gives away of an RRset: the apex is kept, and whatever is signed."""
        unsigned = zone.signatures(rrset.name, rrset.rdtype) is None
        if unsigned and rrset.rdtype != dns.rdatatype.RRSIG and rrset.name != zone.origin:
            yield from self._forged(rrset)
        else:
            yield rrset


def _covered(rrset: dns.rrset.RRset, section: Iterable[dns.rrset.RRset]) -> bool:
    """Whether a signature in the section covers an RRset."""
    return any(
        other.name == rrset.name and other.rdtype == dns.rdatatype.RRSIG and other.covers == rrset.rdtype
        for other in section
    )
