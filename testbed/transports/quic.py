"""QUIC version 1 (RFC 9000, RFC 9001) without sockets: aioquic's state machine, made fit for a testbed.

aioquic keeps some of what is needed here to itself: the peer's certificates, how a connection ended at the
moment when it ends, stateless resets. All use of its private attributes is in this module, and
``tests/test_transports_quic.py`` notices when a new version moves them.

Certificates are never verified. That the server holds the key of its certificate is (RFC 8446 section
4.4.3), and the chain is there for the core to decide about.
"""

from __future__ import annotations

import hmac
import logging
import os
import ssl
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from enum import Enum
from typing import Any

from aioquic import tls
from aioquic.quic.configuration import QuicConfiguration
from aioquic.quic.connection import QuicConnection, QuicConnectionState
from aioquic.quic.packet import QuicErrorCode, QuicPacketType, QuicProtocolVersion
from aioquic.quic.recovery import QuicPacketPacer
from cryptography import x509

from testbed.core.pki import Credential
from testbed.transports.tls import HandshakeInfo, Secrets

VERSION = int(QuicProtocolVersion.VERSION_1)

CONNECTION_ID = 8
"""Octets in a connection ID that is chosen here."""

SMALLEST_INITIAL = 1200
"""Octets that a datagram with a client's Initial packet has at least (RFC 9000 section 14.1)."""

TICKET_LIFETIME = 86400.0
"""Seconds after which servers here no longer honour a ticket; aioquic announces as much to clients."""

CRYPTO_ERROR = int(QuicErrorCode.CRYPTO_ERROR)
"""Added to a TLS alert's number, the error code that reports it (RFC 9001 section 4.8)."""

_INITIAL_RTT = 0.333  # seconds; RFC 9002 section 6.2.2
_RESET_TOKEN = 16
_SMALLEST_RESET = 21
_TICKETS = 4096
_EARLY_DATA = 0xFFFFFFFF  # the only value there is (RFC 9001 section 4.6.1)

_CIPHERS = [
    tls.CipherSuite.AES_128_GCM_SHA256,
    tls.CipherSuite.AES_256_GCM_SHA384,
    tls.CipherSuite.CHACHA20_POLY1305_SHA256,
]
_GROUPS = [tls.Group.X25519, tls.Group.SECP256R1]

# What peers do wrong is reported in full elsewhere; without this, logging prints some of it on its own.
logging.getLogger("quic").addHandler(logging.NullHandler())


@dataclass(frozen=True, slots=True)
class QuicTicket:
    """What it takes to resume a session (RFC 8446 section 2.2), opaque to its holder."""

    session: tls.SessionTicket = field(repr=False)
    chain: tuple[x509.Certificate, ...] = field(repr=False)
    """The certificates of the server that gave it."""
    expires: float
    """In seconds of the event loop's clock."""

    @property
    def early(self) -> bool:
        """Whether the server allows 0-RTT with it."""
        return self.session.max_early_data_size == _EARLY_DATA


class TicketStore:
    """A server's memory of the tickets that it gave out; share one to honour them at several addresses.

    A ticket works once (RFC 8446 section 8.1), so that 0-RTT data cannot be replayed, unless ``reuse``
    makes a server that lacks this protection. ``clock`` is the event loop's.
    """

    def __init__(self, clock: Callable[[], float], *, reuse: bool = False) -> None:
        self._clock = clock
        self._reuse = reuse
        self._tickets: OrderedDict[bytes, tuple[float, tls.SessionTicket]] = OrderedDict()

    def __len__(self) -> int:
        return len(self._tickets)

    def put(self, ticket: tls.SessionTicket) -> None:
        """Remember a ticket; beyond some thousands the oldest is forgotten."""
        self._tickets[ticket.ticket] = self._clock() + TICKET_LIFETIME, ticket
        if len(self._tickets) > _TICKETS:
            self._tickets.popitem(last=False)

    def get(self, identity: bytes) -> tls.SessionTicket | None:
        """The ticket that a client presents, if it is known and has not expired."""
        entry = self._tickets.get(identity) if self._reuse else self._tickets.pop(identity, None)
        return entry[1] if entry is not None and self._clock() < entry[0] else None


class End(Enum):
    """What ends a connection (RFC 9000 section 10, and section 6.2 for the last)."""

    BY_PEER = "CONNECTION_CLOSE received"
    BY_US = "CONNECTION_CLOSE sent"
    RESET = "stateless reset"
    IDLE = "idle timeout"
    VERSION = "the server speaks other versions of QUIC"


