"""TLS without sockets: a pump takes bytes from the peer and gives plaintext and bytes for the peer.

``ClientPump`` and ``ServerPump`` serve every transport over TLS, and whoever relays between two sessions
on the path::

    towards_resolver = ServerPump(credential, secrets=log)
    plaintext = towards_resolver.feed(bytes_from_resolver)
    towards_resolver.send(answer)
    bytes_to_resolver = towards_resolver.outgoing()

Certificates are never verified here. The chain is there to be read once the handshake is complete, and the
core decides about it before anything is sent (``testbed.core.identity``).
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import lru_cache

from cryptography import x509
from cryptography.hazmat.bindings.openssl.binding import Binding
from cryptography.hazmat.primitives.asymmetric import ec
from OpenSSL import SSL

from testbed.core.pki import Credential
from testbed.core.tls_messages import AlertDescription, alert_name
from testbed.core.transport import Failure, TransportError

Secrets = Callable[[str], None]
"""Takes the lines of a TLS key log as they come up (the format of SSLKEYLOGFILE)."""

_CHUNK = 1 << 16

# pyOpenSSL stands on these bindings, and lacks names for two things in them that are needed here.
_openssl = Binding().lib


@dataclass(frozen=True, slots=True)
class HandshakeInfo:
    """What a handshake came to. ``resumed`` means without certificates, from an earlier session's ticket."""

    version: str
    """"TLSv1.3" or "TLSv1.2"."""
    cipher: str
    alpn: str | None
    resumed: bool


@dataclass(frozen=True, slots=True)
class Ticket:
    """What it takes to resume a session (RFC 8446 section 2.2), opaque to its holder.

    The servers here honour it for 7200 seconds of real time; bounding it in virtual time is the holder's
    part. A server that does not know it falls back to a full handshake by itself.
    """

    _session: SSL.Session = field(repr=False)
    _context: SSL.Context = field(repr=False)


class Pump:
    """One end of a TLS connection. Use ClientPump or ServerPump."""

    def __init__(self, context: SSL.Context, secrets: Secrets | None) -> None:
        self._connection = SSL.Connection(context, None)
        self._connection.set_app_data(secrets)
        self.established = False
        """Whether the handshake is complete."""
        self.ended = False
        """Whether the peer sent close_notify: it will send no more."""

    def feed(self, data: bytes) -> bytes:
        """Take bytes from the peer and give the plaintext that they complete, often none.

        Raises TransportError (Failure.TLS) when the handshake fails, the peer sends a fatal alert or what
        it sends is not TLS. ``outgoing`` may then still hold an alert for it; otherwise the pump is dead.
        """
        try:
            if data:
                self._connection.bio_write(data)
            return self._read() if self.established or self._shake() else b""
        except SSL.Error as error:
            raise TransportError(Failure.TLS, _described(error)) from error

    def send(self, plaintext: bytes) -> None:
        """Encrypt for the peer. Raises TransportError (Failure.TLS) before the handshake or after the end."""
        if not self.established:
            raise TransportError(Failure.TLS, "the handshake is not complete")
        try:
            self._connection.sendall(plaintext)
        except SSL.Error as error:
            raise TransportError(Failure.TLS, _described(error)) from error

    def outgoing(self) -> bytes:
        """The bytes to send to the peer now, empty when there are none."""
        chunks = []
        try:
            while True:
                chunks.append(self._connection.bio_read(_CHUNK))
                if len(chunks[-1]) < _CHUNK:
                    break
        except SSL.WantReadError:
            pass
        return b"".join(chunks)

    def close(self) -> None:
        """Say close_notify, where the state of the connection allows it (RFC 8446 section 6.1)."""
        try:
            self._connection.shutdown()
        except SSL.Error:
            return

    @property
    def info(self) -> HandshakeInfo:
        """What the handshake came to, once it is complete."""
        connection = self._connection
        return HandshakeInfo(
            version=connection.get_protocol_version_name(),
            cipher=connection.get_cipher_name() or "",
            alpn=connection.get_alpn_proto_negotiated().decode("latin-1") or None,
            resumed=bool(_openssl.SSL_session_reused(connection._ssl)),
        )

    def _shake(self) -> bool:
        try:
            self._connection.do_handshake()
        except SSL.WantReadError:
            return False
        except SSL.ZeroReturnError:
            self.ended = True
            return False
        self.established = True
        return True

    def _read(self) -> bytes:
        chunks = []
        try:
            while True:
                chunks.append(self._connection.recv(_CHUNK))
        except SSL.WantReadError:
            pass
        except SSL.ZeroReturnError:
            self.ended = True
        return b"".join(chunks)


