"""Probing for encryption, unasked and unauthenticated, beside Do53 (RFC 9539 section 4.6)."""

from __future__ import annotations

import dns.message

from testbed.core.resolver.requests import Session
from testbed.core.resolver.state import Memory, Path
from testbed.core.resolver.tasks import First, Once, Spawn, Task
from testbed.core.resolver.wire import Peer, Question, Wire
from testbed.core.transport import Failure, Transport, TransportError

Exchanged = tuple[Transport, Session | None, dns.message.Message]


class Probe:
    """Carries out what the probing state advises for each query.

    A query goes over an established session, and over Do53 if that fails. After a recent success it waits
    for a new session. Otherwise it goes over Do53, while handshakes run beside it; whichever path first
    leads to a response wins, and a session that comes too late for this query serves the next. Transports
    are tried at the same time, as in Happy Eyeballs (section 4.6.2, RFC 8305).
    """

    def __init__(self, memory: Memory, wire: Wire) -> None:
        self._memory = memory
        self._wire = wire

    def exchange(self, peer: Peer, question: Question, path: Path) -> Task[Exchanged]:
        """Ask a server address. Raises TransportError when Do53 fails, too."""
        advice = self._memory.prober.advise(peer.address, self._memory.clock())
        if advice.session is not None:
            return (yield from self._encrypted_first(peer, question, (advice.session,), path))
        if not advice.do53:
            return (yield from self._encrypted_first(peer, question, advice.connect, path))
        in_clear = self._in_clear(peer.address, question, path)
        return (yield from self._race(peer, question, advice.connect, path, in_clear))

    def _race(
        self,
        peer: Peer,
        question: Question,
        transports: tuple[Transport, ...],
        path: Path,
        *others: Task[Exchanged],
    ) -> Task[Exchanged]:
        """Try transports, and what else there is, at the same time. Handshakes that lose go on."""
        if others or len(transports) > 1:
            for transport in transports:
                yield Spawn(self._background(peer, transport, path))
        encrypted = (self._encrypted(peer, question, transport, path) for transport in transports)
        won: Exchanged = yield First((*others, *encrypted))
        return won

    def _encrypted_first(
        self, peer: Peer, question: Question, transports: tuple[Transport, ...], path: Path
    ) -> Task[Exchanged]:
        try:
            return (yield from self._race(peer, question, transports, path))
        except TransportError as error:
            self._memory.note(
                "fallback",
                f"{' and '.join(transports)} to {peer.address} failed ({error}), asks in clear",
                server=peer.address,
                transport=transports[0],
            )
        return (yield from self._in_clear(peer.address, question, path))

    def _in_clear(self, address: str, question: Question, path: Path) -> Task[Exchanged]:
        transport, response = yield from self._wire.in_clear(address, question, by_stream=path.by_stream)
        return transport, None, response

    def _encrypted(self, peer: Peer, question: Question, transport: Transport, path: Path) -> Task[Exchanged]:
        memory = self._memory
        session: Session = yield self._connected(peer, transport, path)
        try:
            response = yield from self._wire.over(session, question)
        except TransportError as error:
            memory.prober.failed(
                peer.address, transport, memory.clock(), timed_out=error.failure is Failure.TIMEOUT
            )
            raise
        memory.prober.responded(peer.address, transport, memory.clock())
        return transport, session, response

    def _connected(self, peer: Peer, transport: Transport, path: Path) -> Once:
        return Once(("probe", peer.address, transport), lambda: self._connect(peer, transport, path))

    def _background(self, peer: Peer, transport: Transport, path: Path) -> Task[None]:
        try:
            yield self._connected(peer, transport, path)
        except TransportError:
            return

    def _connect(self, peer: Peer, transport: Transport, path: Path) -> Task[Session]:
        """Open a session without SNI (section 4.6.3).

        Whatever certificate there is, the session is used; a policy that authenticates where it is possible
        learns whether it counts for more.
        """
        memory = self._memory
        address = peer.address
        key = (address, transport.port, transport, None, None)
        session = memory.sessions.get(key)
        if session is not None and session.open:
            return session
        memory.prober.connecting(address, transport, memory.clock())
        timeout = memory.prober.timeout
        try:
            opened: Session = yield self._wire.dialling(address, transport.port, transport, None, timeout)
        except TransportError as error:
            memory.prober.failed(
                address, transport, memory.clock(), timed_out=error.failure is Failure.TIMEOUT
            )
            memory.note("probe", f"{transport} to {address}: {error}", server=address, transport=transport)
            raise
        opened.probed = True
        memory.prober.connected(address, transport, memory.clock())
        memory.sessions[key] = opened
        yield from self._wire.look_at(opened, peer, path)
        return opened
