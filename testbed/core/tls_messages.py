"""What can be read of TLS without taking part in it: the ClientHello, and how to send an alert.

Pure functions over bytes, after RFC 8446. Nothing is decrypted.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass, field
from enum import IntEnum


class TlsFormatError(ValueError):
    """The bytes are not the start of a TLS connection."""


class AlertDescription(IntEnum):
    """Alert descriptions (RFC 8446 section 6, appendix B.2; RFC 7301 for the last)."""

    CLOSE_NOTIFY = 0
    UNEXPECTED_MESSAGE = 10
    BAD_RECORD_MAC = 20
    RECORD_OVERFLOW = 22
    HANDSHAKE_FAILURE = 40
    BAD_CERTIFICATE = 42
    UNSUPPORTED_CERTIFICATE = 43
    CERTIFICATE_REVOKED = 44
    CERTIFICATE_EXPIRED = 45
    CERTIFICATE_UNKNOWN = 46
    ILLEGAL_PARAMETER = 47
    UNKNOWN_CA = 48
    ACCESS_DENIED = 49
    DECODE_ERROR = 50
    DECRYPT_ERROR = 51
    PROTOCOL_VERSION = 70
    INSUFFICIENT_SECURITY = 71
    INTERNAL_ERROR = 80
    INAPPROPRIATE_FALLBACK = 86
    USER_CANCELED = 90
    MISSING_EXTENSION = 109
    UNSUPPORTED_EXTENSION = 110
    UNRECOGNIZED_NAME = 112
    BAD_CERTIFICATE_STATUS_RESPONSE = 113
    UNKNOWN_PSK_IDENTITY = 115
    CERTIFICATE_REQUIRED = 116
    NO_APPLICATION_PROTOCOL = 120


def alert_name(description: int) -> str:
    """An alert as reports name it: "handshake_failure (40)"."""
    try:
        return f"{AlertDescription(description).name.lower()} ({description})"
    except ValueError:
        return f"alert {description}"


_ALERT, _HANDSHAKE = 21, 22
_CLIENT_HELLO = 1
_RECORD_HEADER, _HANDSHAKE_HEADER = 5, 4
_MAX_PLAINTEXT = 1 << 14
_MAX_HELLO = 1 << 16
"""Larger than any ClientHello that is sent in earnest; RFC 8446 itself would allow 16 MiB."""

_SERVER_NAME, ALPN, _SESSION_TICKET = 0, 16, 35
_PRE_SHARED_KEY, _EARLY_DATA, SUPPORTED_VERSIONS = 41, 42, 43


def alert_record(description: int, *, fatal: bool = True) -> bytes:
    """A TLSPlaintext record with an alert, as a server may answer a ClientHello (RFC 8446 section 6).

    Raises ValueError when the description is not an octet.
    """
    return bytes((_ALERT, 3, 3, 0, 2, 2 if fatal else 1, description))


def sketched_client_hello(sni: str | None, alpn: Iterable[str]) -> bytes:
    """A ClientHello of TLS 1.3 in a record, with no more in it than observers look at.

    It has no keys, and nothing random.
    """
    name = (sni or "").encode("ascii")
    protocols = b"".join(_vector(1, protocol.encode("latin-1")) for protocol in alpn)
    block = b"".join(
        kind.to_bytes(2) + _vector(2, body)
        for kind, body in (
            (_SERVER_NAME, _vector(2, b"\0" + _vector(2, name)) if name else b""),
            (ALPN, _vector(2, protocols) if protocols else b""),
            (SUPPORTED_VERSIONS, _vector(1, b"\3\4")),
        )
        if body
    )
    body = (
        b"\3\3" + bytes(32) + _vector(1, b"") + _vector(2, b"\x13\1") + _vector(1, b"\0") + _vector(2, block)
    )
    message = bytes((_CLIENT_HELLO,)) + _vector(3, body)
    return bytes((_HANDSHAKE, 3, 1)) + _vector(2, message)


def _vector(size: int, body: bytes) -> bytes:
    return len(body).to_bytes(size) + body


@dataclass(frozen=True, slots=True)
class ClientHello:
    """A ClientHello (RFC 8446 section 4.1.2), as far as an observer on the path makes use of it."""

    random: bytes
    """32 octets; the key under which a TLS key log files the secrets of the connection."""
    sni: str | None
    """The host name of the server_name extension (RFC 6066 section 3)."""
    alpn: tuple[str, ...]
    """Offered protocols in order of preference (RFC 7301); octets above 127 as in Latin-1."""
    versions: tuple[int, ...]
    """Offered versions; that of the message itself when there is no supported_versions extension."""
    ticket: bool
    """Whether it tries to resume: pre_shared_key, or a session ticket of TLS 1.2 (RFC 5077)."""
    early_data: bool
    """Whether early data follow (RFC 8446 section 4.2.10)."""
    extensions: tuple[int, ...] = field(repr=False)
    """Types of all extensions, in order."""
    size: int = 0
    """Octets of the handshake message, its header included."""

    @property
    def offers_tls13(self) -> bool:
        """Whether TLS 1.3 is among the versions."""
        return 0x0304 in self.versions


class _Reader:
    """Reads the vectors of the TLS presentation language (RFC 8446 section 3.4)."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._position = 0

    def __bool__(self) -> bool:
        return self._position < len(self._data)

    def octets(self, count: int) -> bytes:
        end = self._position + count
        if end > len(self._data):
            raise TlsFormatError("a field of the ClientHello ends too early")
        octets = self._data[self._position : end]
        self._position = end
        return octets

    def number(self, size: int) -> int:
        return int.from_bytes(self.octets(size))

    def vector(self, size: int) -> bytes:
        """A vector whose length is given in ``size`` octets."""
        return self.octets(self.number(size))

    def end(self) -> None:
        if self:
            raise TlsFormatError("octets follow the end of a field of the ClientHello")


