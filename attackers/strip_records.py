"""Strips records by type and owner from responses."""

from typing import Literal

import dns.rdatatype
import dns.rrset
from pydantic import Field

from testbed.attack.api import Capability, MessageAction, Replace, Response
from testbed.attack.selecting import Asked, NamePattern, Selecting, TypeName, meets

Section = Literal["answer", "authority", "additional"]


class StripRecordsParameters(Asked):
    """Which records, from which messages."""

    strip: tuple[TypeName, ...] = Field((), description="Types of records that are stripped; empty: any.")
    owners: tuple[NamePattern, ...] = Field(
        (), description="Owners of records that are stripped, as in `names`; empty: any."
    )
    sections: tuple[Section, ...] = Field(
        ("answer", "authority", "additional"), description="Sections that they are stripped from."
    )
    signatures: Literal["stripped", "kept"] = Field(
        "stripped", description="What becomes of signatures over what was stripped."
    )


class StripRecords(Selecting):
    """Strips RRsets, and signatures over them, and leaves the rest of a response as it is."""

    capability = Capability.ON_PATH
    source = "RFC 3833 section 2.2"
    Parameters = StripRecordsParameters

    def response(self, response: Response) -> MessageAction:
        """Strip what is there of it."""
        chosen, message = self.parameters, response.message
        stripped = False
        for name in chosen.sections:
            section = getattr(message, name)
            kept = [rrset for rrset in section if not self._unwanted(rrset)]
            stripped |= len(kept) < len(section)
            section[:] = kept
        if not stripped or not self.wanted(response.query.question):
            return None
        return Replace(message)

    def _unwanted(self, rrset: dns.rrset.RRset) -> bool:
        chosen = self.parameters
        rdtype = rrset.rdtype
        if rdtype == dns.rdatatype.RRSIG and "RRSIG" not in chosen.strip:
            if chosen.signatures == "kept":
                return False
            rdtype = rrset.covers
        if chosen.strip and dns.rdatatype.to_text(rdtype) not in chosen.strip:
            return False
        return not chosen.owners or meets(self.scene, chosen.owners, rrset.name)
