"""Answers queries for SVCB records with "no such data", so that a server seems to offer no encryption."""

from typing import Literal

import dns.flags
import dns.message
import dns.rcode
import dns.rdatatype
from pydantic import Field

from testbed.attack.api import (
    Capability,
    Drop,
    MessageAction,
    Query,
    Reply,
    Rewriter,
    RewriterParameters,
)


class DenySvcbParameters(RewriterParameters):
    """What is answered."""

    how: Literal["nodata", "nxdomain", "servfail", "drop"] = Field(
        "nodata", description="nodata, nxdomain: a negative answer. servfail: an error. drop: nothing."
    )


class DenySvcb(Rewriter):
    """Denies SVCB records (RFC 9461 section 8 describes what that does to clients of either kind)."""

    capability = Capability.ON_PATH
    source = "RFC 9461 section 8"
    position = "the link of the zone that holds the servers' names"
    denied = dns.rdatatype.SVCB
    Parameters = DenySvcbParameters
    parameters: DenySvcbParameters

    def query(self, query: Query) -> MessageAction:
        """Answer queries for records of the type, whoever's they are."""
        asked = query.message
        if not asked.question or asked.question[0].rdtype != self.denied:
            return None
        self.matched()
        how = self.parameters.how
        if how == "drop":
            return Drop()
        response = query.respond()
        if how == "servfail":
            response.set_rcode(dns.rcode.SERVFAIL)
            return Reply(response)
        response.flags |= dns.flags.AA
        if how == "nxdomain":
            response.set_rcode(dns.rcode.NXDOMAIN)
        response.authority.append(self.scene.negative_soa(asked.question[0].name))
        return Reply(response)
