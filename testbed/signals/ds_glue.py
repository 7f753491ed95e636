"""DS Glue: delegation data dressed up as DS records, which the parent signs (draft-schwartz-ds-glue).

A DS RRset is the one thing at a zone cut that a parent signs. So each RRset that a resolver should be able
to believe is packed into a pretended DNSKEY, of an algorithm that signs nothing, and a DS record is made from
that with a digest that copies its input. The data must be about names at or below the delegated zone: what
there is to say about ``ns1.dnshost.net`` stands in the DS RRset of ``dnshost.net``, in ``net``.

    virtual DNSKEY   owner: the RRset's owner relative to the zone, as an absolute name; flags 1; protocol 3
                     key: RRTYPE(16) TTL(32) { RDLENGTH(16) RDATA }, canonical (RFC 4034 section 6)
    DS record        key tag (RFC 4034 appendix B), algorithm DSGLUE, digest type VERBATIM,
                     digest: owner, flags, protocol, algorithm, key
"""

from __future__ import annotations

import functools
import struct
from collections.abc import Iterable
from dataclasses import dataclass

import dns.exception
import dns.name
import dns.rdata
import dns.rdataclass
import dns.rdatatype
import dns.rdtypes.ANY.DS
import dns.rrset
from pydantic import BaseModel, Field

from testbed.core import svcb
from testbed.core.delegation import Referral
from testbed.core.resolver.requests import sni_text
from testbed.core.signal import Addition, DeployedServer, DeployedZone, Deployment, Parameters, Signal

DSGLUE = 244
"""DNSSEC algorithm number; none was assigned, this one is from a range for private use."""

VERBATIM = 253
"""DS digest type; none was assigned, this one is for private use."""

FLAGS, PROTOCOL = 0x0001, 3
ALLOWED = (
    dns.rdatatype.NS,
    dns.rdatatype.A,
    dns.rdatatype.AAAA,
    dns.rdatatype.SVCB,
    dns.rdatatype.TLSA,
)
"""Types that may be carried; others are ignored on receipt (section 3)."""


@dataclass(frozen=True, slots=True)
class Carried:
    """An RRset that a DS record carries. Without rdatas it says that there is no such RRset."""

    owner: dns.name.Name
    rdtype: dns.rdatatype.RdataType
    ttl: int
    rdatas: tuple[dns.rdata.Rdata, ...]

    @property
    def rrset(self) -> dns.rrset.RRset:
        """The RRset, which must not be empty."""
        return dns.rrset.from_rdata_list(self.owner, self.ttl, list(self.rdatas))


def encode(
    carried: Carried,
    zone: dns.name.Name,
    algorithm: int = DSGLUE,
    digest_type: int = VERBATIM,
) -> dns.rdata.Rdata:
    """The DS record, in the delegation of ``zone``, that carries an RRset."""
    key = struct.pack("!HI", carried.rdtype, carried.ttl)
    for rdata in sorted(item.to_digestable() or b"" for item in carried.rdatas):
        key += struct.pack("!H", len(rdata)) + rdata
    owner = dns.name.Name((*carried.owner.relativize(zone).labels, b""))
    dnskey = struct.pack("!HBB", FLAGS, PROTOCOL, algorithm) + key
    digest = owner.to_digestable() + dnskey
    tag = _key_tag(dnskey)
    wire = struct.pack("!HBB", tag, algorithm, digest_type) + digest
    return dns.rdata.from_wire(dns.rdataclass.IN, dns.rdatatype.DS, wire, 0, len(wire))


def decode(
    ds: dns.rdtypes.ANY.DS.DS,
    zone: dns.name.Name,
    algorithm: int = DSGLUE,
    digest_type: int = VERBATIM,
) -> Carried | None:
    """The RRset that a DS record carries; None when it carries none that we understand."""
    if ds.algorithm != algorithm or ds.digest_type != digest_type:
        return None
    return _unpack(ds.digest, zone, algorithm)


@functools.lru_cache(maxsize=4096)
def _unpack(digest: bytes, zone: dns.name.Name, algorithm: int) -> Carried | None:
    try:
        owner, length = dns.name.from_wire(digest, 0)
        dnskey = digest[length:]
        flags, protocol, inner = struct.unpack_from("!HBB", dnskey)
        value, ttl = struct.unpack_from("!HI", dnskey, 4)
        rdtype = dns.rdatatype.RdataType.make(value)
        if (flags, protocol, inner) != (FLAGS, PROTOCOL, algorithm) or rdtype not in ALLOWED:
            return None
        rdatas = []
        offset = 10
        while offset < len(dnskey):
            (size,) = struct.unpack_from("!H", dnskey, offset)
            rdatas.append(dns.rdata.from_wire(dns.rdataclass.IN, rdtype, dnskey, offset + 2, size))
            offset += 2 + size
        absolute = dns.name.Name((*owner.labels[:-1], *zone.labels))
    except (dns.exception.DNSException, struct.error, ValueError):
        return None
    return Carried(absolute, rdtype, ttl, tuple(rdatas))


