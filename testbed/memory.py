"""The resolver core in memory and in virtual time: no sockets, no packets, the same servers and attackers.

It serves to search, to teach and to test: a resolution takes milliseconds, and every message is at hand. What
is claimed is shown on the wire; what both can run must come to the same.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import dns.message
import dns.name
import dns.rdatatype

from testbed.attack.actions import Alert, Alter, Delay, Drop, Impersonate, Reset, Unreachable
from testbed.attack.api import Attacker
from testbed.attack.chain import Chain
from testbed.attack.events import Arrival, Connect, Established, Handshake, Moment
from testbed.attack.fates import Forward, Return
from testbed.attack.pending import Pending
from testbed.attack.spoofed import Spoofed, SpoofedDatagram, SpoofedError
from testbed.attack.volley import Volley
from testbed.attack.wall_clock import WallClock
from testbed.core import message
from testbed.core.authoritative import Authoritative
from testbed.core.resolver.core import Resolver
from testbed.core.resolver.requests import Datagram, Dial, HangUp, Session, Transfer, Transmit
from testbed.core.resolver.state import Configuration, TraceEvent
from testbed.core.tls_messages import sketched_client_hello
from testbed.core.transport import Failure, Transport, TransportError
from testbed.topology import EVIL, within
from testbed.world.build import World
from testbed.world.epoch import EPOCH


@dataclass(frozen=True, slots=True)
class Sent:
    """A query that left the resolver: where to, over what, and whether an attacker ended the session."""

    role: str
    transport: Transport
    query: dns.message.Message
    terminated: bool


@dataclass(slots=True)
class _Line:
    """What lies between the resolver and a server in one session or datagram exchange.

    ``session`` is what an attacker sees of one that is encrypted, the last time that data were sent in it.
    ``lost`` says that the server has no DoH at the path that it is asked at.
    """

    role: str
    transport: Transport
    pending: Pending
    terminated: bool = False
    session: Established | None = None
    lost: bool = False


@dataclass
class MemoryNetwork:
    """A resolver, the servers of a world, and attackers on links, in memory.

    ``attackers`` are by link, ``off_path`` those that are on none. ``now`` is Unix time in the world;
    ``advance`` moves it. ``sent`` has every query that left the resolver.
    """

    world: World
    configuration: Configuration
    attackers: Mapping[str, Sequence[Attacker]] = field(default_factory=dict)
    seed: int = 0
    off_path: Sequence[Attacker] = ()

    def __post_init__(self) -> None:
        self.now = float(EPOCH)
        self.sent: list[Sent] = []
        self._rng = random.Random(f"{self.seed} resolver")
        self._chains = {
            link: Chain(attackers, lambda: self.now - EPOCH) for link, attackers in self.attackers.items()
        }
        self._volley = Volley(self.off_path)
        self._arrivals: list[Arrival] = []
        self._steps = 0
        self._idle = Chain(())
        self._lines: dict[int, _Line] = {}
        self._numbers = 0
        self._evil = self._evil_server()
        self._clock_setters = [one for one in self.off_path if one.overrides("clock")]
        self._wall_clock = WallClock(lambda: self.now, EPOCH, self._clock_setters)
        self.resolver = Resolver(self.configuration, lambda: self.now, self._rng, self._wall_clock)

    @property
    def trace(self) -> list[TraceEvent]:
        """What the resolver decided."""
        return self.resolver.trace

    def advance(self, seconds: float) -> None:
        """Let time pass, and the resolver do what falls into it.

        Sessions do not outlive it: servers close what is idle.
        """
        until = self.now + seconds
        while (alarm := self._alarm()) is not None and alarm <= until:
            self._pass_until(alarm)
            self.resolver.wake()
            self.run()
        self._pass_until(until)

    def _alarm(self) -> float | None:
        """When the resolver wants to be woken, by the world's clock."""
        alarm = self.resolver.alarm
        return None if alarm is None else alarm - self.resolver.now + self.now

    def _pass_until(self, moment: float) -> None:
        self.now = max(self.now, moment)
        for line in list(self._lines):
            self._hang_up(line)

    def ask(
        self, name: str | dns.name.Name, rdtype: str | dns.rdatatype.RdataType = "A", **options: Any
    ) -> dns.message.Message:
        """Ask the resolver, and carry out all that follows from it: one step, as attackers count them."""
        for chain in self._chains.values():
            chain.begin_step(self._steps)
        self._wall_clock.begin_step(self._steps, range(len(self._clock_setters)))
        self._volley.begin_step(self._steps)
        self._volley.cause(Moment(_name(name), _type(rdtype), tuple(self._arrivals)), self.now - EPOCH)
        self._steps += 1
        query = message.query(_name(name), _type(rdtype), id=0, **options)
        query.flags |= dns.flags.RD | dns.flags.AD
        self.resolver.ask(query, None)
        self.run()
        return self.resolver.answers.popleft().message

    def run(self) -> None:
        """Carry out the resolver's requests until there are none."""
        resolver = self.resolver
        while resolver.requests:
            ticket, request = resolver.requests.popleft()
            if ticket in resolver.withdrawn:
                continue
            try:
                result = self._perform(request)
            except TransportError as error:
                if error.failure is Failure.TIMEOUT:
                    self.now += request.timeout
                resolver.fail(ticket, error)
            else:
                resolver.succeed(ticket, result)
        resolver.withdrawn.clear()

    # -- requests ----------------------------------------------------------------------------------

    def _perform(self, request: Any) -> Any:
        match request:
            case Datagram():
                return self._datagram(request)
            case Dial():
                return self._dial(request)
            case Transmit():
                return self._exchange(self._held(request.session), request.wire, request.timeout)
            case Transfer():
                self._transfer(request)
                return None
            case HangUp():
                self._lines.pop(request.session.number, None)
                return None
        raise TypeError(f"the core asked for {request!r}")

    def _datagram(self, request: Datagram) -> bytes:
        """What comes back over UDP, from the server or from who was faster. Raises TransportError."""
        line = self._line(request.server, Transport.UDP)
        own = (self.world.topology.resolver_addresses[":" in request.server], request.source_port)
        if line.role == EVIL:
            self._arrivals.append(Arrival(own, request.wire))
        began = self.now
        answer: bytes | TransportError
        try:
            answer = self._exchange(line, request.wire, request.timeout)
            arrives = self.now
        except TransportError as error:
            answer = error
            arrives = began + (request.timeout if error.failure is Failure.TIMEOUT else 0.0)
        for moment, packet in self._volley.sent_before(arrives - EPOCH):
            forged = _passes_for(packet, request, own) if moment >= began - EPOCH else None
            if forged is not None:
                self.now, answer = moment + EPOCH, forged
                break
        if isinstance(answer, TransportError):
            raise answer
        return answer

    def _held(self, session: Session) -> _Line:
        """The line of a session that is open still. Raises TransportError."""
        if session.number not in self._lines:
            raise TransportError(Failure.CLOSED, "the session has ended")
        return self._lines[session.number]

    def _line(self, address: str, transport: Transport) -> _Line:
        server = self.world.topology.at(address)
        if server is None:
            raise TransportError(Failure.UNREACHABLE, f"nothing is at {address}")
        chain = self._chains.get(server.link, self._idle)
        if transport.encrypted:
            chain = self._idle
        return _Line(server.role, transport, Pending(chain, transport, server.role))

    def _exchange(self, line: _Line, wire: bytes, patience: float) -> bytes:
        """The first answer to a query, within some seconds. Raises TransportError."""
        for answer, waited in self._answers(line, wire):
            if waited < patience:
                self.now += waited
                return answer
        raise TransportError(Failure.TIMEOUT, "no response")

    def _transfer(self, request: Transfer) -> None:
        for answer, _ in self._answers(self._held(request.session), request.wire):
            if request.incoming.take(answer):
                return
        raise TransportError(Failure.TIMEOUT, "no complete transfer")

    def _answers(self, line: _Line, wire: bytes) -> Iterator[tuple[bytes, float]]:
        """What comes back for a query, message by message, each with the seconds that it took.

        Raises TransportError when the line breaks.
        """
        self.sent.append(Sent(line.role, line.transport, dns.message.from_wire(wire), line.terminated))
        self._show_data(line)
        match line.pending.query(wire):
            case Return(answer):
                yield answer, 0.0
            case Forward(_, _) if line.lost:
                raise TransportError(Failure.PROTOCOL, "HTTP status 404")
            case Forward(forwarded, delay):
                delay += self.world.latency.get(line.role, 0.0)
                for response in self._server(line.role).respond_wire(forwarded, line.transport):
                    for fate in line.pending.responses(response):
                        match fate:
                            case Forward(answer, further):
                                yield answer, delay + further
                            case Return(answer):
                                yield answer, delay
                            case Reset():
                                raise TransportError(Failure.RESET)
            case Reset():
                raise TransportError(Failure.RESET)

    def _show_data(self, line: _Line) -> None:
        """Show the attackers that data are sent in a session that they let pass. Raises TransportError."""
        if line.session is None:
            return
        line.session = replace(line.session, records=line.session.records + 1)
        link = self.world.topology.by_role[line.role].link
        if self._chains.get(link, self._idle).established(line.session) is not None:
            self._lines = {number: one for number, one in self._lines.items() if one is not line}
            raise TransportError(Failure.RESET)

    def _server(self, role: str) -> Authoritative:
        return self._evil if role == EVIL else self.world.authoritative(role)

    def _evil_server(self) -> Authoritative:
        everybody = (*self.attackers.values(), self.off_path)
        zones = [zone for attackers in everybody for one in attackers for zone in one.serves()]
        return self.world.authoritative(EVIL, tuple(zones))

    def _dial(self, request: Dial) -> Session:
        line = self._line(request.server, request.transport)
        server = self.world.topology.by_role[line.role]
        chain = self._chains.get(server.link, self._idle)
        protocol = request.transport.carrier
        first = Connect(protocol, request.port, line.role)
        _refuse(chain.connect(first), timed_out="first packet")
        offers, credential = self.world.services.get(line.role, ((), None))
        certificates = credential.chain if credential is not None else ()
        if request.transport.encrypted:
            alpn = (request.transport.alpn or "",)
            octets = sketched_client_hello(request.sni, alpn) if protocol == "tcp" else b""
            hello = Handshake(
                line.role, request.port, request.sni, alpn, 512, protocol=protocol, octets=octets
            )
            match chain.handshake(hello):
                case Alert() | Alter():
                    # What is altered is in the transcript, which both sides compare (RFC 8446 section 4.4.4).
                    raise TransportError(Failure.TLS, "alert")
                case Impersonate(kind):
                    certificates = self.world.forged_credential(kind, line.role).chain
                    line = _Line(
                        line.role,
                        line.transport,
                        Pending(chain, line.transport, line.role),
                        terminated=True,
                    )
                case Delay(seconds) if seconds < request.timeout:
                    self.now += seconds
                case Delay():
                    raise TransportError(Failure.TIMEOUT, "TLS handshake")
                case Reset() if protocol == "tcp":
                    raise TransportError(Failure.RESET)
                case action:
                    _refuse(action, timed_out="TLS handshake")
            if not line.terminated and protocol == "tcp":
                line.session = Established(line.role, request.port, request.sni, 0)
            reached = any(within((request.server,), self.world.families.get(line.role, ())))
            offered = reached and (request.transport, request.port) in offers
            if not offered and not line.terminated:
                raise TransportError(Failure.REFUSED)
            line.lost = request.path is not None and request.path != self.world.paths.get(line.role)
        self._numbers += 1
        self._lines[self._numbers] = line
        return Session(self._numbers, request.server, request.port, request.transport, certificates)

    def _hang_up(self, number: int) -> None:
        del self._lines[number]
        for session in self.resolver.sessions:
            if session.number == number:
                self.resolver.session_closed(session, None)


