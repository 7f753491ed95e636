"""Transparent sockets: what a hop takes, what it sends in others' names (IP_TRANSPARENT)."""

from __future__ import annotations

import socket
import struct

from testbed.transports import Address, Host
from testbed.transports.sockets import family

SOL_IPV6 = 41
IP_TRANSPARENT, IP_RECVORIGDSTADDR, IP_ORIGDSTADDR = 19, 20, 20
IPV6_TRANSPARENT, IPV6_RECVORIGDSTADDR, IPV6_ORIGDSTADDR = 75, 74, 74
"""From linux/in.h and linux/in6.h; Python's socket module does not name them."""

_ANY = {socket.AF_INET: "0.0.0.0", socket.AF_INET6: "::"}  # noqa: S104 - inside a hop's namespace


def _transparent(host: Host, kind: int, version: socket.AddressFamily) -> socket.socket:
    sock = host.socket(version, kind)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    if version == socket.AF_INET6:
        sock.setsockopt(SOL_IPV6, IPV6_TRANSPARENT, 1)
        sock.setsockopt(SOL_IPV6, socket.IPV6_V6ONLY, 1)
    else:
        sock.setsockopt(socket.SOL_IP, IP_TRANSPARENT, 1)
    return sock


def datagram_listener(host: Host, version: socket.AddressFamily, port: int) -> socket.socket:
    """A UDP socket to which TPROXY hands datagrams; ``original_destination`` tells where they were going."""
    sock = _transparent(host, socket.SOCK_DGRAM, version)
    if version == socket.AF_INET6:
        sock.setsockopt(SOL_IPV6, IPV6_RECVORIGDSTADDR, 1)
    else:
        sock.setsockopt(socket.SOL_IP, IP_RECVORIGDSTADDR, 1)
    sock.bind((_ANY[version], port))
    return sock


def stream_listener(host: Host, version: socket.AddressFamily, port: int) -> socket.socket:
    """A TCP socket to which TPROXY hands connections; an accepted socket's own name is where it was going."""
    sock = _transparent(host, socket.SOCK_STREAM, version)
    sock.bind((_ANY[version], port))
    sock.listen(128)
    return sock


def in_the_name_of(host: Host, kind: int, local: Address, remote: Address) -> socket.socket:
    """A socket bound to somebody else's address and port, connected to the other end."""
    sock = _transparent(host, kind, family(local[0]))
    try:
        sock.bind(local)
        sock.connect_ex(remote)
    except BaseException:
        sock.close()
        raise
    return sock


def connection_in_the_name_of(host: Host, local: Address, remote: Address) -> socket.socket:
    """A TCP socket bound to somebody else's address, connecting to the other end.

    The port is the one next to ``local``'s, which differs in the last bit. The capture of a hop has both its
    sides in it, and Wireshark, which knows connections by addresses and ports, would take the two for one.
    """
    sock = in_the_name_of(host, socket.SOCK_STREAM, (local[0], local[1] ^ 1), remote)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return sock


def original_destination(ancillary: list[tuple[int, int, bytes]]) -> Address:
    """Where a datagram was going, from the control messages that came with it."""
    for level, kind, data in ancillary:
        if (level, kind) == (socket.SOL_IP, IP_ORIGDSTADDR):
            (port,) = struct.unpack_from("!H", data, 2)
            return socket.inet_ntop(socket.AF_INET, data[4:8]), port
        if (level, kind) == (SOL_IPV6, IPV6_ORIGDSTADDR):
            (port,) = struct.unpack_from("!H", data, 2)
            return socket.inet_ntop(socket.AF_INET6, data[8:24]), port
    raise ValueError("the kernel did not say where the datagram was going")
