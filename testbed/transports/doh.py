"""DNS over HTTPS (RFC 8484) with HTTP/2 (RFC 9113), over TLS."""

from __future__ import annotations

import asyncio
from functools import partial

from testbed.core.dohpath import DEFAULT_PATH, Template
from testbed.core.pki import Credential
from testbed.core.transport import Transport
from testbed.transports import Address, Handler, Host, sockets
from testbed.transports.capacity import Capacity
from testbed.transports.http2_server import Http2Listener
from testbed.transports.http2_session import Http2Session
from testbed.transports.http_messages import Method, authority, request
from testbed.transports.server import IDLE_TIMEOUT
from testbed.transports.tls import ClientPump, Secrets, ServerPump, Ticket


async def connect(
    host: Host,
    local_address: str,
    remote: Address,
    *,
    sni: str | None,
    alpn: str | None = Transport.DOH.alpn,
    timeout: float,
    secrets: Secrets | None = None,
    ticket: Ticket | None = None,
    path: str = DEFAULT_PATH,
    method: Method = "POST",
) -> Http2Session:
    """A session whose handshake is complete and whose certificates nobody has looked at yet.

    ``timeout`` bounds all handshakes together. ``sni`` is a host name without a final dot, and the
    authority of the requests; without it the address is. ``path`` is a URI template with the variable
    "dns", as in the SvcParam "dohpath" (RFC 9461 section 5).

    Raises ValueError for another kind of path, and TransportError: REFUSED, UNREACHABLE, TIMEOUT, RESET,
    CLOSED, TLS with the alert's name, or PROTOCOL when the server does not speak HTTP/2.
    """
    loop = asyncio.get_running_loop()
    deadline = loop.time() + timeout
    make_request = partial(request, Template(path), method, authority(sni, remote))
    sock = await sockets.connect(host, local_address, remote, timeout)
    pump = ClientPump(sni=sni, alpn=() if alpn is None else (alpn,), secrets=secrets, ticket=ticket)
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
    capacity: Capacity | None = None,
) -> Http2Listener:
    """Answer on an address and port until closed.

    Raises OSError when they cannot be had, ValueError for a path that is no such template.
    """
    template = Template(path)

    def pump() -> ServerPump:
        return ServerPump(credential, alpn=(str(Transport.DOH.alpn),), secrets=secrets)

    sock = sockets.listening(host, address, port)
    return Http2Listener(sock, handler, template, pump, idle_timeout, capacity)
