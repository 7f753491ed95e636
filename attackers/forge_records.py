"""Puts records of its own into responses."""

from typing import Literal

from pydantic import Field

from testbed.attack.api import Capability, MessageAction, Replace, Response
from testbed.attack.selecting import Asked, RecordLine, Selecting, rrsets


class ForgeRecordsParameters(Asked):
    """Which records, and into which messages."""

    records: tuple[RecordLine, ...] = Field(
        ("{sensitive-name} 300 A {own-ipv4}",),
        min_length=1,
        description="Lines in presentation format. Words in braces are filled in: target-zone, "
        "sensitive-name, own-name, own-zone, own-ipv4, own-ipv6, server:ROLE.",
    )
    section: Literal["answer", "authority", "additional"] = Field("answer", description="Where they go.")
    replace: bool = Field(
        True, description="Whether they take the place of RRsets of the same owner and type, with signatures."
    )


class ForgeRecords(Selecting):
    """Adds records to responses, or puts them in the place of those that are there. They are not signed."""

    capability = Capability.ON_PATH
    source = "RFC 3833 section 2.1"
    Parameters = ForgeRecordsParameters

    def response(self, response: Response) -> MessageAction:
        """Put the records in."""
        if not self.wanted(response.query.question):
            return None
        message = response.message
        forged = rrsets(self.scene, self.parameters.records)
        section = getattr(message, self.parameters.section)
        if self.parameters.replace:
            taken = {(rrset.name, rrset.rdtype) for rrset in forged}
            section[:] = [
                rrset
                for rrset in section
                if not taken & {(rrset.name, rrset.rdtype), (rrset.name, rrset.covers)}
            ]
        section += forged
        return Replace(message)
