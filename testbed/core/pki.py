"""A throw-away public-key infrastructure: authorities, credentials and keys, all made from a seed.

The same seed and the same labels give the same keys and the same certificates, byte for byte: serial
numbers are hashes and signatures are deterministic (RFC 6979). Nothing here protects anything. Points in
time are Unix times in seconds; certificates hold whole seconds.
"""

from __future__ import annotations

import hashlib
import ipaddress
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import lru_cache
from typing import Literal

import dns.name
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

Usage = Literal["server", "client"]
"""The extended key usage of a leaf certificate (RFC 5280 section 4.2.1.12). A server's certificate for
"client" only is one that a careful client refuses."""

_ORDER = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551
"""The order of the base point of P-256 (FIPS 186-5)."""

_PURPOSES = {"server": ExtendedKeyUsageOID.SERVER_AUTH, "client": ExtendedKeyUsageOID.CLIENT_AUTH}


@lru_cache(maxsize=4096)
def private_key(seed: int, label: str) -> ec.EllipticCurvePrivateKey:
    """The ECDSA P-256 key of a label: always the same one for the same seed."""
    digest = hashlib.sha512(f"adox key {seed} {label}".encode()).digest()
    return ec.derive_private_key(int.from_bytes(digest) % (_ORDER - 1) + 1, ec.SECP256R1())


def spki(certificate: x509.Certificate) -> bytes:
    """The SubjectPublicKeyInfo of a certificate as DER (RFC 5280 section 4.1): what pins and TLSA hash."""
    return certificate.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)


def host_name(name: dns.name.Name | str) -> str:
    """A domain name as certificates and SNI write it: lower case, no final dot (RFC 6066 section 3)."""
    text = name if isinstance(name, str) else name.to_text()
    return text.lower().removesuffix(".")


@dataclass(frozen=True, slots=True)
class Credential:
    """What a TLS server proves its identity with: a private key and a certificate chain, leaf first."""

    key: ec.EllipticCurvePrivateKey = field(repr=False, compare=False)
    chain: tuple[x509.Certificate, ...]

    @property
    def leaf(self) -> x509.Certificate:
        """The server's own certificate."""
        return self.chain[0]

    @property
    def spki(self) -> bytes:
        """The server's public key as a DER SubjectPublicKeyInfo."""
        return spki(self.leaf)


@dataclass(frozen=True)
class _Blank:
    """Everything that decides what a certificate looks like, so that equal ones are made only once."""

    seed: int
    subject: str
    key: str
    issuer: str
    issuer_key: str
    not_before: float
    not_after: float
    names: tuple[str, ...] = ()
    addresses: tuple[str, ...] = ()
    usage: Usage | None = None
    """None makes a certificate of an authority."""


def _distinguished_name(common_name: str) -> x509.Name:
    # A common name has 64 characters at most (RFC 5280 appendix A.1), host names may have more.
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name[:64])])


@lru_cache(maxsize=4096)
def _certificate(blank: _Blank) -> x509.Certificate:
    """Fill in and sign a certificate along the profile of RFC 5280."""
    authority = blank.usage is None
    public = private_key(blank.seed, blank.key).public_key()
    issuer = private_key(blank.seed, blank.issuer_key)
    serial = int.from_bytes(hashlib.sha256(repr(blank).encode()).digest()[:16]) >> 1 | 1
    builder = (
        x509.CertificateBuilder(
            issuer_name=_distinguished_name(blank.issuer),
            subject_name=_distinguished_name(blank.subject),
            public_key=public,
            serial_number=serial,
            not_valid_before=datetime.fromtimestamp(int(blank.not_before), UTC),
            not_valid_after=datetime.fromtimestamp(int(blank.not_after), UTC),
        )
        .add_extension(x509.BasicConstraints(ca=authority, path_length=None), critical=True)
        .add_extension(_key_usage(authority), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(public), critical=False)
        .add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer.public_key()), critical=False
        )
    )
    if blank.usage is not None:
        builder = builder.add_extension(x509.ExtendedKeyUsage([_PURPOSES[blank.usage]]), critical=False)
    alternatives: list[x509.GeneralName] = [x509.DNSName(name) for name in blank.names]
    alternatives += [x509.IPAddress(ipaddress.ip_address(address)) for address in blank.addresses]
    if alternatives:
        builder = builder.add_extension(x509.SubjectAlternativeName(alternatives), critical=False)
    return builder.sign(issuer, hashes.SHA256(), ecdsa_deterministic=True)


