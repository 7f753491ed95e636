"""What a validating resolver does with signatures: from a DS to a zone's keys, from the keys to its RRsets.

The rules are those of RFC 4035 section 5, with the clarifications of RFC 6840 and a bound on the work that a
response can cause. Nothing here asks for data or decides what is to be signed: that is the resolver's part.
"""

from __future__ import annotations

import functools
from collections.abc import Iterator
from dataclasses import dataclass
from enum import IntEnum
from typing import Any, cast

import dns.name
import dns.rdatatype
import dns.rrset
from cryptography.exceptions import InvalidSignature
from dns.dnssecalgs import get_algorithm_cls
from dns.dnssectypes import Algorithm, DSDigest
from dns.rdatatype import RdataType
from dns.rdtypes.ANY.DNSKEY import DNSKEY
from dns.rdtypes.ANY.DS import DS
from dns.rdtypes.ANY.RRSIG import RRSIG

from testbed.core.canonical import name_key, parent_of, signature_labels, signed_data, wildcard_at
from testbed.core.rdata import DNSSEC_PROTOCOL, REVOKE_FLAG, ZONE_FLAG, key_digest, key_tag, make

ALGORITHMS = frozenset(
    {
        Algorithm.RSASHA256,
        Algorithm.RSASHA512,
        Algorithm.ECDSAP256SHA256,
        Algorithm.ECDSAP384SHA384,
        Algorithm.ED25519,
        Algorithm.ED448,
    }
)
"""The algorithms that we validate with; what is signed with others only counts as unsigned (RFC 8624)."""

DIGESTS = frozenset({DSDigest.SHA1, DSDigest.SHA256, DSDigest.SHA384})

MOST_VERIFICATIONS = 16
"""Signatures that are tried for one RRset, over all its RRSIGs and keys (CVE-2023-50387, KeyTrap)."""

MOST_DIGESTS = 32
"""Digests that are computed to match one DS RRset with one DNSKEY RRset."""


class Ede(IntEnum):
    """INFO-CODEs of extended DNS errors about validation (RFC 8914 section 4)."""

    UNSUPPORTED_ALGORITHM = 1
    UNSUPPORTED_DIGEST = 2
    BOGUS = 6
    EXPIRED = 7
    NOT_YET_VALID = 8
    DNSKEY_MISSING = 9
    RRSIGS_MISSING = 10
    NO_ZONE_KEY_BIT = 11
    NSEC_MISSING = 12


class Bogus(Exception):  # noqa: N818 (the term of RFC 4035)
    """Data that should be signed fails validation (RFC 4035 section 4.3). ``code`` is an EDE INFO-CODE."""

    def __init__(self, code: int, text: str) -> None:
        super().__init__(text)
        self.code = int(code)
        self.text = text


@dataclass(frozen=True, slots=True)
class Verified:
    """An RRset whose signature was verified.

    ``ttl`` is how many seconds it may be kept (RFC 4035 section 5.3.3). ``wildcard_source`` is the wildcard
    that it was expanded from, if it was: an answer then needs a proof that nothing closer exists (section
    5.3.4), and an NSEC or NSEC3 RRset proves nothing.
    """

    ttl: int
    wildcard_source: dns.name.Name | None


def supported(ds: dns.rrset.RRset) -> dns.rrset.RRset:
    """Those DS records that we can use, maybe none: then the zone is insecure (RFC 4035 section 5.2).

    Where there are stronger digests, SHA-1 is not used (RFC 4509 section 3).
    """
    usable = [
        cast(DS, rdata) for rdata in ds if rdata.algorithm in ALGORITHMS and rdata.digest_type in DIGESTS
    ]
    strong = [rdata for rdata in usable if rdata.digest_type != DSDigest.SHA1]
    found = dns.rrset.RRset(ds.name, ds.rdclass, ds.rdtype)
    for rdata in strong or usable:
        found.add(rdata, ds.ttl)
    return found


