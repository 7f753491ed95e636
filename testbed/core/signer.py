"""Signs zones: keys, signatures, chains of NSEC or NSEC3 (RFC 4035 section 2, RFC 5155 section 7)."""

from __future__ import annotations

import functools
from collections.abc import Iterator
from dataclasses import dataclass, field

import dns.name
import dns.rrset
from dns.dnssecalgs.base import GenericPrivateKey
from dns.dnssectypes import Algorithm, DSDigest
from dns.rdatatype import RdataType
from dns.rdtypes.ANY.DNSKEY import DNSKEY

from testbed.core import nsec3, rdata
from testbed.core.canonical import SignatureFields, name_wire, parent_of, signature_labels, signed_data
from testbed.core.derive import private_key
from testbed.core.zone import CUTTING, PARENT_SIDE, Denial, Zone

_MADE_HERE = frozenset({RdataType.RRSIG, RdataType.NSEC, RdataType.NSEC3, RdataType.NSEC3PARAM})


@dataclass(frozen=True, eq=False)
class ZoneKey:
    """A key pair of a zone: the DNSKEY record, its tag (RFC 4034 appendix B) and the private half."""

    dnskey: DNSKEY
    tag: int
    private: GenericPrivateKey = field(repr=False)

    @classmethod
    def derive(cls, seed: bytes, zone: dns.name.Name, flags: int, algorithm: int) -> ZoneKey:
        """The key that follows from a seed. Raises KeyError for an algorithm that we cannot sign with."""
        private = private_key(algorithm, seed, flags.to_bytes(2, "big") + name_wire(zone))
        dnskey = private.public_key().to_dnskey(flags=flags, protocol=rdata.DNSSEC_PROTOCOL)
        return cls(dnskey, rdata.key_tag(dnskey), private)

    def sign(self, data: bytes) -> bytes:
        """The signature over octets, the same each time (RFC 6979 for ECDSA)."""
        return self.private.sign(data, verify=False, deterministic=True)


@dataclass(frozen=True, eq=False)
class KeySet:
    """The keys of a zone: the KSK signs the DNSKEY RRset, the ZSK all else (RFC 9499 section 11)."""

    zone: dns.name.Name
    ksk: ZoneKey
    zsk: ZoneKey

    @classmethod
    @functools.lru_cache(maxsize=4096)
    def derive(
        cls, seed: bytes, zone: dns.name.Name, algorithm: int = Algorithm.ECDSAP256SHA256, flags: int = 0
    ) -> KeySet:
        """The keys of a zone that follow from a seed. ``flags`` are those that both have beside the usual.

        Raises KeyError for an algorithm that we cannot sign with; we can with 8, 10, 13, 14, 15 and 16.
        """
        flags |= rdata.ZONE_FLAG
        ksk = ZoneKey.derive(seed, zone, flags | rdata.SEP_FLAG, algorithm)
        return cls(zone, ksk, ZoneKey.derive(seed, zone, flags, algorithm))


def ds_for(
    zone: dns.name.Name, keys: KeySet, digest: DSDigest = DSDigest.SHA256, ttl: int = 3600
) -> dns.rrset.RRset:
    """The DS RRset that leads to a zone's KSK, for its parent or as a trust anchor. TTL in seconds."""
    dnskey = keys.ksk.dnskey
    octets = rdata.key_digest(zone, dnskey, digest)
    ds = rdata.make(RdataType.DS, keys.ksk.tag, dnskey.algorithm, digest, octets)
    return dns.rrset.from_rdata(zone, ttl, ds)


def sign_zone(
    zone: Zone,
    keys: KeySet,
    *,
    inception: int,
    expiration: int,
    denial: Denial = "nsec",
    opt_out: bool = False,
    iterations: int = 0,
    salt: bytes = b"",
) -> Zone:
    """A zone with keys, signatures valid between two Unix times, and proofs of absence.

    Signatures and denials that are in the zone already are replaced; DNSKEYs in it stay, beside ours. With
    ``opt_out`` unsigned delegations get no NSEC3 record (RFC 5155 section 6), nor do empty non-terminals that
    only lead to such (section 7.1). Both whole zones and single signatures are remembered, so that signing
    again costs only what has changed.
    """
    return _sign_zone(zone, keys, inception, expiration, denial, opt_out, iterations, salt)


