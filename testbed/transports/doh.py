"""DNS over HTTPS (RFC 8484): HTTP/2 over TLS, and HTTP/3 over QUIC for whoever asks for ALPN "h3"."""

from __future__ import annotations

import asyncio
import socket
from functools import partial

from testbed.core.dohpath import DEFAULT_PATH, Template
from testbed.core.pki import Credential
from testbed.core.transport import Transport
from testbed.transports import Address, Handler, Host, quic, sockets
from testbed.transports.http2_server import Http2Listener
from testbed.transports.http2_session import Http2Session
from testbed.transports.http3_server import Http3Connection
from testbed.transports.http3_session import Http3Session
from testbed.transports.http_messages import Method, authority, request
from testbed.transports.quic_endpoint import connected
from testbed.transports.quic_listener import QuicListener
from testbed.transports.quic_session import IDLE_TIMEOUT as QUIC_IDLE_TIMEOUT
from testbed.transports.server import IDLE_TIMEOUT
from testbed.transports.tls import ClientPump, Secrets, ServerPump, Ticket

HTTP3 = "h3"
"""The ALPN protocol identifier of HTTP/3 (RFC 9114 section 3.1)."""


async def connect(
    host: Host,
    local_address: str,
    remote: Address,
    *,
    sni: str | None,
    alpn: str | None = Transport.DOH.alpn,
    timeout: float,
    secrets: Secrets | None = None,
    ticket: Ticket | quic.QuicTicket | None = None,
    path: str = DEFAULT_PATH,
    method: Method = "POST",
) -> Http2Session | Http3Session:
    """A session whose handshake is complete and whose certificates nobody has looked at yet.

    ``timeout`` bounds all handshakes together. ``sni`` is a host name without a final dot, and the
    authority of the requests; without it the address is. ``path`` is a URI template with the variable
    "dns", as in the SvcParam "dohpath" (RFC 9461 section 5). A ticket of the other version of HTTP is not
    used; there is no 0-RTT, which RFC 8470 leaves to methods that POST is none of.

    Raises ValueError for another kind of path, and TransportError: REFUSED, UNREACHABLE, TIMEOUT, RESET,
    CLOSED, TLS with the alert's name, or PROTOCOL when the server does not speak this version of HTTP.
    """
    loop = asyncio.get_running_loop()
    deadline = loop.time() + timeout
    protocols = () if alpn is None else (alpn,)
    make_request = partial(request, Template(path), method, authority(sni, remote))
    if alpn == HTTP3:
        resumed = ticket if isinstance(ticket, quic.QuicTicket) and loop.time() < ticket.expires else None
        datagrams = connected(sockets.bound(host, socket.SOCK_DGRAM, (local_address, 0)), remote)
        machine = quic.client(
            sni=sni,
            alpn=protocols,
            idle_timeout=QUIC_IDLE_TIMEOUT,
            secrets=secrets,
            ticket=resumed,
            early=False,
        )
        over_quic = Http3Session(remote, datagrams, machine, make_request, timeout=timeout, ticket=resumed)
        await over_quic.established()
        return over_quic
    sock = await sockets.connect(host, local_address, remote, timeout)
    pump = ClientPump(
        sni=sni, alpn=protocols, secrets=secrets, ticket=ticket if isinstance(ticket, Ticket) else None
    )
    session = Http2Session(remote, sock, pump, make_request)
    await session.ready(deadline - loop.time())
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
    alpn: str | None = Transport.DOH.alpn,
    tickets: quic.TicketStore | None = None,
) -> Http2Listener | QuicListener:
    """Answer on an address and port until closed, over TCP, or over UDP with ``alpn`` "h3".

    ``tickets`` is what a server of HTTP/3 knows of sessions to resume; without, it begins with none.
    Raises OSError when address and port cannot be had, ValueError for a path that is no such template.
    """
    template = Template(path)
    if alpn == HTTP3:
        return QuicListener(
            host,
            address,
            port,
            Transport.DOH,
            handler,
            lambda listener, machine, peer: Http3Connection(listener, machine, peer, template),
            credential=credential,
            alpn=(HTTP3,),
            secrets=secrets,
            idle_timeout=idle_timeout,
            tickets=tickets,
        )

    def pump() -> ServerPump:
        return ServerPump(credential, alpn=(str(Transport.DOH.alpn),), secrets=secrets)

    return Http2Listener(sockets.listening(host, address, port), handler, template, pump, idle_timeout)
