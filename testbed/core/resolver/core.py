"""The resolver as its driver sees it: queries and outcomes in, requests and answers out."""

from __future__ import annotations

import random
from collections import deque
from collections.abc import Callable
from typing import Any

import dns.flags
import dns.message
import dns.name
import dns.opcode
import dns.rcode
import dns.rdataclass
import dns.rdatatype
import dns.rrset

from testbed.core import message
from testbed.core.message import find
from testbed.core.resolver.cache import Security
from testbed.core.resolver.contact import Contact
from testbed.core.resolver.iterate import Iterator, Resolved
from testbed.core.resolver.report import Reporter
from testbed.core.resolver.requests import Answer, Session
from testbed.core.resolver.state import Configuration, Effort, Memory, Path, ResolutionError, TraceEvent
from testbed.core.resolver.tasks import Scheduler, Spawn, Task
from testbed.core.resolver.trust import Trust
from testbed.core.signal import Looked, Lookup
from testbed.core.transport import TransportError


class Resolver:
    """An iterative, validating resolver that does no I/O of its own.

    The driver hands in client queries with ``ask``, takes requests and answers from ``requests`` and
    ``answers``, carries the requests out, and reports with ``succeed``, ``fail`` and ``session_closed``.
    ``clock`` gives the time in seconds since the Unix epoch, and passes evenly; ``rng`` makes IDs, source
    ports and choices. ``time_of_day`` is what the machine takes for the time, if that is another one.
    """

    def __init__(
        self,
        configuration: Configuration,
        clock: Callable[[], float],
        rng: random.Random,
        time_of_day: Callable[[], float] | None = None,
    ) -> None:
        self._memory = Memory(configuration, clock, rng, time_of_day or clock)
        self.requests: deque[tuple[int, Any]] = deque()
        self.withdrawn: deque[int] = deque()
        self.answers: deque[Answer] = deque()
        self._scheduler = Scheduler(
            lambda ticket, request: self.requests.append((ticket, request)), self.withdrawn.append
        )
        contact = Contact(self._memory, self._addresses, self._lookup)
        self._mirror = contact.mirror
        self._iterator = Iterator(self._memory, contact, Trust(self._memory, contact), self._lookup)
        self._reporter = Reporter(self._memory, self._iterator.resolve)

    @property
    def trace(self) -> list[TraceEvent]:
        """What was decided so far, and why."""
        return self._memory.trace

    @property
    def sessions(self) -> list[Session]:
        """The sessions that are open, as far as the core knows."""
        return [session for session in self._memory.sessions.values() if session.open]

    @property
    def idle(self) -> bool:
        """Whether there is no work left, in the background neither."""
        return self._scheduler.idle

    @property
    def alarm(self) -> float | None:
        """When ``wake`` wants to be called, in the time of ``now``; None for not at all, as it is now."""
        return self._mirror.due

    @property
    def now(self) -> float:
        """The time by which what it remembers ages, in seconds."""
        return self._memory.clock()

    def flush(self) -> None:
        """Empty the caches; sessions, probing state and the copy of the root zone stay."""
        self._memory.flush()

    def inherit(self, former: Resolver) -> None:
        """Take over what another one, before a restart, has left on disk."""
        if self._memory.policy.persistent:
            self._memory.inherit(former._memory)

    # -- the driver's side -------------------------------------------------------------------------

    def ask(self, query: dns.message.Message, token: object) -> None:
        """Take a client's query; an Answer with the token follows, some time."""
        refusal = _refusal(query)
        if refusal is not None:
            response = dns.message.make_response(query, recursion_available=True)
            response.set_rcode(refusal)
            self.answers.append(Answer(token, response))
            return
        question = query.question[0]

        def done(resolved: Resolved | None, error: BaseException | None) -> None:
            if error is not None and not isinstance(error, ResolutionError):
                raise error
            self.answers.append(Answer(token, self._respond(query, resolved, error)))

        self._scheduler.start(self._resolve(question.name, question.rdtype), done)

    def _resolve(self, name: dns.name.Name, rdtype: dns.rdatatype.RdataType) -> Task[Resolved]:
        """Resolve for a client, who does not wait for the report of a failure."""
        try:
            return (yield from self._iterator.resolve(name, rdtype, Path(Effort())))
        except ResolutionError as error:
            yield Spawn(self._reporter.report(error))
            raise

    def wake(self) -> None:
        """Do what is to be done at ``alarm``."""
        self._scheduler.start(self._mirror.wake(), _raise)

    def succeed(self, ticket: int, value: Any) -> None:
        """Report the result of a request."""
        self._scheduler.succeed(ticket, value)

    def fail(self, ticket: int, error: TransportError) -> None:
        """Report that a request failed."""
        self._scheduler.fail(ticket, error)

    def session_closed(self, session: Session, error: TransportError | None) -> None:
        """Report the end of a session; ``error`` is None when it was closed in good order."""
        session.open = False
        if session.probed:
            now = self._memory.clock()
            if error is None:
                self._memory.prober.closed(session.server, session.transport)
            else:
                self._memory.prober.failed(session.server, session.transport, now)

    # -- what the parts need of each other ---------------------------------------------------------

    def _addresses(self, server: dns.name.Name, path: Path) -> Task[None]:
        yield from self._iterator.addresses(server, path)
        memory = self._memory
        memory.offers.see(server, memory.clock() + memory.address_ttl(server))

    def _lookup(self, path: Path) -> Lookup:
        def look(name: dns.name.Name, rdtype: dns.rdatatype.RdataType) -> Task[Looked]:
            resolved = yield from self._iterator.resolve(name, rdtype, path)
            rrset = find(resolved.answer, resolved.final, rdtype)
            return Looked(rrset, resolved.security, resolved.standing, resolved.until)

        return look

    # -- responses to clients ----------------------------------------------------------------------

    def _respond(
        self, query: dns.message.Message, resolved: Resolved | None, error: ResolutionError | None
    ) -> dns.message.Message:
        response = dns.message.make_response(query, recursion_available=True, our_payload=1232)
        name = query.question[0].name
        if resolved is None:
            assert error is not None
            response.set_rcode(dns.rcode.SERVFAIL)
            message.add_ede(response, error.code, error.text)
            self._memory.note("answer", f"{name}: SERVFAIL, {error.text}")
            return response
        wants_dnssec = bool(query.ednsflags & dns.flags.DO)
        sections = ((response.answer, resolved.answer), (response.authority, resolved.authority))
        for section, rrsets in sections:
            section.extend(rrset for rrset in rrsets if wants_dnssec or _plain(rrset))
        response.set_rcode(resolved.rcode)
        if resolved.security is Security.SECURE and (wants_dnssec or query.flags & dns.flags.AD):
            response.flags |= dns.flags.AD
        self._memory.note(
            "answer",
            f"{name}: {dns.rcode.to_text(resolved.rcode)}, {resolved.security.name.lower()}",
        )
        return response


def _raise(_: None, error: BaseException | None) -> None:
    """The end of work that nobody waits for, and that handles its errors: any other is a fault."""
    if error is not None:
        raise error


_DNSSEC_TYPES = {dns.rdatatype.RRSIG, dns.rdatatype.NSEC, dns.rdatatype.NSEC3}


def _plain(rrset: dns.rrset.RRset) -> bool:
    return rrset.rdtype not in _DNSSEC_TYPES


def _refusal(query: dns.message.Message) -> dns.rcode.Rcode | None:
    """The response code for queries that are not resolved (RFC 8906 lists what servers must cope with)."""
    if query.opcode() != dns.opcode.QUERY:
        return dns.rcode.NOTIMP
    if len(query.question) != 1:
        return dns.rcode.FORMERR
    question = query.question[0]
    if question.rdclass != dns.rdataclass.IN or not query.flags & dns.flags.RD:
        return dns.rcode.REFUSED
    if dns.rdatatype.is_metatype(question.rdtype):
        return dns.rcode.NOTIMP
    return None
