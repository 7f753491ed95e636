"""Canonical form and order of names and RRs (RFC 4034 section 6), and the octets that a signature covers."""

from __future__ import annotations

import struct
from typing import NamedTuple, TypeAlias

import dns.name
import dns.rrset
from dns.rdtypes.ANY.RRSIG import RRSIG

NameKey: TypeAlias = tuple[bytes, ...]
"""A name as its lower-case labels from the root down. Keys compare in the canonical order of RFC 4034
section 6.1, a key that begins with another is at or below it, and hashing one is cheap."""


def name_key(name: dns.name.Name) -> NameKey:
    """The key of an absolute name."""
    return tuple([label.lower() for label in reversed(name.labels)])


def name_wire(name: dns.name.Name) -> bytes:
    """Wire form in lower case and without compression (RFC 4034 section 6.2)."""
    return b"".join([bytes((len(label),)) + label.lower() for label in name.labels])


def parent_of(name: dns.name.Name, labels: int) -> dns.name.Name:
    """The last labels of a name, the root's empty one counted."""
    return dns.name.Name(name.labels[len(name.labels) - labels :])


def wildcard_at(name: dns.name.Name) -> dns.name.Name:
    """The wildcard just below a name (RFC 4592 section 2.1.1).

    Raises dns.name.NameTooLong when there is no room for it.
    """
    return dns.name.Name((b"*", *name.labels))


def canonical_rdata(rrset: dns.rrset.RRset) -> list[bytes]:
    """RDATA in canonical form and order, without duplicates (RFC 4034 sections 6.2 and 6.3)."""
    return sorted({rdata.to_digestable() for rdata in rrset})


def signature_labels(name: dns.name.Name) -> int:
    """The Labels field of a signature over a name: no root, no leading ``*`` (RFC 4034 section 3.1.3)."""
    return len(name.labels) - 1 - name.is_wild()


class SignatureFields(NamedTuple):
    """The fields of an RRSIG record that are themselves signed (RFC 4034 section 3.1)."""

    type_covered: int
    algorithm: int
    labels: int
    original_ttl: int
    expiration: int
    inception: int
    key_tag: int
    signer: dns.name.Name


def signed_data(rrset: dns.rrset.RRset, fields: SignatureFields | RRSIG) -> bytes:
    """What an RRSIG signs: its RDATA without the signature, then the RRset (RFC 4034 section 3.1.8.1).

    A name that has more labels than the RRSIG says was expanded from a wildcard, and is replaced by it. That
    it does not have fewer is for the caller to check.
    """
    name = rrset.name
    if fields.labels < signature_labels(name):
        owner = b"\x01*" + name_wire(parent_of(name, fields.labels + 1))
    else:
        owner = name_wire(name)
    parts = [
        struct.pack(
            "!HBBIIIH",
            fields.type_covered,
            fields.algorithm,
            fields.labels,
            fields.original_ttl,
            fields.expiration,
            fields.inception,
            fields.key_tag,
        ),
        name_wire(fields.signer),
    ]
    head = owner + struct.pack("!HHI", rrset.rdtype, rrset.rdclass, fields.original_ttl)
    for rdata in canonical_rdata(rrset):
        parts += (head, len(rdata).to_bytes(2, "big"), rdata)
    return b"".join(parts)
