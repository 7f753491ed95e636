"""Zones as text that other servers read: master files (RFC 1035 section 5)."""

from __future__ import annotations

import dns.rdata
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
"""Types whose presentation format every server reads. NSEC and NSEC3 are not among them: they list types."""


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
    return rdtype.name if rdtype in KNOWN_TO_ALL else f"TYPE{int(rdtype)}"


def _rdata(rdata: dns.rdata.Rdata) -> str:
    shown = rdata if rdata.rdtype in KNOWN_TO_ALL else rdata.to_generic()
    return shown.to_text()
