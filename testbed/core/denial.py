"""Authenticated denial of existence: what a resolver may conclude from NSEC and NSEC3 records.

RFC 4035 section 5.4 for NSEC, RFC 5155 section 8 for NSEC3, with RFC 6840 section 4 and RFC 9276.

``extended`` is for resolvers that know of Delegation Types: to these each makes a zone cut, as NS does, and
is the parent's there, as DS is (draft-ietf-dnsop-delext section 6.3). To others they are types like any.
"""

from __future__ import annotations

import enum
from collections.abc import Callable, Collection, Iterable
from typing import NamedTuple, Protocol, cast

import dns.name
import dns.rrset
from dns.rdatatype import RdataType
from dns.rdtypes.ANY.NSEC import NSEC
from dns.rdtypes.ANY.NSEC3 import NSEC3

from testbed.core.canonical import NameKey, name_key, parent_of, wildcard_at
from testbed.core.deleg import DELEGATION_TYPES
from testbed.core.nsec3 import OPT_OUT, SHA1, nsec3_hash, owner_hash
from testbed.core.rdata import Windows, types_in
from testbed.core.zone import PARENT_SIDE

MOST_ITERATIONS = 100
"""NSEC3 records with more iterations are not relied on: the answer is insecure (RFC 9276 section 3.2)."""

Types = frozenset[int]


class Proof(enum.Enum):
    """What records prove. INSECURE: the response may be used, but as if the zone were not signed."""

    NOT_PROVEN = 0
    INSECURE = 1
    PROVEN = 2


def proves_nodata(
    name: dns.name.Name,
    rdtype: RdataType,
    records: Iterable[dns.rrset.RRset],
    zone: dns.name.Name,
    *,
    extended: bool = False,
) -> Proof:
    """Whether there is no RRset of a name and type, while the name or a wildcard for it exists.

    ``records`` are NSEC or NSEC3 RRsets whose signatures by ``zone`` were verified, none of them expanded
    from a wildcard; others are ignored. INSECURE within an opt-out span: the name may be an unsigned
    delegation, or lead to one, and then has no record to match (RFC 5155 sections 7.1, 8.6 and 12.2).
    """
    of_parent = rdtype in PARENT_SIDE and (extended or rdtype not in DELEGATION_TYPES)

    def conclude(denials: _Denials) -> Proof:
        types = denials.types_at(name)
        if types is not None:
            return _lacks(types, rdtype, of_parent)
        closest = denials.closest_encloser(name)
        if closest is None:
            return Proof.NOT_PROVEN
        types = denials.types_at(wildcard_at(closest.name))
        if types is not None:
            return closest.proof if _lacks(types, rdtype, of_parent) is Proof.PROVEN else Proof.NOT_PROVEN
        return Proof.INSECURE if closest.proof is Proof.INSECURE else Proof.NOT_PROVEN

    return _judge(conclude, name, records, zone, extended)


def proves_nxdomain(
    name: dns.name.Name,
    records: Iterable[dns.rrset.RRset],
    zone: dns.name.Name,
    *,
    extended: bool = False,
) -> Proof:
    """Whether neither a name nor a wildcard for it exists. For ``records`` see ``proves_nodata``.

    INSECURE within an opt-out span: the name may be an unsigned delegation (RFC 5155 section 9.2).
    """

    def conclude(denials: _Denials) -> Proof:
        closest = denials.closest_encloser(name)
        if closest is None or denials.denies(wildcard_at(closest.name)) is Proof.NOT_PROVEN:
            return Proof.NOT_PROVEN
        return closest.proof

    return _judge(conclude, name, records, zone, extended)


def proves_wildcard(
    name: dns.name.Name,
    source: dns.name.Name,
    records: Iterable[dns.rrset.RRset],
    zone: dns.name.Name,
    *,
    extended: bool = False,
) -> Proof:
    """Whether an answer for a name was rightly expanded from a wildcard, ``source``: nothing is closer.

    For ``records`` see ``proves_nodata``. That the wildcard exists is known from its signature.
    """
    encloser = source.parent()
    if len(name) <= len(encloser) or not name.is_subdomain(encloser):
        return Proof.NOT_PROVEN
    next_closer = parent_of(name, len(source))
    return _judge(lambda denials: denials.denies(next_closer), name, records, zone, extended)


