"""Probing for encryption, unasked and unauthenticated, beside Do53 (RFC 9539 section 4.6)."""

from __future__ import annotations

import dns.message

from testbed.core.resolver.requests import Dial, Session
from testbed.core.resolver.state import Memory
from testbed.core.resolver.tasks import First, Once, Spawn, Task
from testbed.core.resolver.wire import Question, Wire
from testbed.core.transport import Failure, Transport, TransportError

Exchanged = tuple[Transport, Session | None, dns.message.Message]


class Probe:
    """Carries out what the probing state advises for each query.

    A query goes over an established session, and over Do53 if that fails. After a recent success it waits
    for a new session. Otherwise it goes over Do53, while handshakes run beside it; whichever path first
    leads to a response wins, and a session that comes too late for this query serves the next.
    """

    def __init__(self, memory: Memory, wire: Wire) -> None:
        self._memory = memory
        self._wire = wire

    def exchange(self, address: str, question: Question) -> Task[Exchanged]:
        """Ask a server address. Raises TransportError when Do53 fails, too."""
        advice = self._memory.prober.advise(address, self._memory.clock())
        if advice.session is not None:
            return (yield from self._encrypted_first(address, question, (advice.session,)))
        if not advice.do53:
            return (yield from self._encrypted_first(address, question, advice.connect))
        for transport in advice.connect:
            yield Spawn(self._background(address, transport))
        paths = [self._in_clear(address, question)]
        paths += [self._encrypted(address, question, transport) for transport in advice.connect]
        won: Exchanged = yield First(tuple(paths))
        return won

    def _encrypted_first(
        self, address: str, question: Question, transports: tuple[Transport, ...]
    ) -> Task[Exchanged]:
        for transport in transports:
            try:
                return (yield from self._encrypted(address, question, transport))
            except TransportError as error:
                self._memory.note(
                    "fallback",
                    f"{transport} to {address} failed ({error}), asks in clear",
                    server=address,
                    transport=transport,
                )
        return (yield from self._in_clear(address, question))

    def _in_clear(self, address: str, question: Question) -> Task[Exchanged]:
        transport, response = yield from self._wire.in_clear(address, question)
        return transport, None, response

    def _encrypted(self, address: str, question: Question, transport: Transport) -> Task[Exchanged]:
        memory = self._memory
        session: Session = yield self._connected(address, transport)
        try:
            response = yield from self._wire.over(session, question)
        except TransportError as error:
            memory.prober.failed(
                address, transport, memory.clock(), timed_out=error.failure is Failure.TIMEOUT
            )
            raise
        memory.prober.responded(address, transport, memory.clock())
        return transport, session, response

    def _connected(self, address: str, transport: Transport) -> Once:
        return Once(("probe", address, transport), lambda: self._connect(address, transport))

    def _background(self, address: str, transport: Transport) -> Task[None]:
        try:
            yield self._connected(address, transport)
        except TransportError:
            return

    def _connect(self, address: str, transport: Transport) -> Task[Session]:
        """Open a session without SNI and without regard to the certificate (section 4.6.3)."""
        memory = self._memory
        key = (address, transport.port, transport, None)
        session = memory.sessions.get(key)
        if session is not None and session.open:
            return session
        memory.prober.connecting(address, transport, memory.clock())
        try:
            opened: Session = yield Dial(address, transport.port, transport, None, memory.prober.timeout)
        except TransportError as error:
            memory.prober.failed(
                address, transport, memory.clock(), timed_out=error.failure is Failure.TIMEOUT
            )
            memory.note("probe", f"{transport} to {address}: {error}", server=address, transport=transport)
            raise
        opened.probed = True
        memory.prober.connected(address, transport, memory.clock())
        memory.sessions[key] = opened
        memory.note(
            "handshake",
            f"{transport} to {address} found by probing, not authenticated",
            server=address,
            transport=transport,
            authenticated=False,
        )
        return opened
