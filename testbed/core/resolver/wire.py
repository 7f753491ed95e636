"""Exchanges with one server address: over a session, or over Do53."""

from __future__ import annotations

from dataclasses import dataclass

import dns.exception
import dns.flags
import dns.message
import dns.name
import dns.rdataclass
import dns.rdatatype

from testbed.core import identity, message
from testbed.core.resolver.requests import Datagram, Dial, HangUp, Session, Transmit, sni_text
from testbed.core.resolver.state import Memory
from testbed.core.resolver.tasks import Once, Task
from testbed.core.transport import Failure, Transport, TransportError

UDP_TIMEOUT = 1.5
"""Seconds to wait for a datagram."""

UDP_TRIES = 2

STREAM_TIMEOUT = 4.0
"""Seconds for a connection with its handshake, and again for a response in it."""

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


class Wire:
    """Opens sessions and exchanges messages, and remembers what could not be reached."""

    def __init__(self, memory: Memory) -> None:
        self._memory = memory

    def session(self, server: dns.name.Name, address: str, port: int, transport: Transport) -> Task[Session]:
        """An open session, in which the server has proved its identity if the policy wants that."""
        memory = self._memory
        key = (address, port, transport, sni_text(server))
        session = memory.sessions.get(key)
        if session is not None and session.open:
            return session
        if memory.unreachable.get((address, port, transport), 0.0) > memory.clock():
            raise TransportError(Failure.UNREACHABLE, "failed a moment ago")
        opened: Session = yield Once(("dial", key), lambda: self._dial(server, address, port, transport))
        return opened

    def _dial(self, server: dns.name.Name, address: str, port: int, transport: Transport) -> Task[Session]:
        memory = self._memory
        name = sni_text(server)
        try:
            session: Session = yield Dial(address, port, transport, name, STREAM_TIMEOUT)
            if memory.policy.authentication == "required":
                yield from self._authenticate(session, server)
        except TransportError as error:
            memory.unreachable[(address, port, transport)] = memory.clock() + UNREACHABLE_TTL
            memory.note(
                "failure",
                f"{transport} to {name} at {address}: {error}",
                server=address,
                transport=transport,
            )
            raise
        how = f"authenticated by {session.identity}" if session.authenticated else "not authenticated"
        memory.note(
            "handshake",
            f"{transport} to {name} at {address}, {how}",
            server=address,
            transport=transport,
            authenticated=session.authenticated,
        )
        memory.sessions[(address, port, transport, name)] = session
        return session

    def _authenticate(self, session: Session, server: dns.name.Name) -> Task[None]:
        memory = self._memory
        check = identity.WebPki(memory.configuration.authorities, server)
        outcome = check.check(session.chain, memory.clock())
        if isinstance(outcome, identity.Refused):
            yield HangUp(session)
            raise TransportError(Failure.TLS, f"certificate refused: {outcome.reason}")
        session.authenticated = True
        session.identity = outcome.by

    def over(self, session: Session, question: Question) -> Task[dns.message.Message]:
        """Ask in a session; padded where it is encrypted."""
        query = question.message(self._memory.rng.getrandbits(16))
        wire = message.pad(query, QUERY_BLOCK) if session.transport.encrypted else message.encode(query)
        octets: bytes = yield Transmit(session, wire, STREAM_TIMEOUT)
        return _parse(octets)

    def in_clear(self, address: str, question: Question) -> Task[tuple[Transport, dns.message.Message]]:
        """Ask over UDP, and over TCP when the response was truncated (RFC 7766 section 5)."""
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
            if memory.unreachable.get(key, 0.0) > memory.clock():
                raise TransportError(Failure.UNREACHABLE, "failed a moment ago")
        tries = UDP_TRIES
        while True:
            tries -= 1
            wire = message.encode(question.message(memory.rng.getrandbits(16)))
            source_port = memory.rng.randrange(1024, 65536)
            try:
                octets: bytes = yield Datagram(address, Transport.UDP.port, source_port, wire, UDP_TIMEOUT)
                return _parse(octets)
            except TransportError as error:
                silent = error.failure is Failure.TIMEOUT
                if silent and tries:
                    continue
                # A server that leaves one question unanswered may well answer others.
                key = (address, question) if silent else server
                memory.unreachable[key] = memory.clock() + UNREACHABLE_TTL
                raise


def _parse(octets: bytes) -> dns.message.Message:
    """A response. Records of another class than IN were not asked for, and are dropped."""
    try:
        response = message.decode(octets)
    except dns.exception.DNSException as error:
        raise TransportError(Failure.PROTOCOL, f"not a DNS message: {error}") from error
    for section in (response.answer, response.authority, response.additional):
        section[:] = [rrset for rrset in section if rrset.rdclass == dns.rdataclass.IN]
    return response
