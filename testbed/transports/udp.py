"""DNS over UDP (RFC 1035 section 4.2.1): one datagram there, one back."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import socket
from collections.abc import Callable
from typing import Any

from testbed.core.transport import Failure, Transport, TransportError
from testbed.transports import Address, Handler, Host, sockets
from testbed.transports.later import Later

_LARGEST = 65535


async def exchange(
    host: Host,
    local: Address,
    remote: Address,
    wire: bytes,
    accept: Callable[[bytes], bool],
    timeout: float,
) -> bytes:
    """Send a query once and await the datagram that ``accept`` takes for its response.

    The socket is connected, so that datagrams of other origin never get here; those that are not
    accepted are ignored (RFC 5452 section 9.1). The caller chooses the source port, 0 leaves it to the
    kernel. ``timeout`` is in seconds.

    Raises TransportError: TIMEOUT, REFUSED after ICMP port unreachable, UNREACHABLE after another kind of
    ICMP destination unreachable; OSError for local faults, such as a source port in use.
    """
    loop = asyncio.get_running_loop()
    sock = sockets.bound(host, socket.SOCK_DGRAM, local)
    response: asyncio.Future[bytes] = loop.create_future()

    def readable() -> None:
        try:
            while not response.done():
                data = _receive(sock)
                if data is not None and accept(data):
                    response.set_result(data)
        except (BlockingIOError, InterruptedError):
            return
        except Exception as error:  # whatever it is, it belongs to the caller
            response.set_exception(error)

    def expire() -> None:
        if not response.done():
            response.set_exception(TransportError(Failure.TIMEOUT, "no response"))

    fd = sock.fileno()
    timer = None
    try:
        sock.connect(remote)
        sock.send(wire)
        loop.add_reader(fd, readable)
        timer = loop.call_later(timeout, expire)
        return await response
    except OSError as error:
        raise sockets.failure(error) from error
    finally:
        if timer is not None:
            timer.cancel()
            loop.remove_reader(fd)
        sock.close()


def _receive(sock: socket.socket) -> bytes | None:
    """What has come in; None when it is word of a smaller path MTU, no matter to what was sent."""
    try:
        return sock.recv(_LARGEST)
    except OSError as error:
        if error.errno != errno.EMSGSIZE:
            raise
        return None


class Listener:
    """Implements ``testbed.transports.Listener``; there are no connections to count."""

    connections = handshakes = open = 0

    def __init__(self, sock: socket.socket, handler: Handler) -> None:
        self.messages = 0
        self._sock = sock
        self._handler = handler
        self._later = Later()
        self._loop = asyncio.get_running_loop()
        self._loop.add_reader(sock.fileno(), self._readable)

    def close(self) -> None:
        """Stop answering."""
        if self._sock.fileno() >= 0:
            self._loop.remove_reader(self._sock.fileno())
            self._sock.close()
        self._later.cancel()

    def _readable(self) -> None:
        try:
            data, peer = self._sock.recvfrom(_LARGEST)
        except OSError:  # nothing there after all, or news of a client that is gone
            return
        self.messages += 1
        responses = self._handler(data, Transport.UDP, peer[0])
        if isinstance(responses, list):
            self._send(responses, peer)
        else:
            self._later.start(responses, lambda late: self._send(late, peer))

    def _send(self, responses: list[bytes], peer: Any) -> None:
        for response in responses:
            # Lost like any datagram that does not fit or finds no way.
            with contextlib.suppress(OSError):
                self._sock.sendto(response, peer)


def serve(host: Host, address: str, port: int, handler: Handler) -> Listener:
    """Answer on an address and port until closed. Raises OSError when they cannot be had."""
    return Listener(sockets.bound(host, socket.SOCK_DGRAM, (address, port)), handler)
