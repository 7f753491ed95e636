"""Answers queries in the server's place; the server never sees them."""

from typing import Literal

import dns.flags
import dns.message
import dns.rcode
from pydantic import Field

from testbed.attack.api import Capability, MessageAction, Query, Reply
from testbed.attack.selecting import Asked, RecordLine, Selecting, rrsets


class AnswerParameters(Asked):
    """Which queries, and what with."""

    rcode: Literal["NOERROR", "NXDOMAIN", "SERVFAIL", "REFUSED", "FORMERR", "NOTIMP"] = Field(
        "NOERROR", description="The response code."
    )
    records: tuple[RecordLine, ...] = Field(
        (),
        description="Lines of the answer section, as in `forge-records`; empty: a denial with a made-up SOA "
        "record, or an error.",
    )
    truncated: bool = Field(False, description="Whether responses over UDP say that they are truncated.")


class Answer(Selecting):
    """Answers for the server: with data, with a denial, or with an error. It signs nothing."""

    capability = Capability.ON_PATH
    source = "RFC 3833 section 2.1"
    Parameters = AnswerParameters

    def query(self, query: Query) -> MessageAction:
        """Answer it."""
        if not self.wanted(query.question):
            return None
        chosen = self.parameters
        response = query.respond()
        response.set_rcode(dns.rcode.from_text(chosen.rcode))
        if response.rcode() in (dns.rcode.NOERROR, dns.rcode.NXDOMAIN):
            response.flags |= dns.flags.AA
            response.answer += rrsets(self.scene, chosen.records)
            if not response.answer:
                response.authority.append(self.scene.negative_soa(response.question[0].name))
        if chosen.truncated and query.transport.value == "udp":
            response.flags |= dns.flags.TC
        return Reply(response)
