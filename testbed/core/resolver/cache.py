"""What the resolver remembers: RRsets with their rank, absences, failures."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum

import dns.name
import dns.rcode
import dns.rdatatype
import dns.rrset

Key = tuple[dns.name.Name, dns.rdatatype.RdataType]

LONGEST_TTL = 7 * 86400
"""Seconds; whatever a zone says, nothing is kept longer (RFC 8767 section 4 recommends a week)."""

NEGATIVE_TTL = 3 * 3600
"""Seconds; the longest that an absence is kept (RFC 2308 section 5)."""

TRANSACTION = 5.0
"""Seconds for which what has a TTL of zero shows the way in the transaction in progress."""

FAILURE_TTL = 5.0
"""Seconds for which a failed resolution is not tried again (RFC 9520 section 3.2: 1 s to 5 min)."""


class Rank(IntEnum):
    """Trustworthiness of data by where it stood in a response (RFC 2181 section 5.4.1), least first."""

    ADDITIONAL = 1
    REFERRAL = 2
    NON_AUTHORITATIVE_ANSWER = 3
    AUTHORITATIVE_AUTHORITY = 4
    AUTHORITATIVE_ANSWER = 5


class Security(IntEnum):
    """Outcome of DNSSEC validation (RFC 4035 section 4.3), least first. Bogus data is not kept."""

    UNCHECKED = 0
    INSECURE = 1
    SECURE = 2


class Standing(IntEnum):
    """Why data about a delegation may be believed, least first.

    LINK: it came over a session whose server proved its name. PATH: moreover, that name was itself
    learned that way or with DNSSEC, back to the root. VALIDATED: its own signatures were verified.
    """

    NONE = 0
    LINK = 1
    PATH = 2
    VALIDATED = 3


@dataclass(frozen=True, slots=True)
class Known:
    """An RRset in the cache. ``expires`` is in the core's time."""

    rrset: dns.rrset.RRset
    signatures: dns.rrset.RRset | None
    rank: Rank
    security: Security
    standing: Standing
    expires: float


@dataclass(frozen=True, slots=True)
class Absent:
    """A cached absence: NXDOMAIN for the whole name, or NODATA for a type (RFC 2308)."""

    rcode: dns.rcode.Rcode
    authority: tuple[dns.rrset.RRset, ...]
    security: Security
    standing: Standing
    expires: float


class Cache:
    """RRsets by name and type, absences, and failures."""

    def __init__(self) -> None:
        self._known: dict[Key, Known] = {}
        self._absent: dict[Key, Absent] = {}
        self._failed: dict[Key, tuple[float, Exception]] = {}

    def flush(self) -> None:
        """Forget everything."""
        self._known.clear()
        self._absent.clear()
        self._failed.clear()

    def put(self, known: Known, now: float) -> bool:
        """Keep an RRset, unless one of higher rank, or one that was validated, is there already."""
        key = (known.rrset.name, known.rrset.rdtype)
        old = self._known.get(key)
        if old is not None and old.expires > now:
            if old.security is Security.SECURE and known.security is not Security.SECURE:
                return False
            if old.rank > known.rank and known.security is not Security.SECURE:
                return False
        self._known[key] = known
        self._absent.pop(key, None)
        return True

    def get(
        self, name: dns.name.Name, rdtype: dns.rdatatype.RdataType, now: float, rank: Rank = Rank.ADDITIONAL
    ) -> Known | None:
        """An RRset of at least this rank that has not expired."""
        known = self._known.get((name, rdtype))
        if known is None or known.rank < rank or known.expires <= now:
            return None
        return known

    def get_way(self, name: dns.name.Name, rdtype: dns.rdatatype.RdataType, now: float) -> Known | None:
        """An RRset of any rank, for the transaction in progress even if its TTL is zero."""
        known = self._known.get((name, rdtype))
        grace = TRANSACTION if known is not None and known.rrset.ttl == 0 else 0.0
        return self.get(name, rdtype, now - grace)

    def put_absent(self, name: dns.name.Name, rdtype: dns.rdatatype.RdataType, absent: Absent) -> None:
        """Keep an absence; NXDOMAIN is kept for all types (RFC 2308 section 5)."""
        if absent.rcode == dns.rcode.NXDOMAIN:
            rdtype = dns.rdatatype.ANY
        self._absent[(name, rdtype)] = absent

    def get_absent(self, name: dns.name.Name, rdtype: dns.rdatatype.RdataType, now: float) -> Absent | None:
        """A cached absence of the type or of the whole name.

        A name below one that provably does not exist does not exist either (RFC 8020); that is
        concluded from validated denials only.
        """
        for key in ((name, rdtype), (name, dns.rdatatype.ANY)):
            absent = self._absent.get(key)
            if absent is not None and absent.expires > now:
                return absent
        while len(name) > 1:
            name = name.parent()
            absent = self._absent.get((name, dns.rdatatype.ANY))
            if absent is not None and absent.expires > now and absent.security is Security.SECURE:
                return absent
        return None

    def put_failure(
        self, name: dns.name.Name, rdtype: dns.rdatatype.RdataType, error: Exception, now: float
    ) -> None:
        """Keep a failed resolution for a moment (RFC 9520)."""
        self._failed[(name, rdtype)] = (now + FAILURE_TTL, error)

    def get_failure(
        self, name: dns.name.Name, rdtype: dns.rdatatype.RdataType, now: float
    ) -> Exception | None:
        """The exception of a resolution that failed a moment ago."""
        entry = self._failed.get((name, rdtype))
        return entry[1] if entry is not None and entry[0] > now else None


def lifetime(rrset: dns.rrset.RRset, now: float, cap: float = LONGEST_TTL) -> float:
    """When an RRset received now expires."""
    return now + min(rrset.ttl, cap)


def way_lifetime(rrset: dns.rrset.RRset, now: float, cap: float = LONGEST_TTL) -> float:
    """When an RRset received now expires that shows the way.

    A TTL of zero is for the transaction in progress (RFC 1035 section 3.2.1).
    """
    return now + (min(rrset.ttl, cap) or TRANSACTION)


def aged(known: Known, now: float) -> dns.rrset.RRset:
    """A copy of a cached RRset with the TTL that is left, for a response."""
    ttl = max(0, int(known.expires - now))
    return dns.rrset.from_rdata_list(known.rrset.name, ttl, list(known.rrset))