def _key_usage(authority: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not authority,
        key_cert_sign=authority,
        crl_sign=authority,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )


class Authority:
    """A certification authority: a root that it makes itself, or one below another authority.

    ``label`` names its key and is its common name.
    """

    def __init__(
        self,
        seed: int,
        label: str = "root",
        *,
        not_before: float,
        not_after: float,
        parent: Authority | None = None,
    ) -> None:
        self.seed = seed
        self.name = f"adox {label} CA"
        self.parent = parent
        self._key = f"authority {label}"
        self._validity = not_before, not_after
        issuer = parent or self
        self.certificate = _certificate(
            _Blank(seed, self.name, self._key, issuer.name, issuer._key, not_before, not_after)
        )

    def subordinate(self, label: str) -> Authority:
        """An authority whose certificate this one signs, valid for as long."""
        not_before, not_after = self._validity
        return Authority(self.seed, label, not_before=not_before, not_after=not_after, parent=self)

    def issue(
        self,
        names: Iterable[dns.name.Name | str] = (),
        addresses: Iterable[str] = (),
        *,
        not_before: float,
        not_after: float,
        key: str | None = None,
        usage: Usage = "server",
        common_name: str | None = None,
        with_root: bool = False,
    ) -> Credential:
        """A credential for DNS names (a wildcard is one like any other) and IP addresses.

        ``key`` is the label of its key, by default its first name: two credentials of one label share a
        key, as after a renewal. ``common_name`` is for show, names live in subjectAltName (RFC 9525
        section 2). The chain holds the leaf and the authorities up to, but without, the root, unless
        ``with_root`` adds it, as a DANE-TA(2) server must (RFC 7671 section 5.2.2).
        """
        blank = _leaf_blank(self.seed, names, addresses, not_before, not_after, key, usage, common_name, self)
        chain = [_certificate(blank)]
        authority: Authority | None = self
        while authority is not None and (authority.parent is not None or with_root):
            chain.append(authority.certificate)
            authority = authority.parent
        return Credential(private_key(self.seed, blank.key), tuple(chain))


def self_signed(
    seed: int,
    names: Iterable[dns.name.Name | str] = (),
    addresses: Iterable[str] = (),
    *,
    not_before: float,
    not_after: float,
    key: str | None = None,
    usage: Usage = "server",
    common_name: str | None = None,
) -> Credential:
    """A credential that nobody vouches for: anyone can make one for any name."""
    blank = _leaf_blank(seed, names, addresses, not_before, not_after, key, usage, common_name, None)
    return Credential(private_key(seed, blank.key), (_certificate(blank),))


def _leaf_blank(
    seed: int,
    names: Iterable[dns.name.Name | str],
    addresses: Iterable[str],
    not_before: float,
    not_after: float,
    key: str | None,
    usage: Usage,
    common_name: str | None,
    issuer: Authority | None,
) -> _Blank:
    dns_names = tuple(host_name(name) for name in names)
    ip_addresses = tuple(addresses)
    subject = common_name or next(iter(dns_names + ip_addresses), "nobody")
    label = key or f"server {subject}"
    return _Blank(
        seed=seed,
        subject=subject,
        key=label,
        issuer=issuer.name if issuer else subject,
        issuer_key=issuer._key if issuer else label,
        not_before=not_before,
        not_after=not_after,
        names=dns_names,
        addresses=ip_addresses,
        usage=usage,
    )
