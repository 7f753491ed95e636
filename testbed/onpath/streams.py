"""TCP on a hop: DNS messages go through the attackers' hooks, in clear or in TLS that a hop terminates.

TLS that is passed through is watched for application data, where an attacker wants to know of them.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import Callable

from testbed.attack.actions import Alert, Alter, CertificateKind, Delay, Drop, Impersonate, Reset
from testbed.attack.events import Established
from testbed.attack.fates import Fate, Forward, Return
from testbed.attack.pending import Pending
from testbed.core.tls_messages import ClientHello, TlsFormatError, alert_record, parse_client_hello
from testbed.core.tls_records import Data
from testbed.core.transport import Transport, TransportError
from testbed.onpath.https import HttpFlow
from testbed.onpath.sockets import connection_in_the_name_of, stream_listener
from testbed.onpath.surroundings import Surroundings, greeting
from testbed.transports import Address
from testbed.transports.clear import ClearPump, Pump
from testbed.transports.framing import Framer, frame
from testbed.transports.sockets import abort
from testbed.transports.stream import Stream
from testbed.transports.tls import ClientPump, ServerPump

DNS_PORT, HTTPS_PORT = 53, 443


class StreamRelay:
    """Takes connections from the resolver, and opens its own to the server in the resolver's name."""

    def __init__(self, surroundings: Surroundings, port: int) -> None:
        self._surroundings = surroundings
        self._loop = asyncio.get_running_loop()
        self.flows: set[_Flow | HttpFlow] = set()
        self._listeners = [
            stream_listener(surroundings.host, version, port) for version in (socket.AF_INET, socket.AF_INET6)
        ]
        for listener in self._listeners:
            self._loop.add_reader(listener, self._accept, listener)

    def close(self) -> None:
        """Let go of everything; connections break, as they do when who sat on them leaves."""
        for listener in self._listeners:
            self._loop.remove_reader(listener)
            listener.close()
        for flow in list(self.flows):
            flow.abort()

    def take_over(
        self, flow: _TlsFlow, sock: socket.socket, hello: ClientHello, octets: bytes, kind: CertificateKind
    ) -> None:
        """Go on with a connection as one of HTTP."""
        self.flows.discard(flow)
        ends = (flow.resolver, flow.server)
        taken_over = HttpFlow(self._surroundings, sock, ends, hello, octets, kind, self.flows.discard)
        if taken_over.live:
            self.flows.add(taken_over)

    def _accept(self, listener: socket.socket) -> None:
        with contextlib.suppress(BlockingIOError):
            while True:
                sock, peer = listener.accept()
                sock.setblocking(False)
                sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                server = sock.getsockname()[:2]
                kind = _ClearFlow if server[1] == DNS_PORT else _TlsFlow
                self.flows.add(kind(self, self._surroundings, sock, peer[:2], server))


class _End:
    """One end of a flow: the owner of its stream, which tells the flow."""

    def __init__(
        self,
        take: Callable[[bytes], None],
        end: Callable[[TransportError | None], None],
        drained: Callable[[], None],
    ) -> None:
        self.received = take
        self.ended = end
        self.drained = drained


