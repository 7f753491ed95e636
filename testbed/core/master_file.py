"""Zones as text that other servers read: master files (RFC 1035 section 5)."""

from __future__ import annotations

import dns.rdata
import dns.rdatatype
from dns.rdatatype import RdataType

from testbed.core.zone import Zone

KNOWN_TO_ALL = frozenset(
    {
        RdataType.A,
        RdataType.AAAA,
        RdataType.CNAME,
        RdataType.DNAME,
        RdataType.DNSKEY,
        RdataType.DS,
        RdataType.MX,
        RdataType.NS,
        RdataType.NSEC3PARAM,
        RdataType.PTR,
        RdataType.SOA,
        RdataType.SRV,
        RdataType.TXT,
    }
)
"""Types whose presentation format every server reads."""

TYPES_FROM = {RdataType.NSEC: 1, RdataType.NSEC3: 5}
"""Types that end in a list of types, and where in their presentation format that begins."""

NAMED = KNOWN_TO_ALL | TYPES_FROM.keys() | {RdataType.RRSIG}
"""Types that go by their names in such lists."""


def master_file(zone: Zone) -> str:
    """A zone, signatures included, one record a line; no line depends on another.

    What a server may not know by name, or may know in another notation, is in the form for unknown types,
    which servers take for known ones, too (RFC 3597 section 5).
    """
    return "".join(
        f"{rrset.name} {rrset.ttl} IN {_type(rrset.rdtype)} {_rdata(rdata)}\n"
        for rrset in zone
        for rdata in rrset
    )


def _type(rdtype: RdataType) -> str:
    return rdtype.name if rdtype in KNOWN_TO_ALL or rdtype in TYPES_FROM else f"TYPE{int(rdtype)}"


def _rdata(rdata: dns.rdata.Rdata) -> str:
    if rdata.rdtype in TYPES_FROM:
        words, first = rdata.to_text().split(), TYPES_FROM[rdata.rdtype]
        return " ".join([*words[:first], *map(_listed, words[first:])])
    return (rdata if rdata.rdtype in KNOWN_TO_ALL else rdata.to_generic()).to_text()


def _listed(name: str) -> str:
    """A type in a list of types, by its number where a server may not know its name."""
    rdtype = dns.rdatatype.from_text(name)
    return name if rdtype in NAMED else f"TYPE{int(rdtype)}"
