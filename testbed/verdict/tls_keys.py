"""TLS key logs, and what they open: the record protection of TLS 1.3 and of the AEAD suites of TLS 1.2."""

from __future__ import annotations

import hmac
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Protocol

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESCCM, AESGCM, ChaCha20Poly1305

from testbed.evidence import TlsSecret

TLS12, TLS13 = 0x0303, 0x0304
"""Versions, as ServerHello and its supported_versions extension give them."""

_TAG = 16
IV = 12


class Aead(Protocol):
    """An AEAD algorithm with its key (RFC 5116)."""

    def decrypt(self, nonce: bytes, data: bytes, associated_data: bytes | None) -> bytes:
        """The plaintext. Raises InvalidTag, and ValueError for data that are too short."""


@dataclass(frozen=True, slots=True)
class Suite:
    """What a cipher suite protects records with. ``key`` is in octets, ``tag`` too."""

    kind: type[AESGCM] | type[AESCCM] | type[ChaCha20Poly1305]
    key: int
    digest: str
    tag: int = _TAG

    def aead(self, key: bytes) -> Aead:
        """The algorithm with a key."""
        return AESCCM(key, self.tag) if self.kind is AESCCM else self.kind(key)


_AES128 = Suite(AESGCM, 16, "sha256")
_AES256 = Suite(AESGCM, 32, "sha384")
_CHACHA = Suite(ChaCha20Poly1305, 32, "sha256")
SUITES = {
    TLS13: {
        0x1301: _AES128,
        0x1302: _AES256,
        0x1303: _CHACHA,
        0x1304: Suite(AESCCM, 16, "sha256"),
        0x1305: Suite(AESCCM, 16, "sha256", 8),
    },
    TLS12: {
        **dict.fromkeys((0x009C, 0x009E, 0xC02B, 0xC02F), _AES128),
        **dict.fromkeys((0x009D, 0x009F, 0xC02C, 0xC030), _AES256),
        **dict.fromkeys((0xCCA8, 0xCCA9, 0xCCAA), _CHACHA),
    },
}
"""By version and by number (RFC 8446 appendix B.4; RFC 5288, 5289, 7905)."""


def suites(number: int, secret: bytes) -> list[Suite]:
    """The cipher suite of TLS 1.3 with a number; for 0 all those that a traffic secret may belong to."""
    known = SUITES[TLS13]
    if number:
        return [known[number]] if number in known else []
    size = {"sha256": 32, "sha384": 48}
    return [suite for suite in known.values() if size[suite.digest] == len(secret)]


_EARLY = "CLIENT_EARLY_TRAFFIC_SECRET"


class KeyLog:
    """The lines of TLS key logs by the client random that they belong to, and who holds them."""

    def __init__(self, secrets: Iterable[TlsSecret]) -> None:
        self._secrets: dict[bytes, dict[str, bytes]] = {}
        self._holders: dict[bytes, set[str]] = {}
        self._early_holders: dict[bytes, set[str]] = {}
        for entry in secrets:
            parsed = _parsed(entry.line)
            if parsed is not None:
                label, random, secret = parsed
                self._secrets.setdefault(random, {})[label] = secret
                self._holders.setdefault(random, set()).add(entry.holder)
                if label == _EARLY:
                    self._early_holders.setdefault(random, set()).add(entry.holder)

    def holders(self, random: bytes) -> frozenset[str]:
        """Who holds secrets of a session."""
        return frozenset(self._holders.get(random, ()))

    def early_holders(self, random: bytes) -> frozenset[str]:
        """Who holds the secret of a session's early data, which comes from the session before."""
        return frozenset(self._early_holders.get(random, ()))

    def secrets(self, random: bytes) -> Mapping[str, bytes]:
        """The secrets of a session by label."""
        return self._secrets.get(random, {})

    def openers(self, random: bytes, server_random: bytes, version: int, suite: int) -> tuple[Opener, Opener]:
        """What opens the records of the client, and those of the server."""
        secrets = self._secrets.get(random, {})
        known = SUITES.get(version, {}).get(suite)
        if known is None:
            return Opener(), Opener()
        if version == TLS12:
            return _openers12(secrets.get("CLIENT_RANDOM"), known, server_random + random)
        client = (_EARLY, "CLIENT_HANDSHAKE_TRAFFIC_SECRET", "CLIENT_TRAFFIC_SECRET_0")
        server = ("SERVER_HANDSHAKE_TRAFFIC_SECRET", "SERVER_TRAFFIC_SECRET_0")
        return (
            _Opener13(known, [secrets[label] for label in client if label in secrets]),
            _Opener13(known, [secrets[label] for label in server if label in secrets]),
        )