def _passes_for(packet: Spoofed, request: Datagram, own: tuple[str, int]) -> bytes | TransportError | None:
    """What a packet brings a query that waits at the port ``own``; None when it does not get there."""
    server = (request.server, request.port)
    match packet:
        case SpoofedDatagram(source, target, payload):
            fits = (source, target) == (server, own) and request.accepts(payload)
            return payload if fits else None
        case SpoofedError(kind=kind, target=address, quoted=SpoofedDatagram(source, target)):
            # An unreachable host may not stay so, as kernels see it (RFC 1122 section 4.2.3.9).
            failures = {"no-port": Failure.REFUSED, "prohibited": Failure.UNREACHABLE}
            if (source, target) == (own, server) and address == own[0] and kind in failures:
                return TransportError(failures[kind])
    return None


def _refuse(action: object, timed_out: str) -> None:
    """Raise what a blocked connection looks like to whoever opened it."""
    match action:
        case Drop():
            raise TransportError(Failure.TIMEOUT, timed_out)
        case Reset():
            raise TransportError(Failure.REFUSED)
        case Unreachable():
            raise TransportError(Failure.UNREACHABLE)


def _name(name: str | dns.name.Name) -> dns.name.Name:
    return dns.name.from_text(name) if isinstance(name, str) else name


def _type(rdtype: str | dns.rdatatype.RdataType) -> dns.rdatatype.RdataType:
    return dns.rdatatype.from_text(rdtype) if isinstance(rdtype, str) else rdtype
