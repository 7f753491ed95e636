"""What a CA asks of whoever wants a certificate: control of the name, shown in DNS (RFC 8555, RFC 8659)."""

from __future__ import annotations

import base64
import hashlib
import json
import random
from collections.abc import Iterator
from dataclasses import dataclass

import dns.name
import dns.rrset
from cryptography.hazmat.primitives.asymmetric import ec

CHALLENGE_LABEL = b"_acme-challenge"

TOKEN_OCTETS = 16
"""At least 128 bits of entropy (RFC 8555 section 8.3)."""

_CRITICAL = 0x80
_UNDERSTOOD = frozenset((b"issue", b"issuewild", b"iodef"))


@dataclass(frozen=True, slots=True)
class Challenge:
    """A dns-01 challenge for a name (RFC 8555 section 8.4), as the CA and the holder of the account know it.

    ``thumbprint`` is that of the account's key (RFC 7638).
    """

    domain: dns.name.Name
    token: str
    thumbprint: str

    @property
    def owner(self) -> dns.name.Name:
        """The name at which the CA looks for TXT records."""
        return dns.name.Name((CHALLENGE_LABEL, *self.domain.labels))

    @property
    def answer(self) -> str:
        """What one of them has to say: the digest of the key authorization (section 8.1)."""
        return _base64url(hashlib.sha256(f"{self.token}.{self.thumbprint}".encode()).digest())

    def met(self, records: dns.rrset.RRset | None) -> bool:
        """Whether TXT records show that whoever holds the account controls the name."""
        return records is not None and any(
            b"".join(rdata.strings) == self.answer.encode() for rdata in records
        )


def challenge(domain: dns.name.Name, account: ec.EllipticCurvePublicKey, rng: random.Random) -> Challenge:
    """A new challenge for a name."""
    return Challenge(domain, _base64url(rng.randbytes(TOKEN_OCTETS)), thumbprint(account))


def thumbprint(key: ec.EllipticCurvePublicKey) -> str:
    """The thumbprint of a P-256 key as a JSON Web Key (RFC 7638 section 3, RFC 7518 section 6.2.1)."""
    numbers = key.public_numbers()
    coordinates = {"x": numbers.x, "y": numbers.y}
    members = {
        "crv": "P-256",
        "kty": "EC",
        **{name: _base64url(number.to_bytes(32, "big")) for name, number in coordinates.items()},
    }
    return _base64url(hashlib.sha256(json.dumps(members, separators=(",", ":")).encode()).digest())


def places_of_caa(domain: dns.name.Name) -> Iterator[dns.name.Name]:
    """Where CAA records for a name may be, the closest place first: not at the root (RFC 8659 section 3)."""
    for depth in range(len(domain), 1, -1):
        yield domain.split(depth)[1]


def may_issue(records: dns.rrset.RRset, ca: dns.name.Name) -> bool:
    """Whether CAA records allow a CA to issue a certificate that has no wildcard (RFC 8659 section 4).

    ``ca`` is the domain name that the CA goes by in CAA records.
    """
    if any(rdata.flags & _CRITICAL and rdata.tag.lower() not in _UNDERSTOOD for rdata in records):
        return False
    allowed = [rdata.value for rdata in records if rdata.tag.lower() == b"issue"]
    own = ca.to_text(omit_final_dot=True).encode()
    return not allowed or any(value.split(b";")[0].strip().lower() == own for value in allowed)


def _base64url(octets: bytes) -> str:
    """Without padding (RFC 8555 section 6.1)."""
    return base64.urlsafe_b64encode(octets).rstrip(b"=").decode()