class Opener:
    """Opens the records of one direction, in order. This one opens none."""

    def open(self, header: bytes, body: bytes) -> tuple[int, bytes] | None:
        """Content type and plaintext of a protected record, or None when no key fits.

        ``header`` is the record's, of five octets.
        """
        return None


class _Opener13(Opener):
    """TLS 1.3: a key for early data, one for the handshake, one for the rest, and updates of that.

    Which of them a record needs is found by trying: one key, and the next when that one does not fit
    (RFC 8446 sections 5.2, 7.1 to 7.3).
    """

    def __init__(self, suite: Suite, secrets: list[bytes]) -> None:
        self._suite = suite
        self._secrets = secrets
        self._epoch = 0
        self._sequence = 0

    def open(self, header: bytes, body: bytes) -> tuple[int, bytes] | None:
        secrets = self._secrets
        epoch, sequence = self._epoch, self._sequence
        while secrets and epoch <= len(secrets):
            if epoch == len(secrets):  # a key update
                secret = expand(secrets[-1], b"traffic upd", len(secrets[-1]), self._suite.digest)
            else:
                secret = secrets[epoch]
            aead, iv = _keys13(self._suite, secret)
            try:
                inner = aead.decrypt(nonce_of(iv, sequence), body, header)
            except (InvalidTag, ValueError):
                epoch, sequence = epoch + 1, 0
                continue
            if epoch == len(secrets):
                secrets.append(secret)
            self._epoch, self._sequence = epoch, sequence + 1
            content = inner.rstrip(b"\0")
            return (content[-1], content[:-1]) if content else None
        return None


class _Opener12(Opener):
    """TLS 1.2 with an AEAD suite (RFC 5246 section 6.2.3.3)."""

    def __init__(self, suite: Suite, key: bytes, iv: bytes) -> None:
        self._aead = suite.aead(key)
        self._iv = iv
        self._sequence = 0

    def open(self, header: bytes, body: bytes) -> tuple[int, bytes] | None:
        if len(self._iv) == IV:
            nonce = nonce_of(self._iv, self._sequence)
        else:
            nonce, body = self._iv + body[:8], body[8:]
        size = max(len(body) - _TAG, 0)
        data = self._sequence.to_bytes(8) + header[:3] + size.to_bytes(2)
        try:
            content = self._aead.decrypt(nonce, body, data)
        except (InvalidTag, ValueError):
            return None
        self._sequence += 1
        return header[0], content


def _openers12(master: bytes | None, suite: Suite, seed: bytes) -> tuple[Opener, Opener]:
    """From the master secret; ``seed`` is the server's random and the client's (RFC 5246 section 6.3)."""
    if master is None:
        return Opener(), Opener()
    iv = IV if suite is _CHACHA else 4
    wanted = 2 * (suite.key + iv)
    seed = b"key expansion" + seed
    block = b""
    chain = seed
    while len(block) < wanted:
        chain = hmac.digest(master, chain, suite.digest)
        block += hmac.digest(master, chain + seed, suite.digest)
    keys, ivs = block[: 2 * suite.key], block[2 * suite.key : wanted]
    return (
        _Opener12(suite, keys[: suite.key], ivs[:iv]),
        _Opener12(suite, keys[suite.key :], ivs[iv:]),
    )


@lru_cache(maxsize=1024)
def _parsed(line: str) -> tuple[str, bytes, bytes] | None:
    """Label, client random and secret; the same line often comes from both ends of a session."""
    parts = line.split()
    if len(parts) != 3:
        return None
    try:
        return parts[0], bytes.fromhex(parts[1]), bytes.fromhex(parts[2])
    except ValueError:
        return None


@lru_cache(maxsize=512)
def _keys13(suite: Suite, secret: bytes) -> tuple[Aead, bytes]:
    key = expand(secret, b"key", suite.key, suite.digest)
    return suite.aead(key), expand(secret, b"iv", IV, suite.digest)


def expand(secret: bytes, label: bytes, length: int, digest: str) -> bytes:
    """HKDF-Expand-Label with no context, for at most one block of the hash (RFC 8446 section 7.1)."""
    label = b"tls13 " + label
    info = b"".join((length.to_bytes(2), bytes((len(label),)), label, b"\0\x01"))
    return hmac.digest(secret, info, digest)[:length]


def nonce_of(iv: bytes, sequence: int) -> bytes:
    """The nonce of a record or packet (RFC 8446 section 5.3, RFC 9001 section 5.3)."""
    return (int.from_bytes(iv) ^ sequence).to_bytes(IV)
