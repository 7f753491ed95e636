"""UDP on a hop: DNS messages go through the attackers' hooks, other datagrams through ``connect`` once."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections import OrderedDict
from collections.abc import Callable

from testbed.attack.api import Alert, Connect, Drop, Handshake, Impersonate, Reset, Unreachable
from testbed.attack.chain import Fate, Forward, Pending, Return
from testbed.core.transport import Transport
from testbed.onpath.quic import QuicFlow, client_hello
from testbed.onpath.sockets import datagram_listener, in_the_name_of, original_destination
from testbed.onpath.surroundings import Surroundings
from testbed.transports import Address

DNS_PORT = 53
FLOWS = 512
"""Flows that are kept at a time; a resolver's queries have one each, and the oldest goes first."""

_HEADER = 12
_LARGEST = 65535

Refuse = Callable[[bytes, Address, Address, bool], None]
"""Answers a datagram with ICMP: (payload, from, to, administratively prohibited or else no such port)."""


class DatagramRelay:
    """Takes datagrams from the resolver, and relays both ways in the two ends' names."""

    def __init__(self, surroundings: Surroundings, port: int, refuse: Refuse) -> None:
        self._surroundings = surroundings
        self._refuse = refuse
        self._flows: OrderedDict[tuple[Address, Address], _Flow] = OrderedDict()
        self._loop = asyncio.get_running_loop()
        self._listeners = [
            datagram_listener(surroundings.host, version, port)
            for version in (socket.AF_INET, socket.AF_INET6)
        ]
        for listener in self._listeners:
            self._loop.add_reader(listener, self._receive, listener)

    def close(self) -> None:
        """Let go of everything."""
        for listener in self._listeners:
            self._loop.remove_reader(listener)
            listener.close()
        for flow in self._flows.values():
            flow.close()
        self._flows.clear()

    def _receive(self, listener: socket.socket) -> None:
        with contextlib.suppress(BlockingIOError):
            while True:
                data, ancillary, _, peer = listener.recvmsg(_LARGEST, 256)
                key = (peer[:2], original_destination(ancillary))
                flow = self._flows.get(key)
                if flow is None:
                    flow = self._open(*key)
                flow.from_resolver(data)

    def _open(self, resolver: Address, server: Address) -> _Flow:
        if len(self._flows) >= FLOWS:
            self._flows.popitem(last=False)[1].close()
        flow = _Flow(self._surroundings, resolver, server, self._refuse)
        self._flows[(resolver, server)] = flow
        return flow


class _Flow:
    """The datagrams between one port of the resolver and one of a server."""

    def __init__(
        self, surroundings: Surroundings, resolver: Address, server: Address, refuse: Refuse
    ) -> None:
        self._surroundings = surroundings
        self._resolver, self._server = resolver, server
        self._chain, self._refuse = surroundings.chain, refuse
        self._role = surroundings.role_at(server[0])
        self._loop = asyncio.get_running_loop()
        self._down = in_the_name_of(surroundings.host, socket.SOCK_DGRAM, server, resolver)
        self._up = in_the_name_of(surroundings.host, socket.SOCK_DGRAM, resolver, server)
        self._pending = Pending(self._chain, Transport.UDP, self._role) if server[1] == DNS_PORT else None
        self._admitted = False
        self._blocked: Drop | Reset | Unreachable | None = None
        self._terminated: QuicFlow | None = None
        self._loop.add_reader(self._down, self._read, self._down, self.from_resolver)
        self._loop.add_reader(self._up, self._read, self._up, self._from_server)

    def close(self) -> None:
        """Let go of both sides."""
        if self._terminated is not None:
            self._terminated.abort()
        for sock in (self._down, self._up):
            if sock.fileno() >= 0:
                self._loop.remove_reader(sock)
                sock.close()

    def _read(self, sock: socket.socket, take: Callable[[bytes], None]) -> None:
        try:
            take(sock.recv(_LARGEST))
        except BlockingIOError:
            return
        except ConnectionRefusedError:
            # The server has no such port. The resolver is told as it would have been.
            self._refuse(b"", self._resolver, self._server, False)

    def from_resolver(self, data: bytes) -> None:
        """A datagram on its way to the server."""
        if self._pending is None:
            self._admit(data)
        elif len(data) < _HEADER or data[2] & 0x80:
            self._up.send(data)
        else:
            self._dispose(self._pending.query(data), self._up, self._down, data)

    def _admit(self, data: bytes) -> None:
        """Ask about a connection when its first datagram comes; the rest shares its fate."""
        if not self._admitted:
            self._admitted = True
            self._blocked = self._chain.connect(Connect("udp", self._server[1], self._role))
            if self._blocked is None:
                self._blocked = self._greeted(data)
        match self._blocked:
            case None if self._terminated is not None:
                self._terminated.receive([(data, self._resolver)])
            case None:
                self._up.send(data)
            case Reset():
                self._refuse(data, self._resolver, self._server, False)
            case Unreachable():
                self._refuse(data, self._resolver, self._server, True)
            case Drop():
                return

    def _greeted(self, data: bytes) -> Drop | Reset | None:
        """Ask about the ClientHello in the first datagram, if it is all there."""
        hello = client_hello(data) if self._chain.wants("handshake") else None
        if hello is None:
            return None
        event = Handshake(self._role, self._server[1], hello.sni, hello.alpn, hello.size)
        match self._chain.handshake(event):
            case Drop() as action:
                return action
            case Reset() | Alert():
                return Reset()
            case Impersonate(kind):
                self._loop.remove_reader(self._up)
                ends = (self._resolver, self._server)
                self._terminated = QuicFlow(self._surroundings, (self._down, self._up), ends, hello, kind)
        return None

    def _from_server(self, data: bytes) -> None:
        if self._pending is None or len(data) < _HEADER:
            self._down.send(data)
        else:
            self._dispose(self._pending.response(data), self._down, self._up, data)

    def _dispose(self, fate: Fate, onwards: socket.socket, back: socket.socket, data: bytes) -> None:
        match fate:
            case Forward(wire, delay):
                if delay:
                    self._loop.call_later(delay, self._send, onwards, wire)
                else:
                    self._send(onwards, wire)
            case Return(wire):
                self._send(back, wire)
            case Reset():
                self._refuse(data, self._resolver, self._server, False)
            case Drop():
                return

    @staticmethod
    def _send(sock: socket.socket, wire: bytes) -> None:
        with contextlib.suppress(OSError):
            sock.send(wire)
