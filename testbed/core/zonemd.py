"""Message digests for zones: ZONEMD records with the SIMPLE scheme (RFC 8976), published and verified."""

from __future__ import annotations

import enum
import hashlib
import hmac
import struct
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import cast

import dns.name
import dns.rdataclass
import dns.rrset
from dns.rdatatype import RdataType
from dns.rdtypes.ANY.SOA import SOA
from dns.rdtypes.ANY.ZONEMD import ZONEMD

from testbed.core import denial, rdata, validation
from testbed.core.canonical import NameKey, name_key, name_wire
from testbed.core.zone import Zone

SIMPLE = 1
"""The only scheme there is (RFC 8976 section 5.2)."""


class Hash(enum.IntEnum):
    """Hash algorithms (RFC 8976 section 5.3)."""

    SHA384 = 1
    SHA512 = 2

    @property
    def size(self) -> int:
        """Octets of a digest."""
        return hashlib.new(self.name.lower()).digest_size


class Status(enum.Enum):
    """What came of verifying a zone. UNVERIFIABLE: there is no digest, and none is missing."""

    VERIFIED = "verified"
    UNVERIFIABLE = "cannot be verified"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class Verification:
    """The status, and why. ``signed`` says that the digest was itself verified with DNSSEC.

    A digest that was not guards against accidents only: whoever alters the zone can make a new one.
    """

    status: Status
    signed: bool
    reason: str

    def __str__(self) -> str:
        return f"{self.status.value}, {self.reason}"


# -- publishing ------------------------------------------------------------------------------------


def placeholder(origin: dns.name.Name, algorithms: Iterable[Hash], ttl: int = 3600) -> dns.rrset.RRset:
    """The ZONEMD RRset that a zone gets before it is signed, with digests of zeros (RFC 8976 section 3.1)."""
    return dns.rrset.from_rdata(origin, ttl, *(_record(0, each, bytes(each.size)) for each in algorithms))


def completed(zone: Zone, signed: Zone) -> Zone:
    """A zone with placeholders, once they hold the serial and the digests of what signing made of it.

    The result is to be signed again, which changes nothing but the ZONEMD RRset's signature (RFC 8976
    section 3.4). A zone that stays unsigned is its own ``signed``. Raises LookupError without placeholders.
    """
    held = zone.rrset(zone.origin, RdataType.ZONEMD)
    if held is None:
        raise LookupError(f"{zone.origin}: no ZONEMD records to complete")
    algorithms = [Hash(cast(ZONEMD, each).hash_algorithm) for each in held]
    records = [_record(_serial(zone), algorithm, digest(signed, algorithm)) for algorithm in algorithms]
    final = dns.rrset.from_rdata(zone.origin, zone.soa.ttl, *records)
    return Zone(zone.origin, (final if rrset is held else rrset for rrset in zone))


def digest(zone: Zone, algorithm: Hash) -> bytes:
    """The digest of a zone: over all records, glue and occluded ones too (RFC 8976 section 3.3.1).

    The ZONEMD RRset at the apex and its signatures are left out.
    """
    found = hashlib.new(algorithm.name.lower())
    for record in _canonical(zone):
        found.update(record)
    return found.digest()


def _canonical(zone: Zone) -> Iterator[bytes]:
    """The records in canonical form and order, each once; types in the order of their numbers."""
    records: dict[tuple[NameKey, RdataType], dict[bytes, bytes]] = {}
    for rrset in zone:
        if RdataType.ZONEMD in (rrset.rdtype, rrset.covers) and rrset.name == zone.origin:
            continue
        head = name_wire(rrset.name) + struct.pack("!HHI", rrset.rdtype, dns.rdataclass.IN, rrset.ttl)
        held = records.setdefault((name_key(rrset.name), rrset.rdtype), {})
        for each in rrset:
            data = each.to_digestable()
            held.setdefault(data, head + len(data).to_bytes(2, "big") + data)
    for key in sorted(records):
        for _, record in sorted(records[key].items()):
            yield record


def _record(serial: int, algorithm: Hash, octets: bytes) -> ZONEMD:
    return cast(ZONEMD, rdata.make(RdataType.ZONEMD, serial, SIMPLE, algorithm, octets))


