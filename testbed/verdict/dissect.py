"""From the frames of a phase to DNS messages, TLS sessions and signs of failure, each with its frame."""

from __future__ import annotations

from typing import Literal

from testbed.core.tls_messages import alert_name
from testbed.core.transport import Transport
from testbed.evidence import Frame, LinkCapture, PhaseEvidence, Side
from testbed.verdict import tls
from testbed.verdict.frames import (
    TCP,
    UDP,
    Defragmenter,
    Fragment,
    FrameError,
    Packet,
    decode,
    quoted,
)
from testbed.verdict.messages import Dns, DnsFormatError, looks_like_dns, scan
from testbed.verdict.streams import LENGTH, Connection, Connections, Octets
from testbed.verdict.tls_keys import KeyLog
from testbed.verdict.views import Message, PhaseView, SideView, Sign, towards

_DNS, _TLS_PORTS = 53, {853: Transport.DOT, 443: Transport.DOH}
_ALPN = {"dot": Transport.DOT, "h2": Transport.DOH}
_QUIC_PORTS = frozenset((443, 853))


def dissect(evidence: PhaseEvidence) -> PhaseView:
    """Dissect the captures of a phase."""
    keys = KeyLog(evidence.secrets)
    return PhaseView(evidence, lambda capture, side: _side(capture, side, keys))


def _side(capture: LinkCapture, side: Side, keys: KeyLog) -> SideView:
    view = SideView(capture.link)
    fragments = Defragmenter()
    connections = Connections()
    datagrams = _Datagrams(view)
    for frame in capture.frames:
        if frame.side != side:
            continue
        try:
            packet = decode(frame)
            if packet is None:
                continue
            view.packets.append(packet)
            if isinstance(packet, Fragment):
                packet = fragments.feed(packet)
                if packet is None:
                    continue
        except FrameError:
            view.opaque.add(frame.number)
            continue
        if packet.protocol == TCP:
            connections.feed(packet)
        elif packet.protocol == UDP:
            datagrams.feed(packet)
        else:
            datagrams.feed_icmp(packet)
    view.opaque.update(fragment.frame.number for fragment in fragments.incomplete)
    for connection in connections.all:
        _Conversation(view, connection, keys).read()
    view.messages.sort(key=lambda message: message.frame.number)
    view.signs.sort(key=lambda sign: sign.frame.number)
    return view


def _numbers(packet: Packet) -> tuple[int, ...]:
    return (packet.frame.number, *(frame.number for frame in packet.others))


def _peer(frame: Frame, source: bytes, target: bytes) -> bytes:
    return target if towards(frame) == "far" else source


class _Datagrams:
    """Reads UDP and ICMP."""

    def __init__(self, view: SideView) -> None:
        self._view = view
        self._quic: dict[tuple[bytes, int, bytes, int], bool] = {}
        """QUIC connections by what the client's packets bear, and whether they were answered."""

    def feed(self, packet: Packet) -> None:
        message = _datagram(packet)
        if message is not None:
            self._add(packet, message, _peer(packet.frame, packet.source, packet.target))
        elif not _QUIC_PORTS.isdisjoint((packet.source_port, packet.target_port)) and packet.payload:
            self._feed_quic(packet)
        else:
            self._view.opaque.update(_numbers(packet))

    def feed_icmp(self, packet: Packet) -> None:
        error = packet.error
        if error is None:
            return
        peer = _peer(packet.frame, packet.source, packet.target)
        key = ("icmp", packet.protocol, packet.flags, packet.sequence)
        inner = quoted(packet)
        about = "icmp"
        if inner is not None:
            peer = _peer(packet.frame, inner.target, inner.source)
            about = f"{'tcp' if inner.protocol == TCP else 'udp'}/{inner.target_port}"
            message = _datagram(inner) if inner.protocol == UDP else None
            if message is not None:
                self._add(packet, message, peer, quoted=True)
        text = f"ICMP: {error} ({about})"
        self._view.signs.append(Sign("icmp", self._view.link, packet.frame, "icmp", peer, text, key))

    def _add(self, packet: Packet, message: Dns, peer: bytes, quoted: bool = False) -> None:
        self._view.messages.append(
            Message(
                self._view.link,
                packet.frame,
                Transport.UDP,
                peer,
                message,
                quoted=quoted,
                carried=_numbers(packet),
            )
        )

    def _feed_quic(self, packet: Packet) -> None:
        """Note the first packets of QUIC connections, and that what follows in them cannot be read."""
        frame = packet.frame
        first = packet.payload[0]
        self._view.opaque.add(frame.number)
        key = (packet.source, packet.source_port, packet.target, packet.target_port)
        reverse = (packet.target, packet.target_port, packet.source, packet.source_port)
        transport = Transport.DOQ if 853 in (packet.source_port, packet.target_port) else Transport.DOH
        if reverse in self._quic:
            if not self._quic[reverse]:
                self._quic[reverse] = True
                self._sign_quic(packet, transport, "QUIC handshake, answered")
        elif first & 0x80 and key not in self._quic:
            self._quic[key] = False
            self._sign_quic(packet, transport, "QUIC Initial")
        elif not first & 0x80 and towards(frame) == "far":
            self._view.unread.append((frame, "a QUIC connection"))

    def _sign_quic(self, packet: Packet, transport: Transport, text: str) -> None:
        peer = _peer(packet.frame, packet.source, packet.target)
        key = ("quic", packet.payload)
        self._view.signs.append(Sign("quic", self._view.link, packet.frame, transport, peer, text, key))


