"""The local root: a copy of the root zone beside the resolver (RFC 8806, draft-wkumari-dnsop-localroot-bcp).

While there is a usable copy, questions to the root zone are answered from it and no packet goes to a root
server. The copy comes by zone transfer over TCP, or over TLS (RFC 9103), from sources in the configuration.
It is fetched when it is first wanted and kept fresh by the timers of its SOA record (RFC 1034 section 4.3.5):
whoever drives the resolver calls ``wake`` when the clock reaches ``due``.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import cast

import dns.flags
import dns.message
import dns.name
import dns.rdatatype
import dns.rrset
from dns.rdtypes.ANY.SOA import SOA

from testbed.core import validation, zonemd
from testbed.core.authoritative import Authoritative
from testbed.core.message import find, find_signatures
from testbed.core.resolver.cache import Standing
from testbed.core.resolver.requests import Dial, HangUp, Session, sni_text
from testbed.core.resolver.state import Effort, Memory, Path, ResolutionError, RootServer
from testbed.core.resolver.tasks import Once, Task
from testbed.core.resolver.wire import STREAM_TIMEOUT, Peer, Question, Wire
from testbed.core.transport import Transport, TransportError
from testbed.core.zone import Zone

RETRY = 900.0
"""Seconds until the next attempt while there never was a copy to say; the root's SOA record has the same."""

LEAST_INTERVAL = 60.0
"""Seconds; whatever a SOA record says, sources are not asked more often."""

LONGEST_AGE = 7 * 86400.0
"""Seconds for which a copy may be used that cannot be refreshed, whatever its SOA record says: there must be
a limit, and one who alters a copy must not be the one to set it. The root's SOA record says the same."""

_ROOT = dns.name.root
_WORK = ("mirror",)
_CARRIERS = {Transport.DOT, Transport.DOQ}
"""Encrypted transports that carry transfers (RFC 9103, RFC 9250 section 5.7)."""


@dataclass(frozen=True, slots=True)
class Local:
    """A response from the copy, and how far what is unsigned in it can be believed."""

    message: dns.message.Message
    source: dns.name.Name
    transport: Transport
    standing: Standing


@dataclass(frozen=True)
class _Copy:
    """A copy that was accepted. ``standing`` is that of all that is in it."""

    zone: Zone
    server: Authoritative
    source: dns.name.Name
    transport: Transport
    standing: Standing

    @property
    def soa(self) -> SOA:
        return cast(SOA, self.zone.soa[0])


class _Refused(Exception):  # noqa: N818 (it says what happened)
    """A copy, or what a source says of it, is not to be used."""


