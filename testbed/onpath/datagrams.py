"""UDP on a hop: DNS messages go through their hooks, other datagrams through ``datagram``.

What opens a flow goes through ``connect`` first, on the ports for which an attacker has that hook.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections import OrderedDict
from collections.abc import Callable
from typing import Literal

from testbed.attack.actions import Alert, Delay, Drop, Impersonate, Reset, Unreachable
from testbed.attack.events import Connect, Datagram
from testbed.attack.fates import Fate, Forward, Return
from testbed.attack.pending import Pending
from testbed.core.tls_messages import ClientHello
from testbed.core.transport import Transport
from testbed.onpath.quic import QuicFlow, client_hello
from testbed.onpath.sockets import datagram_listener, in_the_name_of, original_destination
from testbed.onpath.surroundings import Surroundings, greeting
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
        self._opened = False
        self._held: list[bytes] | None = None
        self._terminated: QuicFlow | None = None
        self._seen = {"server": 0, "resolver": 0}
        self._blocked: Drop | Reset | Unreachable | None = None
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
        if not self._opened:
            self._opened = True
            self._open(data)
        if self._held is not None:
            self._held.append(data)
            return
        if self._terminated is not None:
            self._terminated.receive([(data, self._resolver)])
            return
        fate: Fate | Unreachable = Forward(data)
        if self._blocked is not None:
            fate = self._blocked
        elif self._pending is None:
            fate = self._show(data, "server")
        elif len(data) >= _HEADER and not data[2] & 0x80:
            fate = self._pending.query(data)
        self._dispose(fate, self._up, self._down, data)

    def _open(self, data: bytes) -> None:
        """Ask what becomes of the flow that a datagram opens."""
        port = self._server[1]
        if port in self._chain.ports("connect"):
            self._blocked = self._chain.connect(Connect("udp", port, self._role, len(data)))
        if self._blocked is None and port != DNS_PORT and port in self._chain.ports("handshake"):
            hello = client_hello(data)
            if hello is not None:
                self._greet(hello)

    def _greet(self, hello: ClientHello) -> None:
        """Ask what becomes of a QUIC connection with this ClientHello."""
        match self._chain.handshake(greeting(self._role, self._server[1], hello, "udp")):
            case Drop() as action:
                self._blocked = action
            case Reset() | Alert():
                self._blocked = Reset()
            case Delay(seconds):
                self._held = []
                self._loop.call_later(seconds, self._let_go)
            case Impersonate(kind):
                self._loop.remove_reader(self._up)
                ends, sockets = (self._resolver, self._server), (self._down, self._up)
                self._terminated = QuicFlow(self._surroundings, sockets, ends, hello, kind)

    def _let_go(self) -> None:
        """Send on what was held, unless the flow is over."""
        held, self._held = self._held or [], None
        if self._up.fileno() >= 0:
            for data in held:
                self.from_resolver(data)

    def _from_server(self, data: bytes) -> None:
        fate: Fate | Unreachable = Forward(data)
        if self._pending is None:
            fate = self._show(data, "resolver")
        elif len(data) >= _HEADER:
            fate = self._pending.response(data)
        self._dispose(fate, self._down, self._up, data)

    def _show(self, data: bytes, towards: Literal["server", "resolver"]) -> Fate | Unreachable:
        self._seen[towards] += 1
        event = Datagram(data, self._server[1], self._role, towards, self._seen[towards])
        return self._chain.datagram(event)

    def _dispose(
        self, fate: Fate | Unreachable, onwards: socket.socket, back: socket.socket, data: bytes
    ) -> None:
        match fate:
            case Forward(wire, delay):
                if delay:
                    self._loop.call_later(delay, self._send, onwards, wire)
                else:
                    self._send(onwards, wire)
            case Return(wire):
                self._send(back, wire)
            case Reset() | Unreachable():
                self._refuse(data, self._resolver, self._server, isinstance(fate, Unreachable))
            case Drop():
                return

    @staticmethod
    def _send(sock: socket.socket, wire: bytes) -> None:
        with contextlib.suppress(OSError):
            sock.send(wire)