def why_unsupported(ds: dns.rrset.RRset) -> tuple[Ede, str]:
    """The extended error that says why none of these DS records can be used."""
    if not any(rdata.algorithm in ALGORITHMS for rdata in ds):
        algorithms = ", ".join(sorted({str(int(rdata.algorithm)) for rdata in ds}))
        return Ede.UNSUPPORTED_ALGORITHM, f"{ds.name}: no support for algorithm {algorithms}"
    digests = ", ".join(sorted({str(int(rdata.digest_type)) for rdata in ds}))
    return Ede.UNSUPPORTED_DIGEST, f"{ds.name}: no support for digest type {digests}"


def verify_dnskeys(
    dnskeys: dns.rrset.RRset, signatures: dns.rrset.RRset | None, ds: dns.rrset.RRset, now: float
) -> dns.rrset.RRset:
    """The keys of a zone, once one that a DS record stands for has signed them (RFC 4035 section 5.2).

    ``ds`` is the validated DS RRset, or a trust anchor; the keys come as an RRset with the TTL that they may
    be kept for, and only those that can verify anything. Raises Bogus when there is no such signature, and
    ValueError when ``supported`` leaves nothing of the DS RRset.
    """
    usable = supported(ds)
    if not usable:
        raise ValueError(f"{ds.name}: no usable DS")
    entry = list(_matching(dnskeys, usable))
    if not entry:
        raise Bogus(Ede.DNSKEY_MISSING, f"{dnskeys.name}: no DNSKEY matches the DS")
    if not any(key.flags & ZONE_FLAG for key in entry):
        raise Bogus(Ede.NO_ZONE_KEY_BIT, f"{dnskeys.name}: the DNSKEY that matches the DS is no zone key")
    trusted = dns.rrset.from_rdata(dnskeys.name, dnskeys.ttl, *entry)
    verified = verify(dnskeys, signatures, trusted, dnskeys.name, now)
    able = (key for key in dnskeys if _can_verify(cast(DNSKEY, key)))
    return dns.rrset.from_rdata(dnskeys.name, verified.ttl, *able)


def verify(
    rrset: dns.rrset.RRset,
    signatures: dns.rrset.RRset | None,
    keys: dns.rrset.RRset,
    zone: dns.name.Name,
    now: float,
) -> Verified:
    """Verify an RRset with a zone's keys; one good signature is enough (RFC 4035 section 5.3, RFC 6840 5.4).

    ``now`` is in seconds of Unix time; no skew is allowed for. Raises Bogus, with the reason of the signature
    that came closest.
    """
    if not signatures:
        raise Bogus(Ede.RRSIGS_MISSING, f"{_what(rrset)} is not signed")
    apex = name_key(zone)
    if name_key(rrset.name)[: len(apex)] != apex or signatures.name != rrset.name:
        raise Bogus(Ede.BOGUS, f"{_what(rrset)} is not in zone {zone}")
    failure: Bogus | None = None
    budget = MOST_VERIFICATIONS
    for rdata in signatures:
        rrsig = cast(RRSIG, rdata)
        if (
            rrsig.type_covered != rrset.rdtype
            or rrsig.algorithm not in ALGORITHMS
            or name_key(rrsig.signer) != apex
        ):
            continue
        problem = _problem(rrset, rrsig, len(apex) - 1, now)
        data = None
        for key in () if problem else _candidates(keys, rrsig):
            budget -= 1
            if budget < 0:
                raise Bogus(Ede.BOGUS, f"{_what(rrset)} has too many signatures")
            data = data or signed_data(rrset, rrsig)
            if _good(key.algorithm, key.key, data, rrsig.signature):
                return _verified(rrset, signatures.ttl, rrsig, now)
        if problem is None:
            problem = _no_key(rrset, rrsig) if data is None else _wrong(rrset)
        failure = problem if failure is None else max(failure, problem, key=_closeness)
    raise failure or Bogus(Ede.RRSIGS_MISSING, f"{_what(rrset)} has no signature by zone {zone}")


# -- keys ------------------------------------------------------------------------------------------


def _matching(dnskeys: dns.rrset.RRset, ds: dns.rrset.RRset) -> Iterator[DNSKEY]:
    """The keys that DS records stand for (RFC 4034 section 5.1.4)."""
    budget = MOST_DIGESTS
    for rdata in dnskeys:
        key = cast(DNSKEY, rdata)
        tag = key_tag(key)
        for candidate in ds:
            if (candidate.key_tag, candidate.algorithm) != (tag, key.algorithm):
                continue
            budget -= 1
            if budget < 0:
                return
            if key_digest(dnskeys.name, key, candidate.digest_type) == candidate.digest:
                yield key
                break


