"""Forges what hops would have captured: frames of UDP, TCP and TLS, and the evidence of whole phases."""

from __future__ import annotations

import ipaddress
import random
import struct
from dataclasses import dataclass, field
from datetime import datetime
from functools import cache

import dns.edns
import dns.flags
import dns.message
import dns.name
import dns.rcode
import dns.rdatatype
import dns.rrset
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from OpenSSL import SSL

from testbed.evidence import (
    AttackerReport,
    ClientResult,
    Decision,
    Frame,
    LinkCapture,
    PhaseEvidence,
    TlsSecret,
)
from testbed.topology import CLIENT, Topology, load

EPOCH = 1767225600.0
STEP = 0.001
FIN, SYN, RST, PSH, ACK = 0x01, 0x02, 0x04, 0x08, 0x10
ICMP, TCP, UDP, ICMP6 = 1, 6, 17, 58
MACS = {"src": "02:00:00:00:00:01", "dst": "02:00:00:00:00:02"}
"""What scapy's frames have to be given: where there is none, it asks the machine's network."""

HOSTED = load("hosted")


# -- layers ----------------------------------------------------------------------------------------


def ip(source: str, target: str, protocol: int, body: bytes, identification: int = 1) -> bytes:
    """An IP packet of the family of the addresses."""
    a, b = ipaddress.ip_address(source), ipaddress.ip_address(target)
    if a.version == 4:
        head = struct.pack("!BBHHHBBH", 0x45, 0, 20 + len(body), identification, 0, 64, protocol, 0)
    else:
        head = struct.pack("!IHBB", 6 << 28, len(body), protocol, 64)
    return head + a.packed + b.packed + body


def ethernet(packet: bytes) -> bytes:
    kind = 0x86DD if packet[0] >> 4 == 6 else 0x0800
    return bytes.fromhex("020000000002020000000001") + kind.to_bytes(2) + packet


def udp(source_port: int, target_port: int, payload: bytes) -> bytes:
    return struct.pack("!HHHH", source_port, target_port, 8 + len(payload), 0) + payload


def tcp(source_port: int, target_port: int, seq: int, ack: int, flags: int, payload: bytes = b"") -> bytes:
    ports = struct.pack("!HHII", source_port, target_port, seq % (1 << 32), ack % (1 << 32))
    return ports + struct.pack("!BBHHH", 5 << 4, flags, 65535, 0, 0) + payload


def fragments(packet: bytes, size: int) -> list[bytes]:
    """An IP packet in fragments whose bodies have ``size`` octets, a multiple of 8."""
    if packet[0] >> 4 == 4:
        head, body = packet[:20], packet[20:]
    else:
        head, body = packet[:40], packet[40:]
    parts = []
    for offset in range(0, len(body), size):
        part, more = body[offset : offset + size], offset + size < len(body)
        if packet[0] >> 4 == 4:
            field_ = offset // 8 | (0x2000 if more else 0)
            fixed = head[:2] + struct.pack("!HHH", 20 + len(part), 77, field_) + head[8:]
        else:
            extension = struct.pack("!BBHI", head[6], 0, offset | more, 77)
            fixed = head[:4] + struct.pack("!HB", len(part) + 8, 44) + head[7:] + extension
        parts.append(fixed + part)
    return parts


