"""QUIC connections as seen on the wire, opened as far as the key log goes (RFC 9000, RFC 9001)."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field

from testbed.core.tls_messages import ClientHello, TlsFormatError, parse_hello_message
from testbed.evidence import Frame
from testbed.verdict import frames, tls
from testbed.verdict.quic_connections import Connection, Datagram
from testbed.verdict.quic_keys import Numbers, Opener, initial_opener
from testbed.verdict.quic_packets import (
    Closing,
    Crypto,
    Issued,
    Kind,
    Packet,
    Part,
    QuicFormatError,
    Reader,
    StreamData,
    parts,
)
from testbed.verdict.streams import Octets, assemble
from testbed.verdict.tls_keys import KeyLog, suites

_SERVER_HELLO, _ENCRYPTED_EXTENSIONS, _FINISHED = 2, 8, 20
_ALPN, _EARLY_DATA, _PARAMETERS = 16, 42, 57
_RESET_TOKEN = 16
_RESET_TOKEN_PARAMETER = 2
_ALERTS = range(0x100, 0x200)
"""Error codes that report TLS alerts (RFC 9001 section 4.8)."""

_APPLICATION_ERROR = Closing(0x0C, application=False)
_NO_ERROR_OF_APPLICATION = (0, 0x100)
"""DOQ_NO_ERROR and H3_NO_ERROR (RFC 9250 section 4.3, RFC 9114 section 8.1)."""

_SPACES = {Kind.INITIAL: 0, Kind.HANDSHAKE: 1, Kind.EARLY: 2, Kind.SHORT: 2}
"""Packet number spaces (RFC 9000 section 12.3)."""

_SECRETS = {
    (Kind.EARLY, True): "CLIENT_EARLY_TRAFFIC_SECRET",
    (Kind.HANDSHAKE, True): "CLIENT_HANDSHAKE_TRAFFIC_SECRET",
    (Kind.HANDSHAKE, False): "SERVER_HANDSHAKE_TRAFFIC_SECRET",
    (Kind.SHORT, True): "CLIENT_TRAFFIC_SECRET_0",
    (Kind.SHORT, False): "SERVER_TRAFFIC_SECRET_0",
}
"""Labels in key logs by packet type and by whether the client sends it."""


@dataclass(frozen=True, slots=True)
class Ending:
    """A CONNECTION_CLOSE with an error that is no TLS alert."""

    from_client: bool
    code: int
    application: bool
    frame: Frame


@dataclass(slots=True)
class Reading:
    """What could be read of a connection.

    ``session`` is None when not even the ClientHello could be. ``streams`` are pairs of what the client and
    the server sent on a stream, by its ID; those of early data that the server did not take are apart.
    ``opaque`` are numbers of frames with something that could not be read, ``unread`` is the first of them
    that came from the client. ``alpn`` is the protocol that the server chose.
    """

    session: tls.Session | None = None
    streams: dict[int, tuple[Octets, Octets]] = field(default_factory=dict)
    refused: dict[int, tuple[Octets, Octets]] = field(default_factory=dict)
    endings: list[Ending] = field(default_factory=list)
    reset: Frame | None = None
    alpn: str | None = None
    opaque: set[int] = field(default_factory=set)
    unread: Frame | None = None
    hellos: list[Octets] = field(default_factory=list)
    """What was read of a ClientHello that is not whole."""


def read(connection: Connection, keys: KeyLog) -> Reading:
    """Read a connection."""
    return _Reader(connection, keys).run()


@dataclass(frozen=True, slots=True)
class _Piece:
    offset: int
    data: bytes
    carrier: frames.Packet


class _Reader:
    """Opens the packets of a connection, one encryption level after the other."""

    def __init__(self, connection: Connection, keys: KeyLog) -> None:
        self._connection = connection
        self._keys = keys
        self._reading = Reading()
        self._numbers: dict[tuple[int, bool], Numbers] = defaultdict(Numbers)
        self._openers: dict[object, list[Opener]] = {}
        self._crypto: dict[tuple[Kind, bool], list[_Piece]] = defaultdict(list)
        self._first_crypto: list[_Piece] = []
        self._streams: dict[tuple[bool, int, bool], list[_Piece]] = defaultdict(list)
        """By whether it is early data, by stream, by whether the client sent it."""
        self._suite = 0
        self._random = b""
        self._tokens: set[bytes] = set()
        self._awaited: set[int] = set()
        self._closings: list[tuple[Datagram, Closing]] = []
        self._failed: list[tuple[Datagram, Packet]] = []

    def run(self) -> Reading:
        """Read all there is."""
        reading = self._reading
        self._open(Kind.INITIAL)
        session = self._read_hello()
        if session is not None:
            reading.session = session
            self._random = session.hello.random
            self._read_server_hello(session)
        self._open(Kind.HANDSHAKE)
        accepted = self._read_handshake()
        self._open(Kind.EARLY, Kind.SHORT)
        refused = session is not None and session.hello.early_data and not accepted
        reading.streams = self._assembled(False, *(() if refused else (True,)))
        reading.refused = self._assembled(True) if refused else {}
        self._read_endings()
        self._note_failures()
        if session is not None:
            for datagram in (self._connection.retry, self._connection.negotiation):
                self._awaited |= datagram.numbers if datagram is not None else set()
            quiet = {number for each in self._connection.datagrams for number in each.numbers}
            session.unawaited = quiet - self._awaited - reading.opaque
        return reading

    # -- packets -----------------------------------------------------------------------------------

    def _open(self, *kinds: Kind) -> None:
        """Open all packets of some types, in order; those that do not open once more after the others."""
        pending = [
            (datagram, packet)
            for datagram in self._connection.datagrams
            for packet in datagram.packets
            if packet.kind in kinds
        ]
        while pending:
            left = [(datagram, packet) for datagram, packet in pending if not self._take(datagram, packet)]
            if len(left) == len(pending):
                break
            pending = left
        self._failed += pending

    def _take(self, datagram: Datagram, packet: Packet) -> bool:
        """Read a packet, if it can be read."""
        for number_at in self._places(datagram, packet):
            for opener in self._openers_of(datagram, packet):
                payload = opener.open(packet, number_at)
                if payload is None:
                    continue
                try:
                    found = parts(payload)
                except QuicFormatError:
                    return False
                for part in found:
                    self._take_part(datagram, packet, part)
                return True
        return False

    def _places(self, datagram: Datagram, packet: Packet) -> Iterator[int]:
        """Where the packet number may begin: after the connection ID, if there is a short header."""
        if packet.kind is not Kind.SHORT:
            yield packet.number_at
            return
        connection = self._connection
        ids = connection.server_ids if datagram.from_client else connection.client_ids
        sizes = [len(each) for each in ids if packet.data.startswith(each, 1)]
        yield from (1 + size for size in dict.fromkeys([*sorted(sizes, reverse=True), *map(len, ids)]))

    def _openers_of(self, datagram: Datagram, packet: Packet) -> list[Opener]:
        from_client, kind = datagram.from_client, packet.kind
        numbers = self._numbers[_SPACES[kind], from_client]
        connection = self._connection
        if kind is Kind.INITIAL:
            version = packet.version
            assert version is not None
            key: object = (version.number, from_client)
            if key not in self._openers:
                self._openers[key] = [
                    initial_opener(version, each, from_client, numbers) for each in connection.initial_ids
                ]
            return self._openers[key]
        version = packet.version or connection.version
        key = (kind, from_client, version.number)
        if key not in self._openers:
            secret = self._keys.secrets(self._random).get(_SECRETS.get((kind, from_client), ""), b"")
            fitting = suites(self._suite, secret)
            self._openers[key] = [Opener(version, suite, secret, numbers) for suite in fitting]
        return self._openers[key]

    def _take_part(self, datagram: Datagram, packet: Packet, part: Part) -> None:
        carrier, from_client, kind = datagram.carrier, datagram.from_client, packet.kind
        match part:
            case Crypto(offset, data) if kind is Kind.INITIAL and self._superseded(datagram, packet):
                self._awaited |= datagram.numbers
                self._first_crypto.append(_Piece(offset, data, carrier))
            case Crypto(offset, data):
                self._crypto[kind, from_client].append(_Piece(offset, data, carrier))
                if kind is not Kind.SHORT:
                    self._awaited |= datagram.numbers
            case StreamData(stream, offset, data):
                self._streams[kind is Kind.EARLY, stream, from_client].append(_Piece(offset, data, carrier))
                if stream & 2 == 0:
                    self._awaited |= datagram.numbers
            case Closing():
                self._closings.append((datagram, part))
            case Issued(connection_id, token):
                self._connection.add_id(connection_id, of_client=from_client)
                if not from_client:
                    self._tokens.add(token)

    def _superseded(self, datagram: Datagram, packet: Packet) -> bool:
        """Whether it is an Initial packet that the server answered with a Retry.

        The client should say the same once more then (RFC 9000 section 17.2.5.3), and some say it anew.
        """
        retried = self._connection.retry is not None and datagram.from_client
        return retried and packet.target not in self._connection.server_ids

    def _read_endings(self) -> None:
        """Note why the ends close the connection, if not in good order."""
        reading = self._reading
        for from_client in (True, False):
            said = [each for each in self._closings if each[0].from_client == from_client]
            # What an application says is left out where the other end may not have keys for it yet.
            said.sort(key=lambda each: each[1] == _APPLICATION_ERROR)
            for datagram, closing in said[:1]:
                frame, code = datagram.carrier.frame, closing.code
                if code in (_NO_ERROR_OF_APPLICATION if closing.application else (0,)):
                    continue
                self._awaited |= datagram.numbers
                if code in _ALERTS and not closing.application:
                    alert = tls.Alert(from_client, code - _ALERTS.start, frame)
                    if reading.session is not None:
                        reading.session.alerts.append(alert)
                else:
                    reading.endings.append(Ending(from_client, code, closing.application, frame))

    def _note_failures(self) -> None:
        reading = self._reading
        for datagram, packet in self._failed:
            if not datagram.from_client and packet.data[-_RESET_TOKEN:] in self._tokens:
                reading.reset = reading.reset or datagram.carrier.frame
                continue
            self._note_unread(datagram)
        for datagram in self._connection.datagrams:
            if datagram.broken:
                self._note_unread(datagram)
        for (_, _, from_client), pieces in self._streams.items():
            whole = self._octets(pieces)
            if from_client and whole.broken:
                self._note_first(pieces[-1].carrier.frame)

    def _note_unread(self, datagram: Datagram) -> None:
        self._reading.opaque |= datagram.numbers
        if datagram.from_client:
            self._note_first(datagram.carrier.frame)

    def _note_first(self, frame: Frame) -> None:
        unread = self._reading.unread
        if unread is None or frame.number < unread.number:
            self._reading.unread = frame

    # -- the handshake -----------------------------------------------------------------------------

    def _read_hello(self) -> tls.Session | None:
        first = self._hello_in(self._first_crypto)
        last = self._hello_in(self._crypto[Kind.INITIAL, True])
        found = last or first
        if found is None:
            for piece in self._first_crypto + self._crypto[Kind.INITIAL, True]:
                self._note_first(piece.carrier.frame)
            return None
        hello, frame, numbers = found
        if first is not None and first[0].sni == hello.sni:
            frame, numbers = first[1], numbers | first[2]
        return tls.Session(hello, frame, numbers, self._keys.holders(hello.random), quic=True)

    def _hello_in(self, pieces: list[_Piece]) -> tuple[ClientHello, Frame, set[int]] | None:
        """A ClientHello, the frame that completed it, and the numbers of all that carried it."""
        octets = self._octets(pieces)
        try:
            hello = parse_hello_message(octets.data)
        except TlsFormatError:
            hello = None
        if hello is None:
            self._reading.hellos.append(octets)
            return None
        return hello, octets.completed(0, hello.size), octets.carriers(0, hello.size)

    def _read_server_hello(self, session: tls.Session) -> None:
        octets = self._octets(self._crypto[Kind.INITIAL, False])
        for kind, start, end in _messages(octets):
            suite = tls.take_server_hello(session, octets.data[start:end]) if kind == _SERVER_HELLO else None
            if suite is not None:
                session.answer = octets.completed(start, end)
                self._suite = suite
                return

    def _read_handshake(self) -> bool:
        """Note what the handshake says; whether it is known that the server takes early data."""
        accepted = False
        session = self._reading.session
        octets = self._octets(self._crypto[Kind.HANDSHAKE, False])
        for kind, start, end in _messages(octets):
            if kind == _ENCRYPTED_EXTENSIONS:
                extensions = _extensions(octets.data[start + 2 : end])
                accepted = _EARLY_DATA in extensions
                self._reading.alpn = extensions.get(_ALPN, b"")[3:].decode("latin-1") or None
                self._tokens |= _reset_token(extensions.get(_PARAMETERS, b""))
        octets = self._octets(self._crypto[Kind.HANDSHAKE, True])
        for kind, start, end in _messages(octets):
            if kind == _FINISHED and session is not None and session.finished is None:
                session.finished = octets.completed(start, end)
        return accepted

    # -- octets ------------------------------------------------------------------------------------

    def _assembled(self, *early: bool) -> dict[int, tuple[Octets, Octets]]:
        keys = [key for key in self._streams if key[0] in early]

        def gathered(stream: int, from_client: bool) -> Octets:
            pieces = [p for key in keys if key[1:] == (stream, from_client) for p in self._streams[key]]
            return self._octets(sorted(pieces, key=lambda piece: piece.carrier.frame.number))

        return {stream: (gathered(stream, True), gathered(stream, False)) for _, stream, _ in sorted(keys)}

    @staticmethod
    def _octets(pieces: list[_Piece]) -> Octets:
        octets = assemble([(piece.offset, piece.data, piece.carrier.frame) for piece in pieces])
        octets.copies += (
            (piece.offset, piece.offset + len(piece.data), other.number)
            for piece in pieces
            for other in piece.carrier.others
        )
        return octets


def _messages(octets: Octets) -> Iterator[tuple[int, int, int]]:
    """Type, start and end of each whole handshake message; the start is after its header."""
    data, start = octets.data, 4
    while start <= len(data):
        end = start + int.from_bytes(data[start - 3 : start])
        if end > len(data):
            return
        yield data[start - 4], start, end
        start = end + 4


def _extensions(data: bytes) -> dict[int, bytes]:
    """TLS extensions by type, as far as they are whole."""
    found, position = {}, 0
    while position + 4 <= len(data):
        end = position + 4 + int.from_bytes(data[position + 2 : position + 4])
        found[int.from_bytes(data[position : position + 2])] = data[position + 4 : end]
        position = end
    return found


def _reset_token(parameters: bytes) -> set[bytes]:
    """The stateless reset token among the server's transport parameters (RFC 9000 section 18.2)."""
    reader = Reader(parameters)
    try:
        while reader.left:
            kind, value = reader.number(), reader.octets(reader.number())
            if kind == _RESET_TOKEN_PARAMETER:
                return {value}
    except QuicFormatError:
        pass
    return set()
