"""DNS over TLS (RFC 7858), with TLS 1.3 unless TLS 1.2 is allowed as well (RFC 8310, RFC 9325)."""

from __future__ import annotations

import asyncio

from testbed.core.pki import Credential
from testbed.core.transport import Transport
from testbed.transports import Address, Handler, Host, sockets
from testbed.transports.capacity import Capacity
from testbed.transports.server import IDLE_TIMEOUT, StreamListener
from testbed.transports.session import StreamSession
from testbed.transports.tls import ClientPump, Secrets, ServerPump, Ticket


async def connect(
    host: Host,
    local_address: str,
    remote: Address,
    *,
    sni: str | None,
    alpn: str | None = Transport.DOT.alpn,
    timeout: float,
    secrets: Secrets | None = None,
    ticket: Ticket | None = None,
    tls12: bool = False,
) -> StreamSession:
    """A session whose handshake is complete and whose certificates nobody has looked at yet.

    ``timeout`` bounds the TCP and the TLS handshake together. ``sni`` is a host name without a final dot;
    None sends none, as RFC 9539 section 4.6.3.3 advises for probes. A server that names no ALPN protocol
    is accepted, as many are older than the identifier "dot".

    Raises TransportError: REFUSED, UNREACHABLE, TIMEOUT, RESET, CLOSED, or TLS with the alert's name.
    """
    loop = asyncio.get_running_loop()
    deadline = loop.time() + timeout
    sock = await sockets.connect(host, local_address, remote, timeout)
    protocols = () if alpn is None else (alpn,)
    pump = ClientPump(sni=sni, alpn=protocols, secrets=secrets, ticket=ticket, tls12=tls12)
    session = StreamSession(Transport.DOT, remote, sock, pump)
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
    tls12: bool = False,
    capacity: Capacity | None = None,
) -> StreamListener:
    """Answer on an address and port until closed. Raises OSError when they cannot be had."""

    def pump() -> ServerPump:
        return ServerPump(credential, alpn=(str(Transport.DOT.alpn),), secrets=secrets, tls12=tls12)

    sock = sockets.listening(host, address, port)
    return StreamListener(sock, Transport.DOT, handler, pump, idle_timeout, capacity)
