"""TLS sessions as seen on the wire, opened as far as the key log goes."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from testbed.core.tls_messages import ClientHello, TlsFormatError, parse_client_hello
from testbed.evidence import Frame
from testbed.verdict.streams import Octets
from testbed.verdict.tls_keys import TLS13, KeyLog, Opener

_CCS, _ALERT, _HANDSHAKE, _DATA = 20, 21, 22, 23
_SERVER_HELLO, _TICKET, _FINISHED = 2, 4, 20
_SUPPORTED_VERSIONS = 43
_RECORD = 5
_LARGEST = (1 << 14) + 2048
_RETRY = bytes.fromhex("cf21ad74e59a6111be1d8c021e65b891c2a211167abb8c5e079e09e2c8a8339c")
"""The random of a HelloRetryRequest (RFC 8446 section 4.1.3)."""


@dataclass(frozen=True, slots=True)
class Alert:
    """An alert other than close_notify (RFC 8446 section 6)."""

    from_client: bool
    description: int
    frame: Frame


@dataclass(slots=True)
class Session:
    """A TLS session at one side of a hop.

    ``client`` and ``server`` are the application data that could be decrypted. ``unread`` is the first
    frame with a record of the client's that could not. ``holders`` are those who hold secrets of it.
    """

    hello: ClientHello
    hello_frame: Frame
    hello_numbers: set[int]
    """Numbers of all frames with a part of the ClientHello."""
    holders: frozenset[str]
    version: int = 0
    answer: Frame | None = None
    """The frame with the ServerHello."""
    answer_random: bytes = b""
    finished: Frame | None = None
    """The frame with the client's Finished."""
    client: Octets = field(default_factory=Octets)
    server: Octets = field(default_factory=Octets)
    alerts: list[Alert] = field(default_factory=list)
    unread: Frame | None = None
    unawaited: set[int] = field(default_factory=set)
    """Numbers of all frames in which nothing is that anybody waits for: a session ticket that came by itself
    (RFC 8446 section 4.6.1), what HTTP/2 and QUIC have to say about themselves."""
    quic: bool = False
    """Whether it is one over QUIC."""

    @property
    def version_text(self) -> str:
        """The version that was agreed on."""
        text = {0x0304: "TLS 1.3", 0x0303: "TLS 1.2"}.get(self.version, f"TLS {self.version:#06x}")
        return f"{text} over QUIC" if self.quic else text


def looks_like_tls(octets: Octets) -> bool:
    """Whether a client's stream begins with a handshake record."""
    return octets.data[:2] == b"\x16\x03"


def read(client: Octets, server: Octets, keys: KeyLog) -> Session | None:
    """The session in a connection; None when the client sent no ClientHello that can be read."""
    try:
        hello = parse_client_hello(client.data)
    except TlsFormatError:
        return None
    if hello is None:
        return None
    end = _end_of_first(client, hello.size)
    session = Session(hello, client.completed(0, end), client.carriers(0, end), keys.holders(hello.random))
    suite = _read_server_hello(session, server)
    openers = keys.openers(hello.random, session.answer_random, session.version, suite)
    _Reader(session, client, openers[0], True).run()
    _Reader(session, server, openers[1], False).run()
    return session


def _records(octets: Octets) -> Iterator[tuple[int, int, int]]:
    """Content type, start and end of each whole record."""
    data, position = octets.data, 0
    while position + _RECORD <= len(data):
        end = position + _RECORD + (data[position + 3] << 8 | data[position + 4])
        if end > len(data) or end - position > _RECORD + _LARGEST or not _CCS <= data[position] <= _DATA:
            return
        yield data[position], position, end
        position = end


def _end_of_first(octets: Octets, size: int) -> int:
    """Where the first handshake message ends in the stream; ``size`` is its length without record headers."""
    data, position = octets.data, 0
    while True:
        length = data[position + 3] << 8 | data[position + 4]
        if length >= size:
            return position + _RECORD + size
        size -= length
        position += _RECORD + length


def _read_server_hello(session: Session, server: Octets) -> int:
    """Note what the ServerHello says; the cipher suite, or 0 without one."""
    for kind, start, end in _records(server):
        body = server.data[start + _RECORD : end]
        if kind == _HANDSHAKE and body[:1] == bytes((_SERVER_HELLO,)):
            suite = take_server_hello(session, body[4 : 4 + int.from_bytes(body[1:4])])
            if suite is not None:
                session.answer = server.completed(start, end)
                return suite
    return 0


def take_server_hello(session: Session, message: bytes) -> int | None:
    """Note what a ServerHello, given without its header, says; the cipher suite.

    None for a HelloRetryRequest, and for what ends too early.
    """
    random = message[2:34]
    position = 35 + (message[34] if len(message) > 34 else 0)
    if len(message) < position + 3 or random == _RETRY:
        return None
    session.answer_random = random
    session.version = _selected_version(message, position + 3)
    return int.from_bytes(message[position : position + 2])


def _selected_version(message: bytes, position: int) -> int:
    end = position + 2 + int.from_bytes(message[position : position + 2])
    position += 2
    while position + 4 <= min(end, len(message)):
        kind = int.from_bytes(message[position : position + 2])
        length = int.from_bytes(message[position + 2 : position + 4])
        position += 4
        if kind == _SUPPORTED_VERSIONS:
            return int.from_bytes(message[position : position + length])
        position += length
    return int.from_bytes(message[:2])


class _Reader:
    """Goes through the records of one direction."""

    def __init__(self, session: Session, octets: Octets, opener: Opener, from_client: bool) -> None:
        self._session = session
        self._octets = octets
        self._opener = opener
        self._from_client = from_client
        self._plain = session.client if from_client else session.server
        self._protected = False

    def run(self) -> None:
        """Read all there is."""
        data = self._octets.data
        for kind, start, end in _records(self._octets):
            if kind == _CCS:
                # Means nothing in TLS 1.3 (RFC 8446 section 5), that keys are used from here on in TLS 1.2.
                self._protected = self._session.version != TLS13
            elif kind == _DATA or self._protected:
                opened = self._opener.open(data[start : start + _RECORD], data[start + _RECORD : end])
                if opened is not None:
                    self._take(opened[0], opened[1], start, end)
                elif self._from_client and self._session.unread is None:
                    self._session.unread = self._octets.completed(start, end)
            elif kind == _ALERT:
                self._take(kind, data[start + _RECORD : end], start, end)
        self._session.unawaited -= {number for *_, number in self._plain.copies}

    def _take(self, kind: int, content: bytes, start: int, end: int) -> None:
        session = self._session
        if kind == _DATA:
            if content:
                completed = self._octets.completed(start, end)
                self._plain.append(content, completed, self._octets.carriers(start, end))
        elif kind == _HANDSHAKE and self._from_client:
            if content[:1] == bytes((_FINISHED,)) and session.finished is None:
                session.finished = self._octets.completed(start, end)
        elif kind == _HANDSHAKE and content[:1] == bytes((_TICKET,)):
            session.unawaited |= self._octets.carriers(start, end)
        elif kind == _ALERT and len(content) == 2 and content[1]:
            frame = self._octets.completed(start, end)
            session.alerts.append(Alert(self._from_client, content[1], frame))
