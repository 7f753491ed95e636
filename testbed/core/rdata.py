"""RDATA of the DNSSEC types: how it is made from fields, and what is computed from it."""

from __future__ import annotations

import functools
import hashlib
import struct
from collections.abc import Callable, Iterable

import dns.name
import dns.rdata
import dns.rdataclass
from dns.dnssectypes import DSDigest
from dns.rdatatype import RdataType
from dns.rdtypes.ANY.DNSKEY import DNSKEY
from dns.rdtypes.util import Bitmap

from testbed.core.canonical import name_wire

ZONE_FLAG = 0x0100
REVOKE_FLAG = 0x0080
SEP_FLAG = 0x0001
"""DNSKEY flags (RFC 4034 section 2.1.1, RFC 5011 section 7)."""

ADT_FLAG = 0x0002
"""DNSKEY flag of zones whose referrals prove which types there are (draft-ietf-dnsop-delext section 6.1)."""

DNSSEC_PROTOCOL = 3
"""The only value of DNSKEY's protocol field (RFC 4034 section 2.1.2)."""

Windows = tuple[tuple[int, bytes], ...]
"""A type bitmap as NSEC and NSEC3 records hold it (RFC 4034 section 4.1.2)."""

_DIGESTS = {DSDigest.SHA1: "sha1", DSDigest.SHA256: "sha256", DSDigest.SHA384: "sha384"}


def make(rdtype: RdataType, *fields: object) -> dns.rdata.Rdata:
    """RDATA of class IN from its fields in the order of the wire."""
    class_of: Callable[..., Callable[..., dns.rdata.Rdata]] = dns.rdata.get_rdata_class
    return class_of(dns.rdataclass.IN, rdtype)(dns.rdataclass.IN, rdtype, *fields)


def bitmap(types: Iterable[RdataType]) -> Windows:
    """The bitmap in which these types are set."""
    return tuple(Bitmap.from_rdtypes(list(types)).windows)


@functools.lru_cache(maxsize=8192)
def types_in(windows: Windows) -> frozenset[int]:
    """The types that are set in a bitmap."""
    return frozenset(
        window * 256 + index * 8 + bit
        for window, octets in windows
        for index, octet in enumerate(octets)
        for bit in range(8)
        if octet & 0x80 >> bit
    )


def key_tag(dnskey: DNSKEY) -> int:
    """The key tag of a DNSKEY (RFC 4034 appendix B; not for algorithm 1, which has one of its own)."""
    head = struct.pack("!HBB", dnskey.flags, dnskey.protocol, dnskey.algorithm)
    data = head + dnskey.key
    total = (sum(data[0::2]) << 8) + sum(data[1::2])
    return (total + (total >> 16)) & 0xFFFF


def key_digest(zone: dns.name.Name, dnskey: DNSKEY, digest_type: DSDigest) -> bytes:
    """The digest of a DS record that stands for a DNSKEY (RFC 4034 section 5.1.4).

    Raises KeyError for a digest type that we cannot compute.
    """
    head = struct.pack("!HBB", dnskey.flags, dnskey.protocol, dnskey.algorithm)
    return hashlib.new(_DIGESTS[digest_type], name_wire(zone) + head + dnskey.key).digest()