def parse_client_hello(data: bytes) -> ClientHello | None:
    """The ClientHello at the start of a client's stream; None when more of the stream is needed.

    ``data`` is all that the client sent so far; the message may be split over any number of records
    (RFC 8446 section 5.1). Raises TlsFormatError as soon as the stream cannot become a ClientHello.
    """
    found = _first_message(data)
    return None if found is None else _parse(found[0])


def without_extensions(data: bytes, kinds: Collection[int]) -> bytes:
    """A client's stream, as ``parse_client_hello`` takes it, without some extensions of the ClientHello.

    The rest of the message stays as it is, and what follows it. Raises TlsFormatError, also when the
    ClientHello is not there in full.
    """
    found = _first_message(data)
    if found is None:
        raise TlsFormatError("the ClientHello is not there in full")
    message, end = found
    kept = b""
    block = _extensions(message)
    for kind, body in block.items():
        if kind not in kinds:
            kept += kind.to_bytes(2) + len(body).to_bytes(2) + body
    start = len(message) - sum(len(body) + 4 for body in block.values()) - 2 if block else len(message)
    content = message[_HANDSHAKE_HEADER:start] + (len(kept).to_bytes(2) + kept if block else b"")
    altered = message[:1] + len(content).to_bytes(3) + content
    pieces = [altered[at : at + _MAX_PLAINTEXT] for at in range(0, len(altered), _MAX_PLAINTEXT)]
    return b"".join(data[:3] + len(piece).to_bytes(2) + piece for piece in pieces) + data[end:]


def _first_message(data: bytes) -> tuple[bytes, int] | None:
    """The ClientHello of a stream, and where the record ends that it ends in; None when more is needed."""
    message = bytearray()
    position = 0
    while True:
        _check_start(message)
        if len(message) >= _HANDSHAKE_HEADER:
            size = _HANDSHAKE_HEADER + int.from_bytes(message[1:4])
            if len(message) >= size:
                return bytes(message[:size]), position
        fragment, position = _next_fragment(data, position)
        if not fragment:
            return None
        message += fragment


def parse_hello_message(data: bytes) -> ClientHello | None:
    """The ClientHello at the start of handshake octets that are in no records; None when some are missing.

    That is how QUIC carries them (RFC 9001 section 4.1.3). Raises TlsFormatError.
    """
    _check_start(bytearray(data[:_HANDSHAKE_HEADER]))
    size = _HANDSHAKE_HEADER + int.from_bytes(data[1:_HANDSHAKE_HEADER])
    if len(data) < max(size, _HANDSHAKE_HEADER):
        return None
    return _parse(data[:size])