def pcap(frames: list[Frame]) -> bytes:
    """A classic capture file; the packets have their numbers when the frames are those of a link."""
    parts = [struct.pack("!IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 65535, 1)]
    for frame in frames:
        seconds, rest = divmod(frame.time, 1)
        size = len(frame.data)
        parts += (struct.pack("!IIII", int(seconds), int(rest * 1e6), size, size), frame.data)
    return b"".join(parts)


# -- a phase ---------------------------------------------------------------------------------------


@dataclass
class Tape:
    """What the hops of all links see in one phase. Time goes on by a millisecond with each packet."""

    topology: Topology = HOSTED
    time: float = EPOCH
    step: int = 0
    family: int = 0
    """Which address of each host is used: 0 for IPv4, 1 for IPv6."""
    frames: dict[str, list[Frame]] = field(default_factory=dict)
    secrets: list[TlsSecret] = field(default_factory=list)
    client: list[ClientResult] = field(default_factory=list)
    decisions: list[Decision] = field(default_factory=list)
    attackers: list[AttackerReport] = field(default_factory=list)
    ports: int = 40000
    ids: random.Random = field(default_factory=lambda: random.Random(7))

    def __post_init__(self) -> None:
        self.frames = {link: [] for link in self.topology.links}

    def put(self, link: str, packet: bytes, *, side: str, outgoing: bool) -> Frame:
        """One frame at one side of a hop."""
        frames = self.frames[link]
        self.time += STEP
        frame = Frame(len(frames) + 1, self.time, side, outgoing, self.step, ethernet(packet))
        frames.append(frame)
        return frame

    def send(self, link: str, packet: bytes, towards: str, scope: str = "both") -> Frame:
        """A packet that crosses a hop, or is only seen at one side: swallowed, or made there."""
        near, far = ("resolver", "far") if towards == "far" else ("far", "resolver")
        first = None
        if scope in ("both", near):
            first = self.put(link, packet, side=near, outgoing=False)
        if scope in ("both", far):
            last = self.put(link, packet, side=far, outgoing=True)
        return first or last

    def ends(self, role: str) -> tuple[str, str, str]:
        """Link of a server, address of the resolver, address of the server; or those of the client."""
        ours = self.topology.resolver_addresses[self.family]
        if role == CLIENT:
            return CLIENT, ours, self.topology.client_addresses[self.family]
        server = self.topology.by_role[role]
        return server.link, ours, server.addresses[self.family]

    def datagram(self, role: str, payload: bytes, towards: str, port: int, scope="both", at=53) -> Frame:
        """A UDP datagram between the resolver and a server (or the client)."""
        link, ours, theirs = self.ends(role)
        asks = (towards == "far") != (role == CLIENT)
        ports = (port, at) if asks else (at, port)
        ends = (ours, theirs) if towards == "far" else (theirs, ours)
        return self.send(link, ip(*ends, UDP, udp(*ports, payload)), towards, scope)

    def port(self) -> int:
        self.ports += 1
        return self.ports

    def evidence(self, **fields) -> PhaseEvidence:
        values = {
            "captures": {
                link: LinkCapture(
                    link,
                    list(frames),
                    {side: sum(frame.side == side for frame in frames) for side in ("resolver", "far")},
                )
                for link, frames in self.frames.items()
            },
            "secrets": self.secrets,
            "client": self.client,
            "decisions": self.decisions,
            "attackers": self.attackers,
        }
        return PhaseEvidence(**{**values, **fields})

    # -- exchanges ---------------------------------------------------------------------------------

    def ask(self, role: str, query: dns.message.Message, response=None, *, scope="both", answer="both"):
        """A query over UDP and its response, if there is one; the frames of both."""
        port = self.port()
        asked = self.datagram(role, query.to_wire(), "far", port, scope)
        answered = None
        if response is not None:
            answered = self.datagram(role, response.to_wire(), "resolver", port, answer)
        return asked, answered

    def client_asks(self, qname: str, response, truth, qtype: str = "A", middle=lambda: None) -> None:
        """The client's query, what the resolver does meanwhile, and the client's response, if any."""
        port = self.port()
        query = make_query(qname, qtype, self.ids)
        self.datagram(CLIENT, query.to_wire(), "resolver", port)
        middle()
        if response is not None:
            response.id = query.id
            self.datagram(CLIENT, response.to_wire(), "far", port)
        self.client.append(
            ClientResult(
                self.step, dns.name.from_text(qname), dns.rdatatype.from_text(qtype), response, truth
            )
        )


def make_query(qname: str, qtype: str = "A", ids: random.Random | None = None) -> dns.message.Message:
    query = dns.message.make_query(qname, qtype, use_edns=0, want_dnssec=True, payload=1232)
    query.flags = 0
    query.id = (ids or random).randrange(1, 65536)
    return query


def make_response(query, answer=(), authority=(), additional=(), rcode="NOERROR", aa=True, ede=None):
    """A response; records are texts such as "example.org. 300 IN A 192.0.2.1"."""
    response = dns.message.make_response(query)
    response.flags |= dns.flags.AA if aa else 0
    response.set_rcode(dns.rcode.from_text(rcode))
    for section, texts in zip(response.sections[1:], (answer, authority, additional), strict=True):
        for text in texts:
            owner, ttl, rdclass, rdtype, rdata = text.split(maxsplit=4)
            section.append(dns.rrset.from_text(owner, int(ttl), rdclass, rdtype, rdata))
    if ede is not None:
        response.use_edns(0, 0, 1232, options=[dns.edns.EDEOption(ede)])
    return response


# -- TCP and TLS -----------------------------------------------------------------------------------


class Flow:
    """A TCP connection from the resolver to a server, or one end of it (see ``Tape.send``)."""

    def __init__(self, tape: Tape, role: str, at: int, scope: str = "both", start: int = 1000) -> None:
        self.tape, self.scope, self.at = tape, scope, at
        self.link, self.ours, self.theirs = tape.ends(role)
        self.port = tape.port()
        self.next = {"far": start, "resolver": start + 500000}

    def segment(self, towards: str, flags: int, payload: bytes = b"", seq=None, scope=None) -> Frame:
        """One segment as it is told; sequence numbers go on with what it takes up."""
        ours = towards == "far"
        ends = (self.ours, self.theirs) if ours else (self.theirs, self.ours)
        ports = (self.port, self.at) if ours else (self.at, self.port)
        back = self.next["resolver" if ours else "far"]
        number = self.next[towards] if seq is None else seq
        packet = ip(*ends, TCP, tcp(*ports, number, back, flags, payload))
        if seq is None:
            self.next[towards] += len(payload) + bool(flags & (SYN | FIN))
        return self.tape.send(self.link, packet, towards, scope or self.scope)

    def open(self) -> Flow:
        self.segment("far", SYN)
        self.segment("resolver", SYN | ACK)
        self.segment("far", ACK)
        return self

    def data(self, towards: str, payload: bytes, size: int = 1400) -> Frame:
        """Data, and acknowledgements of them; the last segment is returned."""
        for start in range(0, len(payload), size):
            last = self.segment(towards, PSH | ACK, payload[start : start + size])
        self.segment("resolver" if towards == "far" else "far", ACK)
        return last

    def message(self, towards: str, message: dns.message.Message, size: int = 1400) -> Frame:
        wire = message.to_wire()
        return self.data(towards, len(wire).to_bytes(2) + wire, size)

    def close(self) -> None:
        self.segment("far", FIN | ACK)
        self.segment("resolver", FIN | ACK)
        self.segment("far", ACK)


@cache
def credential(name: str) -> tuple[ec.EllipticCurvePrivateKey, x509.Certificate]:
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    builder = x509.CertificateBuilder(subject, subject, key.public_key(), 1)
    builder = builder.not_valid_before(datetime(2020, 1, 1)).not_valid_after(datetime(2040, 1, 1))
    return key, builder.sign(key, hashes.SHA256())


class TlsFlow(Flow):
    """A TLS session over a flow, made by OpenSSL in memory. ``holders`` get the lines of the key log."""

    def __init__(
        self,
        tape: Tape,
        role: str,
        *,
        sni: str | None = None,
        at: int = 853,
        scope: str = "both",
        holders: tuple[str, ...] | None = None,
        version: int = SSL.TLS1_3_VERSION,
        ciphers: bytes | None = None,
        alpn: bytes = b"dot",
        curve: ec.EllipticCurve | None = None,
    ) -> None:
        super().__init__(tape, role, at, scope)
        self.holders = ("resolver", role) if holders is None else holders
        self.curve = curve
        name = tape.topology.by_role[role].name.to_text(omit_final_dot=True)
        sni = name if sni is None else sni
        self.ends = {
            "far": SSL.Connection(self._context(version, ciphers)),
            "resolver": SSL.Connection(self._context(version, ciphers, name)),
        }
        self.ends["far"].set_connect_state()
        self.ends["resolver"].set_accept_state()
        if sni:
            self.ends["far"].set_tlsext_host_name(sni.encode())
        self.ends["far"].set_alpn_protos([alpn])

    def _context(self, version: int, ciphers: bytes | None, name: str | None = None) -> SSL.Context:
        context = SSL.Context(SSL.TLS_METHOD)
        context.set_min_proto_version(version)
        context.set_max_proto_version(version)
        if ciphers and version == SSL.TLS1_3_VERSION:
            context.set_tls13_ciphersuites(ciphers)
        elif ciphers:
            context.set_cipher_list(ciphers)
        if name is None:
            context.set_keylog_callback(self._log)
        else:
            key, certificate = credential(name)
            context.use_privatekey(key)
            context.use_certificate(certificate)
            if self.curve is not None:
                context.set_tmp_ecdh(self.curve)
            context.set_alpn_select_callback(lambda _, offered: offered[0])
        return context

    def _log(self, _: SSL.Connection, line: bytes) -> None:
        self.tape.secrets += (TlsSecret(line.decode(), holder) for holder in self.holders)

    def hello(self) -> Frame:
        """Open the TCP connection and send the ClientHello."""
        self.open()
        self.step("far")
        return self.flush("far")

    def shake(self) -> TlsFlow:
        """The whole handshake, with the server's tickets."""
        self.hello()
        for towards in ("resolver", "far", "resolver", "far"):
            self.step(towards)
            self.flush(towards)
        return self

    def step(self, towards: str) -> None:
        """Let one end go on with the handshake."""
        try:
            self.ends[towards].do_handshake()
        except SSL.WantReadError:
            return

    def flush(self, towards: str, size: int = 1400) -> Frame | None:
        """Carry what one end has to say to the other."""
        try:
            data = self.ends[towards].bio_read(1 << 16)
        except SSL.WantReadError:
            return None
        self.ends["resolver" if towards == "far" else "far"].bio_write(data)
        return self.data(towards, data, size)

    def message(self, towards: str, message: dns.message.Message, size: int = 1400) -> Frame:
        wire = message.to_wire()
        self.ends[towards].sendall(len(wire).to_bytes(2) + wire)
        return self.flush(towards, size)
