"""From the frames of a phase to DNS messages, TLS sessions and signs of failure, each with its frame."""

from __future__ import annotations

from testbed.core.transport import Transport
from testbed.evidence import Frame, LinkCapture, PhaseEvidence, Side
from testbed.verdict import quic_connections
from testbed.verdict.content import dns_in
from testbed.verdict.conversations import QuicConversation, TcpConversation
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
from testbed.verdict.messages import Dns
from testbed.verdict.quic_packets import begins_connection
from testbed.verdict.streams import Connections
from testbed.verdict.tls_keys import KeyLog
from testbed.verdict.views import Message, PhaseView, SideView, Sign, towards

_DNS = 53
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
        TcpConversation(view, connection, keys).read()
    for quic_connection in datagrams.quic.all:
        QuicConversation(view, quic_connection, keys).read()
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
        self.quic = quic_connections.Connections()

    def feed(self, packet: Packet) -> None:
        is_quic = begins_connection(packet.payload) or self.quic.knows(packet)
        if is_quic and self.quic.feed(packet):
            return
        message = _datagram(packet)
        if message is not None:
            self._add(packet, message, _peer(packet.frame, packet.source, packet.target))
        elif not self._on_quic_port(packet) or not self.quic.feed(packet):
            self._set_aside(packet)

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

    @staticmethod
    def _on_quic_port(packet: Packet) -> bool:
        return not _QUIC_PORTS.isdisjoint((packet.source_port, packet.target_port))

    def _set_aside(self, packet: Packet) -> None:
        """Note that a datagram cannot be read, and that the resolver sent it, if it did so over QUIC."""
        self._view.opaque.update(_numbers(packet))
        if self._on_quic_port(packet) and packet.payload and towards(packet.frame) == "far":
            self._view.unread.append((packet.frame, "a QUIC connection"))


def _datagram(packet: Packet) -> Dns | None:
    return dns_in(packet.payload, _DNS in (packet.source_port, packet.target_port))