def _check_start(message: bytearray) -> None:
    if message and message[0] != _CLIENT_HELLO:
        raise TlsFormatError(f"handshake message of type {message[0]} where a ClientHello belongs")
    if len(message) >= _HANDSHAKE_HEADER and int.from_bytes(message[1:4]) > _MAX_HELLO:
        raise TlsFormatError("ClientHello is longer than 65536 octets")


def _next_fragment(data: bytes, position: int) -> tuple[bytes, int]:
    """As much of the record at a position as has come, and where the next record starts."""
    header = data[position : position + _RECORD_HEADER]
    if header and header[0] != _HANDSHAKE:
        raise TlsFormatError(f"record of type {header[0]} where a handshake belongs")
    if len(header) > 1 and header[1] != 3:
        raise TlsFormatError(f"record of version {header[1]}")
    if len(header) < _RECORD_HEADER:
        return b"", position
    length = int.from_bytes(header[3:])
    if not 0 < length <= _MAX_PLAINTEXT:
        raise TlsFormatError(f"handshake record of {length} octets")
    start = position + _RECORD_HEADER
    return data[start : start + length], start + length


def _parse(message: bytes) -> ClientHello:
    reader = _Reader(message[_HANDSHAKE_HEADER:])
    version = reader.number(2)
    random = reader.octets(32)
    reader.vector(1)  # legacy_session_id
    suites = reader.vector(2)
    compression = reader.vector(1)
    if not suites or len(suites) % 2 or not compression:
        raise TlsFormatError("ClientHello without cipher suites or compression methods")
    extensions = _block(reader)
    return ClientHello(
        random=random,
        sni=_server_name(extensions.get(_SERVER_NAME)),
        alpn=_protocols(extensions.get(ALPN)),
        versions=_versions(extensions.get(SUPPORTED_VERSIONS), version),
        ticket=_PRE_SHARED_KEY in extensions or bool(extensions.get(_SESSION_TICKET)),
        early_data=_EARLY_DATA in extensions,
        extensions=tuple(extensions),
        size=len(message),
    )


def _block(reader: _Reader) -> dict[int, bytes]:
    """The extensions at the end of a ClientHello, by type and in order; TLS 1.2 and earlier may have none."""
    extensions: dict[int, bytes] = {}
    if reader:
        block = _Reader(reader.vector(2))
        while block:
            kind = block.number(2)
            if kind in extensions:
                raise TlsFormatError(f"extension {kind} appears twice")
            extensions[kind] = block.vector(2)
        reader.end()
    return extensions


def _extensions(message: bytes) -> dict[int, bytes]:
    """The extensions of a ClientHello, by type and in order."""
    reader = _Reader(message[_HANDSHAKE_HEADER:])
    reader.octets(2 + 32)
    for size in (1, 2, 1):  # legacy_session_id, cipher_suites, legacy_compression_methods
        reader.vector(size)
    return _block(reader)


def _server_name(data: bytes | None) -> str | None:
    if data is None:
        return None
    outer = _Reader(data)
    names = _Reader(outer.vector(2))
    outer.end()
    found = None
    while names:
        kind, name = names.number(1), names.vector(2)
        if kind != 0:
            continue
        if found is not None or not name or not name.isascii():
            raise TlsFormatError("server_name holds no single ASCII host name")
        found = name.decode("ascii")
    return found


def _protocols(data: bytes | None) -> tuple[str, ...]:
    if data is None:
        return ()
    outer = _Reader(data)
    protocols = _Reader(outer.vector(2))
    outer.end()
    found = []
    while protocols:
        name = protocols.vector(1)
        if not name:
            raise TlsFormatError("empty ALPN protocol name")
        found.append(name.decode("latin-1"))
    return tuple(found)


def _versions(data: bytes | None, legacy: int) -> tuple[int, ...]:
    if data is None:
        return (legacy,)
    outer = _Reader(data)
    versions = _Reader(outer.vector(1))
    outer.end()
    found = []
    while versions:
        found.append(versions.number(2))
    return tuple(found)
