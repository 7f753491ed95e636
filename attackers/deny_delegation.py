"""Denies that a zone exists, with whatever its parent has signed."""

from typing import Literal

import dns.flags
import dns.message
import dns.name
import dns.rcode
import dns.rdatatype
import dns.rrset
from pydantic import Field

from testbed.attack.api import (
    Capability,
    MessageAction,
    Replace,
    Response,
    Rewriter,
    RewriterParameters,
)
from testbed.core.canonical import wildcard_at
from testbed.core.zone import Zone


class DenyDelegationParameters(RewriterParameters):
    """What it shows for it."""

    proofs: Literal["genuine", "none"] = Field(
        "genuine",
        description="genuine: records of the parent's that come closest to a proof. none: no record.",
    )


class DenyDelegation(Rewriter):
    """Turns referrals towards the target into "no such name".

    A parent that opts out of NSEC3 signs spans in which unsigned delegations may lie or not, and a span shows
    nothing of them. All that is put into the response is genuine.
    """

    capability = Capability.ON_PATH
    source = "RFC 5155 section 12.2; RFC 5155 section 6"
    position = "the link of a parent"
    Parameters = DenyDelegationParameters

    def response(self, response: Response) -> MessageAction:
        """Deny the zone that a referral is about."""
        message = response.message
        child = _cut(message)
        if child is None or not self.scene.target_zone.is_subdomain(child):
            return None
        self.matched()
        parent = self.scene.zones[self.scene.closest_zone(child.parent())]
        message.flags |= dns.flags.AA
        message.set_rcode(dns.rcode.NXDOMAIN)
        message.authority[:] = parent.negative_soa
        message.additional.clear()
        if self.parameters.proofs == "genuine":
            message.authority += _proofs(parent, child)
        return Replace(message)


def _cut(message: dns.message.Message) -> dns.name.Name | None:
    """The zone that a referral is about."""
    if message.flags & dns.flags.AA or message.answer:
        return None
    return next((rrset.name for rrset in message.authority if rrset.rdtype == dns.rdatatype.NS), None)


def _proofs(parent: Zone, child: dns.name.Name) -> list[dns.rrset.RRset]:
    """What the parent has for names next to a child and to a wildcard beside it, signatures included."""
    encloser, wildcard = child.parent(), wildcard_at(child.parent())
    if parent.nsec3 is not None:
        match = parent.nsec3.matching(encloser)
        found = [*([match] if match else []), parent.nsec3.covering(child), parent.nsec3.covering(wildcard)]
    elif parent.denial == "nsec":
        found = [parent.nsec(child), parent.nsec(wildcard)]
    else:
        return []
    shown = {rrset.name: rrset for rrset in found}.values()
    pairs = ((rrset, parent.signatures(rrset.name, rrset.rdtype)) for rrset in shown)
    return [one for pair in pairs for one in pair if one is not None]