@functools.lru_cache(maxsize=1024)
def _sign_zone(
    zone: Zone,
    keys: KeySet,
    inception: int,
    expiration: int,
    denial: Denial,
    opt_out: bool,
    iterations: int,
    salt: bytes,
) -> Zone:
    kept = {(rrset.name, rrset.rdtype): rrset for rrset in zone if rrset.rdtype not in _MADE_HERE}
    published = kept.get((zone.origin, RdataType.DNSKEY), ())
    dnskeys = dict.fromkeys((*published, keys.ksk.dnskey, keys.zsk.dnskey))
    kept[zone.origin, RdataType.DNSKEY] = dns.rrset.from_rdata(zone.origin, zone.soa.ttl, *dnskeys)
    if denial == "nsec3":
        param = rdata.make(RdataType.NSEC3PARAM, nsec3.SHA1, 0, iterations, salt)
        kept[zone.origin, RdataType.NSEC3PARAM] = dns.rrset.from_rdata(zone.origin, 0, param)
    plain = Zone(zone.origin, kept.values())
    names = list(_authoritative(plain))
    if denial == "nsec3":
        chain = _nsec3_chain(plain, names, opt_out, iterations, salt)
    else:
        chain = _nsec_chain(plain, names)
    rrsets = [*plain, *chain]
    own = {(entry.name, rdtype) for entry in names for rdtype in entry.signed}
    signatures = [
        _sign(rrset, zone.origin, keys, inception, expiration)
        for rrset in rrsets
        if rrset.rdtype in (RdataType.NSEC, RdataType.NSEC3) or (rrset.name, rrset.rdtype) in own
    ]
    return Zone(zone.origin, [*rrsets, *signatures])


@dataclass(frozen=True, slots=True)
class _Name:
    """An authoritative name or a zone cut: the types for its bitmap, and those that are signed."""

    name: dns.name.Name
    types: tuple[RdataType, ...]
    signed: tuple[RdataType, ...]


def _authoritative(zone: Zone) -> Iterator[_Name]:
    """The names that get denials, in canonical order; glue and other occluded names get none."""
    for name in zone.names():
        if zone.occluded(name):
            continue
        types = signed = zone.types(name)
        if zone.cut(name) is not None:
            signed = tuple(rdtype for rdtype in types if rdtype in PARENT_SIDE)
            types = tuple(rdtype for rdtype in types if rdtype in CUTTING or rdtype in PARENT_SIDE)
        yield _Name(name, types, signed)


def _nsec_chain(zone: Zone, names: list[_Name]) -> Iterator[dns.rrset.RRset]:
    for entry, following in zip(names, [*names[1:], names[0]], strict=True):
        bitmap = rdata.bitmap((*entry.types, RdataType.RRSIG, RdataType.NSEC))
        record = rdata.make(RdataType.NSEC, following.name, bitmap)
        yield dns.rrset.from_rdata(entry.name, zone.negative_ttl, record)


def _nsec3_chain(
    zone: Zone, names: list[_Name], opt_out: bool, iterations: int, salt: bytes
) -> Iterator[dns.rrset.RRset]:
    shown = [entry for entry in names if entry.signed or not opt_out]
    above = {parent_of(e.name, labels) for e in shown for labels in range(len(zone.origin), len(e.name))}
    bitmaps: dict[bytes, list[RdataType]] = {
        nsec3.nsec3_hash(name, iterations, salt): []
        for name in zone.empty_non_terminals()
        if name in above and not zone.occluded(name) and zone.cut(name) is None
    }
    for entry in shown:
        signature = [RdataType.RRSIG] if entry.signed else []
        bitmaps[nsec3.nsec3_hash(entry.name, iterations, salt)] = [*entry.types, *signature]
    hashes = sorted(bitmaps)
    flags = nsec3.OPT_OUT if opt_out else 0
    for digest, following in zip(hashes, [*hashes[1:], hashes[0]], strict=True):
        bitmap = rdata.bitmap(bitmaps[digest])
        record = rdata.make(RdataType.NSEC3, nsec3.SHA1, flags, iterations, salt, following, bitmap)
        yield dns.rrset.from_rdata(nsec3.hash_owner(digest, zone.origin), zone.negative_ttl, record)


def _sign(
    rrset: dns.rrset.RRset, zone: dns.name.Name, keys: KeySet, inception: int, expiration: int
) -> dns.rrset.RRset:
    key = keys.ksk if rrset.rdtype == RdataType.DNSKEY else keys.zsk
    fields = SignatureFields(
        rrset.rdtype,
        key.dnskey.algorithm,
        signature_labels(rrset.name),
        rrset.ttl,
        expiration,
        inception,
        key.tag,
        zone,
    )
    return _signature(key, rrset.name.labels, fields, signed_data(rrset, fields))


@functools.lru_cache(maxsize=32768)
def _signature(
    key: ZoneKey, owner: tuple[bytes, ...], fields: SignatureFields, data: bytes
) -> dns.rrset.RRset:
    rrsig = rdata.make(RdataType.RRSIG, *fields, key.sign(data))
    return dns.rrset.from_rdata(dns.name.Name(owner), fields.original_ttl, rrsig)
