"""What a resolver is configured with, what it has in memory, and what one resolution may spend."""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Hashable, Iterable
from dataclasses import dataclass, field

import dns.message
import dns.name
import dns.rdatatype
import dns.rrset
from cryptography import x509

from testbed.core.delegation import Delegation, Offer, Offers
from testbed.core.dohpath import DEFAULT_PATH
from testbed.core.message import report_channel
from testbed.core.policy import CommitmentKey, Policy
from testbed.core.probing import Prober
from testbed.core.resolver.cache import Cache, Key, Security, Standing
from testbed.core.resolver.requests import Session, sni_text
from testbed.core.signal import Heard, Signal
from testbed.core.transport import Transport

QUERIES_PER_RESOLUTION = 100
"""Upstream queries that one client query may cause, all in all, before it is given up."""

NESTED_RESOLUTIONS = 12
"""How deep resolutions of name server addresses and signals may nest."""

ALIASES = 12
"""CNAME and DNAME records that are followed for one query."""


PRECONFIGURED = "preconfigured"
"""Name of the signal that comes with the resolver's root hints."""


class ResolutionError(Exception):
    """A name could not be resolved. ``code`` is an extended DNS error (RFC 8914), ``text`` says why.

    ``subject`` is the name and type whose resolution failed, where that is known.
    """

    def __init__(self, code: int, text: str) -> None:
        super().__init__(text)
        self.code = code
        self.text = text
        self.subject: Key | None = None


class CircleError(ResolutionError):
    """Work needs itself, or is nested too deep. That is no property of the name, and is not remembered."""


@dataclass(frozen=True)
class RootServer:
    """A root server from the resolver's hints, or a source of copies of the root zone (RFC 8806).

    ``offers`` is the encryption that it is known to offer, if any, ``path`` where it has DoH.
    """

    name: dns.name.Name
    addresses: tuple[str, ...]
    offers: tuple[tuple[Transport, int], ...] = ()
    path: str = DEFAULT_PATH


@dataclass(frozen=True)
class Configuration:
    """What a resolver is started with.

    ``trust_anchor`` is the DS RRset of the root, None when the resolver is not to validate. ``authorities``
    are the certificates of the CAs that it trusts. ``transports`` are the encrypted ones it speaks.
    ``root_sources`` are where it may get copies of the root zone.
    """

    policy: Policy
    roots: tuple[RootServer, ...]
    trust_anchor: dns.rrset.RRset | None
    authorities: tuple[x509.Certificate, ...]
    signals: tuple[Signal, ...]
    transports: tuple[Transport, ...] = (Transport.DOT,)
    families: tuple[int, ...] = (4, 6)
    root_sources: tuple[RootServer, ...] = ()


@dataclass(frozen=True, slots=True)
class ZoneKeys:
    """The validated DNSKEY RRset of a zone; None says that the zone is insecure.

    ``adt`` says whether the zone is held to a promise to prove in referrals which Delegation Types there are.
    """

    keys: dns.rrset.RRset | None
    until: float
    adt: bool = False

    @property
    def security(self) -> Security:
        """SECURE with keys, INSECURE without."""
        return Security.SECURE if self.keys is not None else Security.INSECURE


@dataclass(frozen=True, slots=True)
class TraceEvent:
    """One decision of the resolver, in its own words."""

    time: float
    kind: str
    text: str
    server: str | None = None
    transport: str | None = None
    authenticated: bool | None = None


@dataclass(frozen=True, slots=True)
class Promise:
    """A server's promise to encrypt, until when, and over what it was made."""

    until: float
    transport: Transport


