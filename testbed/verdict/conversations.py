"""What TCP and QUIC connections come to: messages, sessions, and signs of how they went."""

from __future__ import annotations

from dataclasses import replace

from testbed.core.tls_messages import alert_name
from testbed.core.transport import Transport
from testbed.evidence import Frame
from testbed.verdict import http2, http3, quic, quic_connections, tls
from testbed.verdict.content import Content
from testbed.verdict.streams import Connection, Octets
from testbed.verdict.tls_keys import KeyLog
from testbed.verdict.views import SideView, Sign, SignKind, towards

_DNS, _HTTPS = 53, 443
_TLS_PORTS = {853: Transport.DOT, _HTTPS: Transport.DOH}
_ALPN = {"dot": Transport.DOT, "h2": Transport.DOH}
_QUIC_ALPN = {"doq": Transport.DOQ, "h3": Transport.DOH3}
_TRANSPORT_ERRORS = {
    0x01: "INTERNAL_ERROR",
    0x02: "CONNECTION_REFUSED",
    0x03: "FLOW_CONTROL_ERROR",
    0x04: "STREAM_LIMIT_ERROR",
    0x05: "STREAM_STATE_ERROR",
    0x06: "FINAL_SIZE_ERROR",
    0x07: "FRAME_ENCODING_ERROR",
    0x08: "TRANSPORT_PARAMETER_ERROR",
    0x09: "CONNECTION_ID_LIMIT_ERROR",
    0x0A: "PROTOCOL_VIOLATION",
    0x0B: "INVALID_TOKEN",
    0x0C: "APPLICATION_ERROR",
    0x0D: "CRYPTO_BUFFER_EXCEEDED",
    0x0E: "KEY_UPDATE_ERROR",
    0x0F: "AEAD_LIMIT_REACHED",
    0x10: "NO_VIABLE_PATH",
}
"""RFC 9000 section 20.1."""


class _Conversation:
    """What the conversations over TCP and over QUIC have in common."""

    def __init__(self, view: SideView, peer: bytes) -> None:
        self._view = view
        self._peer = peer

    def _sign_session(self, session: tls.Session, transport: Transport) -> None:
        """Add a session, and the signs of how its handshake went."""
        self._view.sessions.append(session)
        hello = session.hello
        opening = "QUIC Initial" if session.quic else "TLS ClientHello"
        text = f"{opening}, SNI {hello.sni}" if hello.sni else f"{opening} without SNI"
        self._sign("hello", session.hello_frame, transport, text, ("hello", hello.random), session)
        if session.answer is not None:
            text = session.version_text + (" session" if session.finished else " ServerHello")
            answered = ("session", session.answer_random)
            self._sign("session", session.answer, transport, text, answered, session)
        for alert in session.alerts:
            text = f"TLS alert {alert_name(alert.description)}"
            said = ("alert", alert.from_client, alert.description)
            self._sign("alert", alert.frame, transport, text, said)

    def _sign(
        self,
        kind: SignKind,
        frame: Frame,
        transport: Transport,
        text: str,
        key: object,
        session: tls.Session | None = None,
    ) -> None:
        self._view.signs.append(Sign(kind, self._view.link, frame, transport, self._peer, text, key, session))

    def _note_unread(self, frame: Frame, what: str) -> None:
        if towards(frame) == "far":
            self._view.unread.append((frame, what))


