"""A client's session over a byte stream: TCP as it is, or with TLS inside."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable
from dataclasses import dataclass, field

from cryptography import x509

from testbed.core.transport import Failure, Transport, TransportError
from testbed.transports import Address
from testbed.transports.clear import ClearPump
from testbed.transports.framing import Framer, frame, is_response, message_id, question
from testbed.transports.stream import Stream
from testbed.transports.tls import ClientPump, HandshakeInfo, Ticket


@dataclass(eq=False, slots=True)
class _Exchange:
    """A query under way, and the responses that came so far."""

    question: bytes | None
    last: Callable[[bytes], bool]
    done: asyncio.Future[list[bytes]]
    responses: list[bytes] = field(default_factory=list)


def _only(_: bytes) -> bool:
    return True


class StreamSession:
    """Implements ``testbed.transports.Session`` over a connected socket, which it takes over.

    Messages that answer nothing that was asked are ignored; a message shorter than a header is a protocol
    error and ends the session.
    """

    def __init__(
        self, transport: Transport, remote: Address, sock: socket.socket, tls: ClientPump | None = None
    ) -> None:
        self._loop = asyncio.get_running_loop()
        self.transport = transport
        self.remote = remote
        self.chain: tuple[x509.Certificate, ...] = ()
        self.handshake: HandshakeInfo | None = None
        self.closed: asyncio.Future[TransportError | None] = self._loop.create_future()
        self._tls = tls
        self._pump = tls or ClearPump()
        self._ready: asyncio.Future[None] = self._loop.create_future()
        self._failure: TransportError | None = None
        self._framer = Framer()
        self._exchanges: dict[int, _Exchange] = {}
        self._stream = Stream(sock, self)
        self._flush()

    @property
    def ticket(self) -> Ticket | None:
        """What it takes to resume this session later."""
        return self._tls.ticket if self._tls is not None and self._pump.established else None

    async def ready(self, timeout: float) -> None:
        """Await the end of the TLS handshake. Raises TransportError; the session is closed then."""
        timer = self._loop.call_later(
            timeout, _expire, self._ready, TransportError(Failure.TIMEOUT, "TLS handshake")
        )
        try:
            await self._ready
        except BaseException:
            self._stream.close()
            raise
        finally:
            timer.cancel()

    async def exchange(self, wire: bytes, timeout: float) -> bytes:
        """Send a query and await its response."""
        return (await self.transfer(wire, timeout, _only))[0]

    async def transfer(self, wire: bytes, timeout: float, last: Callable[[bytes], bool]) -> list[bytes]:
        """Send a query and await all its responses."""
        number = message_id(wire)
        framed = frame(wire)
        if self._failure is not None:
            raise TransportError(self._failure.failure, self._failure.detail)
        if number in self._exchanges:
            raise ValueError(f"a query with message ID {number} is under way")
        exchange = _Exchange(question(wire), last, self._loop.create_future())
        self._exchanges[number] = exchange
        timer = self._loop.call_later(
            timeout, _expire, exchange.done, TransportError(Failure.TIMEOUT, "no response")
        )
        try:
            self._pump.send(framed)
            self._flush()
            return await exchange.done
        finally:
            timer.cancel()
            self._exchanges.pop(number, None)

    def close(self) -> None:
        """End the session in good order."""
        self._finish(None, TransportError(Failure.CLOSED, "by this side"))

    # -- what the stream calls -------------------------------------------------------------------------

    def received(self, data: bytes) -> None:
        """Some bytes came in."""
        waiting = not self._pump.established
        try:
            plaintext = self._pump.feed(data)
            if waiting and self._pump.established:
                self._complete_handshake()
        except TransportError as error:
            self._flush()  # the alert that says why
            self._finish(error, error)
            return
        self._flush()
        if plaintext:
            self._framer.feed(plaintext)
            while (message := self._framer.next_message()) is not None:
                self._take(message)
        if self._pump.ended:
            self._finish(None, TransportError(Failure.CLOSED, self._when()))

    def ended(self, error: TransportError | None) -> None:
        """The peer closed the stream, or broke it."""
        if error is not None:
            self._finish(error, error)
        elif self._tls is not None:
            # Anyone on the path can end a stream; only the peer can say close_notify (RFC 8446 section 6.1).
            error = TransportError(Failure.CLOSED, f"{self._when()}, without close_notify")
            self._finish(error, error)
        else:
            self._finish(None, TransportError(Failure.CLOSED, self._when()))

    def drained(self) -> None:
        """Nothing waits for it."""

    # -- ------------------------------------------------------------------------------------------------

    def _when(self) -> str:
        if not self._pump.established:
            return "during the TLS handshake"
        return "before a response" if self._exchanges else "while idle"

    def _complete_handshake(self) -> None:
        assert self._tls is not None
        self.handshake = self._tls.info
        try:
            self.chain = self._tls.chain
        except ValueError as error:
            raise TransportError(Failure.TLS, f"malformed certificate: {error}") from error
        if not self._ready.done():
            self._ready.set_result(None)

    def _take(self, message: bytes) -> None:
        try:
            exchange = self._exchanges.get(message_id(message))
        except ValueError as cause:
            error = TransportError(Failure.PROTOCOL, str(cause))
            self._finish(error, error)
            return
        if exchange is None or exchange.done.done() or not is_response(message):
            return
        # A server that could not read the query may answer without the question (RFC 1035 section 4.1.1).
        if question(message) not in (exchange.question, None):
            return
        exchange.responses.append(message)
        try:
            if exchange.last(message):
                exchange.done.set_result(exchange.responses)
        except Exception as error:  # whatever it is, it belongs to the caller
            exchange.done.set_exception(error)

    def _flush(self) -> None:
        self._stream.write(self._pump.outgoing())

    def _finish(self, how: TransportError | None, failure: TransportError) -> None:
        """End it once: ``how`` for who asks how it ended, ``failure`` for whoever still waits."""
        if self._failure is not None:
            return
        self._failure = failure
        if how is None:
            self._pump.close()
            self._flush()
        self._stream.close()
        waiting: list[asyncio.Future[None] | asyncio.Future[list[bytes]]] = [
            exchange.done for exchange in self._exchanges.values()
        ]
        if self._tls is not None:
            waiting.append(self._ready)
        for future in waiting:
            if not future.done():
                future.set_exception(TransportError(failure.failure, failure.detail))
        if not self.closed.done():
            self.closed.set_result(how)


def _expire(future: asyncio.Future[None] | asyncio.Future[list[bytes]], error: TransportError) -> None:
    if not future.done():
        future.set_exception(error)