@dataclass(frozen=True, slots=True)
class Closing:
    """How a connection ended, with the error code that one side gave for it."""

    end: End
    code: int = 0
    reason: str = ""
    application: bool = False
    """Whether the code is one of the application's (RFC 9000 section 20.2) and not of QUIC's own."""


class _KeyLog:
    """What aioquic takes for a file to write a TLS key log to."""

    def __init__(self, secrets: Secrets) -> None:
        self._secrets = secrets

    def write(self, line: str) -> None:
        self._secrets(line.rstrip("\n"))

    def flush(self) -> None:
        """Every line is passed on at once."""


class _Unpaced(QuicPacketPacer):
    """Sends as soon as the congestion window allows: pacing would spread what takes no time here."""

    def update_rate(self, congestion_window: int, smoothed_rtt: float) -> None:
        """Leave the rate unlimited."""


class Connection(QuicConnection):
    """One end of a QUIC connection. ``client`` and ``server`` make them."""

    def __init__(self, *, reset_key: bytes | None = None, **options: Any) -> None:
        self.ticket: tls.SessionTicket | None = None
        """The last ticket that the server gave."""
        if options["configuration"].is_client:
            options["session_ticket_handler"] = self._keep
        super().__init__(**options)
        self._reset_key = reset_key
        # Acknowledge with whatever is sent next, and right after each batch of datagrams.
        self._ack_delay = 0.0
        # One spare connection ID, as RFC 9000 section 18.2 asks for at least: clients here do not move.
        self._local_active_connection_id_limit = 2
        self._loss._pacer = _Unpaced(max_datagram_size=self._max_datagram_size)
        self._set_reset_tokens()

    # -- what aioquic does not tell ------------------------------------------------------------------

    @property
    def complete(self) -> bool:
        """Whether the handshake is complete (RFC 9001 section 4.1.1)."""
        return self._handshake_complete

    @property
    def untouched(self) -> bool:
        """Whether no packet of the peer could be read so far."""
        return self._state is QuicConnectionState.FIRSTFLIGHT

    @property
    def early(self) -> bool:
        """Whether what a client sends now travels as 0-RTT data."""
        return not self._handshake_complete and self._cryptos[tls.Epoch.ZERO_RTT].send.is_valid()

    @property
    def can_open(self) -> bool:
        """Whether the server lets the client open another stream for a query."""
        return self._local_next_stream_id_bidi // 4 < self._remote_max_streams_bidi

    @property
    def chain(self) -> tuple[x509.Certificate, ...]:
        """The certificates that the peer presented, leaf first; none when the session was resumed."""
        leaf = self.tls._peer_certificate
        return () if leaf is None else (leaf, *self.tls._peer_certificate_chain)

    @property
    def info(self) -> HandshakeInfo:
        """What the TLS handshake came to, once it is complete."""
        assert self.tls.key_schedule is not None
        return HandshakeInfo(
            version="TLSv1.3",
            cipher=f"TLS_{self.tls.key_schedule.cipher_suite.name}",
            alpn=self.tls.alpn_negotiated,
            resumed=self.tls.session_resumed,
        )

    @property
    def closing(self) -> Closing | None:
        """How the connection ended; None while it lasts."""
        event = self._close_event
        if event is None:
            return None
        if self._state is QuicConnectionState.TERMINATED:  # with codes that aioquic makes up
            return Closing(End.VERSION if "version" in event.reason_phrase else End.IDLE)
        end = End.BY_PEER if self._state is QuicConnectionState.DRAINING else End.BY_US
        return Closing(end, event.error_code, event.reason_phrase, application=event.frame_type is None)

    @property
    def unacknowledged(self) -> int:
        """Octets of all streams that the peer has not acknowledged yet, sent or not."""
        return sum(len(stream.sender._buffer) for stream in self._streams.values())

    def cancel(self, stream: int, code: int) -> None:
        """Tell the peer that nobody reads a stream any more (STOP_SENDING), unless it has ended already."""
        known = self._streams.get(stream)
        if known is not None and not known.receiver.is_finished:
            self.stop_stream(stream, code)

    def is_reset(self, datagram: bytes) -> bool:
        """Whether a datagram is a stateless reset of this connection (RFC 9000 section 10.3.1)."""
        if len(datagram) < _SMALLEST_RESET or datagram[0] & 0x80:
            return False
        tail = datagram[-_RESET_TOKEN:]
        return any(tail == one.stateless_reset_token for one in (self._peer_cid, *self._peer_cid_available))

    def resend_early(self, now: float) -> None:
        """Send again, at the next opportunity, what went out as 0-RTT data: the server refused it.

        aioquic would do so after a loss timeout.
        """
        space = self._spaces[tls.Epoch.ONE_RTT]
        lost = [p for p in space.sent_packets.values() if p.packet_type is QuicPacketType.ZERO_RTT]
        self._loss._on_packets_lost(congestion_event=False, now=now, packets=lost, space=space)

    # -- what aioquic calls ----------------------------------------------------------------------------

    def _keep(self, ticket: tls.SessionTicket) -> None:
        self.ticket = ticket

    def _initialize(self, peer_cid: bytes) -> None:
        super()._initialize(peer_cid)
        # aioquic sends a key share for each of its groups, X448 among them.
        self.tls._supported_groups = list(_GROUPS)

    def _connect(self, now: float) -> None:
        if self._spaces:  # a Retry packet starts all over, and aioquic forgets what it has sent
            self.resend_early(now)
        super()._connect(now)

    def _replenish_connection_ids(self) -> None:
        super()._replenish_connection_ids()
        self._set_reset_tokens()

    def _set_reset_tokens(self) -> None:
        if self._reset_key is not None:
            for one in self._host_cids:
                if not one.was_sent or one.sequence_number == 0:
                    one.stateless_reset_token = reset_token(self._reset_key, one.cid)


