"""Private keys for DNSSEC that follow from a seed: the same world has the same keys, and signatures."""

from __future__ import annotations

from collections.abc import Callable

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed448, ed25519, rsa
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from dns.dnssecalgs import get_algorithm_cls
from dns.dnssecalgs.base import GenericPrivateKey
from dns.dnssectypes import Algorithm

RSA_BITS = 2048
"""Length of RSA moduli (RFC 5702 section 2.1 allows 512 to 4096)."""

_EXPONENT = 65537
_P256_ORDER = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551
_P384_ORDER = int("F" * 48 + "C7634D81F4372DDF581A0DB248B0A77AECEC196ACCC52973", 16)
_SMALL_PRIMES = [n for n in range(3, 2000, 2) if all(n % d for d in range(3, int(n**0.5) + 1, 2))]

Expand = Callable[[bytes, int], bytes]
"""Octets for a label, as many as asked for."""


def private_key(algorithm: int, seed: bytes, purpose: bytes) -> GenericPrivateKey:
    """The private key for a DNSSEC algorithm number, made from a seed; another purpose gives another key.

    Raises KeyError for an algorithm that no keys can be made for. For tests only: whoever knows the seed
    knows the key.
    """
    make = _MAKERS[Algorithm.make(algorithm)]

    def expand(label: bytes, length: int) -> bytes:
        info = b"\0".join((b"dnssec", str(int(algorithm)).encode(), label, purpose))
        return HKDF(hashes.SHA256(), length, salt=None, info=info).derive(seed)

    cls: Callable[..., GenericPrivateKey] = get_algorithm_cls(algorithm)
    return cls(key=make(expand))


def _p256(expand: Expand) -> ec.EllipticCurvePrivateKey:
    return ec.derive_private_key(_scalar(expand, _P256_ORDER), ec.SECP256R1())


def _p384(expand: Expand) -> ec.EllipticCurvePrivateKey:
    return ec.derive_private_key(_scalar(expand, _P384_ORDER), ec.SECP384R1())


def _scalar(expand: Expand, order: int) -> int:
    # 64 bits more than needed leave no bias (FIPS 186-5 appendix A.2.1).
    octets = expand(b"scalar", (order.bit_length() + 64) // 8)
    return int.from_bytes(octets, "big") % (order - 1) + 1


def _ed25519(expand: Expand) -> ed25519.Ed25519PrivateKey:
    return ed25519.Ed25519PrivateKey.from_private_bytes(expand(b"seed", 32))


def _ed448(expand: Expand) -> ed448.Ed448PrivateKey:
    return ed448.Ed448PrivateKey.from_private_bytes(expand(b"seed", 57))


def _rsa(expand: Expand) -> rsa.RSAPrivateKey:
    p, q = _prime(expand(b"p", RSA_BITS // 16)), _prime(expand(b"q", RSA_BITS // 16))
    d = pow(_EXPONENT, -1, (p - 1) * (q - 1))
    public = rsa.RSAPublicNumbers(_EXPONENT, p * q)
    return rsa.RSAPrivateNumbers(
        p, q, d, rsa.rsa_crt_dmp1(d, p), rsa.rsa_crt_dmq1(d, q), rsa.rsa_crt_iqmp(p, q), public
    ).private_key()


def _prime(octets: bytes) -> int:
    """The first prime from a number on, whose two upper bits are set so that products keep their length."""
    candidate = int.from_bytes(octets, "big") | (3 << (len(octets) * 8 - 2)) | 1
    while not _is_prime(candidate) or (candidate - 1) % _EXPONENT == 0:
        candidate += 2
    return candidate


def _is_prime(number: int) -> bool:
    """Miller-Rabin with fixed bases, which is enough for numbers that nobody chose with malice."""
    if any(number % prime == 0 for prime in _SMALL_PRIMES):
        return False
    twos = ((number - 1) & -(number - 1)).bit_length() - 1
    odd = (number - 1) >> twos
    for base in _SMALL_PRIMES[:20]:
        power = pow(base, odd, number)
        if power in (1, number - 1):
            continue
        for _ in range(twos - 1):
            power = power * power % number
            if power == number - 1:
                break
        else:
            return False
    return True


_MAKERS = {
    Algorithm.RSASHA256: _rsa,
    Algorithm.RSASHA512: _rsa,
    Algorithm.ECDSAP256SHA256: _p256,
    Algorithm.ECDSAP384SHA384: _p384,
    Algorithm.ED25519: _ed25519,
    Algorithm.ED448: _ed448,
}
