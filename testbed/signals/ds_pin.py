"""DS pin: keys of DoT servers in the DS RRsets of the zones that they serve.

A zone's DS RRset says with which keys its servers are to be asked over TLS, and the parent signs that. A pin
belongs to a zone and not to a server: who swaps name servers gains nothing by it, and who changes a key has
to change the delegation of every zone on the server (draft-vandijk-dprive-ds-dot-signal-and-pin).

    pseudo DNSKEY    owner: the zone; flags 257; protocol 3; algorithm DOTPIN
                     key: the server's SubjectPublicKeyInfo, DER
    DS record        made from that as from any DNSKEY (RFC 4034 section 5.1.4)

The pseudo DNSKEY is published nowhere; a resolver makes it from what it is shown in the TLS handshake.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal, cast

import dns.dnssec
import dns.dnssectypes
import dns.exception
import dns.name
import dns.rdata
import dns.rdataclass
import dns.rdatatype
import dns.rrset
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from dns.rdtypes.ANY.DNSKEY import DNSKEY
from dns.rdtypes.ANY.DS import DS
from pydantic import BaseModel, Field

from testbed.core import pki
from testbed.core.delegation import Offer, Referral
from testbed.core.identity import Accepted, Chain, Proof, Refused, tlsa
from testbed.core.signal import Addition, DeployedServer, Deployment, Parameters, Signal
from testbed.core.transport import Transport

DOTPIN = 225
"""DNSSEC algorithm number; none was assigned, this one is that of the authors' proof of concept."""

FLAGS, PROTOCOL = 257, 3

DOT = (Transport.DOT, Transport.DOT.port)
"""What the draft is about: DoT on port 853, and no other."""

Digest = Literal["SHA256", "SHA384"]


def make_ds(zone: dns.name.Name, spki: bytes, digest_type: int) -> DS:
    """The DS record of a zone that pins a public key, given as a DER SubjectPublicKeyInfo.

    Raises dns.exception.DNSException when the digest type is none that we can make.
    """
    wire = struct.pack("!HBB", FLAGS, PROTOCOL, DOTPIN) + spki
    dnskey = dns.rdata.from_wire(dns.rdataclass.IN, dns.rdatatype.DNSKEY, wire, 0, len(wire))
    digest = dns.dnssectypes.DSDigest.make(digest_type)
    return dns.dnssec.make_ds(zone, cast(DNSKEY, dnskey), digest, validating=True)


@dataclass(frozen=True)
class DsPin:
    """A key that one of a zone's DS records was made from.

    As with TLSA records of usage 3, names, expiry and paths play no part.
    """

    zone: dns.name.Name
    records: frozenset[DS]

    def check(self, chain: Chain, now: float) -> Proof:
        """Whether a DS record made from the server's key is among those of the zone."""
        if not chain:
            return Refused("no certificate was presented")
        try:
            spki = tlsa(chain[0], selector=1, mtype=0).cert
        except ValueError:
            return Refused("certificate has no usable key")
        for digest_type in sorted({record.digest_type for record in self.records}):
            try:
                made = make_ds(self.zone, spki, digest_type)
            except dns.exception.DNSException:
                continue
            if made in self.records:
                return Accepted(f"DS pin {made.key_tag} of {self.zone}")
        return Refused(f"the key is not pinned in the DS records of {self.zone}")


class DsPinParameters(Parameters):
    """What the operators choose."""

    ttl: int = Field(3600, ge=0, description="TTL of the DS records, in seconds.")
    digests: tuple[Digest, ...] = Field(("SHA256",), min_length=1, description="Digest types of the pins.")
    keys: Literal["current", "previous", "both"] = Field(
        "current",
        description="current: the keys that servers have. previous: keys that they had, the delegations were "
        "not changed with them. both: as during a roll.",
    )


class DsPinSignal(Signal):
    """Zones whose servers speak DoT have these servers' keys in their DS RRset."""

    name = "ds-pin"
    summary = "keys of DoT servers pinned in a zone's DS records"
    source = "draft-vandijk-dprive-ds-dot-signal-and-pin"
    Parameters = DsPinParameters

    def publish(self, deployment: Deployment, parameters: BaseModel) -> Iterable[Addition]:
        """DS records in the delegation of each zone that has a server with DoT."""
        assert isinstance(parameters, DsPinParameters)
        for zone in deployment.zones:
            pinned = [spki for server in zone.servers for spki in _spkis(server, parameters)]
            if zone.parent is None or not pinned:
                continue
            digests = [int(dns.dnssectypes.DSDigest[name]) for name in parameters.digests]
            rdatas = [make_ds(zone.origin, spki, digest) for spki in pinned for digest in digests]
            rrset = dns.rrset.from_rdata_list(zone.origin, parameters.ttl, rdatas)
            yield Addition(zone.parent, rrset)

    def read_referral(self, referral: Referral, now: float) -> None:
        """Take the pins; where there are any, there is no other way to the zone than DoT with such a key."""
        pins = frozenset(ds for ds in referral.ds or () if ds.algorithm == DOTPIN)
        if pins:
            offer = Offer(
                self.name,
                (DOT,),
                referral.ds_standing,
                referral.until,
                identities=(DsPin(referral.zone, pins),),
                final=True,
            )
            referral.zone_offers.append(offer)
            referral.notes.append(f"{len(pins)} DS record{'s' if len(pins) > 1 else ''} pin DoT keys")


def _spkis(server: DeployedServer, parameters: DsPinParameters) -> Iterable[bytes]:
    """The public keys that are pinned for a server."""
    if DOT not in server.offers:
        return
    if parameters.keys != "previous":
        yield pki.spki(server.chain[0])
    if parameters.keys != "current":
        former = pki.private_key(0, f"former key of {server.name}").public_key()
        yield former.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)


SIGNAL = DsPinSignal()
