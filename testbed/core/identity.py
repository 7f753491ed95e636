"""Whether the certificate chain that a server presented proves that it is the one that was meant.

An identity is what is expected of a server, in one of several kinds; each has a method
``check(chain, now)`` that answers with a value, never with an exception. A chain is what the server sent,
leaf first. ``now`` is in seconds of Unix time. A policy without authentication does not ask.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from ipaddress import IPv4Address, IPv6Address
from typing import Protocol

import dns.name
import dns.rdata
import dns.rdataclass
import dns.rdatatype
from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509 import verification
from cryptography.x509.oid import ExtendedKeyUsageOID
from dns.rdtypes.ANY.TLSA import TLSA

from testbed.core.pki import host_name, spki

Chain = Sequence[x509.Certificate]
"""Certificates as a server presents them: its own first (RFC 8446 section 4.4.2)."""

Reference = dns.name.Name | IPv4Address | IPv6Address
"""A reference identifier (RFC 9525 section 1.2): the name or the address that the client set out to reach."""

PKIX_TA, PKIX_EE, DANE_TA, DANE_EE = range(4)
"""TLSA certificate usages (RFC 6698 section 2.1.1, named by RFC 7218)."""

_MALFORMED = (
    ValueError,
    TypeError,
    UnsupportedAlgorithm,
    x509.DuplicateExtension,
    x509.UnsupportedGeneralNameType,
)
"""What the parts of a certificate raise when they are read, which is later than when it is loaded."""


@dataclass(frozen=True, slots=True)
class Accepted:
    """The chain proves the identity; ``by`` says how: "webpki name ns1.dnshost.net"."""

    by: str


@dataclass(frozen=True, slots=True)
class Refused:
    """The chain does not prove the identity; ``reason`` says what is missing."""

    reason: str


Proof = Accepted | Refused


class Identity(Protocol):
    """What a server is expected to prove."""

    def check(self, chain: Chain, now: float) -> Proof:
        """Whether a chain proves it at a point in time."""
        ...


# -- WebPKI ----------------------------------------------------------------------------------------


@dataclass(frozen=True)
class WebPki:
    """A path to a trusted root, and the reference identifier among the leaf's subjectAltNames.

    RFC 5280 and RFC 9525: DNS-ID and IP-ID only, a wildcard only as the whole left-most label, the
    subject's common name does not count.
    """

    roots: tuple[x509.Certificate, ...]
    reference: Reference

    def check(self, chain: Chain, now: float) -> Proof:
        """Whether the chain leads to one of the roots and names the reference identifier."""
        path = _path(chain, now, self.roots, self.reference)
        return path if isinstance(path, Refused) else Accepted(f"webpki {_described(self.reference)}")


def _described(reference: Reference) -> str:
    if isinstance(reference, dns.name.Name):
        return f"name {host_name(reference)}"
    return f"address {reference}"


def _path(
    chain: Chain, now: float, anchors: Sequence[x509.Certificate], reference: Reference
) -> list[x509.Certificate] | Refused:
    """The validated path from the leaf up to one of the anchors, or why there is none."""
    if not chain:
        return Refused("no certificate was presented")
    if not anchors:
        return Refused("no trust anchor is configured")
    verifier = _verifier(now, anchors, reference)
    if verifier is None:
        return Refused(f"{_described(reference)} cannot stand in a certificate")
    try:
        return verifier.verify(chain[0], list(chain[1:]))
    except (verification.VerificationError, *_MALFORMED) as error:
        return Refused(_why(chain[0], now, reference) or str(error))


def _verifier(
    now: float, anchors: Sequence[x509.Certificate], reference: Reference
) -> verification.ServerVerifier | None:
    builder = verification.PolicyBuilder().store(verification.Store(list(anchors)))
    try:
        subject = (
            x509.DNSName(host_name(reference))
            if isinstance(reference, dns.name.Name)
            else x509.IPAddress(reference)
        )
        return builder.time(datetime.fromtimestamp(now, UTC)).build_server_verifier(subject)
    except ValueError:
        return None


def _why(leaf: x509.Certificate, now: float, reference: Reference) -> str | None:
    """What is wrong with a leaf, in words; None when the fault lies elsewhere in the path."""
    try:
        if now > leaf.not_valid_after_utc.timestamp():
            return f"certificate expired at {leaf.not_valid_after_utc:%Y-%m-%d %H:%M:%S} UTC"
        if now < leaf.not_valid_before_utc.timestamp():
            return f"certificate is not valid before {leaf.not_valid_before_utc:%Y-%m-%d %H:%M:%S} UTC"
        if leaf.issuer == leaf.subject:
            return "certificate is self-signed"
        return _wrong_subject(leaf, reference)
    except _MALFORMED:
        return "certificate is malformed"


def _wrong_subject(leaf: x509.Certificate, reference: Reference) -> str | None:
    names: list[str] = []
    for extension in leaf.extensions:
        value = extension.value
        if isinstance(value, x509.ExtendedKeyUsage) and ExtendedKeyUsageOID.SERVER_AUTH not in value:
            return "certificate is not for server authentication"
        if isinstance(value, x509.SubjectAlternativeName):
            names += value.get_values_for_type(x509.DNSName)
            names += [str(address) for address in value.get_values_for_type(x509.IPAddress)]
    if not any(_covers(name, reference) for name in names):
        return f"certificate is for {', '.join(names) or 'no name'}, not for {_described(reference)}"
    return None


def _covers(presented: str, reference: Reference) -> bool:
    """Whether an identifier matches; only explains what the verifier has decided."""
    if not isinstance(reference, dns.name.Name):
        return presented == str(reference)
    name = host_name(reference)
    return host_name(presented) in (name, f"*.{name.partition('.')[2]}")


# -- DANE ------------------------------------------------------------------------------------------


def tlsa_owner(name: dns.name.Name, port: int, protocol: str = "tcp") -> dns.name.Name:
    """The owner name of the TLSA RRset of a service: ``_853._tcp.ns1.dnshost.net.`` (RFC 6698 section 3).

    Raises dns.name.NameTooLong when the two labels do not fit.
    """
    return dns.name.Name((f"_{port}".encode(), f"_{protocol}".encode(), *name.labels))


def tlsa(certificate: x509.Certificate, usage: int = DANE_EE, selector: int = 1, mtype: int = 1) -> TLSA:
    """The TLSA record of a certificate, ``3 1 1`` unless told otherwise (RFC 7671 section 5.1).

    Raises ValueError for a selector or a matching type that RFC 6698 does not define.
    """
    data = _association(certificate, selector, mtype)
    if data is None:
        raise ValueError(f"no TLSA selector {selector} with matching type {mtype}")
    record = dns.rdata.from_text(
        dns.rdataclass.IN, dns.rdatatype.TLSA, f"{usage} {selector} {mtype} {data.hex()}"
    )
    assert isinstance(record, TLSA)
    return record


def _association(certificate: x509.Certificate, selector: int, mtype: int) -> bytes | None:
    """Certificate association data (RFC 6698 sections 2.1.2 to 2.1.4), None where there is none."""
    if selector not in (0, 1) or mtype not in (0, 1, 2):
        return None
    try:
        data = certificate.public_bytes(Encoding.DER) if selector == 0 else spki(certificate)
    except _MALFORMED:
        return None
    if mtype == 0:
        return data
    return (hashlib.sha256 if mtype == 1 else hashlib.sha512)(data).digest()


def _matches(record: TLSA, certificate: x509.Certificate) -> bool:
    return _association(certificate, record.selector, record.mtype) == record.cert


def _usable(records: Iterable[TLSA]) -> list[TLSA]:
    """Records that can be used; of two digests for one usage and selector only the stronger.

    RFC 6698 section 4.1, and digest agility as in RFC 7671 section 9: a broken digest must not help
    who can forge it when the operator has published a better one.
    """
    known = [r for r in records if r.usage <= DANE_EE and r.selector <= 1 and r.mtype <= 2]
    best: dict[tuple[int, int], int] = {}
    for record in known:
        slot = record.usage, record.selector
        best[slot] = max(best.get(slot, 0), record.mtype)
    return [r for r in known if r.mtype in (0, best[r.usage, r.selector])]


@dataclass(frozen=True)
class Dane:
    """One of a DNSSEC-validated TLSA RRset (RFC 6698, RFC 7671); that it is validated is the caller's part.

    ``reference`` is the TLSA base domain, which usages 0 to 2 look for in the certificate. ``roots``
    serve usages 0 and 1. Usage 3 asks for the key alone: no name, no expiry, no path.
    """

    records: tuple[TLSA, ...]
    reference: Reference
    roots: tuple[x509.Certificate, ...] = ()

    def check(self, chain: Chain, now: float) -> Proof:
        """Whether the chain satisfies at least one of the records."""
        if not chain:
            return Refused("no certificate was presented")
        records = _usable(self.records)
        if not records:
            return Refused("no TLSA record is usable")
        reasons = []
        for record in records:
            reason = self._refusal(record, chain, now)
            label = f"TLSA {record.usage} {record.selector} {record.mtype}"
            if reason is None:
                return Accepted(label if record.usage == DANE_EE else f"{label} {_described(self.reference)}")
            reasons.append(f"{label}: {reason}")
        return Refused("; ".join(dict.fromkeys(reasons)))

    def _refusal(self, record: TLSA, chain: Chain, now: float) -> str | None:
        """Why a chain does not satisfy a record, None when it does."""
        if record.usage in (PKIX_EE, DANE_EE):
            if not _matches(record, chain[0]):
                return "does not match the server's certificate"
            if record.usage == DANE_EE:
                return None
        if record.usage == DANE_TA:
            return self._no_path_to_anchor(record, chain, now)
        path = _path(chain, now, self.roots, self.reference)
        if isinstance(path, Refused):
            return path.reason
        if record.usage == PKIX_TA and not any(_matches(record, issuer) for issuer in path[1:]):
            return "matches no authority in the path"
        return None

    def _no_path_to_anchor(self, record: TLSA, chain: Chain, now: float) -> str | None:
        """Why there is no path to the trust anchor that a DANE-TA(2) record names (RFC 7671 section 5.2).

        The anchor must be in the chain, or whole in the record; it is never the leaf itself.
        """
        anchors = [issuer for issuer in chain[1:] if _matches(record, issuer)]
        if not anchors and (record.selector, record.mtype) == (0, 0):
            try:
                anchors = [x509.load_der_x509_certificate(record.cert)]
            except ValueError:
                return "holds no certificate"
        if not anchors:
            return "matches no authority in the chain"
        path = _path(chain, now, anchors, self.reference)
        if isinstance(path, Refused):
            return path.reason
        return None if len(path) > 1 else "names the server's own certificate"


# -- pins and combinations -------------------------------------------------------------------------


@dataclass(frozen=True)
class SpkiPin:
    """One of a set of SHA-256 hashes of the server's SubjectPublicKeyInfo (RFC 7858 section 4.2).

    Only the leaf counts. A pin on an authority would need a validated path and a name as well: anybody
    can append that authority's certificate to a chain, or buy one from it.
    """

    pins: frozenset[bytes]

    def check(self, chain: Chain, now: float) -> Proof:
        """Whether the leaf's key is one of those pinned; names and expiry play no part."""
        if not chain:
            return Refused("no certificate was presented")
        digest = _association(chain[0], selector=1, mtype=1)
        if digest is None:
            return Refused("certificate has no usable key")
        if digest in self.pins:
            return Accepted(f"pin {digest.hex()[:16]}")
        return Refused(f"key {digest.hex()[:16]} is not pinned")


@dataclass(frozen=True)
class AnyOf:
    """Any one of several identities is enough: what a client does that knows both WebPKI and DANE."""

    identities: tuple[Identity, ...]

    def check(self, chain: Chain, now: float) -> Proof:
        """The first acceptance, or all refusals."""
        reasons = []
        for identity in self.identities:
            proof = identity.check(chain, now)
            if isinstance(proof, Accepted):
                return proof
            reasons.append(proof.reason)
        return Refused("; ".join(reasons) or "no way to prove the identity is known")
