"""The reference resolver on real sockets: the pure core, and the driver that does its I/O."""

from __future__ import annotations

import asyncio
import errno
import random
from collections.abc import Callable
from typing import Any

import dns.exception
import dns.message

from testbed import transports
from testbed.core import message
from testbed.core.resolver.core import Resolver
from testbed.core.resolver.requests import Datagram, Dial, HangUp, Session, Transfer, Transmit
from testbed.core.resolver.state import Configuration, TraceEvent
from testbed.core.transport import Failure, Transport, TransportError
from testbed.engines.tickets import Server, Tickets
from testbed.transports import Host, Listener, tcp, udp
from testbed.transports import Session as WireSession
from testbed.transports.tls import Secrets

PORT = 53
SMALLEST_PAYLOAD = 512
"""Octets; what a client without EDNS takes (RFC 1035 section 2.3.4)."""

CLIENT_PAYLOAD = 1232
"""Octets; the largest response over UDP (RFC 9715)."""


class ReferenceResolver:
    """A resolver in a host of the network. It serves clients from ``start`` to ``stop``.

    ``addresses`` are its IPv4 and IPv6 address, ``clock`` tells Unix time, ``secrets`` takes TLS key log
    lines. ``time_of_day`` tells what the host takes for the time, if that is another one.
    """

    def __init__(
        self,
        host: Host,
        addresses: tuple[str, str],
        configuration: Configuration,
        clock: Callable[[], float],
        rng: random.Random,
        secrets: Secrets,
        time_of_day: Callable[[], float] | None = None,
    ) -> None:
        self._host = host
        self._addresses = addresses
        self._configuration = configuration
        self._clock = clock
        self._rng = rng
        self._secrets = secrets
        self._time_of_day = time_of_day
        self._core = Resolver(configuration, clock, rng, time_of_day)
        self._past: list[TraceEvent] = []
        self._tasks: dict[int, asyncio.Task[None]] = {}
        self._sessions: dict[Session, WireSession] = {}
        self._resumable: dict[Session, Server] = {}
        self._tickets = Tickets(clock)
        self._numbers = 0
        self._listeners: list[Listener] = []
        self._waiting: list[asyncio.Future[None]] = []
        self._alarm: float | None = None
        self._timer: asyncio.TimerHandle | None = None

    @property
    def trace(self) -> list[TraceEvent]:
        """What was decided since the start, restarts included."""
        return [*self._past, *self._core.trace]

    @property
    def idle(self) -> bool:
        """Whether nothing is under way, in the background neither."""
        return self._core.idle

    async def wait_idle(self) -> None:
        """Return when nothing is under way any more."""
        if not self.idle:
            waiting = asyncio.get_running_loop().create_future()
            self._waiting.append(waiting)
            await waiting

    async def start(self) -> None:
        """Begin to serve clients, over UDP and TCP."""
        for address in self._addresses:
            for transport in (udp, tcp):
                self._listeners.append(transport.serve(self._host, address, PORT, self._serve))

    def stop(self) -> None:
        """End everything at once."""
        for listener in self._listeners:
            listener.close()
        self._listeners.clear()
        self._abandon()

    async def flush(self) -> None:
        """Empty the caches."""
        self._core.flush()

    async def restart(self) -> None:
        """Forget everything, as a process does that ends, but for what the policy keeps on disk."""
        self._abandon()
        self._tickets.forget()
        self._past += self._core.trace
        former = self._core
        self._core = Resolver(self._configuration, self._clock, self._rng, self._time_of_day)
        self._core.inherit(former)

    def set_clock(self) -> None:
        """Set the timer anew: what it remembers may age by the clock that was set."""
        self._set_alarm(self._core.alarm)

    def _abandon(self) -> None:
        for task in self._tasks.values():
            task.cancel()
        self._tasks.clear()
        for session in self._sessions.values():
            session.close()
        self._sessions.clear()
        self._resumable.clear()
        self._set_alarm(None)

    # -- clients -----------------------------------------------------------------------------------

    def _serve(
        self, wire: bytes, transport: Transport, _peer: str
    ) -> list[bytes] | asyncio.Future[list[bytes]]:
        """Take a client's query; what is no query is dropped."""
        try:
            query = dns.message.from_wire(wire)
        except dns.exception.DNSException:
            return []
        if query.flags & dns.flags.QR:
            return []
        answer: asyncio.Future[list[bytes]] = asyncio.get_running_loop().create_future()
        self._core.ask(query, (answer, transport))
        self._pump()
        return answer

    def _respond(self, token: Any, response: dns.message.Message) -> None:
        answer, transport = token
        limit = message.LARGEST
        if not transport.stream:
            limit = min(response.request_payload or SMALLEST_PAYLOAD, CLIENT_PAYLOAD)
        if not answer.done():
            answer.set_result([message.encode(response, limit)])

    async def resolve(self, query: dns.message.Message) -> dns.message.Message:
        """The answer to a query of the host's own, for which the resolver need not be started."""
        answer: asyncio.Future[list[bytes]] = asyncio.get_running_loop().create_future()
        self._core.ask(query, (answer, Transport.TCP))
        self._pump()
        (wire,) = await answer
        return dns.message.from_wire(wire)

    # -- the core's requests -----------------------------------------------------------------------

    def _pump(self) -> None:
        """Start what the core asks for, and send what it answers."""
        core = self._core
        while core.requests or core.withdrawn or core.answers:
            while core.requests:
                ticket, request = core.requests.popleft()
                self._tasks[ticket] = asyncio.get_running_loop().create_task(self._carry_out(ticket, request))
            while core.withdrawn:
                task = self._tasks.pop(core.withdrawn.popleft(), None)
                if task is not None:
                    task.cancel()
            while core.answers:
                answer = core.answers.popleft()
                self._respond(answer.token, answer.message)
        if core.alarm != self._alarm:
            self._set_alarm(core.alarm)
        if core.idle:
            for waiting in self._waiting:
                if not waiting.done():
                    waiting.set_result(None)
            self._waiting.clear()

    def _set_alarm(self, alarm: float | None) -> None:
        """Call the core when its clock will have reached the alarm."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self._alarm = alarm
        if alarm is not None:
            delay = max(0.0, alarm - self._core.now)
            self._timer = asyncio.get_running_loop().call_later(delay, self._wake)

    def _wake(self) -> None:
        self._timer = self._alarm = None
        self._core.wake()
        self._pump()

    async def _carry_out(self, ticket: int, request: Any) -> None:
        core = self._core
        try:
            result = await self._perform(request)
        except TransportError as error:
            self._tasks.pop(ticket, None)
            core.fail(ticket, error)
        else:
            self._tasks.pop(ticket, None)
            core.succeed(ticket, result)
        if core is self._core:
            self._pump()

    async def _perform(self, request: Any) -> Any:
        match request:
            case Datagram():
                return await self._datagram(request)
            case Dial():
                return await self._dial(request)
            case Transmit():
                session = self._held(request.session)
                octets = await session.exchange(request.wire, request.timeout)
                if request.session in self._resumable:
                    self._tickets.keep(self._resumable[request.session], session)
                return octets
            case Transfer():
                session = self._held(request.session)
                await session.transfer(request.wire, request.timeout, request.incoming.take)
                return None
            case HangUp():
                if request.session in self._sessions:
                    self._sessions[request.session].close()
                return None
        raise TypeError(f"the core asked for {request!r}")

    def _held(self, session: Session) -> WireSession:
        """A session that is open still. Raises TransportError."""
        if session not in self._sessions:
            raise TransportError(Failure.CLOSED, "the session has ended")
        return self._sessions[session]

    def _local(self, server: str) -> str:
        return self._addresses[1] if ":" in server else self._addresses[0]

    async def _datagram(self, request: Datagram) -> bytes:
        local = self._local(request.server)
        remote = (request.server, request.port)
        for source_port in (request.source_port, 0):
            try:
                return await udp.exchange(
                    self._host,
                    (local, source_port),
                    remote,
                    request.wire,
                    request.accepts,
                    request.timeout,
                )
            except OSError as error:
                if error.errno != errno.EADDRINUSE:
                    raise
        raise AssertionError("the kernel gives away no port that is in use")

    async def _dial(self, request: Dial) -> Session:
        local = self._local(request.server)
        remote = (request.server, request.port)
        wire: WireSession
        given = self._tickets.take(_server(request)) if request.resume else None
        if request.transport is Transport.TCP:
            wire = await tcp.connect(self._host, local, remote, timeout=request.timeout)
        else:
            wire = await transports.load(request.transport).connect(
                self._host,
                local,
                remote,
                sni=request.sni,
                timeout=request.timeout,
                secrets=self._secrets,
                ticket=given,
                **({"early": request.early_data} if request.transport is Transport.DOQ else {}),
                **({"tls12": self._configuration.policy.tls12} if request.transport is Transport.DOT else {}),
                **({"path": request.path} if request.path is not None else {}),
            )
        self._numbers += 1
        info = wire.handshake
        session = Session(
            self._numbers,
            request.server,
            request.port,
            request.transport,
            wire.chain,
            # With 0-RTT the handshake is still under way.
            resumed=info.resumed if info is not None else given is not None,
            alpn=info.alpn if info is not None else None,
        )
        self._sessions[session] = wire
        if request.resume:
            self._resumable[session] = _server(request)
        wire.closed.add_done_callback(lambda ended: self._closed(session, ended))
        return session

    def _closed(self, session: Session, ended: asyncio.Future[TransportError | None]) -> None:
        self._resumable.pop(session, None)
        if self._sessions.pop(session, None) is not None and not ended.cancelled():
            self._core.session_closed(session, ended.result())
            self._pump()


def _server(request: Dial) -> Server:
    """Whom a session is with, as far as tickets go."""
    return (request.server, request.port, request.transport, request.sni)
