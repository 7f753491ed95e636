"""DNS over TCP (RFC 1035 section 4.2.2, RFC 7766)."""

from __future__ import annotations

from testbed.core.transport import Transport
from testbed.transports import Address, Handler, Host, sockets
from testbed.transports.capacity import Capacity
from testbed.transports.clear import ClearPump
from testbed.transports.server import IDLE_TIMEOUT, StreamListener
from testbed.transports.session import StreamSession


async def connect(host: Host, local_address: str, remote: Address, *, timeout: float) -> StreamSession:
    """A session with a server. Raises TransportError: REFUSED, UNREACHABLE, TIMEOUT."""
    sock = await sockets.connect(host, local_address, remote, timeout)
    return StreamSession(Transport.TCP, remote, sock)


def serve(
    host: Host,
    address: str,
    port: int,
    handler: Handler,
    *,
    idle_timeout: float = IDLE_TIMEOUT,
    capacity: Capacity | None = None,
) -> StreamListener:
    """Answer on an address and port until closed. Raises OSError when they cannot be had."""
    sock = sockets.listening(host, address, port)
    return StreamListener(sock, Transport.TCP, handler, ClearPump, idle_timeout, capacity)
