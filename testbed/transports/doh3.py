"""DNS over HTTPS (RFC 8484) with HTTP/3 (RFC 9114), over QUIC."""

from __future__ import annotations

from functools import partial

from testbed.core.dohpath import DEFAULT_PATH, Template
from testbed.core.pki import Credential
from testbed.core.transport import Transport
from testbed.transports import Address, Handler, Host, quic
from testbed.transports.capacity import Capacity
from testbed.transports.http3_server import Http3Connection
from testbed.transports.http3_session import Http3Session
from testbed.transports.http_messages import Method, authority, request
from testbed.transports.quic_endpoint import dial
from testbed.transports.quic_listener import QuicListener
from testbed.transports.quic_session import IDLE_TIMEOUT as QUIC_IDLE_TIMEOUT
from testbed.transports.server import IDLE_TIMEOUT
from testbed.transports.tls import Secrets


async def connect(
    host: Host,
    local_address: str,
    remote: Address,
    *,
    sni: str | None,
    alpn: str | None = Transport.DOH3.alpn,
    timeout: float,
    secrets: Secrets | None = None,
    ticket: quic.QuicTicket | None = None,
    path: str = DEFAULT_PATH,
    method: Method = "POST",
) -> Http3Session:
    """A session whose handshake is complete and whose certificates nobody has looked at yet.

    All else is as for HTTP/2, ``testbed.transports.doh``. There is no 0-RTT, which RFC 8470 leaves to
    methods that POST is none of.

    Raises ValueError for a ``path`` that is no such template, and TransportError: REFUSED, UNREACHABLE,
    TIMEOUT, RESET, CLOSED, PROTOCOL, or TLS with the alert's name.
    """
    make_request = partial(request, Template(path), method, authority(sni, remote))
    sock, machine, ticket = dial(
        host,
        local_address,
        remote,
        sni=sni,
        alpn=alpn,
        idle_timeout=QUIC_IDLE_TIMEOUT,
        secrets=secrets,
        ticket=ticket,
        early=False,
    )
    session = Http3Session(remote, sock, machine, make_request, timeout=timeout, ticket=ticket)
    await session.established()
    return session


def serve(
    host: Host,
    address: str,
    port: int,
    handler: Handler,
    *,
    credential: Credential,
    secrets: Secrets | None = None,
    idle_timeout: float = IDLE_TIMEOUT,
    path: str = DEFAULT_PATH,
    tickets: quic.TicketStore | None = None,
    capacity: Capacity | None = None,
) -> QuicListener:
    """Answer on an address and port until closed.

    ``tickets`` is what the server knows of sessions to resume; without, it begins with none. Raises OSError
    when address and port cannot be had, ValueError for a path that is no such template.
    """
    template = Template(path)
    return QuicListener(
        host,
        address,
        port,
        Transport.DOH3,
        handler,
        lambda listener, machine, peer: Http3Connection(listener, machine, peer, template),
        credential=credential,
        alpn=(str(Transport.DOH3.alpn),),
        secrets=secrets,
        idle_timeout=idle_timeout,
        tickets=tickets,
        capacity=capacity,
    )
