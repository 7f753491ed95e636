"""QUIC on a hop: the ClientHello in a first datagram, and connections that an attacker terminates."""

from __future__ import annotations

import contextlib
import socket
from collections.abc import Callable
from functools import partial

from aioquic.buffer import Buffer, BufferReadError  # type: ignore[attr-defined]
from aioquic.quic.connection import NetworkAddress
from aioquic.quic.crypto import CryptoError, CryptoPair  # type: ignore[attr-defined]
from aioquic.quic.packet import QuicFrameType, QuicPacketType, pull_quic_header

from testbed.attack.actions import CertificateKind
from testbed.attack.pending import Pending
from testbed.core.tls_messages import ClientHello, TlsFormatError, parse_client_hello
from testbed.core.transport import Transport
from testbed.onpath.between import TIMEOUT, AnyPath, Between
from testbed.onpath.surroundings import Surroundings
from testbed.transports import Address, quic
from testbed.transports.doq_server import DoqConnection
from testbed.transports.doq_session import DoqSession
from testbed.transports.http3_server import Http3Connection
from testbed.transports.http3_session import Http3Session
from testbed.transports.http_messages import authority, request
from testbed.transports.quic_listener import QuicService, ServerConnection
from testbed.transports.quic_session import IDLE_TIMEOUT as CLIENT_IDLE_TIMEOUT
from testbed.transports.server import IDLE_TIMEOUT

_HANDSHAKE_RECORD = b"\x16\x03\x01"
_LARGEST_RECORD = 1 << 14


def client_hello(datagram: bytes) -> ClientHello | None:
    """The ClientHello in a client's first datagram; None when it is not there, or not there in full.

    Initial packets are encrypted with keys that everybody can derive (RFC 9001 section 5.2).
    """
    try:
        octets = _handshake_octets(_initial_payload(datagram))
        record = _HANDSHAKE_RECORD + len(octets).to_bytes(2) + octets
        return parse_client_hello(record) if len(octets) <= _LARGEST_RECORD else None
    except (ValueError, BufferReadError, CryptoError, TlsFormatError):
        return None


def _initial_payload(datagram: bytes) -> bytes:
    """The frames of a client's Initial packet. Raises ValueError, BufferReadError or CryptoError."""
    buffer = Buffer(data=datagram)
    header = pull_quic_header(buffer, host_cid_length=quic.CONNECTION_ID)
    if header.packet_type is not QuicPacketType.INITIAL or header.version != quic.VERSION:
        raise ValueError("no Initial packet")
    keys = CryptoPair()
    keys.setup_initial(cid=header.destination_cid, is_client=False, version=quic.VERSION)
    _, payload, _ = keys.decrypt_packet(datagram[: header.packet_length], buffer.tell(), 0)
    return payload


def _handshake_octets(payload: bytes) -> bytes:
    """What the CRYPTO frames carry from the start on. Raises BufferReadError, or ValueError on others."""
    buffer = Buffer(data=payload)
    pieces: dict[int, bytes] = {}
    while not buffer.eof():
        match buffer.pull_uint_var():
            case QuicFrameType.PADDING | QuicFrameType.PING:
                continue
            case QuicFrameType.CRYPTO:
                offset = buffer.pull_uint_var()
                pieces[offset] = buffer.pull_bytes(buffer.pull_uint_var())
            case kind:
                raise ValueError(f"frame of type {kind} in a first packet")
    octets = b""
    while len(octets) in pieces:
        octets += pieces.pop(len(octets))
    return octets


class QuicFlow(QuicService):
    """A connection that an attacker terminates, and its own to the true server.

    ``down`` is connected to the resolver, ``up`` to the server; ``up`` is taken over once a query comes.
    """

    def __init__(
        self,
        surroundings: Surroundings,
        sockets: tuple[socket.socket, socket.socket],
        ends: tuple[Address, Address],
        hello: ClientHello,
        kind: CertificateKind,
    ) -> None:
        self._surroundings = surroundings
        self._down, self._up = sockets
        self._resolver, self._server = ends
        self._sni = hello.sni
        self._http = Transport.DOH3.alpn in hello.alpn
        transport = Transport.DOH3 if self._http else Transport.DOQ
        self._alpn = (str(transport.alpn),)
        role = surroundings.role_at(self._server[0])
        self._between = Between(Pending(surroundings.chain, transport, role), self._dial, self.abort)
        self._path = AnyPath()
        connection: Callable[[QuicService, quic.Connection, NetworkAddress], ServerConnection] = DoqConnection
        if self._http:
            connection = partial(Http3Connection, template=self._path)
        super().__init__(
            transport,
            self._between.answer,
            connection,
            credential=surroundings.credential(kind, role),
            alpn=self._alpn,
            secrets=surroundings.secrets,
            idle_timeout=IDLE_TIMEOUT,
            tickets=None,
        )

    def send(self, datagram: bytes, address: NetworkAddress) -> None:
        """Send a datagram to the resolver, in the server's name."""
        with contextlib.suppress(OSError):
            self._down.send(datagram)

    def left(self, connection: ServerConnection) -> None:
        """The resolver's connection is over, and with it the other one."""
        super().left(connection)
        self._between.close()

    def abort(self) -> None:
        """End it with an error, and the one to the server."""
        for connection in list(self.live):
            connection.abort()

    async def _dial(self) -> DoqSession | Http3Session:
        """A session with the server, in the resolver's name."""
        machine = quic.client(
            sni=self._sni,
            alpn=self._alpn,
            idle_timeout=CLIENT_IDLE_TIMEOUT,
            secrets=self._surroundings.secrets,
            ticket=None,
            early=False,
        )
        session: DoqSession | Http3Session
        if self._http:
            make_request = partial(request, self._path, "POST", authority(self._sni, self._server))
            session = Http3Session(
                self._server, self._up, machine, make_request, timeout=TIMEOUT, ticket=None
            )
        else:
            session = DoqSession(self._server, self._up, machine, timeout=TIMEOUT, ticket=None, accept=None)
        await session.established()
        return session