class _Conversation:
    """Reads a TCP connection: DNS in clear, or TLS with whatever is in it, or neither."""

    def __init__(self, view: SideView, connection: Connection, keys: KeyLog) -> None:
        self._view = view
        self._connection = connection
        self._keys = keys
        opening = connection.syn or next((chunk[2] for chunk in connection.client.octets.chunks), None)
        from_far = opening is not None and towards(opening) == "resolver"
        self._peer = connection.client_address if from_far else connection.server_address

    def read(self) -> None:
        """Add what there is to the view."""
        connection = self._connection
        client, server = connection.client.octets, connection.server.octets
        if tls.looks_like_tls(client):
            session = tls.read(client, server, self._keys)
            if session is None:
                self._set_aside(client, server)
            else:
                self._read_session(session)
        elif client.data or server.data:
            for octets in (client, server):
                if not self._read_messages(octets, Transport.TCP, None):
                    self._set_aside(octets)
        elif connection.syn is not None:
            text = f"TCP SYN to port {connection.server_port}"
            self._sign(
                "syn", connection.syn, text, ("syn", connection.server_address, connection.server_port)
            )
        self._read_resets(bool(client.data))

    def _read_session(self, session: tls.Session) -> None:
        view = self._view
        view.sessions.append(session)
        hello = session.hello
        text = f"TLS ClientHello, SNI {hello.sni}" if hello.sni else "TLS ClientHello without SNI"
        self._sign("hello", session.hello_frame, text, ("hello", hello.random), session)
        if session.answer is not None:
            text = session.version_text + (" session" if session.finished else " ServerHello")
            self._sign("session", session.answer, text, ("session", session.answer_random), session)
        for alert in session.alerts:
            text = f"TLS alert {alert_name(alert.description)}"
            self._sign("alert", alert.frame, text, ("alert", alert.from_client, alert.description))
        if session.unread is not None and towards(session.unread) == "far":
            view.unread.append((session.unread, "a TLS session"))
        for octets in (session.client, session.server):
            found = self._read_messages(octets, self._transport(session), session)
            if octets is session.client and octets.data and not found:
                frame = octets.chunks[0][2]
                if towards(frame) == "far":
                    view.unread.append((frame, "what is no DNS in a TLS session"))

    def _read_messages(self, octets: Octets, transport: Transport, session: tls.Session | None) -> bool:
        """Read DNS messages; whether there are any."""
        self._view.streams.append((session, octets))
        sure = session is not None or self._connection.server_port == _DNS
        found = False
        for start, end in octets.messages():
            message = _dns(octets.data[start:end], sure)
            if message is None:
                continue
            found = True
            frame = octets.completed(start - LENGTH, end)
            origin = (octets, start, end)
            self._view.messages.append(
                Message(self._view.link, frame, transport, self._peer, message, session, stream=origin)
            )
        return found

    def _read_resets(self, spoken: bool) -> None:
        """Note what broke the connection: the first RST against the client that it had not asked for."""
        connection = self._connection
        ended = [frame.number for from_client, frame in connection.closed if from_client]
        for from_client, frame in connection.resets:
            if from_client or (ended and ended[0] < frame.number):
                continue
            text = "TCP RST" if spoken or connection.accepted else "TCP RST, connection refused"
            self._sign("reset", frame, text, ("reset", connection.server_address, connection.server_port))
            return

    def _set_aside(self, *streams: Octets) -> None:
        for octets in streams:
            self._view.opaque.update(number for _, _, number in octets.copies)

    def _transport(self, session: tls.Session) -> Transport:
        by_port = _TLS_PORTS.get(self._connection.server_port)
        if by_port is not None:
            return by_port
        return next((_ALPN[name] for name in session.hello.alpn if name in _ALPN), Transport.DOT)

    def _sign(
        self,
        kind: Literal["syn", "hello", "session", "alert", "reset"],
        frame: Frame,
        text: str,
        key: object,
        session: tls.Session | None = None,
    ) -> None:
        by_port = _TLS_PORTS.get(self._connection.server_port, Transport.TCP)
        transport = self._transport(session) if session else by_port
        self._view.signs.append(Sign(kind, self._view.link, frame, transport, self._peer, text, key, session))


def _datagram(packet: Packet) -> Dns | None:
    return _dns(packet.payload, _DNS in (packet.source_port, packet.target_port))


def _dns(octets: bytes, sure: bool) -> Dns | None:
    """The message in some octets; on other ports than DNS's own, only what can hardly be anything else."""
    try:
        message = scan(octets)
    except DnsFormatError:
        return None
    known = bool(message.questions) or message.whole if sure else looks_like_dns(message)
    return message if known else None