def proves_unsigned_delegation(
    name: dns.name.Name,
    records: Iterable[dns.rrset.RRset],
    zone: dns.name.Name,
    *,
    extended: bool = False,
) -> Proof:
    """Whether a name is a zone cut without DS, or may be one in an opt-out span (RFC 5155 section 8.9).

    For ``records`` see ``proves_nodata``. INSECURE has the same consequence as PROVEN, for another reason.
    """

    def conclude(denials: _Denials) -> Proof:
        types = denials.types_at(name)
        if types is not None:
            unsigned = _is_cut(types) and RdataType.DS not in types
            return Proof.PROVEN if unsigned else Proof.NOT_PROVEN
        closest = denials.closest_encloser(name)
        opt_out = closest is not None and closest.proof is Proof.INSECURE
        return Proof.PROVEN if opt_out else Proof.NOT_PROVEN

    return _judge(conclude, name, records, zone, extended)


def proves_delegation_types(
    name: dns.name.Name, present: Collection[int], records: Iterable[dns.rrset.RRset], zone: dns.name.Name
) -> Proof:
    """Whether a name is a zone cut with these Delegation Types (draft-ietf-dnsop-delext section 6.2).

    For ``records`` see ``proves_nodata``. INSECURE within an opt-out span, in which there are none.
    """

    def conclude(denials: _Denials) -> Proof:
        types = denials.types_at(name)
        if types is not None:
            same = types & DELEGATION_TYPES == frozenset(present)
            return Proof.PROVEN if same and _is_cut(types) else Proof.NOT_PROVEN
        closest = denials.closest_encloser(name)
        opt_out = closest is not None and closest.proof is Proof.INSECURE
        return Proof.INSECURE if opt_out and not present else Proof.NOT_PROVEN

    return _judge(conclude, name, records, zone, extended=True)


class _Closest(NamedTuple):
    """A closest encloser, and whether it is one: INSECURE when a delegation may hide in the span below it."""

    name: dns.name.Name
    proof: Proof


class _Denials(Protocol):
    """What a chain of NSEC or of NSEC3 records says about names in the zone."""

    def types_at(self, name: dns.name.Name) -> Types | None:
        """The types at a name that is shown to exist; none at an empty non-terminal."""

    def closest_encloser(self, name: dns.name.Name) -> _Closest | None:
        """The deepest existing ancestor of a name that is shown not to exist."""

    def denies(self, name: dns.name.Name) -> Proof:
        """Whether a name, whose parent exists, does not."""


def _judge(
    conclude: Callable[[_Denials], Proof],
    name: dns.name.Name,
    records: Iterable[dns.rrset.RRset],
    zone: dns.name.Name,
    extended: bool,
) -> Proof:
    """The best that either kind of records proves about a name in the zone."""
    apex = name_key(zone)
    proof = Proof.NOT_PROVEN
    if name_key(name)[: len(apex)] != apex:
        return proof
    records = list(records)
    nsecs = [_Nsec.read(rrset, extended) for rrset in records if rrset.rdtype == RdataType.NSEC]
    if nsecs:
        proof = conclude(_NsecDenials(nsecs, apex))
    nsec3s = [_Nsec3.read(rrset, extended) for rrset in records if _usable(rrset, zone)]
    if any(record.iterations > MOST_ITERATIONS for record in nsec3s):
        return max(proof, Proof.INSECURE, key=lambda item: item.value)
    if nsec3s and proof is Proof.NOT_PROVEN:
        proof = conclude(_Nsec3Denials(nsec3s, zone))
    return proof


def _types(windows: Windows, extended: bool) -> Types:
    """The types in a bitmap, NS among them where others do what it does."""
    types = types_in(windows)
    return types | {RdataType.NS} if extended and types & DELEGATION_TYPES else types


def _is_cut(types: Types) -> bool:
    """Whether a bitmap is that of a zone cut, seen from the parent."""
    return RdataType.NS in types and RdataType.SOA not in types


def _hides_below(types: Types) -> bool:
    """Whether the zone has no say in what is below a name with these types (RFC 6840 section 4.1)."""
    return _is_cut(types) or RdataType.DNAME in types


def _lacks(types: Types, rdtype: RdataType, of_parent: bool) -> Proof:
    """Whether a bitmap shows that a type is absent (RFC 6840 sections 4.1 and 4.3).

    At a zone cut the parent has a say in what is its own, such as DS, only; the child in all else.
    """
    foreign = RdataType.SOA in types if of_parent else _is_cut(types)
    present = rdtype in types or RdataType.CNAME in types or (rdtype == RdataType.ANY and types)
    return Proof.NOT_PROVEN if foreign or present else Proof.PROVEN