def _can_verify(key: DNSKEY) -> bool:
    """Whether a key may verify data: a zone key that is not revoked (RFC 4034 2.1, RFC 5011 2.1)."""
    flags = int(key.flags) & (ZONE_FLAG | REVOKE_FLAG)
    return flags == ZONE_FLAG and key.protocol == DNSSEC_PROTOCOL and key.algorithm in ALGORITHMS


def _candidates(keys: dns.rrset.RRset, rrsig: RRSIG) -> Iterator[DNSKEY]:
    for rdata in keys:
        key = cast(DNSKEY, rdata)
        if key.algorithm == rrsig.algorithm and _can_verify(key) and key_tag(key) == rrsig.key_tag:
            yield key


# -- signatures ------------------------------------------------------------------------------------


def _problem(rrset: dns.rrset.RRset, rrsig: RRSIG, fewest_labels: int, now: float) -> Bogus | None:
    """Why a signature cannot be used, before any key is looked at (RFC 4035 section 5.3.1)."""
    if not fewest_labels <= rrsig.labels <= signature_labels(rrset.name):
        return Bogus(Ede.BOGUS, f"{_what(rrset)}: wrong number of labels in the signature")
    moment = int(now)
    if _later(moment, rrsig.expiration):
        return Bogus(Ede.EXPIRED, f"{_what(rrset)}: signature expired")
    if _later(rrsig.inception, moment):
        return Bogus(Ede.NOT_YET_VALID, f"{_what(rrset)}: signature not yet valid")
    return None


def _later(moment: int, other: int) -> bool:
    """Whether a moment is after another, both modulo 2**32 (RFC 4034 section 3.1.5, RFC 1982)."""
    return 0 < (moment - other) % 2**32 < 2**31


def _verified(rrset: dns.rrset.RRset, rrsig_ttl: int, rrsig: RRSIG, now: float) -> Verified:
    left = (rrsig.expiration - int(now)) % 2**32
    source = None
    if rrsig.labels < signature_labels(rrset.name):
        source = wildcard_at(parent_of(rrset.name, rrsig.labels + 1))
    return Verified(min(rrset.ttl, rrsig_ttl, rrsig.original_ttl, left), source)


def _good(algorithm: Algorithm, key: bytes, data: bytes, signature: bytes) -> bool:
    try:
        _check(int(algorithm), key, data, signature)
    except (InvalidSignature, ValueError):
        return False
    return True


@functools.lru_cache(maxsize=32768)
def _check(algorithm: int, key: bytes, data: bytes, signature: bytes) -> None:
    """Do nothing when the signature is good; only then is that remembered."""
    _public_key(algorithm, key).verify(signature, data)


@functools.lru_cache(maxsize=4096)
def _public_key(algorithm: int, key: bytes) -> Any:
    dnskey = cast(DNSKEY, make(RdataType.DNSKEY, ZONE_FLAG, DNSSEC_PROTOCOL, algorithm, key))
    return get_algorithm_cls(algorithm).public_cls.from_dnskey(dnskey)


# -- reasons ---------------------------------------------------------------------------------------

_CLOSENESS = (Ede.DNSKEY_MISSING, Ede.BOGUS, Ede.NOT_YET_VALID, Ede.EXPIRED)


def _closeness(failure: Bogus) -> int:
    return _CLOSENESS.index(Ede(failure.code))


def _no_key(rrset: dns.rrset.RRset, rrsig: RRSIG) -> Bogus:
    return Bogus(Ede.DNSKEY_MISSING, f"{_what(rrset)}: no key with tag {rrsig.key_tag} to verify it")


def _wrong(rrset: dns.rrset.RRset) -> Bogus:
    return Bogus(Ede.BOGUS, f"{_what(rrset)}: wrong signature")


def _what(rrset: dns.rrset.RRset) -> str:
    return f"{rrset.name} {dns.rdatatype.to_text(rrset.rdtype)}"
