"""What the signals and the policy make of a server: over what it may be asked, and what it has to prove."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import dns.name

from testbed.core.delegation import Delegation, Endpoint, Offer
from testbed.core.resolver.cache import Standing
from testbed.core.resolver.requests import sni_text
from testbed.core.resolver.state import PRECONFIGURED, Memory, Path, ResolutionError
from testbed.core.resolver.tasks import Once, Spawn, Task
from testbed.core.signal import Lookup, Signal
from testbed.core.transport import Transport

UNABLE_TO_CONFORM = 28
"""Extended DNS error (IANA's registry of RFC 8914 codes)."""

_REQUIRED_STANDING = {
    "any": Standing.NONE,
    "secure-link": Standing.LINK,
    "secure-path": Standing.PATH,
    "validated": Standing.VALIDATED,
}


@dataclass(frozen=True, slots=True)
class Plan:
    """How a server may be asked: encrypted over these, and in clear where that is allowed.

    ``offer`` is the one that the plan follows. ``authenticate`` says that the server must prove its identity,
    which is not asked of one that is known to have no credential that the policy could check.
    ``probe`` says that encryption is tried although nothing announces it.
    """

    encrypted: tuple[tuple[Transport, int], ...]
    clear: bool
    offer: Offer | None = None
    authenticate: bool = False
    probe: bool = False


class Resolve(Protocol):
    """How the addresses of a name server come into memory."""

    def __call__(self, server: dns.name.Name, path: Path) -> Task[None]:
        """Resolve them. Raises ResolutionError."""


class Plans:
    """Makes plans. ``resolve_addresses`` and ``lookup`` find out what has to be known for it."""

    def __init__(self, memory: Memory, resolve_addresses: Resolve, lookup: Callable[[Path], Lookup]) -> None:
        self._memory = memory
        self._resolve_addresses = resolve_addresses
        self._lookup = lookup

    def make(
        self,
        delegation: Delegation,
        server: dns.name.Name,
        address: str,
        offer: Offer | None,
        path: Path,
    ) -> Plan:
        """The plan for a server of a zone at one of its addresses, given what signals say about it.

        Raises ResolutionError when the policy rules the server out.
        """
        memory = self._memory
        policy = memory.policy
        if policy.encryption == "never":
            return Plan((), clear=True)
        promised = memory.promised(delegation.zone, server, address)
        endpoint = delegation.endpoints.get(server)
        if offer is not None:
            return self._following(offer, bool(promised), endpoint)
        if promised:
            transports = tuple((item, item.port) for item in promised)
            return Plan(transports, clear=False, authenticate=True)
        if policy.encryption == "always" and not _discovering(path):
            raise ResolutionError(UNABLE_TO_CONFORM, "no accepted signal, and clear text is not allowed")
        if policy.scope == "zone" and self._others_offer(delegation, server):
            raise ResolutionError(UNABLE_TO_CONFORM, "other servers of the zone encrypt, this one does not")
        bold = policy.encryption == "opportunistic" and policy.fallback == "policy"
        if endpoint is not None and not endpoint.clear and not bold:
            raise ResolutionError(UNABLE_TO_CONFORM, "its delegation lists no transport that can be used")
        probe = any(signal.probes for signal in memory.configuration.signals)
        return Plan((), clear=True, probe=probe)

    def _following(self, offer: Offer, promised: bool, endpoint: Endpoint | None) -> Plan:
        """The plan that an offer leads to."""
        policy = self._memory.policy
        transports = self.spoken(offer)
        if not transports:
            raise ResolutionError(UNABLE_TO_CONFORM, f"{offer.signal} leaves no transport that we speak")
        demanded = policy.authentication == "required" or promised or offer.final
        checkable = self._checkable(offer)
        if policy.encryption == "always" and demanded and not checkable:
            raise ResolutionError(UNABLE_TO_CONFORM, "the server has no credential that we can check")
        fallback = policy.encryption == "opportunistic" or (
            policy.encryption == "signalled" and (offer.hint or not checkable)
        )
        if endpoint is not None and policy.fallback == "record":
            fallback = endpoint.clear and policy.encryption != "always"
        return Plan(
            transports,
            clear=fallback and not promised and not offer.final,
            offer=offer,
            authenticate=demanded and (checkable or promised),
        )

    def _checkable(self, offer: Offer) -> bool:
        """Whether a server may have a credential that the policy accepts, as far as was said.

        Who knows beforehand that it has none does not insist on one, just as draft-schwartz-ds-glue has
        resolvers not insist on a kind of authentication that the server does not offer.
        """
        if offer.identities or offer.tlsa or offer.credentials is None:
            return True
        return any(item in self._memory.policy.credentials for item in offer.credentials)

    def signalled(self, delegation: Delegation, server: dns.name.Name, path: Path) -> Task[Offer | None]:
        """What signals say about a server, as far as the policy looks at signals.

        Raises ResolutionError when a signal is withheld and the policy does not do without.
        """
        policy = self._memory.policy
        if policy.encryption == "never":
            return None
        try:
            return (yield from self.offer(delegation, server, path))
        except ResolutionError:
            if policy.encryption != "opportunistic":
                raise
            return None

    def spoken(self, offer: Offer) -> tuple[tuple[Transport, int], ...]:
        """The transports of an offer that we speak, in its order."""
        transports = self._memory.configuration.transports
        return tuple(pair for pair in offer.transports if pair[0] in transports)

    def _others_offer(self, delegation: Delegation, server: dns.name.Name) -> bool:
        others = (other for other in delegation.servers if other != server)
        offers = (self.known_offer(delegation, other) for other in others)
        return any(offer is not None and not offer.hint for offer in offers)

    def known_offer(self, delegation: Delegation, server: dns.name.Name) -> Offer | None:
        """What would count for a server among what is known without asking."""
        memory = self._memory
        now = memory.clock()
        preconfigured = memory.offers.get(server, PRECONFIGURED, now)
        if preconfigured is not None:
            return preconfigured
        for signal in memory.configuration.signals:
            offer = self._held(signal, delegation, server)
            if offer is not None and self.spoken(offer) and self._counts(signal, offer, server):
                return offer
        return None

    def offer(self, delegation: Delegation, server: dns.name.Name, path: Path) -> Task[Offer | None]:
        """The first offer, by the signals in order of preference, that the policy accepts and we can use."""
        memory = self._memory
        preconfigured = memory.offers.get(server, PRECONFIGURED, memory.clock())
        if preconfigured is not None:
            return preconfigured
        final = self._final_offer(delegation, server)
        if final is not None:
            return final
        for signal in memory.configuration.signals:
            offer = self._held(signal, delegation, server)
            if offer is None:
                offer = yield from self._learn(signal, delegation, server, path)
            if offer is not None and self.spoken(offer) and self._counts(signal, offer, server):
                return offer
        return None

    def _final_offer(self, delegation: Delegation, server: dns.name.Name) -> Offer | None:
        """A final offer that counts, whatever other signals say."""
        for signal in self._memory.configuration.signals:
            offer = self._held(signal, delegation, server)
            if offer is not None and offer.final and self._counts(signal, offer, server):
                return offer
        return None

    def _held(self, signal: Signal, delegation: Delegation, server: dns.name.Name) -> Offer | None:
        """What a signal said: with the delegation, in the server's name, of the zone or of the server."""
        endpoint = delegation.endpoints.get(server)
        if endpoint is not None and endpoint.offer is not None and endpoint.offer.signal == signal.name:
            return endpoint.offer
        for offer in delegation.offers:
            if offer.signal == signal.name:
                return offer
        named = signal.read_name(server, delegation)
        if named is not None:
            return named
        offers, now = self._memory.offers, self._memory.clock()
        of_zone = offers.of_zone(delegation.zone, signal.name, now)
        return of_zone or offers.get(server, signal.name, now, delegation.zone)

    def _counts(self, signal: Signal, offer: Offer, server: dns.name.Name) -> bool:
        policy = self._memory.policy
        if offer.standing >= _REQUIRED_STANDING[policy.accept] and offer.standing >= signal.least_standing:
            return True
        self._memory.note(
            "signal",
            f"{signal.name} for {sni_text(server)} does not count: it is {offer.standing.name.lower()}, "
            f"the policy wants {policy.accept}",
        )
        return False

    def _learn(
        self, signal: Signal, delegation: Delegation, server: dns.name.Name, path: Path
    ) -> Task[Offer | None]:
        """Find out what a signal says: by asking, or by going through the delegation that it rides in."""
        memory = self._memory
        if signal.discovers:
            return (yield from self._discover(signal, delegation, server, path))
        if signal.in_referral and not memory.offers.seen(server, memory.clock()):
            yield from self._visit(server, path)
            return self._held(signal, delegation, server)
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

    def _discover(
        self, signal: Signal, delegation: Delegation, server: dns.name.Name, path: Path
    ) -> Task[Offer | None]:
        """What a signal says when asked. Asking may need this very server: then nothing is known yet."""
        subject = delegation.zone if signal.about_zones else server
        work = ("discover", signal.name, subject)
        if work in path.pending:
            return None
        nested = path.enter(work)
        discovery = Once(work, lambda: self._discovery(signal, delegation, server, nested))
        if self._memory.policy.discovery == "asynchronous":
            yield Spawn(_quietly(discovery))
            return None
        offer: Offer | None = yield discovery
        return offer

    def _discovery(
        self, signal: Signal, delegation: Delegation, server: dns.name.Name, path: Path
    ) -> Task[Offer | None]:
        memory = self._memory
        subject = delegation.zone if signal.about_zones else server
        name = sni_text(subject)
        try:
            looked_for = signal.under(memory.policy)
            offer = yield from looked_for.discover(subject, self._lookup(path), memory.clock())
        except ResolutionError as error:
            if not memory.signed(subject):
                memory.note("signal", f"{signal.name} for {name}: none to be had, {error.text}")
                return None
            memory.note("signal", f"{signal.name} for {name}: withheld, {error.text}")
            raise
        if offer is not None:
            if signal.about_zones:
                memory.offers.learn_of_zone(subject, offer, memory.clock())
            else:
                memory.offers.learn(subject, offer, memory.clock())
            memory.note("signal", f"{signal.name} for {name}: {offer}")
        return offer


def _discovering(path: Path) -> bool:
    return any(isinstance(work, tuple) and work[0] == "discover" for work in path.pending)


def _quietly(discovery: Once) -> Task[None]:
    """Discover in the background, where a failure is nobody's business."""
    try:
        yield discovery
    except ResolutionError:
        return
