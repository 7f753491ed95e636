"""Conceals DELEG: strips it from referrals, or the DE bit from queries, so that NS records come back."""

from typing import Literal

import dns.flags
import dns.message
import dns.name
import dns.rdatatype
import dns.rrset
from pydantic import Field

from testbed.attack.api import (
    Capability,
    Drop,
    MessageAction,
    Query,
    Replace,
    Response,
    Rewriter,
    RewriterParameters,
)
from testbed.core.deleg import DE_FLAG, DELEG

_PROOFS = (dns.rdatatype.NSEC, dns.rdatatype.NSEC3)


class StripDelegParameters(RewriterParameters):
    """What is stripped, and what is put in its place."""

    what: Literal["records", "flag", "both", "nothing"] = Field(
        "records",
        description="records: DELEG records in referrals, with their signatures. flag: the DE bit in "
        "queries. nothing: see `keys`.",
    )
    proofs: Literal["kept", "dropped"] = Field(
        "kept",
        description="Whether NSEC and NSEC3 records stay in the referrals that records are stripped from.",
    )
    instead: Literal["ns", "nodata"] = Field(
        "ns",
        description="ns: the NS records that the delegated zone itself has take the place of DELEG records. "
        "nodata: the referral becomes a denial, with the signed SOA record and whatever proofs there are.",
    )
    keys: Literal["passed", "dropped"] = Field(
        "passed", description="Whether DNSKEY queries get through, whose answers hold the ADT flag."
    )


class StripDeleg(Rewriter):
    """Takes resolvers back to plain delegations (draft-ietf-dnsop-delext section 8.2).

    All that it puts into messages is genuine; what would be needed to sign it, it does not have.
    """

    capability = Capability.ON_PATH
    source = "draft-ietf-dnsop-delext sections 8.2 and 8.4"
    position = "the link of a parent"
    Parameters = StripDelegParameters
    parameters: StripDelegParameters

    def query(self, query: Query) -> MessageAction:
        """Clear the DE bit; swallow queries for keys."""
        message = query.message
        asked = message.question[0].rdtype if message.question else None
        if self.parameters.keys == "dropped" and asked == dns.rdatatype.DNSKEY:
            self.matched()
            return Drop()
        if self.parameters.what not in ("flag", "both") or not message.ednsflags & DE_FLAG:
            return None
        self.matched()
        message.ednsflags &= ~DE_FLAG
        return Replace(message)

    def response(self, response: Response) -> MessageAction:
        """Strip DELEG records from a referral."""
        message = response.message
        if self.parameters.what not in ("records", "both"):
            return None
        deleg = next((rrset for rrset in message.authority if rrset.rdtype == DELEG), None)
        if deleg is None:
            return None
        self.matched()
        message.authority[:] = [rrset for rrset in message.authority if not self._stripped(rrset)]
        if self.parameters.instead == "nodata":
            self._deny(message, deleg.name)
        else:
            servers = self.scene.zones[deleg.name].rrset(deleg.name, dns.rdatatype.NS)
            message.authority[:0] = [] if servers is None else [servers]
        return Replace(message)

    def _stripped(self, rrset: dns.rrset.RRset) -> bool:
        types = (DELEG,) if self.parameters.proofs == "kept" else (DELEG, *_PROOFS)
        return rrset.rdtype in types or rrset.covers in types

    def _deny(self, message: dns.message.Message, child: dns.name.Name) -> None:
        """Make a referral a denial: it is authoritative, and has a SOA record in place of DS records."""
        message.flags |= dns.flags.AA
        parent = max(
            (zone for zone in self.scene.zones if child != zone and child.is_subdomain(zone)), key=len
        )
        kept = [rrset for rrset in message.authority if dns.rdatatype.DS not in (rrset.rdtype, rrset.covers)]
        message.authority[:] = [*self.scene.zones[parent].negative_soa, *kept]
