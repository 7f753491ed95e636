"""Sockets for the transports: opened in a host, connected without blocking, errors in the core's words."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import os
import socket
import struct

from testbed.core.transport import Failure, TransportError
from testbed.transports import Address, Host

_IP_BIND_ADDRESS_NO_PORT = 24
_ABORT = struct.pack("ii", 1, 0)
_BACKLOG = 128

_FAILURES = {
    errno.ECONNREFUSED: Failure.REFUSED,  # RST to a SYN, or ICMP port unreachable
    errno.ECONNRESET: Failure.RESET,
    errno.EPIPE: Failure.RESET,
    errno.ECONNABORTED: Failure.RESET,
    errno.ETIMEDOUT: Failure.TIMEOUT,
    # Other kinds of ICMP destination unreachable; EACCES is how Linux words ICMPv6 "prohibited".
    errno.EHOSTUNREACH: Failure.UNREACHABLE,
    errno.ENETUNREACH: Failure.UNREACHABLE,
    errno.EHOSTDOWN: Failure.UNREACHABLE,
    errno.ENONET: Failure.UNREACHABLE,
    errno.ENOPROTOOPT: Failure.UNREACHABLE,
    errno.EPROTO: Failure.UNREACHABLE,
    errno.EACCES: Failure.UNREACHABLE,
    errno.EPERM: Failure.UNREACHABLE,
}


def failure(error: OSError, otherwise: Failure | None = None) -> TransportError:
    """What a socket's error says about the network or the peer.

    One that says nothing about them is raised again, unless it is to count as something.
    """
    kind = _FAILURES.get(error.errno or 0, otherwise)
    if kind is None:
        raise error
    return TransportError(kind, error.strerror or "")


def family(address: str) -> socket.AddressFamily:
    """The address family of an IP address."""
    return socket.AF_INET6 if ":" in address else socket.AF_INET


def bound(host: Host, kind: int, local: Address) -> socket.socket:
    """A socket of a host, bound to one of its addresses; port 0 leaves the choice to the kernel.

    Raises OSError when the address is not the host's or the port is taken.
    """
    sock = host.socket(family(local[0]), kind)
    try:
        if kind == socket.SOCK_STREAM and local[1] == 0:
            # Else a port that waits in TIME_WAIT towards one server is lost towards all others, too.
            sock.setsockopt(socket.IPPROTO_IP, _IP_BIND_ADDRESS_NO_PORT, 1)
        sock.bind(local)
    except BaseException:
        sock.close()
        raise
    return sock


async def connect(host: Host, local_address: str, remote: Address, timeout: float) -> socket.socket:
    """A TCP connection from one of a host's addresses.

    Raises TransportError: REFUSED, UNREACHABLE, or TIMEOUT after so many seconds; OSError for local faults.
    """
    loop = asyncio.get_running_loop()
    sock = bound(host, socket.SOCK_STREAM, (local_address, 0))
    try:
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        code = sock.connect_ex(remote)
        if code == errno.EINPROGRESS:
            # Within connect() itself, where a near host may answer, Linux only makes a note of ICMP errors.
            code = sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
            if code == 0:
                await _writable(loop, sock, timeout)
                code = sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
        if code:
            raise failure(OSError(code, os.strerror(code)))
    except BaseException:
        sock.close()
        raise
    return sock


async def _writable(loop: asyncio.AbstractEventLoop, sock: socket.socket, timeout: float) -> None:
    ready: asyncio.Future[None] = loop.create_future()

    def writable() -> None:
        if not ready.done():
            ready.set_result(None)

    def expire() -> None:
        if not ready.done():
            ready.set_exception(TransportError(Failure.TIMEOUT, "TCP handshake"))

    loop.add_writer(sock.fileno(), writable)
    timer = loop.call_later(timeout, expire)
    try:
        await ready
    finally:
        timer.cancel()
        loop.remove_writer(sock.fileno())


def listening(host: Host, address: str, port: int) -> socket.socket:
    """A TCP socket that listens. Raises OSError when the address is not the host's or the port is taken."""
    sock = host.socket(family(address), socket.SOCK_STREAM)
    try:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sock.bind((address, port))
        sock.listen(_BACKLOG)
    except BaseException:
        sock.close()
        raise
    return sock


def abort(sock: socket.socket) -> None:
    """Close a connection with RST, so that nothing of it stays behind in TIME_WAIT."""
    with contextlib.suppress(OSError):
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _ABORT)
    sock.close()