class _Flow:
    """A connection that was taken, with the one to the server once that is wanted.

    When one end will send no more, the other end is told so, and may still send (RFC 9293 section 3.6).
    """

    def __init__(
        self,
        relay: StreamRelay,
        surroundings: Surroundings,
        sock: socket.socket,
        resolver: Address,
        server: Address,
    ) -> None:
        self._relay = relay
        self._surroundings = surroundings
        self.resolver, self.server = resolver, server
        self._role = surroundings.role_at(server[0])
        self._loop = asyncio.get_running_loop()
        self._up: Stream | None = None
        self._connecting: socket.socket | None = None
        self._waiting: list[bytes] = []
        self._delayed = {"server": 0, "resolver": 0}
        self._ended = {"server": False, "resolver": False}
        self._down = Stream(sock, _End(self._from_resolver, self._resolver_ended, self._settle))

    def abort(self) -> None:
        """Reset both sides."""
        self._down.abort()
        self._drop_upstream()
        self._relay.flows.discard(self)

    def _drop_upstream(self) -> None:
        if self._up is not None:
            self._up.abort()
        if self._connecting is not None:
            self._loop.remove_writer(self._connecting)
            abort(self._connecting)
            self._connecting = None

    def _finish(self) -> None:
        """Close both sides in good order."""
        self._down.close()
        if self._up is not None:
            self._up.close()
        self._relay.flows.discard(self)

    def _connect(self) -> None:
        """Begin to connect to the server, in the resolver's name."""
        sock = connection_in_the_name_of(self._surroundings.host, self.resolver, self.server)
        self._connecting = sock
        self._loop.add_writer(sock, self._connected)

    def _connected(self) -> None:
        sock = self._connecting
        assert sock is not None
        self._loop.remove_writer(sock)
        self._connecting = None
        if sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR):
            sock.close()
            self.abort()
            return
        self._up = Stream(sock, _End(self._from_server, self._server_ended, self._settle))
        self._upstream_ready()
        self._settle()

    def _send_up(self, data: bytes) -> None:
        """Send to the server, now or once it is connected; what comes after the end is lost."""
        if self._down.closed:
            return
        if self._up is not None:
            self._up.write(data)
        else:
            self._waiting.append(data)
            if self._connecting is None:
                self._connect()

    def _upstream_ready(self) -> None:
        assert self._up is not None
        for data in self._waiting:
            self._up.write(data)
        self._waiting.clear()

    def _from_resolver(self, data: bytes) -> None:
        self._send_up(data)

    def _from_server(self, data: bytes) -> None:
        self._down.write(data)

    def _resolver_ended(self, error: TransportError | None) -> None:
        self._end_of("resolver", error)

    def _server_ended(self, error: TransportError | None) -> None:
        self._end_of("server", error)

    def _end_of(self, end: str, error: TransportError | None) -> None:
        self._ended[end] = True
        if error is not None:
            self.abort()
        elif self._up is None and self._connecting is None:
            self._finish()
        else:
            self._settle()

    def _settle(self) -> None:
        """Pass on that an end will send no more once all that it sent is on its way; let go after both."""
        if self._up is None:
            return
        if self._ended["resolver"] and not self._delayed["resolver"]:
            self._up.finish()
        if self._ended["server"] and not self._delayed["server"]:
            self._down.finish()
        left = self._delayed["resolver"] + self._delayed["server"] + self._up.unsent + self._down.unsent
        if all(self._ended.values()) and not left:
            self._finish()


class _MessageFlow(_Flow):
    """A flow whose DNS messages go through the hooks, with a pump (clear or TLS) on either side."""

    _down_pump: Pump
    _up_pump: Pump

    def _begin(self, transport: Transport) -> None:
        self._queries, self._responses = Framer(), Framer()
        self._pending = Pending(self._surroundings.chain, transport, self._role)

    def _relay_queries(self, data: bytes) -> None:
        """Take plaintext from the resolver."""
        self._queries.feed(data)
        while (message := self._queries.next_message()) is not None:
            self._dispose(self._pending.query(message), "resolver", self._to_server, self._to_resolver)

    def _relay_responses(self, data: bytes) -> None:
        """Take plaintext from the server."""
        self._responses.feed(data)
        while (message := self._responses.next_message()) is not None:
            for fate in self._pending.responses(message):
                self._dispose(fate, "server", self._to_resolver, self._to_server)

    def _dispose(
        self, fate: Fate, sender: str, onwards: Callable[[bytes], None], back: Callable[[bytes], None]
    ) -> None:
        match fate:
            case Forward(wire, delay):
                if delay:
                    self._delayed[sender] += 1
                    self._loop.call_later(delay, self._let_go, sender, onwards, wire)
                else:
                    onwards(wire)
            case Return(wire):
                back(wire)
            case Reset():
                self.abort()
            case Drop():
                return

    def _let_go(self, sender: str, onwards: Callable[[bytes], None], wire: bytes) -> None:
        """Send on what was delayed."""
        self._delayed[sender] -= 1
        onwards(wire)
        self._settle()

    def _to_resolver(self, wire: bytes) -> None:
        if not self._down.closed:
            with contextlib.suppress(TransportError):
                self._down_pump.send(frame(wire))
                self._down.write(self._down_pump.outgoing())

    def _to_server(self, wire: bytes) -> None:
        with contextlib.suppress(TransportError):
            self._up_pump.send(frame(wire))
            self._send_up(self._up_pump.outgoing())


class _ClearFlow(_MessageFlow):
    """DNS over TCP. The connection to the server is opened at once: if it fails, so does this one."""

    def __init__(
        self,
        relay: StreamRelay,
        surroundings: Surroundings,
        sock: socket.socket,
        resolver: Address,
        server: Address,
    ) -> None:
        super().__init__(relay, surroundings, sock, resolver, server)
        self._down_pump, self._up_pump = ClearPump(), ClearPump()
        self._begin(Transport.TCP)
        self._connect()

    def _from_resolver(self, data: bytes) -> None:
        self._relay_queries(data)

    def _from_server(self, data: bytes) -> None:
        self._relay_responses(data)


