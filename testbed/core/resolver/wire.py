"""Exchanges with one server address: over a session, or over Do53."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from dataclasses import dataclass

import dns.exception
import dns.flags
import dns.message
import dns.name
import dns.rdataclass
import dns.rdatatype

from testbed.core import identity, message
from testbed.core.deleg import DELEGATION_TYPES
from testbed.core.delegation import Offer
from testbed.core.dohpath import DEFAULT_PATH
from testbed.core.identity import Identity
from testbed.core.resolver.credentials import Credentials
from testbed.core.resolver.requests import Datagram, Dial, HangUp, Session, Transfer, Transmit, sni, sni_text
from testbed.core.resolver.state import Memory, Path
from testbed.core.resolver.tasks import All, Once, Task
from testbed.core.signal import Lookup
from testbed.core.transfer import Incoming
from testbed.core.transport import Failure, Transport, TransportError
from testbed.core.zone import Zone

UDP_TIMEOUT = 1.5
"""Seconds to wait for a datagram."""

UDP_TRIES = 2

STREAM_TIMEOUT = 4.0
"""Seconds for a connection with its handshake, and again for a response in it."""

TRANSFER_TIMEOUT = 60.0
"""Seconds for a whole zone transfer."""

UNREACHABLE_TTL = 60.0
"""Seconds for which an address is not tried again over a transport that failed (RFC 9520 section 3.2)."""

QUERY_BLOCK = 128
"""Octets; encrypted queries are padded to a multiple of it (RFC 8467 section 4.1)."""


@dataclass(frozen=True, slots=True)
class Question:
    """What is asked. A message is made from it for each attempt, with an ID of its own."""

    name: dns.name.Name
    rdtype: dns.rdatatype.RdataType

    def message(self, identifier: int) -> dns.message.Message:
        """The query message."""
        return message.query(self.name, self.rdtype, id=identifier)


@dataclass(frozen=True, slots=True)
class Peer:
    """A server at one of its addresses, the offer that led there, and whether it must prove its identity."""

    server: dns.name.Name
    address: str
    offer: Offer | None = None
    authenticate: bool = False


class Wire:
    """Opens sessions and exchanges messages, and remembers what could not be reached."""

    def __init__(self, memory: Memory, lookup: Callable[[Path], Lookup]) -> None:
        self._memory = memory
        self._credentials = Credentials(memory, lookup)

    def held(self, peer: Peer, transport: Transport, port: int) -> Session | None:
        """A session with a server that is open already."""
        key = (peer.address, port, transport, sni(peer.server), _path(peer, transport))
        session = self._memory.sessions.get(key)
        return session if session is not None and session.open else None

    def session(self, peer: Peer, transport: Transport, port: int, path: Path) -> Task[Session]:
        """An open session, in which the server has proved its identity if it must.

        A server that failed to prove it is not asked for the same proof again for a while. Another one, for
        another zone or under another name, may be asked of it meanwhile.

        Raises TransportError when there is none to be had, ResolutionError when it cannot be found out what
        the server has to prove.
        """
        session = self.held(peer, transport, port)
        if not self._looks(peer):
            if session is None:
                session = yield from self._open(peer, transport, port)
                self.note_handshake(session, peer, None)
            return session
        self._check_reachable(_refusal(peer, transport, port))
        expecting = self._credentials.expected(peer.server, peer.address, transport, port, peer.offer, path)
        if session is None:
            session, expected = yield All((self._open(peer, transport, port), expecting))
        else:
            expected = yield from expecting
        assert session is not None
        yield from self._authenticate(session, peer, expected)
        return session

    def look_at(self, session: Session, peer: Peer, path: Path) -> Task[None]:
        """See whether a server has proved its identity, if the policy looks at that at all."""
        if not self._looks(peer):
            self.note_handshake(session, peer, None)
            return
        expected = yield from self._credentials.expected(
            peer.server, peer.address, session.transport, session.port, peer.offer, path
        )
        proof = self._prove(session, peer, expected)
        session.authenticated = isinstance(proof, identity.Accepted)

    def _looks(self, peer: Peer) -> bool:
        return peer.authenticate or self._memory.policy.authentication != "none"

    def _open(self, peer: Peer, transport: Transport, port: int) -> Task[Session]:
        key = (peer.address, port, transport)
        self._check_reachable(key)
        work = ("dial", key, peer.server, _path(peer, transport))
        session: Session = yield Once(work, lambda: self._dial(peer, transport, port))
        return session

    def _check_reachable(self, key: Hashable) -> None:
        if self._memory.unreachable.get(key, 0.0) > self._memory.clock():
            raise TransportError(Failure.UNREACHABLE, "failed a moment ago")

    def _dial(self, peer: Peer, transport: Transport, port: int) -> Task[Session]:
        memory = self._memory
        name = sni(peer.server)
        path = _path(peer, transport)
        key = (peer.address, port, transport, name, path)
        try:
            session: Session = yield self.dialling(peer.address, port, transport, name, STREAM_TIMEOUT, path)
        except TransportError as error:
            self._give_up((peer.address, port, transport), peer, transport, str(error))
            raise
        memory.sessions[key] = session
        return session

    def dialling(
        self,
        address: str,
        port: int,
        transport: Transport,
        name: str | None,
        timeout: float,
        path: str | None = None,
    ) -> Dial:
        """The request for a session; one that may resume an earlier one if the policy has it so."""
        resumption = self._memory.policy.resumption
        return Dial(
            address,
            port,
            transport,
            name,
            timeout,
            resume=resumption != "off",
            early_data=resumption == "early-data",
            path=path,
        )

    def _authenticate(self, session: Session, peer: Peer, expected: Identity) -> Task[None]:
        """Check what the server presented; end the session when that does not do and must.

        One that does for others is left to them.
        """
        proof = self._prove(session, peer, expected)
        if isinstance(proof, identity.Accepted) or not peer.authenticate:
            session.authenticated = isinstance(proof, identity.Accepted)
        else:
            if not any(isinstance(other, identity.Accepted) for other in session.proofs.values()):
                session.open = False
                yield HangUp(session)
            reason = f"certificate refused: {proof.reason}"
            self._give_up(_refusal(peer, session.transport, session.port), peer, session.transport, reason)
            raise TransportError(Failure.TLS, reason)

    def _prove(self, session: Session, peer: Peer, expected: Identity) -> identity.Proof:
        proof = session.proofs.get(expected)
        if proof is None:
            proof = session.proofs[expected] = expected.check(session.chain, self._memory.clock())
            self.note_handshake(session, peer, proof)
        return proof

    def note_handshake(self, session: Session, peer: Peer, proof: identity.Proof | None) -> None:
        """Put a handshake into the trace, with what came of the server's identity."""
        match proof:
            case identity.Accepted(by):
                how = f"authenticated by {by}"
            case identity.Refused(reason):
                how = f"not authenticated: {reason}"
            case _:
                how = "not authenticated"
        resumed = "resumed " if session.resumed else ""
        self._memory.note(
            "handshake",
            f"{resumed}{session.transport} to {sni_text(peer.server)} at {peer.address}, {how}",
            server=peer.address,
            transport=session.transport,
            authenticated=isinstance(proof, identity.Accepted),
        )

    def _give_up(self, key: Hashable, peer: Peer, transport: Transport, reason: str) -> None:
        memory = self._memory
        memory.unreachable[key] = memory.clock() + UNREACHABLE_TTL
        memory.note(
            "failure",
            f"{transport} to {sni_text(peer.server)} at {peer.address}: {reason}",
            server=peer.address,
            transport=transport,
        )

    def over(self, session: Session, question: Question) -> Task[dns.message.Message]:
        """Ask in a session; padded where it is encrypted, if the policy has it so."""
        octets: bytes = yield Transmit(session, self._encoded(question, session), STREAM_TIMEOUT)
        return _parse(octets, self._memory.extended)

    def transfer(self, session: Session, zone: dns.name.Name) -> Task[Zone]:
        """Have a whole zone transferred in a session. Raises TransportError when what comes is none."""
        wire = self._encoded(Question(zone, dns.rdatatype.AXFR), session)
        incoming = Incoming(zone, int.from_bytes(wire[:2], "big"))
        yield Transfer(session, wire, incoming, TRANSFER_TIMEOUT)
        return incoming.zone()

    def _encoded(self, question: Question, session: Session) -> bytes:
        query = self.query(question)
        padded = session.transport.encrypted and self._memory.policy.padding
        return message.pad(query, QUERY_BLOCK) if padded else message.encode(query)

    def query(self, question: Question) -> dns.message.Message:
        """The query for a question, as the signals that are looked for dress it."""
        query = question.message(self._memory.next_id())
        for signal in self._memory.configuration.signals:
            signal.dress(query)
        return query

    def in_clear(
        self, address: str, question: Question, *, by_stream: bool = False
    ) -> Task[tuple[Transport, dns.message.Message]]:
        """Ask over UDP, and over TCP if the response was truncated (RFC 7766 section 5) or at once."""
        if not by_stream:
            response = yield from self._datagram(address, question)
            if not response.flags & dns.flags.TC:
                return Transport.UDP, response
        session: Session = yield Dial(address, Transport.TCP.port, Transport.TCP, None, STREAM_TIMEOUT)
        response = yield from self.over(session, question)
        yield HangUp(session)
        return Transport.TCP, response

    def _datagram(self, address: str, question: Question) -> Task[dns.message.Message]:
        memory = self._memory
        server = (address, Transport.UDP.port, Transport.UDP)
        for key in (server, (address, question)):
            self._check_reachable(key)
        tries = UDP_TRIES
        while True:
            tries -= 1
            wire = message.encode(self.query(question))
            source_port = memory.next_port()
            try:
                octets: bytes = yield Datagram(address, Transport.UDP.port, source_port, wire, UDP_TIMEOUT)
                return _parse(octets, self._memory.extended)
            except TransportError as error:
                silent = error.failure is Failure.TIMEOUT
                if silent and tries:
                    continue
                # A server that leaves one question unanswered may well answer others.
                key = (address, question) if silent else server
                memory.unreachable[key] = memory.clock() + UNREACHABLE_TTL
                raise


def _refusal(peer: Peer, transport: Transport, port: int) -> Hashable:
    """What is remembered of a server that did not prove its identity: which, and by what it should have."""
    offer = peer.offer
    expected = (offer.identities, offer.tlsa, offer.credentials) if offer is not None else None
    return (peer.address, port, transport, peer.server, expected)


def _path(peer: Peer, transport: Transport) -> str | None:
    """Where a server has DoH, as far as that was said; None for other transports."""
    if not transport.http:
        return None
    return peer.offer.path if peer.offer is not None else DEFAULT_PATH


def _parse(octets: bytes, extended: bool) -> dns.message.Message:
    """A response. Records of another class than IN were not asked for, and are dropped.

    So are Delegation Types in referrals, which ask for no answer, where the resolver has not heard of them.
    """
    try:
        response = message.decode(octets)
    except dns.exception.DNSException as error:
        raise TransportError(Failure.PROTOCOL, f"not a DNS message: {error}") from error
    for section in (response.answer, response.authority, response.additional):
        section[:] = [rrset for rrset in section if rrset.rdclass == dns.rdataclass.IN]
    if not extended:
        response.authority[:] = [
            rrset for rrset in response.authority if rrset.rdtype not in DELEGATION_TYPES
        ]
    return response
