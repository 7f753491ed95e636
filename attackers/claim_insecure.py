"""Claims of a delegation that it is insecure, as if its zone were not signed."""

from typing import Literal

import dns.flags
import dns.message
import dns.name
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

DS, NS, NSEC = dns.rdatatype.DS, dns.rdatatype.NS, dns.rdatatype.NSEC
_TTL = 3600


class ClaimInsecureParameters(RewriterParameters):
    """What it shows for it."""

    proof: Literal["none", "made-up"] = Field(
        "made-up",
        description="none: DS records are gone. made-up: there is an NSEC record, without signature.",
    )


class ClaimInsecure(Rewriter):
    """Takes DS records from referrals and from answers to DS queries, and denies them.

    What would be needed is an NSEC or NSEC3 record that the parent signed (RFC 4035 section 5.2).
    """

    capability = Capability.ON_PATH
    source = "RFC 4035 section 5.2; RFC 3833 section 2.2"
    position = "the link of a parent"
    Parameters = ClaimInsecureParameters

    def response(self, response: Response) -> MessageAction:
        """Deny DS records where there are any."""
        message = response.message
        found = [rrset for rrset in (*message.answer, *message.authority) if rrset.rdtype == DS]
        if not found:
            return None
        self.matched()
        child = found[0].name
        for section in (message.answer, message.authority):
            section[:] = [rrset for rrset in section if DS not in (rrset.rdtype, rrset.covers)]
        if response.query.question is not None and response.query.question.rdtype == DS:
            message.authority.append(self.scene.negative_soa(child.parent()))
        if self.parameters.proof == "made-up":
            following = dns.name.from_text("\\000", child)
            message.authority.append(
                dns.rrset.from_text(child, _TTL, "IN", NSEC, f"{following} NS RRSIG NSEC")
            )
        return Replace(message)
