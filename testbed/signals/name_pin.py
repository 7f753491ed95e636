"""Name pin: a server's key in its own name (draft-bretelle-dprive-dot-spki-in-ns-name).

``dot-`` and the hash of the server's SubjectPublicKeyInfo are the first label of the name to which zones are
delegated. No parent has to know anything new, and no query is added; but each zone's delegation has to change
with the key, and nobody signs the NS RRset of a delegation: the pin is as good as the way by which that came.

    label    dot- base32(SHA-256(SubjectPublicKeyInfo)), lower case, no padding: 56 octets
"""

from __future__ import annotations

import base64
import binascii
import hashlib
from collections.abc import Iterable

import dns.name
import dns.rdatatype
import dns.rrset
from pydantic import BaseModel, Field

from testbed.core import pki
from testbed.core.delegation import Delegation, Offer
from testbed.core.identity import SpkiPin
from testbed.core.signal import Addition, DeployedServer, Deployment, Parameters, Signal
from testbed.core.transport import Transport

PREFIX = b"dot-"
LABEL_LENGTH = 56
"""Octets: the prefix, and 32 octets in base32 (RFC 4648 section 6) without padding."""

DOT = (Transport.DOT, Transport.DOT.port)


def encode(spki: bytes) -> bytes:
    """The label that pins a public key, given as a DER SubjectPublicKeyInfo."""
    return PREFIX + base64.b32encode(hashlib.sha256(spki).digest()).rstrip(b"=").lower()


def decode(name: dns.name.Name) -> bytes | None:
    """The hash that the first label of a name pins; None when it pins none."""
    label = name.labels[0].lower() if name.labels else b""
    if len(label) != LABEL_LENGTH or not label.startswith(PREFIX):
        return None
    try:
        return base64.b32decode(label.removeprefix(PREFIX).upper() + b"====")
    except binascii.Error:
        return None


class NamePinParameters(Parameters):
    """What the operators choose."""

    ttl: int = Field(
        3600, ge=0, description="TTL of the addresses at the servers' ordinary names, in seconds."
    )


class NamePin(Signal):
    """Servers that speak DoT go by a name that pins their key."""

    name = "name-pin"
    summary = "the server's key pinned in its name"
    source = "draft-bretelle-dprive-dot-spki-in-ns-name"
    Parameters = NamePinParameters

    def rename(self, server: DeployedServer, parameters: BaseModel) -> dns.name.Name | None:
        """The name with the pin before the ordinary one."""
        if DOT not in server.offers:
            return None
        return dns.name.Name((encode(pki.spki(server.chain[0])), *server.name.labels))

    def publish(self, deployment: Deployment, parameters: BaseModel) -> Iterable[Addition]:
        """Addresses at the ordinary names, by which older delegations still know the servers."""
        assert isinstance(parameters, NamePinParameters)
        for server in deployment.servers:
            if decode(server.name) is None:
                continue
            for address in server.addresses:
                rdtype = dns.rdatatype.AAAA if ":" in address else dns.rdatatype.A
                rrset = dns.rrset.from_text(server.name.parent(), parameters.ttl, "IN", rdtype, address)
                yield Addition(deployment.zone_of(server.name).origin, rrset)

    def read_name(self, server: dns.name.Name, delegation: Delegation) -> Offer | None:
        """DoT with the key that the name pins."""
        digest = decode(server)
        if digest is None:
            return None
        pin = SpkiPin(frozenset((digest,)))
        return Offer(self.name, (DOT,), delegation.standing, delegation.until, identities=(pin,))


SIGNAL = NamePin()