class Mirror:
    """The copy, as ``policy.mirror`` has it."""

    def __init__(self, memory: Memory, wire: Wire) -> None:
        self._memory = memory
        self._wire = wire
        self._copy: _Copy | None = None
        self._expires = 0.0
        self._serial: int | None = None
        self._retry = RETRY
        self._running = False
        self.due: float | None = None
        """When to call ``wake``, in the core's time; None while nothing is to be waited for."""

    # -- answers -----------------------------------------------------------------------------------

    def answer(self, question: Question, path: Path) -> Task[Local | None]:
        """The copy's response to a question, None when there is no usable copy.

        The first question fetches the copy; others that come while there is none wait for an attempt that is
        under way. What has to be known to fetch it is not answered from it.
        """
        policy = self._memory.policy
        if policy.mirror == "off" or not self._memory.configuration.root_sources or _WORK in path.pending:
            return None
        copy = self._usable()
        if copy is None and (self._running or self.due is None):
            yield self._once()
            copy = self._usable()
        if copy is None:
            return None
        response = copy.server.respond(self._wire.query(question), Transport.TCP)[0]
        return Local(response, copy.source, copy.transport, copy.standing)

    def _usable(self) -> _Copy | None:
        """The copy, unless it has expired."""
        if self._copy is not None and self._expires <= self._memory.clock():
            self._note("mirror", f"the copy with serial {self._copy.soa.serial} has expired")
            self._copy = None
        return self._copy

    # -- timers ------------------------------------------------------------------------------------

    def wake(self) -> Task[None]:
        """See whether the sources have something new."""
        yield self._once()

    def _once(self) -> Once:
        path = Path(Effort()).enter(_WORK)
        return Once(_WORK, lambda: self._refresh(path))

    def _refresh(self, path: Path) -> Task[None]:
        """Try the sources, one after the other, until one has what is needed."""
        self._running = True
        self.due = None
        interval = self._retry
        try:
            for source in self._memory.configuration.root_sources:
                if (yield from self._try(source, path)):
                    assert self._copy is not None
                    interval = self._copy.soa.refresh
                    break
        finally:
            self._running = False
            self.due = self._memory.clock() + max(interval, LEAST_INTERVAL)

    def _try(self, source: RootServer, path: Path) -> Task[bool]:
        """Try a source, at each address in each allowed way; whether there is a fresh copy now."""
        families = self._memory.configuration.families
        for address in source.addresses:
            if (6 if ":" in address else 4) not in families:
                continue
            for transport, port in self._ways(source):
                try:
                    yield from self._visit(source, address, transport, port, path)
                except (TransportError, ResolutionError) as error:
                    self._note("mirror", f"no copy from {_at(source, address, transport)}: {error}")
                except _Refused as refused:
                    # The operator is told (RFC 8976 section 4): nobody else would notice.
                    self._note("alarm", f"refuses what {_at(source, address, transport)} has: {refused}")
                else:
                    return True
        return False

    def _ways(self, source: RootServer) -> list[tuple[Transport, int]]:
        """How a source may be asked: encrypted where it offers that, in clear where the policy allows it.

        A transfer tells nobody what a client asked for; so only ``always`` forbids clear text to a source
        that has nothing better.
        """
        policy = self._memory.policy
        ours = set(self._memory.configuration.transports) & _CARRIERS
        spoken = [pair for pair in source.offers if pair[0] in ours]
        clear = [(Transport.TCP, Transport.TCP.port)]
        match policy.encryption:
            case "never":
                return clear
            case "opportunistic":
                return [*spoken, *clear]
            case "signalled":
                return spoken or clear
            case "always":
                return spoken

    # -- one source --------------------------------------------------------------------------------

    def _visit(
        self, source: RootServer, address: str, transport: Transport, port: int, path: Path
    ) -> Task[None]:
        """Get a fresh copy, or the certainty that the one in use still is.

        Raises TransportError and ResolutionError when the source cannot be reached, _Refused otherwise.
        """
        question = Question(_ROOT, dns.rdatatype.SOA)
        copy = self._usable()
        if transport.encrypted:
            required = self._memory.policy.authentication == "required"
            peer = Peer(source.name, address, authenticate=required)
            session = yield from self._wire.session(peer, transport, port, path)
            if copy is None or not self._is_current(copy, (yield from self._wire.over(session, question))):
                zone = yield from self._wire.transfer(session, _ROOT)
                self._accept(self._examined(zone, source, session))
        elif copy is None or not self._is_current(
            copy, (yield from self._wire.in_clear(address, question))[1]
        ):
            session = yield Dial(address, port, transport, None, STREAM_TIMEOUT)
            zone = yield from self._transferred(session)
            self._accept(self._examined(zone, source, session))
        self._renew()

    def _transferred(self, session: Session) -> Task[Zone]:
        """Have the root zone transferred in a session that is of no other use."""
        try:
            zone = yield from self._wire.transfer(session, _ROOT)
        except TransportError:
            yield HangUp(session)
            raise
        yield HangUp(session)
        return zone

    def _is_current(self, copy: _Copy, response: dns.message.Message) -> bool:
        """Whether the SOA record that a source has is that of the copy. Raises _Refused for an older one.

        If the copy was verified, so must be what says that it is current, or the copy could be kept in use
        for ever by anybody. A SOA record that proves nothing is a reason to fetch the whole, which does.
        """
        soa = find(response.answer, _ROOT, dns.rdatatype.SOA)
        if soa is None or not response.flags & dns.flags.AA:
            raise _Refused("no serial is told")
        serial = int(cast(SOA, soa[0]).serial)
        if _older(serial, int(copy.soa.serial)):
            raise _Refused(f"serial {serial} is older than {copy.soa.serial}")
        if soa != copy.zone.soa:
            return False
        return copy.standing is not Standing.VALIDATED or self._is_signed(copy, response, soa)

    def _is_signed(self, copy: _Copy, response: dns.message.Message, soa: dns.rrset.RRset) -> bool:
        keys = copy.zone.rrset(_ROOT, dns.rdatatype.DNSKEY)
        assert keys is not None
        signatures = find_signatures(response.answer, _ROOT, dns.rdatatype.SOA)
        try:
            validation.verify(soa, signatures, keys, _ROOT, self._memory.clock())
        except validation.Bogus:
            return False
        return True

    # -- copies ------------------------------------------------------------------------------------

    def _examined(self, zone: Zone, source: RootServer, session: Session) -> _Copy:
        """A copy that may be used, with its standing. Raises _Refused."""
        memory = self._memory
        serial = int(cast(SOA, zone.soa[0]).serial)
        if self._serial is not None and _older(serial, self._serial):
            raise _Refused(f"serial {serial} is older than {self._serial}")
        standing = Standing.PATH if session.authenticated else Standing.NONE
        verified = "its digest is not looked at"
        if memory.policy.mirror != "ignore":
            result = zonemd.verify(zone, memory.configuration.trust_anchor, memory.clock())
            complete = result.status is zonemd.Status.VERIFIED and result.signed
            refused = result.status is zonemd.Status.FAILED
            if refused or (memory.policy.mirror == "require" and not complete):
                raise _Refused(f"serial {serial}: {result}")
            if complete:
                standing = Standing.VALIDATED
            verified = str(result)
        self._note(
            "mirror",
            f"has the root zone, serial {serial}, from {sni_text(source.name)} over {session.transport}: "
            f"{verified}",
            server=session.server,
            transport=session.transport,
        )
        return _Copy(zone, Authoritative([zone]), source.name, session.transport, standing)

    def _accept(self, copy: _Copy) -> None:
        self._copy = copy
        self._serial = int(copy.soa.serial)
        self._retry = float(copy.soa.retry)

    def _renew(self) -> None:
        """Let the copy's time begin anew."""
        assert self._copy is not None
        self._expires = self._memory.clock() + min(self._copy.soa.expire, LONGEST_AGE)

    def _note(
        self, kind: str, text: str, *, server: str | None = None, transport: Transport | None = None
    ) -> None:
        self._memory.note(kind, f"local root: {text}", server=server, transport=transport)


def _older(serial: int, than: int) -> bool:
    """Whether a serial is older than another, modulo 2**32 (RFC 1982 section 3.2)."""
    return serial != than and (serial - than) % 2**32 >= 2**31


def _at(source: RootServer, address: str, transport: Transport) -> str:
    return f"{sni_text(source.name)} at {address} over {transport}"