class ClientPump(Pump):
    """The client's end; ``outgoing`` holds the ClientHello from the start.

    ``sni`` is a host name without a final dot, or None to send no server_name (RFC 6066 section 3 has no
    room for addresses). ``tls12`` allows TLS 1.2 as well. ``ticket`` is one that an earlier pump gave.
    """

    def __init__(
        self,
        *,
        sni: str | None,
        alpn: tuple[str, ...] = (),
        secrets: Secrets | None = None,
        ticket: Ticket | None = None,
        tls12: bool = False,
    ) -> None:
        super().__init__(_client_context(alpn, tls12), secrets)
        self._connection.set_connect_state()
        if sni is not None:
            self._connection.set_tlsext_host_name(sni.encode("ascii"))
        # OpenSSL takes a session back only in the context that it comes from.
        if ticket is not None and ticket._context is self._connection.get_context():
            self._connection.set_session(ticket._session)
        self._shake()

    @property
    def chain(self) -> tuple[x509.Certificate, ...]:
        """The certificates that the server presented, leaf first, unverified.

        A resumed session has those of the first one. Raises ValueError when one cannot be parsed.
        """
        try:
            return tuple(self._connection.get_peer_cert_chain(as_cryptography=True) or ())
        except x509.InvalidVersion as error:
            raise ValueError(str(error)) from error

    @property
    def ticket(self) -> Ticket | None:
        """For a later session; of use once the server's tickets are in, by its first answer at the latest."""
        session = self._connection.get_session()
        return None if session is None else Ticket(session, self._connection.get_context())


class ServerPump(Pump):
    """The server's end. It names the first of its ``alpn`` protocols that the client offers, or none."""

    def __init__(
        self,
        credential: Credential,
        *,
        alpn: tuple[str, ...] = (),
        secrets: Secrets | None = None,
        tls12: bool = False,
    ) -> None:
        super().__init__(_server_context(credential, alpn, tls12), secrets)
        self._connection.set_accept_state()

    @property
    def sni(self) -> str | None:
        """The host name that the client asked for."""
        name = self._connection.get_servername()
        return None if name is None else name.decode("latin-1")


# -- contexts --------------------------------------------------------------------------------------


@lru_cache(maxsize=64)
def _client_context(alpn: tuple[str, ...], tls12: bool) -> SSL.Context:
    context = _context(tls12)
    if alpn:
        context.set_alpn_protos([protocol.encode("latin-1") for protocol in alpn])
    return context


@lru_cache(maxsize=512)
def _server_context(credential: Credential, alpn: tuple[str, ...], tls12: bool) -> SSL.Context:
    protocols = [protocol.encode("latin-1") for protocol in alpn]

    def select(_: SSL.Connection, offered: list[bytes]) -> bytes | SSL._NoOverlappingProtocols:
        return next((p for p in protocols if p in offered), SSL.NO_OVERLAPPING_PROTOCOLS)

    context = _context(tls12)
    context.use_privatekey(credential.key)
    context.use_certificate(credential.leaf)
    for certificate in credential.chain[1:]:
        context.add_extra_chain_cert(certificate)
    context.set_alpn_select_callback(select)
    context.set_session_id(b"adox")
    # Tickets carry the state; a cache besides would only grow.
    context.set_session_cache_mode(SSL.SESS_CACHE_OFF)
    return context


def _context(tls12: bool) -> SSL.Context:
    context = SSL.Context(SSL.TLS_METHOD)
    context.set_min_proto_version(SSL.TLS1_2_VERSION if tls12 else SSL.TLS1_3_VERSION)
    context.set_verify(SSL.VERIFY_NONE)
    context.set_keylog_callback(_log_secret)
    _prefer_x25519(context)
    return context


def _log_secret(connection: SSL.Connection, line: bytes) -> None:
    secrets: Secrets | None = connection.get_app_data()
    if secrets is not None:
        secrets(line.decode("ascii"))


def _prefer_x25519(context: SSL.Context) -> None:
    """Keep hybrid post-quantum key shares out: they make a ClientHello of two segments, and cost time.

    Older bindings cannot set a list of groups; P-256 alone does there.
    """
    set_groups = getattr(_openssl, "SSL_CTX_set1_curves_list", None)
    if set_groups is None or set_groups(context._context, b"X25519:P-256:P-384") != 1:
        context.set_tmp_ecdh(ec.SECP256R1())


_ALERT = re.compile(r"(?:ssl/tls|sslv3|tlsv1|tlsv13|tls) (?:alert )?(?P<name>[a-z ]+)")


def _described(error: SSL.Error) -> str:
    """What went wrong, with the alert's name where the peer sent one: OpenSSL words its reasons so."""
    queue = error.args[0] if error.args and isinstance(error.args[0], list) else []
    reasons = [reason for _, _, reason in queue if reason]
    for reason in reasons:
        match = _ALERT.fullmatch(reason)
        name = match["name"].replace(" ", "_").replace("cancelled", "canceled").upper() if match else ""
        if name in AlertDescription.__members__:
            return f"alert {alert_name(AlertDescription[name])}"
    return ", ".join(reasons) or "failed for no stated reason"