class _TlsFlow(_MessageFlow):
    """TLS. What becomes of it is decided when the whole ClientHello is there."""

    def __init__(
        self,
        relay: StreamRelay,
        surroundings: Surroundings,
        sock: socket.socket,
        resolver: Address,
        server: Address,
    ) -> None:
        super().__init__(relay, surroundings, sock, resolver, server)
        self._hello = b""
        self._sni: str | None = None
        self._data: Data | None = None
        self._records = 0
        self._take: Callable[[bytes], None] = self._take_hello
        self._waiting_messages: list[bytes] = []

    def _from_resolver(self, data: bytes) -> None:
        self._take(data)

    def _take_hello(self, data: bytes) -> None:
        self._hello += data
        try:
            hello = parse_client_hello(self._hello)
        except TlsFormatError:
            self._pass_on()
            return
        if hello is not None:
            self._decide(hello)

    def _decide(self, hello: ClientHello) -> None:
        self._sni = hello.sni
        match self._surroundings.chain.handshake(
            greeting(self._role, self.server[1], hello, octets=self._hello)
        ):
            case None:
                self._pass_on()
            case Delay(seconds):
                self._take = self._keep
                self._loop.call_later(seconds, self._pass_on)
            case Drop():
                self._take = self._swallow
            case Reset():
                self.abort()
            case Alert(description):
                self._down.write(alert_record(description))
                self._finish()
            case Alter(octets):
                self._hello = octets
                self._pass_on()
            case Impersonate(kind):
                self._terminate(hello, kind)

    def _swallow(self, data: bytes) -> None:
        """Leave the resolver waiting."""

    def _keep(self, data: bytes) -> None:
        """Hold on to what comes, for later."""
        self._hello += data

    def _pass_on(self) -> None:
        """Copy bytes both ways from now on."""
        if self._down.closed:
            return
        if self.server[1] in self._surroundings.chain.ports("established"):
            self._data = Data()
        self._take = self._pass
        self._pass(self._hello)

    def _pass(self, data: bytes) -> None:
        """Send on what the resolver sends, unless the session is to end where data begin."""
        for _ in range(self._data.from_client(data) if self._data is not None else 0):
            self._records += 1
            event = Established(self._role, self.server[1], self._sni, self._records)
            if self._surroundings.chain.established(event) is not None:
                self.abort()
                return
        self._send_up(data)

    def _end_of(self, end: str, error: TransportError | None) -> None:
        if error is None and self._take == self._take_records:
            self._finish()
            return
        if error is None and self._take == self._take_hello:
            self._pass_on()  # it was none, or will not be whole
        super()._end_of(end, error)

    def _finish(self) -> None:
        """Close both sides in good order: sessions that were terminated, too (RFC 8446 section 6.1)."""
        if self._take == self._take_records:
            self._tls_down.close()
            self._down.write(self._tls_down.outgoing())
            self._tls_up.close()
            if self._up is not None:
                self._up.write(self._tls_up.outgoing())
        super()._finish()

    # -- terminated --------------------------------------------------------------------------------

    def _terminate(self, hello: ClientHello, kind: CertificateKind) -> None:
        surroundings = self._surroundings
        if self.server[1] == HTTPS_PORT:
            self._relay.take_over(self, self._down.release(), hello, self._hello, kind)
            return
        credential = surroundings.credential(kind, self._role)
        self._begin(Transport.DOT)
        self._down_pump = self._tls_down = ServerPump(
            credential, alpn=hello.alpn, secrets=surroundings.secrets
        )
        self._up_pump = self._tls_up = ClientPump(
            sni=hello.sni, alpn=hello.alpn, secrets=surroundings.secrets
        )
        self._take = self._take_records
        self._take_records(self._hello)

    def _take_records(self, data: bytes) -> None:
        try:
            plaintext = self._tls_down.feed(data)
        except TransportError:
            self._down.write(self._tls_down.outgoing())
            self.abort()
            return
        self._down.write(self._tls_down.outgoing())
        if plaintext:
            self._relay_queries(plaintext)
        if self._tls_down.ended:
            self._finish()

    def _from_server(self, data: bytes) -> None:
        if self._take != self._take_records:
            if self._data is not None:
                self._data.from_server(data)
            self._down.write(data)
            return
        try:
            plaintext = self._tls_up.feed(data)
        except TransportError:
            self.abort()
            return
        self._send_up(self._tls_up.outgoing())
        if self._tls_up.established:
            self._send_waiting()
        if plaintext:
            self._relay_responses(plaintext)

    def _to_server(self, wire: bytes) -> None:
        if self._down.closed:
            return
        self._waiting_messages.append(wire)
        if self._tls_up.established:
            self._send_waiting()
        elif self._up is None and self._connecting is None:
            self._send_up(self._tls_up.outgoing())

    def _send_waiting(self) -> None:
        for wire in self._waiting_messages:
            self._tls_up.send(frame(wire))
        self._waiting_messages.clear()
        self._send_up(self._tls_up.outgoing())
