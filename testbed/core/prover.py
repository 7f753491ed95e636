"""The denials that an authoritative server adds to its responses (RFC 4035 3.1.3, RFC 5155 7.2).

Each function gives the NSEC or NSEC3 RRsets for one kind of response, without their signatures, and none in a
zone that has no denials.
"""

from __future__ import annotations

from collections.abc import Iterable

import dns.name
import dns.rrset

from testbed.core.canonical import parent_of, wildcard_at
from testbed.core.nsec3 import Nsec3Chain
from testbed.core.zone import Zone


def nodata(zone: Zone, name: dns.name.Name) -> list[dns.rrset.RRset]:
    """The proof that an existing name lacks a type, or that a delegation is unsigned.

    With opt-out such a delegation may have no NSEC3 record: then the closest one that is above it is shown,
    and the span that it falls into (RFC 5155 sections 7.2.3, 7.2.4 and 7.2.7).
    """
    if zone.nsec3 is None:
        return _nsecs(zone, name)
    match = zone.nsec3.matching(name)
    return [match] if match is not None else _closest_encloser(zone, zone.nsec3, name)


def nxdomain(zone: Zone, name: dns.name.Name) -> list[dns.rrset.RRset]:
    """The proof that neither a name nor a wildcard for it exists (RFC 4035 3.1.3.2, RFC 5155 7.2.2)."""
    wildcard = wildcard_at(zone.closest_encloser(name))
    if zone.nsec3 is None:
        return _nsecs(zone, name, wildcard)
    return _distinct([*_closest_encloser(zone, zone.nsec3, name), zone.nsec3.covering(wildcard)])


def wildcard_answer(zone: Zone, name: dns.name.Name) -> list[dns.rrset.RRset]:
    """The proof that nothing closer than the wildcard matches a name (RFC 4035 3.1.3.3, RFC 5155 7.2.6)."""
    if zone.nsec3 is None:
        return _nsecs(zone, name)
    return [zone.nsec3.covering(parent_of(name, len(zone.closest_encloser(name)) + 1))]


def wildcard_nodata(zone: Zone, name: dns.name.Name) -> list[dns.rrset.RRset]:
    """The proof that a name matches a wildcard without the type (RFC 4035 3.1.3.4, RFC 5155 7.2.5)."""
    wildcard = wildcard_at(zone.closest_encloser(name))
    if zone.nsec3 is None:
        return _nsecs(zone, name, wildcard)
    match = zone.nsec3.matching(wildcard)
    return _distinct([*_closest_encloser(zone, zone.nsec3, name), *([] if match is None else [match])])


def _nsecs(zone: Zone, *names: dns.name.Name) -> list[dns.rrset.RRset]:
    return _distinct(zone.nsec(name) for name in names) if zone.denial == "nsec" else []


def _closest_encloser(zone: Zone, chain: Nsec3Chain, name: dns.name.Name) -> list[dns.rrset.RRset]:
    """What matches the closest encloser that has an NSEC3, and what covers the next closer name."""
    for labels in range(len(name) - 1, len(zone.origin) - 1, -1):
        match = chain.matching(parent_of(name, labels))
        if match is not None:
            return _distinct([match, chain.covering(parent_of(name, labels + 1))])
    return []


def _distinct(rrsets: Iterable[dns.rrset.RRset]) -> list[dns.rrset.RRset]:
    return list({id(rrset): rrset for rrset in rrsets}.values())
