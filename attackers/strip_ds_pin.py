"""Removes the DS records that pin keys of DoT servers, so that a zone seems not to ask for encryption."""

import dns.rdatatype
import dns.rrset

from testbed.attack.api import Capability, MessageAction, Replace, Response, Rewriter
from testbed.signals.ds_pin import DOTPIN


class StripDsPin(Rewriter):
    """Strips pins from referrals and from answers to DS queries, with the signature over what they were in.

    Ordinary DS records stay. Where they were signed together with the pins, they are left without a
    signature: nothing that the attacker could do would keep it.
    """

    capability = Capability.ON_PATH
    source = "draft-vandijk-dprive-ds-dot-signal-and-pin, section Security Considerations"
    position = "the link of a parent"

    def response(self, response: Response) -> MessageAction:
        """Strip pins where there are any."""
        message = response.message
        stripped = [_strip(section) for section in (message.answer, message.authority)]
        if not any(stripped):
            return None
        self.matched()
        return Replace(message)


def _strip(section: list[dns.rrset.RRset]) -> bool:
    """Strip pins from a section; whether there were any."""
    pinned = [
        rrset
        for rrset in section
        if rrset.rdtype == dns.rdatatype.DS and any(ds.algorithm == DOTPIN for ds in rrset)
    ]
    for rrset in pinned:
        kept = [ds for ds in rrset if ds.algorithm != DOTPIN]
        section[:] = [
            other
            for other in section
            if other is not rrset and not (other.name == rrset.name and other.covers == dns.rdatatype.DS)
        ]
        if kept:
            section.append(dns.rrset.from_rdata_list(rrset.name, rrset.ttl, kept))
    return bool(pinned)
