"""The listening socket of a server over TCP."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable

from testbed.transports.capacity import Capacity
from testbed.transports.sockets import abort

_ACCEPTS = 64
_RETRY = 1.0


class Acceptor:
    """Takes over a listening socket; hands on each of its connections, with the address of the peer.

    Those for which there is no ``capacity`` are reset.
    """

    def __init__(
        self,
        sock: socket.socket,
        welcome: Callable[[socket.socket, str], None],
        capacity: Capacity | None = None,
    ) -> None:
        self._capacity = capacity
        self._sock = sock
        self._welcome = welcome
        self._loop = asyncio.get_running_loop()
        self._retry: asyncio.TimerHandle | None = None
        self._listen()

    def close(self) -> None:
        """Stop listening."""
        if self._sock.fileno() >= 0:
            self._loop.remove_reader(self._sock.fileno())
            self._sock.close()
        if self._retry is not None:
            self._retry.cancel()

    def _listen(self) -> None:
        self._loop.add_reader(self._sock.fileno(), self._accept)

    def _accept(self) -> None:
        self._retry = None
        for _ in range(_ACCEPTS):
            try:
                sock, address = self._sock.accept()
            except (BlockingIOError, InterruptedError, ConnectionAbortedError):
                return
            except OSError:
                # Out of descriptors, most likely. The loop reports it; trying again at once would hang it.
                self._loop.remove_reader(self._sock.fileno())
                self._retry = self._loop.call_later(_RETRY, self._listen)
                raise
            if self._capacity is not None and not self._capacity.admit():
                abort(sock)
                continue
            try:
                sock.setblocking(False)
                sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            except OSError:  # gone already
                abort(sock)
                continue
            self._welcome(sock, address[0])
