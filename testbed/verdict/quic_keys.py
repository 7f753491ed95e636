"""What opens QUIC packets: header and packet protection (RFC 9001 section 5, RFC 9369 section 3.3)."""

from __future__ import annotations

import hmac
from collections.abc import Callable
from functools import lru_cache

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305
from cryptography.hazmat.primitives.ciphers.algorithms import AES, ChaCha20
from cryptography.hazmat.primitives.ciphers.modes import ECB

from testbed.verdict.quic_packets import Kind, Packet, Version
from testbed.verdict.tls_keys import IV, Aead, Suite, expand, nonce_of, suites

_AES128_GCM_SHA256 = 0x1301
_SAMPLE = 16
_SAMPLE_AT = 4
_KEY_PHASE = 0x04


class Numbers:
    """The largest packet number that was read in one direction of a packet number space so far."""

    def __init__(self) -> None:
        self.largest = -1

    def whole(self, truncated: int, bits: int) -> int:
        """A packet number, from as much of it as was sent (RFC 9000 appendix A.3)."""
        expected, window = self.largest + 1, 1 << bits
        candidate = expected & ~(window - 1) | truncated
        if candidate <= expected - window // 2 and candidate < (1 << 62) - window:
            return candidate + window
        if candidate > expected + window // 2 and candidate >= window:
            return candidate - window
        return candidate


class Opener:
    """Opens the packets of one direction with one secret and its updates (RFC 9001 section 6)."""

    def __init__(self, version: Version, suite: Suite, secret: bytes, numbers: Numbers) -> None:
        self._version = version
        self._suite = suite
        self._numbers = numbers
        self._secrets = [secret]
        self._generation = 0
        self._mask = _mask(suite, expand(secret, version.label + b"hp", suite.key, suite.digest))

    def open(self, packet: Packet, number_at: int) -> bytes | None:
        """The frames of a packet, or None when the keys do not fit.

        ``number_at`` is where its packet number begins.
        """
        data = packet.data
        sample = data[number_at + _SAMPLE_AT : number_at + _SAMPLE_AT + _SAMPLE]
        if len(sample) < _SAMPLE:
            return None
        mask = self._mask(sample)
        short = packet.kind is Kind.SHORT
        first = data[0] ^ mask[0] & (0x1F if short else 0x0F)
        end = number_at + (first & 3) + 1
        truncated = int.from_bytes(data[number_at:end]) ^ int.from_bytes(mask[1 : end - number_at + 1])
        number = self._numbers.whole(truncated, 8 * (end - number_at))
        header = bytes((first,)) + data[1:number_at] + truncated.to_bytes(end - number_at)
        for generation in self._generations(bool(first & _KEY_PHASE)) if short else (0,):
            aead, iv = self._keys(generation)
            try:
                payload = aead.decrypt(nonce_of(iv, number), data[end:], header)
            except (InvalidTag, ValueError):
                continue
            self._generation = max(self._generation, generation)
            self._numbers.largest = max(self._numbers.largest, number)
            return payload
        return None

    def _generations(self, phase: bool) -> list[int]:
        """Which keys a key phase may mean, the likeliest first."""
        if self._generation % 2 == phase:
            return [self._generation]
        return [each for each in (self._generation + 1, self._generation - 1) if each >= 0]

    def _keys(self, generation: int) -> tuple[Aead, bytes]:
        suite, label = self._suite, self._version.label
        while len(self._secrets) <= generation:
            last = self._secrets[-1]
            self._secrets.append(expand(last, label + b"ku", len(last), suite.digest))
        return _keys(suite, label, self._secrets[generation])


def initial_opener(version: Version, connection_id: bytes, from_client: bool, numbers: Numbers) -> Opener:
    """What opens Initial packets.

    The keys follow from the connection ID that the client's first packet bears (RFC 9001 section 5.2): they
    keep nobody out.
    """
    secret = hmac.digest(version.salt, connection_id, "sha256")
    label = b"client in" if from_client else b"server in"
    (suite,) = suites(_AES128_GCM_SHA256, secret)
    return Opener(version, suite, expand(secret, label, 32, "sha256"), numbers)


@lru_cache(maxsize=512)
def _keys(suite: Suite, label: bytes, secret: bytes) -> tuple[Aead, bytes]:
    key = expand(secret, label + b"key", suite.key, suite.digest)
    return suite.aead(key), expand(secret, label + b"iv", IV, suite.digest)


def _mask(suite: Suite, key: bytes) -> Callable[[bytes], bytes]:
    """What header protection makes of a sample (RFC 9001 sections 5.4.3 and 5.4.4)."""
    if suite.kind is ChaCha20Poly1305:
        return lambda sample: Cipher(ChaCha20(key, sample), None).encryptor().update(bytes(5))
    encryptor = Cipher(AES(key), ECB()).encryptor()  # noqa: S305 - as RFC 9001 has it
    return encryptor.update
