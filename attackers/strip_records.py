"""Strips records by type and owner from responses."""

import functools
from typing import Literal

import dns.rdatatype
from pydantic import Field

from testbed.attack.api import Alter, Capability, MessageAction, Response
from testbed.attack.selecting import Asked, NamePattern, Selecting, TypeName, meets
from testbed.core.message import encode
from testbed.core.stripping import Record, UnfitError, strip

Section = Literal["answer", "authority", "additional"]
_SECTIONS = ("answer", "authority", "additional")


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
        """Strip what is there of it; without taking the message apart, where that can be done."""
        try:
            wire = strip(response.wire, self._unwanted)
        except UnfitError:
            wire = self._stripped(response)
        if wire is None or not self.wanted(response.query.question):
            return None
        return Alter(wire)

    def _stripped(self, response: Response) -> bytes | None:
        """The same, for messages with records of an unusual kind."""
        message = response.message
        stripped = False
        for number, section in enumerate(message.sections[1:], start=1):
            kept = [
                rrset
                for rrset in section
                if not self._unwanted(Record(number, rrset.rdtype, rrset.covers, rrset.name.to_wire() or b""))
            ]
            stripped |= len(kept) < len(section)
            section[:] = kept
        return encode(message) if stripped else None

    def _unwanted(self, record: Record) -> bool:
        chosen = self.parameters
        if record.rdtype == dns.rdatatype.OPT or _SECTIONS[record.section - 1] not in chosen.sections:
            return False
        rdtype = record.rdtype
        if rdtype == dns.rdatatype.RRSIG and "RRSIG" not in chosen.strip:
            if chosen.signatures == "kept":
                return False
            rdtype = record.covers
        if chosen.strip and rdtype not in self._types:
            return False
        return not chosen.owners or meets(self.scene, chosen.owners, record.owner)

    @functools.cached_property
    def _types(self) -> frozenset[int]:
        """The types that are stripped, by number."""
        return frozenset(map(dns.rdatatype.from_text, self.parameters.strip))
