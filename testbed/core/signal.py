"""What a signal is: a way to announce that name servers offer encryption, and to learn of it.

A signal is one file in ``testbed/signals/`` with a module-level ``SIGNAL``, an instance of a subclass of
``Signal``. It has two halves. The operators' half, ``publish``, says which records go into which zones. The
resolver's half reads them: ``read_referral`` from what came with a referral, ``discover`` by asking.
"""

from __future__ import annotations

import functools
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, ClassVar, Protocol

import dns.message
import dns.name
import dns.rdatatype
import dns.rrset
from pydantic import BaseModel, ConfigDict

from testbed.core.authoritative import ResponseExtension, Statement
from testbed.core.delegation import Delegation, Offer, Referral
from testbed.core.dohpath import DEFAULT_PATH
from testbed.core.policy import Policy
from testbed.core.resolver.cache import Security, Standing
from testbed.core.resolver.tasks import Task
from testbed.core.transport import Transport
from testbed.core.zone import Zone

if TYPE_CHECKING:
    from cryptography import x509


@dataclass(frozen=True, slots=True)
class DeployedServer:
    """A name server as its operator sees it: its name, addresses, and the encryption that it offers.

    ``chain`` holds its certificates, leaf first; empty where it offers no encryption. ``path`` is where
    it has DoH.
    """

    name: dns.name.Name
    addresses: tuple[str, ...]
    offers: tuple[tuple[Transport, int], ...]
    chain: tuple[x509.Certificate, ...] = ()
    path: str = DEFAULT_PATH

    @property
    def usual(self) -> tuple[Transport, ...]:
        """The transports that it offers where resolvers expect them: at the default port and path."""
        return tuple(
            transport
            for transport, port in self.offers
            if port == transport.port and (not transport.http or self.path == DEFAULT_PATH)
        )


@dataclass(frozen=True, slots=True)
class DeployedZone:
    """A zone as its operator sees it. ``parent`` is None for the root."""

    origin: dns.name.Name
    parent: dns.name.Name | None
    signed: bool
    servers: tuple[DeployedServer, ...]


@dataclass(frozen=True)
class Deployment:
    """All zones, for a signal to add its records to. There may be thousands, most of them on one server."""

    zones: tuple[DeployedZone, ...]

    @functools.cached_property
    def servers(self) -> tuple[DeployedServer, ...]:
        """Every name server once."""
        shared = {id(zone.servers): zone.servers for zone in self.zones}
        return tuple(dict.fromkeys(server for servers in shared.values() for server in servers))

    @functools.cached_property
    def _by_origin(self) -> dict[dns.name.Name, DeployedZone]:
        return {zone.origin: zone for zone in self.zones}

    def zone_of(self, name: dns.name.Name) -> DeployedZone:
        """The zone that holds a name: the deepest one at or above it."""
        while name not in self._by_origin:
            name = name.parent()
        return self._by_origin[name]


@dataclass(frozen=True, slots=True)
class Addition:
    """Records that a signal adds to a zone."""

    zone: dns.name.Name
    rrset: dns.rrset.RRset


@dataclass(frozen=True, slots=True)
class Removal:
    """An RRset that a signal takes out of a zone."""

    zone: dns.name.Name
    name: dns.name.Name
    rdtype: dns.rdatatype.RdataType


@dataclass(slots=True)
class Heard:
    """A response as signals see it in passing. ``standing`` is that of whatever is unsigned in it.

    ``promise`` is for how many seconds the server promises to encrypt, if it does.
    """

    zone: dns.name.Name
    server: dns.name.Name
    address: str
    transport: Transport
    standing: Standing
    message: dns.message.Message
    offers: list[tuple[dns.name.Name, Offer]] = field(default_factory=list)
    promise: int | None = None


@dataclass(frozen=True, slots=True)
class Looked:
    """Result of a lookup that a signal asked for. ``rrset`` is None when the absence was established."""

    rrset: dns.rrset.RRset | None
    security: Security
    standing: Standing
    until: float


class Lookup(Protocol):
    """How a signal asks a question of its own.

    Raises ResolutionError when there is no usable answer: bogus data, or no server that gave any.
    """

    def __call__(self, name: dns.name.Name, rdtype: dns.rdatatype.RdataType) -> Task[Looked]:
        """Resolve a name and type."""


class Parameters(BaseModel):
    """Base of a signal's parameters: what ``world.signal`` may set for it."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Signal:
    """Base of all signals. Most override ``publish`` and one of the two ways to learn."""

    name: ClassVar[str]
    summary: ClassVar[str]
    source: ClassVar[str]
    """The RFC or draft that describes it."""
    probes: ClassVar[bool] = False
    """Whether it consists in trying encryption unasked (RFC 9539)."""
    discovers: ClassVar[bool] = False
    """Whether it has to be asked for: ``discover``."""
    about_zones: ClassVar[bool] = False
    """Whether what is asked for is about a zone's servers together, and not about one of them."""
    least_standing: ClassVar[Standing] = Standing.NONE
    """What it takes for the signal to count at all, whatever the policy accepts."""
    in_referral: ClassVar[bool] = False
    """Whether it comes with the delegation of the zone that holds the server's name: ``read_referral``."""
    extended: ClassVar[bool] = False
    """Whether delegations may be made of other types than NS (draft-ietf-dnsop-delext)."""
    Parameters: ClassVar[type[BaseModel]] = Parameters

    def publish(self, deployment: Deployment, parameters: BaseModel) -> Iterable[Addition | Removal]:
        """The records that operators who use this signal add to their zones, and those that they take out."""
        return ()

    def key_flags(self, zone: dns.name.Name, deployment: Deployment, parameters: BaseModel) -> int:
        """DNSKEY flags that the keys of a signed zone have beside the usual ones."""
        return 0

    def extend(self, deployment: Deployment, parameters: BaseModel) -> ResponseExtension | None:
        """What servers add to their responses, if anything."""
        return None

    def speak(self, server: DeployedServer, home: Zone, parameters: BaseModel) -> Statement | None:
        """What a server adds to its own responses, if anything.

        ``home`` is the zone that holds the server's name, as it is served.
        """
        return None

    def rename(self, server: DeployedServer, parameters: BaseModel) -> dns.name.Name | None:
        """Another name for a server that encrypts, under which zones are delegated to it, if it needs one."""
        return None

    def under(self, policy: Policy) -> Signal:
        """The signal as a resolver with this policy looks for it."""
        return self

    def dress(self, query: dns.message.Message) -> None:
        """Add to a query what the signal needs: an EDNS option or a flag."""

    def read_response(self, heard: Heard, now: float) -> None:
        """Take what a server says of itself in any response: add to its offers, or set its promise."""

    def read_name(self, server: dns.name.Name, delegation: Delegation) -> Offer | None:
        """What a name server's name itself says; it is as good as the delegation that it was taken from."""
        return None

    def read_referral(self, referral: Referral, now: float) -> None:
        """Take what this signal finds in a referral: change its parts, or add to its offers."""

    def complete_referral(self, referral: Referral, lookup: Lookup, now: float) -> Task[None]:
        """Ask for what a referral only points to, and take that."""
        return
        yield

    def discover(self, server: dns.name.Name, lookup: Lookup, now: float) -> Task[Offer | None]:
        """Ask for what this signal publishes about a name server.

        None means that its absence was established, as far as that can be believed.
        """
        return None
        yield
