"""A DNS server over UDP that cuts large responses into fragments itself, as servers behind small MTUs do.

Over IPv4 only: over IPv6 no MTU is below 1280 octets (RFC 8200 section 5), and no response of 1232 octets
needs more. The kernel would do it, too, but chooses identifications that nobody can predict.
"""

from __future__ import annotations

import socket
import struct
from collections.abc import Iterator
from typing import Any

from testbed.core.fragments import UDP, pieces, udp_datagram
from testbed.transports import Handler, Host, sockets, udp

_HEADER = struct.Struct("!BBHHHBBH4s4s")
_MORE_FRAGMENTS = 0x2000
_TTL = 64


class Listener(udp.Listener):
    """A listener whose packets have ``mtu`` octets at most. ``ids`` are for datagrams that are cut."""

    def __init__(
        self, sock: socket.socket, handler: Handler, raw: socket.socket, mtu: int, ids: Iterator[int]
    ) -> None:
        super().__init__(sock, handler)
        self._raw = raw
        self._mtu = mtu
        self._ids = ids

    def close(self) -> None:
        """Stop answering."""
        super().close()
        self._raw.close()

    def _send(self, responses: list[bytes], peer: Any) -> None:
        for response in responses:
            self._send_cut(response, peer)

    def _send_cut(self, response: bytes, peer: Any) -> None:
        own = self._sock.getsockname()
        parts = pieces(udp_datagram(own, peer, response), self._mtu)
        if len(parts) == 1:
            super()._send([response], peer)
            return
        identification = next(self._ids)
        addresses = [socket.inet_aton(address) for address in (own[0], peer[0])]
        for offset, part in parts:
            more = 0 if part is parts[-1][1] else _MORE_FRAGMENTS
            # The kernel fills in the checksum (raw(7)).
            header = _HEADER.pack(
                0x45,
                0,
                _HEADER.size + len(part),
                identification,
                more | offset // 8,
                _TTL,
                UDP,
                0,
                *addresses,
            )
            self._raw.sendto(header + part, peer)


def serve(
    host: Host, address: str, port: int, handler: Handler, *, mtu: int, ids: Iterator[int]
) -> udp.Listener:
    """Answer on an address and port until closed. Raises OSError when they cannot be had."""
    sock = sockets.bound(host, socket.SOCK_DGRAM, (address, port))
    if ":" in address:
        return udp.Listener(sock, handler)
    raw = host.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_RAW)
    return Listener(sock, handler, raw, mtu, ids)