def _key_tag(dnskey: bytes) -> int:
    """The key tag of a DNSKEY RDATA (RFC 4034 appendix B)."""
    padded = dnskey + b"\0" * (len(dnskey) % 2)
    total: int = sum(struct.unpack(f"!{len(padded) // 2}H", padded))
    return (total + (total >> 16)) & 0xFFFF


class DsGlueParameters(Parameters):
    """What the operators choose."""

    ttl: int = Field(3600, ge=0, description="TTL of the carried RRsets and of the DS records, in seconds.")
    carry: tuple[str, ...] = Field(
        ("A", "AAAA", "SVCB"), description="Types that are carried, among NS, A, AAAA and SVCB."
    )


class DsGlue(Signal):
    """Servers are announced in the delegation of the zone that holds their names."""

    name = "ds-glue"
    summary = "delegation data carried in DS records"
    source = "draft-schwartz-ds-glue"
    in_referral = True
    Parameters = DsGlueParameters

    def publish(self, deployment: Deployment, parameters: BaseModel) -> Iterable[Addition]:
        """DS records in the delegations of zones that hold names of servers that encrypt."""
        assert isinstance(parameters, DsGlueParameters)
        for zone in deployment.zones:
            if zone.parent is None:
                continue
            rdatas = [encode(item, zone.origin) for item in _carried(deployment, zone, parameters)]
            if rdatas:
                rrset = dns.rrset.from_rdata_list(zone.origin, parameters.ttl, rdatas)
                yield Addition(zone.parent, rrset)

    def read_referral(self, referral: Referral, now: float) -> None:
        """Replace what DS records carry, delete what they deny, note what their SVCB records offer."""
        carried = [item for rdata in referral.ds or () if (item := decode(rdata, referral.zone)) is not None]
        for item in carried:
            until = now + item.ttl
            if item.rdtype == dns.rdatatype.NS and item.owner == referral.zone and item.rdatas:
                referral.servers = tuple(rdata.target for rdata in item.rdatas)  # type: ignore[attr-defined]
                referral.servers_standing = referral.ds_standing
                referral.notes.append("DS glue gives its name servers")
            elif item.rdtype in (dns.rdatatype.A, dns.rdatatype.AAAA):
                key = (item.owner, item.rdtype)
                referral.addresses.pop(key, None)
                if item.rdatas:
                    referral.addresses[key] = (item.rrset, referral.ds_standing)
            elif item.rdtype == dns.rdatatype.SVCB and item.owner.labels[0] == svcb.PREFIX.encode():
                server = item.owner.parent()
                records = item.rrset if item.rdatas else None
                offer = svcb.offer(self.name, server, records, referral.ds_standing, until)
                referral.offers.append((server, offer))
                said = ", ".join(transport for transport, _ in offer.transports) or "no encryption"
                referral.notes.append(f"DS glue says {said} for {sni_text(server)}")
            referral.until = min(referral.until, until)


def _carried(deployment: Deployment, zone: DeployedZone, parameters: DsGlueParameters) -> Iterable[Carried]:
    """What there is to carry for a zone: about names of servers in it, and its own NS RRset."""
    held = [
        server for server in deployment.servers if server.offers and deployment.zone_of(server.name) is zone
    ]
    ttl = parameters.ttl
    for server in held:
        yield from _about(server, parameters)
    if "NS" in parameters.carry and any(server.offers for server in zone.servers):
        names = (server.name.to_text() for server in zone.servers)
        rdatas = tuple(dns.rdata.from_text("IN", "NS", name) for name in names)
        yield Carried(zone.origin, dns.rdatatype.NS, ttl, rdatas)


def _about(server: DeployedServer, parameters: DsGlueParameters) -> Iterable[Carried]:
    for text, family in (("A", 4), ("AAAA", 6)):
        addresses = [item for item in server.addresses if (6 if ":" in item else 4) == family]
        if text in parameters.carry and addresses:
            rdtype = dns.rdatatype.from_text(text)
            rdatas = tuple(dns.rdata.from_text("IN", text, address) for address in addresses)
            yield Carried(server.name, rdtype, parameters.ttl, rdatas)
    if "SVCB" in parameters.carry:
        owner = svcb.owner(server.name)
        rrset = svcb.make(server.name, server.offers, parameters.ttl, owner, path=server.path)
        yield Carried(owner, dns.rdatatype.SVCB, parameters.ttl, tuple(rrset))


SIGNAL = DsGlue()