# -- NSEC ------------------------------------------------------------------------------------------


class _Nsec(NamedTuple):
    owner: NameKey
    next: NameKey
    types: Types

    @classmethod
    def read(cls, rrset: dns.rrset.RRset, extended: bool) -> _Nsec:
        record = cast(NSEC, rrset[0])
        return cls(name_key(rrset.name), name_key(record.next), _types(record.windows, extended))


class _NsecDenials:
    def __init__(self, records: list[_Nsec], apex: NameKey) -> None:
        self._records = [
            record for record in records if _below(record.owner, apex) and _below(record.next, apex)
        ]
        self._apex = apex

    def types_at(self, name: dns.name.Name) -> Types | None:
        key = name_key(name)
        for record in self._records:
            if record.owner == key:
                return record.types
        covering = self._covering(key)
        return frozenset() if covering is not None and _below(covering.next, key) else None

    def closest_encloser(self, name: dns.name.Name) -> _Closest | None:
        key = name_key(name)
        covering = self._covering(key)
        if covering is None or _below(covering.next, key):
            return None
        labels = max(_common(covering.owner, key), _common(covering.next, key))
        return _Closest(parent_of(name, labels), Proof.PROVEN)

    def denies(self, name: dns.name.Name) -> Proof:
        return Proof.PROVEN if self.closest_encloser(name) is not None else Proof.NOT_PROVEN

    def _covering(self, key: NameKey) -> _Nsec | None:
        """The record in whose span a name falls, unless it is that of a cut or DNAME above it."""
        for record in self._records:
            covers = record.owner < key and (key < record.next or record.next == self._apex)
            if covers and not (_below(key, record.owner) and _hides_below(record.types)):
                return record
        return None


def _below(key: NameKey, other: NameKey) -> bool:
    """Whether a name is at or below another."""
    return key[: len(other)] == other


def _common(key: NameKey, other: NameKey) -> int:
    """How many labels two names share, from the root on."""
    return next(
        (count for count, (a, b) in enumerate(zip(key, other, strict=False)) if a != b),
        min(len(key), len(other)),
    )


# -- NSEC3 -----------------------------------------------------------------------------------------


class _Nsec3(NamedTuple):
    digest: bytes
    next: bytes
    iterations: int
    salt: bytes
    types: Types
    proof: Proof
    """What it proves about names in its span."""

    @classmethod
    def read(cls, rrset: dns.rrset.RRset, extended: bool) -> _Nsec3:
        record = cast(NSEC3, rrset[0])
        return cls(
            owner_hash(rrset.name) or b"",
            record.next,
            record.iterations,
            record.salt,
            _types(record.windows, extended),
            Proof.INSECURE if record.flags & OPT_OUT else Proof.PROVEN,
        )

    def covers(self, name: dns.name.Name) -> bool:
        digest = nsec3_hash(name, self.iterations, self.salt)
        if self.digest < self.next:
            return self.digest < digest < self.next
        return digest > self.digest or digest < self.next

    def matches(self, name: dns.name.Name) -> bool:
        return self.digest == nsec3_hash(name, self.iterations, self.salt)


def _usable(rrset: dns.rrset.RRset, zone: dns.name.Name) -> bool:
    """Whether an RRset is NSEC3, of the zone, and of a kind that we know (RFC 5155 sections 8.1 and 8.2)."""
    if rrset.rdtype != RdataType.NSEC3 or len(rrset.name) < 2 or rrset.name.parent() != zone:
        return False
    record = cast(NSEC3, rrset[0])
    return record.algorithm == SHA1 and record.flags in (0, OPT_OUT) and owner_hash(rrset.name) is not None


class _Nsec3Denials:
    def __init__(self, records: list[_Nsec3], zone: dns.name.Name) -> None:
        self._records = records
        self._zone = zone

    def types_at(self, name: dns.name.Name) -> Types | None:
        return next((record.types for record in self._records if record.matches(name)), None)

    def closest_encloser(self, name: dns.name.Name) -> _Closest | None:
        for labels in range(len(name) - 1, len(self._zone) - 1, -1):
            ancestor = parent_of(name, labels)
            types = self.types_at(ancestor)
            if types is not None:
                proof = self.denies(parent_of(name, labels + 1))
                return None if _hides_below(types) else _Closest(ancestor, proof)
        return None

    def denies(self, name: dns.name.Name) -> Proof:
        covering = next((record for record in self._records if record.covers(name)), None)
        return covering.proof if covering is not None else Proof.NOT_PROVEN
