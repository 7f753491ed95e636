"""What attackers share that strip DS records which only look like DS records."""

from __future__ import annotations

from typing import ClassVar

import dns.rdatatype
import dns.rrset

from testbed.attack.api import MessageAction, Replace, Response, Rewriter


class StripDsAlgorithm(Rewriter):
    """Strips DS records of one algorithm from referrals and from answers to DS queries.

    With them goes the signature over what they were in. Ordinary DS records stay; where they were signed
    together with the others, they are left without a signature: nothing that the attacker could do would
    keep it.
    """

    algorithm: ClassVar[int]

    def response(self, response: Response) -> MessageAction:
        """Strip the records where there are any."""
        message = response.message
        stripped = [self._strip(section) for section in (message.answer, message.authority)]
        if not any(stripped):
            return None
        self.matched()
        return Replace(message)

    def _strip(self, section: list[dns.rrset.RRset]) -> bool:
        """Strip them from a section; whether there were any."""
        found = [
            rrset
            for rrset in section
            if rrset.rdtype == dns.rdatatype.DS and any(ds.algorithm == self.algorithm for ds in rrset)
        ]
        for rrset in found:
            section[:] = [
                other
                for other in section
                if other is not rrset and not (other.name == rrset.name and other.covers == dns.rdatatype.DS)
            ]
            ordinary = [ds for ds in rrset if ds.algorithm != self.algorithm]
            if ordinary:
                section.append(dns.rrset.from_rdata_list(rrset.name, rrset.ttl, ordinary))
        return bool(found)
