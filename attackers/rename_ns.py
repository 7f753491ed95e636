"""Gives a zone's name servers other names in its delegation: names that signal nothing, or something else."""

from collections.abc import Iterable
from typing import Literal

import dns.name
import dns.rdatatype
import dns.rrset
from pydantic import Field

from testbed.attack.api import Capability, MessageAction, Replace, Response, Rewriter, RewriterParameters
from testbed.core.zone import Zone
from testbed.signals import name_pin

NOBODYS_KEY = name_pin.encode(b"a key that nobody holds")


class RenameNsParameters(RewriterParameters):
    """What the servers are called, and where these names lead."""

    label: Literal["ordinary", "own-pin", "nobodys-pin"] = Field(
        "ordinary",
        description="ordinary: a label that signals nothing. own-pin: the first label of the attacker's own "
        "server, which pins the attacker's key where names pin keys. nobodys-pin: a pin that no key fits.",
    )
    zone: str = Field("", description="The zone whose delegation is changed; the target zone if empty.")
    glue: Literal["true", "attackers"] = Field(
        "true", description="Addresses that come along: those of the true servers, or the attacker's."
    )
    keep: bool = Field(False, description="Whether the true names stay in the delegation, too.")


class RenameNs(Rewriter):
    """Renames name servers in referrals (nothing signs them, RFC 4035 section 2.2), and adds glue for it.

    The new names are below the zone itself, so that their addresses come with the referral.
    """

    capability = Capability.ON_PATH
    source = "draft-bretelle-dprive-dot-spki-in-ns-name, section Security Considerations"
    position = "the link of a parent"
    Parameters = RenameNsParameters
    parameters: RenameNsParameters

    @property
    def _zone(self) -> dns.name.Name:
        return dns.name.from_text(self.parameters.zone) if self.parameters.zone else self.scene.target_zone

    def response(self, response: Response) -> MessageAction:
        """Rename the servers, wherever the delegation is given."""
        message = response.message
        for index, rrset in enumerate(message.authority):
            if rrset.rdtype == dns.rdatatype.NS and rrset.name == self._zone:
                label = {
                    "ordinary": b"ns",
                    "own-pin": self.scene.own_name.labels[0],
                    "nobodys-pin": NOBODYS_KEY,
                }[self.parameters.label]
                name = dns.name.Name((label, *self._zone.labels))
                names = [name, *(rdata.target for rdata in rrset if self.parameters.keep)]
                message.authority[index] = dns.rrset.from_text(
                    rrset.name, rrset.ttl, "IN", "NS", *map(str, names)
                )
                message.additional[:] = [
                    *self._glue(name, rrset),
                    *(message.additional if self.parameters.keep else ()),
                ]
                self.matched()
                return Replace(message)
        return None

    def _glue(self, name: dns.name.Name, servers: dns.rrset.RRset) -> list[dns.rrset.RRset]:
        addresses = list(self.scene.own_addresses)
        if self.parameters.glue == "true":
            names = [rdata.target for rdata in servers]
            types = (dns.rdatatype.A, dns.rdatatype.AAAA)
            zones = self.scene.zones.values()
            found = (zone.rrset(server, rdtype) for server in names for rdtype in types for zone in zones)
            addresses = list(dict.fromkeys(rdata.address for rrset in found for rdata in rrset or ()))
        return [
            dns.rrset.from_text(name, servers.ttl, "IN", "AAAA" if ":" in address else "A", address)
            for address in addresses
        ]

    def serves(self) -> Iterable[Zone]:
        """True copies of the zone, where its servers' names lead to the attacker."""
        if self.parameters.glue == "attackers":
            yield self.scene.zones[self._zone]