@dataclass
class Memory:
    """Everything that a resolver remembers between queries.

    What is remembered ages by ``clock``. Signatures and certificates are looked at by ``time_of_day``.
    """

    configuration: Configuration
    steady_clock: Callable[[], float]
    rng: random.Random
    time_of_day: Callable[[], float]
    cache: Cache = field(default_factory=Cache)
    offers: Offers = field(default_factory=Offers)
    delegations: dict[dns.name.Name, Delegation] = field(default_factory=dict)
    keys: dict[dns.name.Name, ZoneKeys] = field(default_factory=dict)
    sessions: dict[tuple[str, int, Transport, str | None, str | None], Session] = field(default_factory=dict)
    """By address, port, transport, the server's name as in SNI, and the path of DoH."""
    unreachable: dict[Hashable, float] = field(default_factory=dict)
    trace: list[TraceEvent] = field(default_factory=list)
    hints: dict[tuple[dns.name.Name, dns.rdatatype.RdataType], list[str]] = field(default_factory=dict)
    places: dict[str, float] = field(default_factory=dict)
    promises: dict[Hashable, Promise] = field(default_factory=dict)
    agents: dict[dns.name.Name, dns.name.Name] = field(default_factory=dict)
    """By zone, whom its servers want failures to be reported to (RFC 9567)."""
    prober: Prober = field(init=False)
    clock: Callable[[], float] = field(init=False)
    _last_id: int | None = None
    _port: int | None = None

    def __post_init__(self) -> None:
        by_wall_clock = self.policy.timers == "wall-clock"
        self.clock = self.time_of_day if by_wall_clock else self.steady_clock
        self.prober = Prober(self.probed)
        self._prime()

    def _prime(self) -> None:
        """Take in the root hints, with what comes preconfigured about root servers."""
        configuration = self.configuration
        for root in configuration.roots:
            for address in root.addresses:
                rdtype = dns.rdatatype.AAAA if ":" in address else dns.rdatatype.A
                self.hints.setdefault((root.name, rdtype), []).append(address)
            # No delegation on the way to a root server could say anything before one is asked.
            self.offers.see(root.name, math.inf)
            if configuration.policy.preconfigured_root and root.offers:
                offer = Offer(PRECONFIGURED, root.offers, Standing.VALIDATED, math.inf, path=root.path)
                self.offers.learn(root.name, offer, 0.0)
        self.delegations[dns.name.root] = Delegation(
            zone=dns.name.root,
            servers=tuple(root.name for root in configuration.roots),
            ds=configuration.trust_anchor,
            security=Security.INSECURE if configuration.trust_anchor is None else Security.SECURE,
            standing=Standing.VALIDATED,
            until=math.inf,
        )

    @property
    def policy(self) -> Policy:
        """The policy in force."""
        return self.configuration.policy

    def next_id(self) -> int:
        """The message ID for the next query."""
        if self.policy.message_ids == "random" or self._last_id is None:
            self._last_id = self.rng.getrandbits(16)
        else:
            self._last_id = (self._last_id + 1) % 2**16
        return self._last_id

    def next_port(self) -> int:
        """The UDP port that the next query is to go out from."""
        if self.policy.source_ports == "random" or self._port is None:
            self._port = self.rng.randrange(1024, 65536)
        return self._port

    @property
    def probed(self) -> tuple[Transport, ...]:
        """The transports that are tried where nothing is known of a server, best first."""
        spoken = self.configuration.transports
        return tuple(Transport(item) for item in self.policy.probing if item in spoken)

    @property
    def extended(self) -> bool:
        """Whether delegations may be made of other types than NS."""
        return any(signal.extended for signal in self.configuration.signals)

    def addresses(self, server: dns.name.Name) -> list[str]:
        """The addresses of a name server that are at hand: from answers, else from glue, else from hints."""
        now = self.clock()
        found: list[str] = []
        for family, rdtype in ((4, dns.rdatatype.A), (6, dns.rdatatype.AAAA)):
            if family not in self.configuration.families:
                continue
            known = self.cache.get_way(server, rdtype, now)
            if known is not None:
                found += [rdata.address for rdata in known.rrset]
            else:
                found += self.hints.get((server, rdtype), [])
        return found

    def reachable(self, addresses: Iterable[str]) -> list[str]:
        """Those addresses that are of an IP version that the resolver has."""
        return [item for item in addresses if (6 if ":" in item else 4) in self.configuration.families]

    def signed(self, name: dns.name.Name) -> bool:
        """Whether the zone that holds a name is signed, as far as is known.

        Only then does a failed lookup mean that something is withheld (RFC 9460 section 3.1).
        """
        return self.delegations[self.zone_of(name)].security is Security.SECURE

    def zone_of(self, name: dns.name.Name) -> dns.name.Name:
        """The zone that holds a name, as far as is known."""
        parents = (name.split(depth)[1] for depth in range(len(name), 0, -1))
        return next(parent for parent in parents if parent in self.delegations)

    def hear_agent(self, zone: dns.name.Name, response: dns.message.Message) -> None:
        """Remember whom a server of a zone names in a response, the last one instead of those before."""
        agent = report_channel(response)
        if agent is not None:
            self.agents[zone] = agent
        else:
            self.agents.pop(zone, None)

    def accept_promise(self, heard: Heard, now: float) -> None:
        """Remember a server's promise to encrypt, if the policy accepts it from where it came.

        The latest one counts, also where it is for a shorter time; one for no time at all takes back what was
        promised (RFC 6797 section 6.1.1).
        """
        policy = self.policy
        needed = {"authenticated": heard.standing >= Standing.LINK, "encrypted": heard.transport.encrypted}
        if policy.commitment == "none" or not needed.get(policy.commitment_from, True):
            return
        assert heard.promise is not None
        key = _promise_key(policy.commitment, heard.zone, heard.server, heard.address)
        if heard.promise:
            self.promises[key] = Promise(now + heard.promise, heard.transport)
            said = f"promises to encrypt for {heard.promise} s, kept for the {policy.commitment}"
        else:
            self.promises.pop(key, None)
            said = "takes back its promise to encrypt"
        self.note(
            "promise",
            f"{sni_text(heard.server)} at {heard.address} {said}",
            server=heard.address,
            transport=heard.transport,
        )

    def promised(self, zone: dns.name.Name, server: dns.name.Name, address: str) -> tuple[Transport, ...]:
        """Over what a server has promised to encrypt; nothing where no promise is in force.

        Promises are kept for whatever the policy says. One that was made in clear names no transport.
        """
        if self.policy.commitment == "none":
            return ()
        promise = self.promises.get(_promise_key(self.policy.commitment, zone, server, address))
        if promise is None or promise.until <= self.clock():
            return ()
        return (promise.transport,) if promise.transport.encrypted else self.probed

    def in_order(self, addresses: list[str]) -> list[str]:
        """Addresses in an order that is random, but stays, so that sessions are used again."""
        for address in addresses:
            if address not in self.places:
                self.places[address] = self.rng.random()
        return sorted(addresses, key=lambda address: self.places[address])

    def address_ttl(self, server: dns.name.Name) -> float:
        """Seconds until the first of a name server's addresses that are at hand expires."""
        now = self.clock()
        known = (self.cache.get(server, t, now) for t in (dns.rdatatype.A, dns.rdatatype.AAAA))
        return min((entry.expires - now for entry in known if entry is not None), default=0.0)

    def note(
        self,
        kind: str,
        text: str,
        *,
        server: str | None = None,
        transport: Transport | None = None,
        authenticated: bool | None = None,
    ) -> None:
        """Add a decision to the trace."""
        where = transport.value if transport is not None else None
        self.trace.append(TraceEvent(self.steady_clock(), kind, text, server, where, authenticated))

    def inherit(self, former: Memory) -> None:
        """Know of servers what was known before a restart: by probing, and by their promises."""
        self.prober = former.prober
        self.prober.restart()
        self.promises = former.promises

    def flush(self) -> None:
        """Forget data, delegations, keys and failures; sessions and probing state stay."""
        self.cache.flush()
        self.offers = Offers()
        self.delegations.clear()
        self.keys.clear()
        self.unreachable.clear()
        self.agents.clear()
        self._prime()