def _serial(zone: Zone) -> int:
    return int(cast(SOA, zone.soa[0]).serial)


# -- verifying -------------------------------------------------------------------------------------


def verify(zone: Zone, anchor: dns.rrset.RRset | None, now: float) -> Verification:
    """Verify a zone that was received from somebody (RFC 8976 section 4).

    ``anchor`` is the zone's validated DS RRset, or a trust anchor; None when no signatures are expected, or
    none are checked. ``now`` is in seconds of Unix time. Whatever the zone holds, nothing is raised.
    """
    held = zone.rrset(zone.origin, RdataType.ZONEMD)
    expected = anchor is not None and bool(validation.supported(anchor))
    if expected:
        assert anchor is not None
        try:
            keys = _keys(zone, anchor, now)
            if held is None:
                return _absent(zone, keys, now)
            for rrset in (zone.soa, held):
                _verified(zone, rrset, keys, now)
        except validation.Bogus as bogus:
            return Verification(Status.FAILED, False, bogus.text)
    elif held is None:
        return Verification(Status.UNVERIFIABLE, False, "there is no ZONEMD record")
    problems = []
    times = Counter((each.scheme, each.hash_algorithm) for each in held)
    for each in held:
        problem = _problem(zone, cast(ZONEMD, each), times[(each.scheme, each.hash_algorithm)])
        if problem is None:
            how = "signed" if expected else "not signed"
            return Verification(Status.VERIFIED, expected, f"the digest is right, and {how}")
        problems.append(problem)
    return Verification(Status.FAILED, False, "; ".join(problems))


def _keys(zone: Zone, anchor: dns.rrset.RRset, now: float) -> dns.rrset.RRset:
    """The zone's keys. Raises Bogus when no chain of trust leads to them."""
    dnskeys = zone.rrset(zone.origin, RdataType.DNSKEY)
    if dnskeys is None:
        raise validation.Bogus(validation.Ede.DNSKEY_MISSING, "there are no DNSKEY records")
    return validation.verify_dnskeys(dnskeys, zone.signatures(zone.origin, RdataType.DNSKEY), anchor, now)


def _verified(zone: Zone, rrset: dns.rrset.RRset, keys: dns.rrset.RRset, now: float) -> None:
    """Verify an RRset of the zone. Raises Bogus."""
    validation.verify(rrset, zone.signatures(rrset.name, rrset.rdtype), keys, zone.origin, now)


def _absent(zone: Zone, keys: dns.rrset.RRset, now: float) -> Verification:
    """What a signed zone without ZONEMD records proves about that. Raises Bogus."""
    record = zone.rrset(zone.origin, RdataType.NSEC)
    if record is None and zone.nsec3 is not None:
        record = zone.nsec3.matching(zone.origin)
    if record is None:
        return Verification(
            Status.FAILED, False, "there is no ZONEMD record, and no proof that there is none"
        )
    _verified(zone, record, keys, now)
    proof = denial.proves_nodata(zone.origin, RdataType.ZONEMD, [record], zone.origin)
    if proof is denial.Proof.NOT_PROVEN:
        return Verification(Status.FAILED, False, "the ZONEMD record that there must be is missing")
    return Verification(Status.UNVERIFIABLE, False, "there is no ZONEMD record, which is proven")


def _problem(zone: Zone, record: ZONEMD, times: int) -> str | None:
    """Why one record does not verify the zone; sizes of digests were checked when it was read."""
    if times > 1:
        return f"there is more than one record for scheme {record.scheme}, hash {record.hash_algorithm}"
    if record.serial != _serial(zone):
        return f"the digest is for serial {record.serial}, the zone has {_serial(zone)}"
    if record.scheme != SIMPLE:
        return f"scheme {int(record.scheme)} is not supported"
    try:
        algorithm = Hash(record.hash_algorithm)
    except ValueError:
        return f"hash {int(record.hash_algorithm)} is not supported"
    if not hmac.compare_digest(record.digest, digest(zone, algorithm)):
        return "the digest is wrong"
    return None