def client(
    *,
    sni: str | None,
    alpn: tuple[str, ...],
    idle_timeout: float,
    secrets: Secrets | None,
    ticket: QuicTicket | None,
    early: bool,
) -> Connection:
    """A client's end. A ticket of another ``sni`` is not used; ``early`` allows 0-RTT, if the ticket does."""
    session = None
    if ticket is not None:
        session = ticket.session if early else replace(ticket.session, max_early_data_size=None)
    configuration = _configuration(alpn, idle_timeout, secrets)
    configuration.server_name = sni
    configuration.session_ticket = session
    configuration.verify_mode = ssl.CERT_NONE
    return Connection(configuration=configuration)


def server_configuration(
    credential: Credential, *, alpn: tuple[str, ...], idle_timeout: float, secrets: Secrets | None
) -> QuicConfiguration:
    """What all connections of a server have in common."""
    configuration = _configuration(alpn, idle_timeout, secrets)
    configuration.is_client = False
    configuration.certificate = credential.leaf
    configuration.certificate_chain = list(credential.chain[1:])
    configuration.private_key = credential.key
    return configuration


def server(
    configuration: QuicConfiguration, tickets: TicketStore, reset_key: bytes, destination: bytes
) -> Connection:
    """A server's end; ``destination`` is the connection ID that the client's first packet went to."""
    return Connection(
        configuration=configuration,
        reset_key=reset_key,
        original_destination_connection_id=destination,
        session_ticket_fetcher=tickets.get,
        session_ticket_handler=tickets.put,
    )


def _configuration(alpn: tuple[str, ...], idle_timeout: float, secrets: Secrets | None) -> QuicConfiguration:
    return QuicConfiguration(
        alpn_protocols=list(alpn) or None,
        cipher_suites=list(_CIPHERS),
        connection_id_length=CONNECTION_ID,
        initial_rtt=_INITIAL_RTT,
        idle_timeout=idle_timeout,
        secrets_log_file=None if secrets is None else _KeyLog(secrets),  # type: ignore[arg-type]
        supported_versions=[VERSION],
    )


# -- stateless resets --------------------------------------------------------------------------------


def reset_token(key: bytes, connection_id: bytes) -> bytes:
    """The stateless reset token of a connection ID, as RFC 9000 section 10.3.2 suggests."""
    return hmac.digest(key, connection_id, "sha256")[:_RESET_TOKEN]


def stateless_reset(key: bytes, datagram: bytes) -> bytes | None:
    """What answers a datagram of a connection that this server knows nothing of (RFC 9000 section 10.3).

    None when it is too short to be answered: an answer is shorter than what caused it.
    """
    size = min(len(datagram) - 1, 2 * _SMALLEST_RESET)
    if size < _SMALLEST_RESET:
        return None
    noise = os.urandom(size - _RESET_TOKEN)
    token = reset_token(key, datagram[1 : 1 + CONNECTION_ID])
    return bytes([0x40 | noise[0] & 0x3F]) + noise[1:] + token
