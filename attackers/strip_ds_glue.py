"""Removes the DS records that carry delegation data, so that a server seems to offer no encryption."""

import dns.message
import dns.rdatatype
import dns.rrset

from testbed.attack.api import Capability, MessageAction, Replace, Response, Rewriter
from testbed.signals.ds_glue import DSGLUE


class StripDsGlue(Rewriter):
    """Strips DS Glue from referrals and from answers to DS queries, with the signature over what it was in.

    Ordinary DS records stay. Where they were signed together with the glue, they are left without a
    signature: nothing that the attacker could do would keep it.
    """

    capability = Capability.ON_PATH
    source = "draft-schwartz-ds-glue section 5"
    position = "the link of a parent"

    def response(self, response: Response) -> MessageAction:
        """Strip DS Glue where there is any."""
        message = response.message
        stripped = [_strip(section) for section in (message.answer, message.authority)]
        if not any(stripped):
            return None
        self.matched()
        return Replace(message)


def _strip(section: list[dns.rrset.RRset]) -> bool:
    """Strip DS Glue from a section; whether there was any."""
    glued = [
        rrset
        for rrset in section
        if rrset.rdtype == dns.rdatatype.DS and any(ds.algorithm == DSGLUE for ds in rrset)
    ]
    for rrset in glued:
        signatures = (
            other for other in section if other.name == rrset.name and other.covers == dns.rdatatype.DS
        )
        for other in [*signatures]:
            section.remove(other)
        ordinary = [ds for ds in rrset if ds.algorithm != DSGLUE]
        section.remove(rrset)
        if ordinary:
            section.append(dns.rrset.from_rdata_list(rrset.name, rrset.ttl, ordinary))
    return bool(glued)
