"""How a question gets to the servers of a zone: to which one, over what, and what when that fails."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import dns.message
import dns.name
import dns.rcode
import dns.rdatatype

from testbed.core.delegation import Delegation, Offer
from testbed.core.resolver.cache import Security, Standing
from testbed.core.resolver.probe import Probe
from testbed.core.resolver.requests import Session, sni_text
from testbed.core.resolver.state import PRECONFIGURED, Memory, Path, ResolutionError
from testbed.core.resolver.tasks import Once, Task
from testbed.core.resolver.wire import Question, Wire
from testbed.core.signal import Lookup, Signal
from testbed.core.transport import Transport, TransportError

CANDIDATES = 8
"""Server addresses that are tried for one question."""

NO_REACHABLE_AUTHORITY, UNABLE_TO_CONFORM = 22, 28
"""Extended DNS errors (RFC 8914, and IANA's registry for 28)."""

_REQUIRED_STANDING = {
    "any": Standing.NONE,
    "secure-link": Standing.LINK,
    "secure-path": Standing.PATH,
    "validated": Standing.VALIDATED,
}


@dataclass(frozen=True, slots=True)
class Received:
    """A response, and how far what is unsigned in it can be believed."""

    message: dns.message.Message
    server: dns.name.Name
    address: str
    transport: Transport
    standing: Standing


@dataclass(frozen=True, slots=True)
class _Plan:
    """How a server may be asked: encrypted over these, and in clear where that is allowed."""

    encrypted: tuple[tuple[Transport, int], ...]
    clear: bool
    probe: bool = False


class Resolve(Protocol):
    """How the addresses of a name server come into memory."""

    def __call__(self, server: dns.name.Name, path: Path) -> Task[None]:
        """Resolve them. Raises ResolutionError."""


class Contact:
    """Asks name servers. ``resolve_addresses`` and ``lookup`` find out what has to be known for it."""

    def __init__(self, memory: Memory, resolve_addresses: Resolve, lookup: Callable[[Path], Lookup]) -> None:
        self._memory = memory
        self._resolve_addresses = resolve_addresses
        self._lookup = lookup
        self._wire = Wire(memory)
        self._probe = Probe(memory, self._wire)

    def ask(
        self,
        delegation: Delegation,
        question: Question,
        path: Path,
        useless: Callable[[dns.message.Message], str | None],
    ) -> Task[Received]:
        """Ask the servers of a zone until one gives a response that is of use.

        ``useless`` says why a response is of no use, or None. Raises ResolutionError when no server is left.
        """
        failures: list[str] = []
        code = NO_REACHABLE_AUTHORITY
        tried = 0
        for server in self._ordered(delegation):
            try:
                addresses = yield from self._find(server, path)
                plan = yield from self._plan(server, path)
            except ResolutionError as error:
                code = error.code or code
                failures.append(f"{sni_text(server)}: {error.text}")
                continue
            for address in addresses[: CANDIDATES - tried]:
                tried += 1
                path.effort.spend()
                try:
                    received = yield from self._exchange(delegation, server, address, plan, question)
                except TransportError as error:
                    failures.append(f"{sni_text(server)} at {address}: {error}")
                    continue
                reason = _failed_rcode(received.message) or useless(received.message)
                if reason is None:
                    return received
                failures.append(f"{sni_text(server)} at {address}: {reason}")
        raise ResolutionError(code, "; ".join(failures) or f"no address for a server of {delegation.zone}")

    def _ordered(self, delegation: Delegation) -> list[dns.name.Name]:
        """Servers at random, those with known addresses before those whose addresses have to be found."""
        servers = list(delegation.servers)
        self._memory.rng.shuffle(servers)
        servers.sort(key=lambda server: not self._memory.addresses(server))
        return servers

    def _find(self, server: dns.name.Name, path: Path) -> Task[list[str]]:
        addresses = self._memory.addresses(server)
        if not addresses:
            yield from self._resolve_addresses(server, path)
            addresses = self._memory.addresses(server)
        return self._memory.in_order(addresses)

    # -- one server address ------------------------------------------------------------------------

    def _exchange(
        self,
        delegation: Delegation,
        server: dns.name.Name,
        address: str,
        plan: _Plan,
        question: Question,
    ) -> Task[Received]:
        failure: TransportError | None = None
        for transport, port in plan.encrypted:
            try:
                session, response = yield from self._encrypted(server, address, port, transport, question)
            except TransportError as error:
                failure = error
                continue
            return self._received(delegation, server, address, transport, session, response)
        if not plan.clear:
            assert failure is not None
            raise failure
        if failure is not None:
            self._memory.note(
                "fallback", f"asks {sni_text(server)} at {address} in clear instead", server=address
            )
        if plan.probe:
            transport, probed, response = yield from self._probe.exchange(address, question)
            return self._received(delegation, server, address, transport, probed, response)
        transport, response = yield from self._wire.in_clear(address, question)
        return self._received(delegation, server, address, transport, None, response)

    def _encrypted(
        self,
        server: dns.name.Name,
        address: str,
        port: int,
        transport: Transport,
        question: Question,
    ) -> Task[tuple[Session, dns.message.Message]]:
        """Ask in a session. One that was open already may have been closed meanwhile: then in a new one."""
        held = self._memory.sessions.get((address, port, transport, sni_text(server)))
        session = yield from self._wire.session(server, address, port, transport)
        try:
            return session, (yield from self._wire.over(session, question))
        except TransportError:
            if session is not held:
                raise
        session.open = False
        session = yield from self._wire.session(server, address, port, transport)
        return session, (yield from self._wire.over(session, question))

    def _received(
        self,
        delegation: Delegation,
        server: dns.name.Name,
        address: str,
        transport: Transport,
        session: Session | None,
        response: dns.message.Message,
    ) -> Received:
        standing = Standing.NONE
        if session is not None and session.authenticated:
            standing = Standing.PATH if delegation.standing >= Standing.PATH else Standing.LINK
        return Received(response, server, address, transport, standing)

    # -- signals -----------------------------------------------------------------------------------

    def _plan(self, server: dns.name.Name, path: Path) -> Task[_Plan]:
        """What the policy makes of the signals. Raises ResolutionError when it rules the server out."""
        policy = self._memory.policy
        if policy.encryption == "never":
            return _Plan((), clear=True)
        probe = any(signal.probes for signal in self._memory.configuration.signals)
        try:
            offer = yield from self._offer(server, path)
        except ResolutionError:
            if policy.encryption == "opportunistic":
                return _Plan((), clear=True, probe=probe)
            raise
        if offer is not None:
            return _Plan(self._spoken(offer), clear=policy.encryption == "opportunistic")
        discovering = any(isinstance(work, tuple) and work[0] == "discover" for work in path.pending)
        if policy.encryption == "always" and not discovering:
            raise ResolutionError(UNABLE_TO_CONFORM, "no accepted signal, and clear text is not allowed")
        return _Plan((), clear=True, probe=probe)

    def _spoken(self, offer: Offer) -> tuple[tuple[Transport, int], ...]:
        transports = self._memory.configuration.transports
        return tuple(pair for pair in offer.transports if pair[0] in transports)

    def _offer(self, server: dns.name.Name, path: Path) -> Task[Offer | None]:
        """The first offer, by the signals in order of preference, that the policy accepts and we can use."""
        memory = self._memory
        preconfigured = memory.offers.get(server, PRECONFIGURED, memory.clock())
        if preconfigured is not None:
            return preconfigured
        required = _REQUIRED_STANDING[memory.policy.accept]
        for signal in memory.configuration.signals:
            offer = memory.offers.get(server, signal.name, memory.clock())
            if offer is None and signal.discovers:
                offer = yield from self._discover(signal, server, path)
            elif offer is None and signal.in_referral and not memory.offers.seen(server, memory.clock()):
                yield from self._visit(server, path)
                offer = memory.offers.get(server, signal.name, memory.clock())
            if offer is None or not self._spoken(offer):
                continue
            if offer.standing >= required:
                return offer
            memory.note(
                "signal",
                f"{signal.name} for {sni_text(server)} does not count: it is "
                f"{offer.standing.name.lower()}, the policy wants {memory.policy.accept}",
            )
        return None

    def _visit(self, server: dns.name.Name, path: Path) -> Task[None]:
        """See the delegation of the zone that holds a server's name, which its addresses lead through."""
        work = ("visit", server)
        if work in path.pending:
            return
        try:
            yield from self._resolve_addresses(server, path.enter(work))
        except ResolutionError as error:
            self._memory.note("signal", f"cannot see the delegation of {sni_text(server)}: {error.text}")

    def _discover(self, signal: Signal, server: dns.name.Name, path: Path) -> Task[Offer | None]:
        """What a signal says when asked. Asking may need this very server: then nothing is known yet."""
        work = ("discover", signal.name, server)
        if work in path.pending:
            return None
        nested = path.enter(work)
        offer: Offer | None = yield Once(work, lambda: self._discovery(signal, server, nested))
        return offer

    def _discovery(self, signal: Signal, server: dns.name.Name, path: Path) -> Task[Offer | None]:
        memory = self._memory
        name = sni_text(server)
        try:
            offer = yield from signal.discover(server, self._lookup(path), memory.clock())
        except ResolutionError as error:
            if not self._signed(server):
                memory.note("signal", f"{signal.name} for {name}: none to be had, {error.text}")
                return None
            memory.note("signal", f"{signal.name} for {name}: withheld, {error.text}")
            raise
        if offer is not None:
            memory.offers.learn(server, offer, memory.clock())
            offered = ", ".join(transport for transport, _ in offer.transports) or "no encryption"
            memory.note("signal", f"{signal.name} for {name}: {offered} ({offer.standing.name.lower()})")
        return offer

    def _signed(self, server: dns.name.Name) -> bool:
        """Whether the zone that holds a server's name is signed.

        Only then does a failed lookup mean that something is withheld (RFC 9460 section 3.1).
        """
        for depth in range(len(server), 0, -1):
            delegation = self._memory.delegations.get(server.split(depth)[1])
            if delegation is not None:
                return delegation.security is Security.SECURE
        return False


def _failed_rcode(response: dns.message.Message) -> str | None:
    rcode = response.rcode()
    if rcode in (dns.rcode.NOERROR, dns.rcode.NXDOMAIN):
        return None
    return dns.rcode.to_text(rcode)