class TcpConversation(_Conversation):
    """Reads a TCP connection: DNS in clear, or TLS with whatever is in it, or neither."""

    def __init__(self, view: SideView, connection: Connection, keys: KeyLog) -> None:
        self._connection = connection
        self._keys = keys
        opening = connection.syn or next((chunk[2] for chunk in connection.client.octets.chunks), None)
        from_far = opening is not None and towards(opening) == "resolver"
        super().__init__(view, connection.client_address if from_far else connection.server_address)

    def read(self) -> None:
        """Add what there is to the view."""
        connection = self._connection
        client, server = connection.client.octets, connection.server.octets
        by_port = _TLS_PORTS.get(connection.server_port, Transport.TCP)
        if tls.looks_like_tls(client):
            session = tls.read(client, server, self._keys)
            if session is None:
                self._set_aside(client, server)
            else:
                self._read_session(session)
        elif client.data or server.data:
            content = Content(self._view, Transport.TCP, self._peer, None)
            for octets in (client, server):
                if not content.read_stream(octets, connection.server_port == _DNS):
                    self._set_aside(octets)
        elif connection.syn is not None:
            key = ("syn", connection.server_address, connection.server_port)
            self._sign("syn", connection.syn, by_port, f"TCP SYN to port {connection.server_port}", key)
        self._read_resets(bool(client.data), by_port)

    def _read_session(self, session: tls.Session) -> None:
        transport = self._transport(session)
        self._sign_session(session, transport)
        if session.unread is not None:
            self._note_unread(session.unread, "a TLS session")
        client, server = session.client, session.server
        content = Content(self._view, transport, self._peer, session)
        if http2.looks_like_http2(client):
            unread = content.read_http(http2.read(client, server))
            if session.finished is not None:
                quiet = http2.unawaited(client, len(http2.PREFACE)) | http2.unawaited(server)
                session.unawaited |= {number for number in quiet if number > session.finished.number}
        else:
            found = content.read_stream(client, True)
            content.read_stream(server, True)
            unread = client.chunks[0][2] if client.data and not found else None
        if unread is not None:
            self._note_unread(unread, "what is no DNS in a TLS session")

    def _read_resets(self, spoken: bool, transport: Transport) -> None:
        """Note what broke the connection: the first RST against the client that it had not asked for."""
        connection = self._connection
        ended = [frame.number for from_client, frame in connection.closed if from_client]
        for from_client, frame in connection.resets:
            if from_client or (ended and ended[0] < frame.number):
                continue
            text = "TCP RST" if spoken or connection.accepted else "TCP RST, connection refused"
            key = ("reset", connection.server_address, connection.server_port)
            self._sign("reset", frame, transport, text, key)
            return

    def _set_aside(self, *streams: Octets) -> None:
        for octets in streams:
            self._view.opaque.update(number for _, _, number in octets.copies)

    def _transport(self, session: tls.Session) -> Transport:
        by_port = _TLS_PORTS.get(self._connection.server_port)
        if by_port is not None:
            return by_port
        return next((_ALPN[name] for name in session.hello.alpn if name in _ALPN), Transport.DOT)


class QuicConversation(_Conversation):
    """Reads a QUIC connection: DNS or HTTP/3 on its streams."""

    def __init__(self, view: SideView, connection: quic_connections.Connection, keys: KeyLog) -> None:
        self._connection = connection
        self._keys = keys
        first = connection.datagrams[0]
        from_far = (towards(first.carrier.frame) == "resolver") == first.from_client
        super().__init__(view, connection.client_address if from_far else connection.server_address)

    def read(self) -> None:
        """Add what there is to the view."""
        reading = quic.read(self._connection, self._keys)
        view, session = self._view, reading.session
        view.opaque |= reading.opaque
        view.streams += ((None, octets) for octets in reading.hellos)
        protocol = self._protocol(reading)
        transport = _QUIC_ALPN[protocol]
        if reading.unread is not None:
            self._note_unread(reading.unread, "a QUIC connection")
        self._sign_course(reading, transport)
        if session is None:
            return
        self._sign_session(session, transport)
        # Who refuses early data has not the keys to it.
        early = replace(session, holders=self._keys.early_holders(session.hello.random))
        for streams, keys in ((reading.refused, early), (reading.streams, session)):
            content = Content(view, transport, self._peer, keys)
            if protocol == "h3":
                unread = content.read_http(http3.read(streams))
                if unread is not None:
                    self._note_unread(unread, "what is no DNS in a QUIC connection")
                continue
            for client, server in streams.values():
                size = content.read_stream(client, True)
                content.read_stream(server, True)
                if size < len(client.data):
                    self._note_unread(client.chunks[-1][2], "what is no DNS in a QUIC connection")

    def _protocol(self, reading: quic.Reading) -> str:
        """The protocol on the streams: what the server chose, or else was offered, or goes with the port."""
        usual = "h3" if self._connection.server_port == _HTTPS else "doq"
        offered = reading.session.hello.alpn if reading.session is not None else ()
        if reading.alpn in _QUIC_ALPN:
            return reading.alpn
        return next((name for name in offered if name in _QUIC_ALPN), usual)

    def _sign_course(self, reading: quic.Reading, transport: Transport) -> None:
        """Note what else happened: another version, a Retry, how the connection broke."""
        connection = self._connection
        if reading.session is None:
            first = connection.datagrams[0]
            key = ("quic", first.carrier.payload)
            self._sign("quic", first.carrier.frame, transport, "QUIC, not understood", key)
        for datagram, text in (
            (connection.negotiation, "QUIC Version Negotiation"),
            (connection.retry, "QUIC Retry"),
        ):
            if datagram is not None:
                key = ("quic", datagram.carrier.payload)
                self._sign("quic", datagram.carrier.frame, transport, text, key)
        for ending in reading.endings:
            name = "application" if ending.application else _TRANSPORT_ERRORS.get(ending.code, "error")
            text = f"QUIC connection closed, {name} ({ending.code:#x})"
            how = ("close", ending.from_client, ending.code, ending.application)
            self._sign("close", ending.frame, transport, text, how)
        if reading.reset is not None:
            broken = ("reset", connection.server_address, connection.server_port)
            self._sign("reset", reading.reset, transport, "QUIC stateless reset", broken)