def _promise_key(
    kept_for: CommitmentKey, zone: dns.name.Name, server: dns.name.Name, address: str
) -> Hashable:
    """What a promise is remembered under."""
    match kept_for:
        case "zone":
            return zone
        case "address":
            return address
        case _:
            return server


@dataclass(slots=True)
class Effort:
    """What one client query has spent, all in all."""

    queries: int = 0

    def spend(self) -> None:
        """Count an upstream query. Raises ResolutionError when it is one too many."""
        self.queries += 1
        if self.queries > QUERIES_PER_RESOLUTION:
            raise ResolutionError(0, f"gave up after {QUERIES_PER_RESOLUTION} queries")


@dataclass(frozen=True, slots=True)
class Path:
    """Where in the tree of nested work a task is, so that circles are seen.

    ``pending`` holds what is being worked on by the task and by those that wait for it. ``by_stream`` has
    clear text go over TCP.
    """

    effort: Effort
    depth: int = 0
    pending: frozenset[object] = frozenset()
    by_stream: bool = False

    def enter(self, work: object) -> Path:
        """The path of work nested in this one. Raises CircleError when that closes a circle."""
        if work in self.pending:
            raise CircleError(0, f"needs itself: {work}")
        if self.depth >= NESTED_RESOLUTIONS:
            raise CircleError(0, f"nested deeper than {NESTED_RESOLUTIONS}: {work}")
        return Path(self.effort, self.depth + 1, self.pending | {work}, self.by_stream)
