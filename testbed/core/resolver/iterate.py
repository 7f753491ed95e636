"""Iterative resolution (RFC 1034 section 5.3.3) with QNAME minimisation (RFC 9156) and validation."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import dns.name
import dns.rcode
import dns.rdatatype
import dns.rrset

from testbed.core.delegation import Delegation
from testbed.core.lookup import parents_own
from testbed.core.message import find, find_signatures
from testbed.core.resolver import responses
from testbed.core.resolver.cache import NEGATIVE_TTL, Absent, Known, Rank, Security, Standing, aged, lifetime
from testbed.core.resolver.contact import Contact, Received
from testbed.core.resolver.cuts import Cuts
from testbed.core.resolver.responses import Kind
from testbed.core.resolver.state import ALIASES, CircleError, Memory, Path, ResolutionError, ZoneKeys
from testbed.core.resolver.tasks import All, Once, Task
from testbed.core.resolver.trust import Trust
from testbed.core.resolver.wire import Question
from testbed.core.signal import Lookup

MINIMISED_QUERIES = 10
"""How many minimised queries one resolution may make (RFC 9156 section 2.3, MAX_MINIMISE_COUNT)."""

SINGLE_LABEL_QUERIES = 4
"""How many of them add one label only (RFC 9156 section 2.3, MINIMISE_ONE_LAB)."""


@dataclass(frozen=True, slots=True)
class Step:
    """Outcome for one owner name: the RRsets of the answer, an alias to go on with, or a denial."""

    rrsets: tuple[dns.rrset.RRset, ...]
    authority: tuple[dns.rrset.RRset, ...]
    rcode: dns.rcode.Rcode
    alias: dns.name.Name | None
    security: Security
    standing: Standing
    until: float


@dataclass(frozen=True, slots=True)
class Resolved:
    """Outcome of a resolution, aliases followed. ``answer`` includes signatures."""

    answer: tuple[dns.rrset.RRset, ...]
    authority: tuple[dns.rrset.RRset, ...]
    rcode: dns.rcode.Rcode
    security: Security
    standing: Standing
    until: float
    final: dns.name.Name


class Unanswered(ResolutionError):  # noqa: N818 - it reads as what it says
    """No server gave a usable response to a question. Other failures tell nothing about minimisation."""


class Iterator:
    """Resolves names by walking down from the closest known zone cut."""

    def __init__(
        self, memory: Memory, contact: Contact, trust: Trust, lookup: Callable[[Path], Lookup]
    ) -> None:
        self._memory = memory
        self._contact = contact
        self._trust = trust
        self._cuts = Cuts(memory, contact, trust, lookup)

    def resolve(self, name: dns.name.Name, rdtype: dns.rdatatype.RdataType, path: Path) -> Task[Resolved]:
        """Resolve a name and type, aliases followed. Raises ResolutionError."""
        steps: list[Step] = []
        seen = {name}
        while True:
            step = yield from self._step(name, rdtype, path)
            steps.append(step)
            if step.alias is None:
                break
            name = step.alias
            if name in seen or len(steps) > ALIASES:
                raise ResolutionError(0, f"aliases of {name} lead nowhere")
            seen.add(name)
        return Resolved(
            answer=tuple(rrset for step in steps for rrset in step.rrsets),
            authority=steps[-1].authority,
            rcode=steps[-1].rcode,
            security=min(step.security for step in steps),
            standing=min(step.standing for step in steps),
            until=min(step.until for step in steps),
            final=name,
        )

    def addresses(self, server: dns.name.Name, path: Path) -> Task[None]:
        """Bring the addresses of a name server into memory; those that come with a delegation suffice.

        Raises ResolutionError when there is none to be had.
        """
        types = {4: dns.rdatatype.A, 6: dns.rdatatype.AAAA}
        wanted = [types[family] for family in self._memory.configuration.families]
        errors: list[ResolutionError] = []

        def fetch(rdtype: dns.rdatatype.RdataType) -> Task[None]:
            try:
                yield from self._step(server, rdtype, path, enough=self._has_addresses(server))
            except ResolutionError as error:
                errors.append(error)

        yield All(tuple(fetch(rdtype) for rdtype in wanted))
        if not self._memory.addresses(server):
            raise errors[0] if errors else ResolutionError(0, f"{server} has no address")

    def _has_addresses(self, server: dns.name.Name) -> Callable[[], bool]:
        return lambda: bool(self._memory.addresses(server))

    # -- one owner name ----------------------------------------------------------------------------

    def _step(
        self,
        name: dns.name.Name,
        rdtype: dns.rdatatype.RdataType,
        path: Path,
        enough: Callable[[], bool] | None = None,
    ) -> Task[Step]:
        memory = self._memory
        cached = self._cached(name, rdtype)
        if cached is not None:
            return cached
        failure = memory.cache.get_failure(name, rdtype, memory.clock())
        if failure is not None:
            raise failure
        work = ("resolve" if enough is None else "address", name, rdtype)
        nested = path.enter(work)
        try:
            step: Step = yield Once(work, lambda: self._walk(name, rdtype, nested, enough))
        except CircleError:
            raise
        except ResolutionError as error:
            error.subject = error.subject or (name, rdtype)
            memory.cache.put_failure(name, rdtype, error, memory.clock())
            raise
        return step

    def _cached(self, name: dns.name.Name, rdtype: dns.rdatatype.RdataType) -> Step | None:
        memory = self._memory
        now = memory.clock()
        for wanted in dict.fromkeys((rdtype, dns.rdatatype.CNAME)):
            known = memory.cache.get(name, wanted, now, Rank.NON_AUTHORITATIVE_ANSWER)
            if known is None:
                continue
            alias = known.rrset[0].target if wanted != rdtype else None
            signatures = (known.signatures,) if known.signatures is not None else ()
            return Step(
                (aged(known, now), *signatures),
                (),
                dns.rcode.NOERROR,
                alias,
                known.security,
                known.standing,
                known.expires,
            )
        absent = memory.cache.get_absent(name, rdtype, now)
        if absent is None:
            return None
        return Step(
            (), absent.authority, absent.rcode, None, absent.security, absent.standing, absent.expires
        )

    def _walk(
        self,
        name: dns.name.Name,
        rdtype: dns.rdatatype.RdataType,
        path: Path,
        enough: Callable[[], bool] | None,
    ) -> Task[Step]:
        """Walk down to the zone that holds a name, and ask there."""
        delegation = self._closest(name, rdtype)
        minimisation = self._memory.policy.minimisation
        depth = len(delegation.zone)
        minimised = 0
        full = minimisation == "off"
        while True:
            question = Question(name, rdtype)
            if not full and depth < len(name):
                depth = _deepen(depth, len(name), minimised)
                minimised += 1
                if depth < len(name):
                    question = Question(name.split(depth)[1], dns.rdatatype.A)
            last = question.name == name and question.rdtype == rdtype
            try:
                received, keys = yield from self._confirmed(delegation, question, path)
            except Unanswered:
                if last or minimisation == "strict":
                    raise
                full = True
                self._memory.note("minimisation", f"no answer for {question.name}, asks for {name}")
                continue
            reading = responses.read(received.message, question, delegation.zone)
            if reading.kind is Kind.REFERRAL:
                delegation = yield from self._cuts.follow(delegation, keys, received, reading, path)
                depth = len(delegation.zone)
                if self._memory.policy.revalidation == "serialised" and not delegation.confirmed:
                    yield from self._cuts.confirm(delegation, path)
                if enough is not None and enough():
                    return _cut_short(delegation)
                continue
            hidden = yield from self._cuts.hidden(delegation, keys, received, reading, question, path)
            if hidden is not None:
                delegation = hidden
                depth = len(delegation.zone)
                continue
            nxdomain = reading.kind is Kind.NXDOMAIN
            if last or (nxdomain and minimisation == "strict"):
                return self._conclude(delegation, keys, received, reading, question)
            if keys.adt and reading.kind in (Kind.NODATA, Kind.NXDOMAIN):
                # Who keeps the DE bit from a server conceals the cuts that it would have shown.
                self._conclude(delegation, keys, received, reading, question)
            full = full or nxdomain

    def _closest(self, name: dns.name.Name, rdtype: dns.rdatatype.RdataType) -> Delegation:
        """The deepest zone cut above the name that is known; DS is asked above the cut (RFC 4035 3.1.4.1)."""
        if parents_own(rdtype, self._memory.extended) and name != dns.name.root:
            name = name.parent()
        now = self._memory.clock()
        for depth in range(len(name), 0, -1):
            delegation = self._memory.delegations.get(name.split(depth)[1])
            if delegation is not None and delegation.until > now:
                return delegation
        raise AssertionError("the root's delegation does not expire")

    def _confirmed(
        self, delegation: Delegation, question: Question, path: Path
    ) -> Task[tuple[Received, ZoneKeys]]:
        """Ask the servers of a zone, and the zone itself for its NS RRset where the policy wants that."""
        mode = self._memory.policy.revalidation
        if mode not in ("parallel", "strict") or delegation.confirmed or delegation.zone == dns.name.root:
            return (yield from self._ask(delegation, question, path))
        result, others = yield All(
            (self._ask(delegation, question, path), self._cuts.confirm(delegation, path))
        )
        if others and mode == "strict":
            return (yield from self._ask(delegation, question, path))
        received, keys = result
        return received, keys

    def _ask(self, delegation: Delegation, question: Question, path: Path) -> Task[tuple[Received, ZoneKeys]]:
        """Ask the servers of a zone, and have the zone's keys fetched beside it where they are missing."""
        if delegation.security is not Security.SECURE:
            return (yield from self._shared(delegation, question, path)), ZoneKeys(None, delegation.until)
        keys = self._memory.keys.get(delegation.zone)
        if keys is not None and keys.until > self._memory.clock():
            return (yield from self._shared(delegation, question, path)), keys
        asking = self._shared(delegation, question, path)
        received, keys = yield All((asking, self._trust.keys(delegation, path)))
        return received, keys

    def _shared(self, delegation: Delegation, question: Question, path: Path) -> Task[Received]:
        """Ask the servers of a zone; whoever wants to know the same meanwhile waits for the same response."""
        useless = responses.useless(question, delegation.zone)
        try:
            received: Received = yield Once(
                ("ask", delegation.zone, question),
                lambda: self._contact.ask(delegation, question, path, useless),
            )
        except ResolutionError as error:
            raise Unanswered(error.code, error.text) from error
        return received

    # -- conclusions -------------------------------------------------------------------------------

    def _conclude(
        self,
        delegation: Delegation,
        keys: ZoneKeys,
        received: Received,
        reading: responses.Reading,
        question: Question,
    ) -> Step:
        try:
            if reading.kind in (Kind.ANSWER, Kind.ALIAS):
                return self._positive(delegation, keys, received, reading, question)
            return self._negative(delegation, keys, received, reading, question)
        except ResolutionError as error:
            self._memory.note(
                "validation",
                f"{question.name} {question.rdtype.name} from {received.address} is bogus: {error.text}",
                server=received.address,
                transport=received.transport,
            )
            raise

    def _positive(
        self,
        delegation: Delegation,
        keys: ZoneKeys,
        received: Received,
        reading: responses.Reading,
        question: Question,
    ) -> Step:
        memory = self._memory
        now = memory.clock()
        message = received.message
        security = keys.security if memory.configuration.trust_anchor is not None else Security.UNCHECKED
        until = min(lifetime(rrset, now) for rrset in reading.rrsets)
        for rrset in reading.rrsets if keys.keys is not None else ():
            if rrset.rdtype == dns.rdatatype.CNAME and len(reading.rrsets) > 1:
                continue  # follows from the DNAME beside it (RFC 6672 section 5.3.1)
            verified = self._trust.verify(rrset, message.answer, delegation.zone, keys)
            until = min(until, now + verified.ttl)
            wildcard = verified.wildcard_source
            if wildcard is not None:
                proven = self._trust.check_wildcard(message, rrset.name, wildcard, delegation.zone, keys)
                security = min(security, proven)
        standing = Standing.VALIDATED if security is Security.SECURE else received.standing
        answer: list[dns.rrset.RRset] = []
        for rrset in reading.rrsets:
            signatures = find_signatures(message.answer, rrset.name, rrset.rdtype)
            known = Known(rrset, signatures, Rank.AUTHORITATIVE_ANSWER, security, standing, until)
            memory.cache.put(known, now)
            answer += [aged(known, now)] if signatures is None else [aged(known, now), signatures]
        return Step(tuple(answer), (), dns.rcode.NOERROR, reading.alias, security, standing, until)

    def _negative(
        self,
        delegation: Delegation,
        keys: ZoneKeys,
        received: Received,
        reading: responses.Reading,
        question: Question,
    ) -> Step:
        memory = self._memory
        now = memory.clock()
        message = received.message
        nxdomain = reading.kind is Kind.NXDOMAIN
        security = Security.UNCHECKED
        if keys.keys is not None:
            security = self._trust.check_absent(message, question, delegation.zone, keys, nxdomain=nxdomain)
            for rrset in message.authority:
                if rrset.rdtype == dns.rdatatype.SOA:
                    self._trust.verify(rrset, message.authority, delegation.zone, keys)
        elif memory.configuration.trust_anchor is not None:
            security = Security.INSECURE
        soa = find(message.authority, delegation.zone, dns.rdatatype.SOA)
        ttl = min(soa.ttl, soa[0].minimum, NEGATIVE_TTL) if soa is not None else 0
        standing = Standing.VALIDATED if security is Security.SECURE else received.standing
        rcode = dns.rcode.NXDOMAIN if nxdomain else dns.rcode.NOERROR
        absent = Absent(rcode, tuple(message.authority), security, standing, now + ttl)
        memory.cache.put_absent(question.name, question.rdtype, absent)
        return Step((), absent.authority, rcode, None, security, standing, absent.expires)


def _deepen(depth: int, labels: int, asked: int) -> int:
    """How many labels the next minimised name has (RFC 9156 section 2.3)."""
    if asked >= MINIMISED_QUERIES:
        return labels
    if asked < SINGLE_LABEL_QUERIES:
        return depth + 1
    left = MINIMISED_QUERIES - asked
    return depth + max(1, -(-(labels - depth) // left))


def _cut_short(delegation: Delegation) -> Step:
    """What a walk comes to that found what it needed on the way."""
    return Step((), (), dns.rcode.NOERROR, None, Security.UNCHECKED, delegation.standing, delegation.until)
