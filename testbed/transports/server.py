"""The server's side of a byte stream: accepts connections, answers what comes in, lets nobody hold it up."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import Callable

from testbed.core.transport import Transport, TransportError
from testbed.transports import Handler
from testbed.transports.acceptor import Acceptor
from testbed.transports.capacity import Capacity
from testbed.transports.clear import Pump
from testbed.transports.framing import Framer, frame
from testbed.transports.later import Later
from testbed.transports.stream import Stream

IDLE_TIMEOUT = 10.0
"""Seconds without a whole query after which a connection is closed (RFC 7766 section 6.2.3)."""

OUTSTANDING = 1 << 20
"""Octets of responses that a client may leave unread before no more of its queries are."""

_HEADER = 12


class StreamListener:
    """Implements ``testbed.transports.Listener`` over a listening socket, which it takes over."""

    def __init__(
        self,
        sock: socket.socket,
        transport: Transport,
        handler: Handler,
        pump: Callable[[], Pump],
        idle_timeout: float = IDLE_TIMEOUT,
        capacity: Capacity | None = None,
    ) -> None:
        self.transport = transport
        self.handler = handler
        self.idle_timeout = idle_timeout
        self.connections = 0
        self.handshakes = 0
        self.messages = 0
        self.live: set[_Connection] = set()
        self._pump = pump
        self._acceptor = Acceptor(sock, self._welcome, capacity)
        if capacity is not None:
            capacity.count(self.live)

    @property
    def open(self) -> int:
        """Connections open now."""
        return len(self.live)

    def close(self) -> None:
        """Stop listening and abort all connections."""
        self._acceptor.close()
        for connection in list(self.live):
            connection.abort()

    def _welcome(self, sock: socket.socket, peer: str) -> None:
        self.connections += 1
        self.live.add(_Connection(self, sock, self._pump(), peer))


class _Connection:
    """One client's connection."""

    def __init__(self, listener: StreamListener, sock: socket.socket, pump: Pump, peer: str) -> None:
        self._listener = listener
        self._pump = pump
        self._peer = peer
        self._framer = Framer()
        self._last_call = False
        self._later = Later()
        self._stream = Stream(sock, self)
        self._loop = asyncio.get_running_loop()
        self._deadline = self._loop.time() + listener.idle_timeout
        self._timer = self._loop.call_at(self._deadline, self._check_idle)

    def abort(self) -> None:
        """Drop it with RST."""
        self._stream.abort()
        self._forget()

    @property
    def idle_since(self) -> float | None:
        """When its last query came, or it did itself; None while a query is being answered."""
        return None if self._later else self._deadline - self._listener.idle_timeout

    def retire(self) -> None:
        """Close it in good order."""
        self._close()

    # -- what the stream calls -------------------------------------------------------------------------

    def received(self, data: bytes) -> None:
        """Some bytes came in."""
        waiting = not self._pump.established
        try:
            plaintext = self._pump.feed(data)
        except TransportError:
            self._close()  # with the alert that says why
            return
        if waiting and self._pump.established:
            self._listener.handshakes += 1
        self._flush()
        if plaintext:
            self._framer.feed(plaintext)
        self._last_call = self._pump.ended
        self._work()

    def ended(self, error: TransportError | None) -> None:
        """The client will send no more: what it asked is still answered, unless the connection broke."""
        if error is not None:
            self.abort()
            return
        self._last_call = True
        self._work()

    def drained(self) -> None:
        """There is room again."""
        self._stream.resume()
        self._work()

    # -- ------------------------------------------------------------------------------------------------

    def _work(self) -> None:
        """Answer what has come in whole, as far as the client reads the answers."""
        while not self._stream.closed:
            if self._stream.unsent > OUTSTANDING:
                self._stream.pause()
                return
            message = self._framer.next_message()
            if message is None:
                break
            if len(message) < _HEADER:  # not DNS, or the framing is lost
                self.abort()
                return
            self._answer(message)
        if self._last_call and not self._stream.unsent and not self._later:
            self._close()

    def _answer(self, message: bytes) -> None:
        listener = self._listener
        listener.messages += 1
        self._deadline = self._loop.time() + listener.idle_timeout
        try:
            responses = listener.handler(message, listener.transport, self._peer)
        except Exception:
            # A fault of ours, not of the client's: the loop reports it.
            self.abort()
            raise
        if isinstance(responses, list):
            self._send(responses)
        else:
            self._later.start(responses, self._send_late)

    def _send(self, responses: list[bytes]) -> None:
        for response in responses:
            self._pump.send(frame(response))
        self._flush()

    def _send_late(self, responses: list[bytes]) -> None:
        if not self._stream.closed:
            self._send(responses)
            self._work()

    def _flush(self) -> None:
        self._stream.write(self._pump.outgoing())

    def _check_idle(self) -> None:
        if self._loop.time() < self._deadline:
            self._timer = self._loop.call_at(self._deadline, self._check_idle)
        elif self._later:
            self._timer = self._loop.call_later(self._listener.idle_timeout, self._check_idle)
        elif self._stream.unsent or not self._pump.established:
            self.abort()
        else:
            self._close()

    def _close(self) -> None:
        if not self._stream.closed:
            with contextlib.suppress(TransportError):
                self._pump.close()
                self._flush()
            self._stream.close()
        self._forget()

    def _forget(self) -> None:
        self._timer.cancel()
        self._later.cancel()
        self._listener.live.discard(self)
