"""Hashed names, and the chain of NSEC3 records that a zone's denials are taken from (RFC 5155)."""

from __future__ import annotations

import base64
import binascii
import bisect
import functools
import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import cast

import dns.name
import dns.rrset
from dns.rdtypes.ANY.NSEC3 import NSEC3

from testbed.core.canonical import name_wire

SHA1 = 1
"""The only hash algorithm that is defined (RFC 5155 section 11)."""

OPT_OUT = 0x01
"""The flag that says that unsigned delegations may exist in the span (RFC 5155 section 3.1.2.1)."""


def nsec3_hash(name: dns.name.Name, iterations: int, salt: bytes) -> bytes:
    """The hash of a name (RFC 5155 section 5)."""
    return _hash(name_wire(name), iterations, salt)


@functools.lru_cache(maxsize=65536)
def _hash(wire: bytes, iterations: int, salt: bytes) -> bytes:
    digest = hashlib.sha1(wire + salt, usedforsecurity=False).digest()
    for _ in range(iterations):
        digest = hashlib.sha1(digest + salt, usedforsecurity=False).digest()
    return digest


def hash_owner(digest: bytes, zone: dns.name.Name) -> dns.name.Name:
    """The owner name of the NSEC3 RRset for a hash (RFC 5155 section 3)."""
    return dns.name.Name((base64.b32hexencode(digest).lower(), *zone.labels))


def owner_hash(owner: dns.name.Name) -> bytes | None:
    """The hash that an NSEC3 RRset's owner name stands for, None when it stands for none."""
    try:
        return base64.b32hexdecode(owner.labels[0].upper())
    except binascii.Error:
        return None


@dataclass(frozen=True, slots=True)
class Nsec3Chain:
    """The NSEC3 RRsets of a zone in the order of their hashes, and the parameters that they share."""

    iterations: int
    salt: bytes
    hashes: Sequence[bytes]
    rrsets: Sequence[dns.rrset.RRset]

    @classmethod
    def of(cls, rrsets: Iterable[dns.rrset.RRset], iterations: int, salt: bytes) -> Nsec3Chain | None:
        """The chain made of those RRsets that have these parameters, if there are any."""
        chain: dict[bytes, dns.rrset.RRset] = {}
        for rrset in rrsets:
            record = cast(NSEC3, rrset[0])
            digest = owner_hash(rrset.name)
            if digest is not None and (record.iterations, record.salt) == (iterations, salt):
                chain[digest] = rrset
        hashes = sorted(chain)
        return cls(iterations, salt, hashes, [chain[digest] for digest in hashes]) if chain else None

    def matching(self, name: dns.name.Name) -> dns.rrset.RRset | None:
        """The NSEC3 RRset whose owner is the hash of a name."""
        digest = nsec3_hash(name, self.iterations, self.salt)
        index = bisect.bisect_left(self.hashes, digest)
        if index < len(self.hashes) and self.hashes[index] == digest:
            return self.rrsets[index]
        return None

    def covering(self, name: dns.name.Name) -> dns.rrset.RRset:
        """The NSEC3 RRset in whose span the hash of a name falls, for a name that none matches."""
        digest = nsec3_hash(name, self.iterations, self.salt)
        return self.rrsets[bisect.bisect_right(self.hashes, digest) - 1]
