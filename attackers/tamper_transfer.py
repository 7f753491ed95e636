"""Gives a local root another copy than the source sent: altered, old but genuine, or none."""

from collections.abc import Iterable, Iterator
from typing import Literal

import dns.name
import dns.rdatatype
import dns.rrset
from pydantic import Field

from attackers.forge_ns import ForgeNs, ForgeNsParameters
from testbed.attack.api import (
    Capability,
    Drop,
    MessageAction,
    Query,
    Replace,
    Response,
    Transfer,
    TransferAction,
)
from testbed.core import zonemd
from testbed.core.zone import Zone


class TamperTransferParameters(ForgeNsParameters):
    """What the resolver gets."""

    zone: str = Field("", description="The zone whose delegation is forged; the target's TLD if empty.")
    gives: Literal["altered", "old", "nothing"] = Field(
        "altered",
        description="altered: a delegation is forged. old: the zone as it was before operators published "
        "signals, genuine and signed. nothing: no answer.",
    )
    digest: Literal["kept", "removed", "renewed"] = Field(
        "kept",
        description="What becomes of ZONEMD in an altered copy. kept: it no longer fits. removed: it is "
        "gone, all else stays. renewed: it fits again, its signature does not.",
    )
    serial: Literal["kept", "raised"] = Field(
        "kept", description="raised: an altered copy looks newer, so that resolvers replace what they have."
    )


class TamperTransfer(ForgeNs):
    """Sits between a local root and its source. What it alters leads to the attacker's own server."""

    capability = Capability.ON_PATH
    source = "RFC 8976 section 1.2; RFC 8806 section 4; draft-wkumari-dnsop-localroot-bcp"
    position = "the link to a root's source"
    Parameters = TamperTransferParameters
    parameters: TamperTransferParameters

    @property
    def _zone(self) -> dns.name.Name:
        if self.parameters.zone:
            return dns.name.from_text(self.parameters.zone)
        return self.scene.target_zone.split(2)[1]

    def query(self, query: Query) -> MessageAction:
        """Let no query through, if there is to be nothing."""
        if self.parameters.gives != "nothing":
            return None
        self.matched()
        return Drop()

    def transfer(self, transfer: Transfer) -> TransferAction:
        """Put another copy into the place of the true one."""
        zone = transfer.zone
        old = self.parameters.gives == "old"
        other = self.scene.past.get(zone.origin) if old else self._altered(zone)
        if other is None:
            return None
        self.matched()
        return transfer.of(other)

    def response(self, response: Response) -> MessageAction:
        """Say the same serial when only that is asked for, before or instead of a transfer."""
        message = response.message
        origin = message.question[0].name
        if message.question[0].rdtype != dns.rdatatype.SOA or not message.answer:
            return None
        if self.parameters.gives == "old" and origin in self.scene.past:
            old = self.scene.past[origin]
            signatures = old.signatures(origin, dns.rdatatype.SOA)
            message.answer[:] = [old.soa] if signatures is None else [old.soa, signatures]
        elif self.parameters.gives == "altered" and self.parameters.serial == "raised":
            message.answer[:] = [_raised(rrset) for rrset in message.answer]
        else:
            return None
        self.matched()
        return Replace(message)

    def _altered(self, zone: Zone) -> Zone:
        altered = Zone(zone.origin, self._records(zone))
        if self.parameters.digest == "renewed" and zone.rrset(zone.origin, dns.rdatatype.ZONEMD) is not None:
            return zonemd.completed(altered, altered)
        return altered

    def _records(self, zone: Zone) -> Iterator[dns.rrset.RRset]:
        for rrset in zone:
            digest = dns.rdatatype.ZONEMD in (rrset.rdtype, rrset.covers)
            if digest and self.parameters.digest == "removed":
                continue
            section = [_raised(rrset) if self.parameters.serial == "raised" else rrset]
            if self.parameters.forge == "glue":
                self._forge_addresses(section)
            else:
                self._forge_servers(section)
            yield from section

    def serves(self) -> Iterable[Zone]:
        """What the forged delegation leads to, if one is forged."""
        return super().serves() if self.parameters.gives == "altered" else ()


def _raised(rrset: dns.rrset.RRset) -> dns.rrset.RRset:
    """A SOA record with the next serial; anything else as it is."""
    if rrset.rdtype != dns.rdatatype.SOA:
        return rrset
    soa = rrset[0].replace(serial=rrset[0].serial + 1)
    return dns.rrset.from_rdata(rrset.name, rrset.ttl, soa)
