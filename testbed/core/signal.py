"""What a signal is: a way to announce that name servers offer encryption, and to learn of it.

A signal is one file in ``testbed/signals/`` with a module-level ``SIGNAL``, an instance of a subclass of
``Signal``. It has two halves. The operators' half, ``publish``, says which records go into which zones. The
resolver's half reads them: ``read_referral`` from what came with a referral, ``discover`` by asking.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import ClassVar, Protocol

import dns.name
import dns.rdatatype
import dns.rrset
from pydantic import BaseModel, ConfigDict

from testbed.core.delegation import Offer, Referral
from testbed.core.resolver.cache import Security, Standing
from testbed.core.resolver.tasks import Task
from testbed.core.transport import Transport


@dataclass(frozen=True, slots=True)
class DeployedServer:
    """A name server as its operator sees it: its name, addresses, and the encryption that it offers."""

    name: dns.name.Name
    addresses: tuple[str, ...]
    offers: tuple[tuple[Transport, int], ...]


@dataclass(frozen=True, slots=True)
class DeployedZone:
    """A zone as its operator sees it. ``parent`` is None for the root."""

    origin: dns.name.Name
    parent: dns.name.Name | None
    signed: bool
    servers: tuple[DeployedServer, ...]


@dataclass(frozen=True)
class Deployment:
    """All zones, for a signal to add its records to."""

    zones: tuple[DeployedZone, ...]

    @property
    def servers(self) -> tuple[DeployedServer, ...]:
        """Every name server once."""
        return tuple(dict.fromkeys(server for zone in self.zones for server in zone.servers))

    def zone_of(self, name: dns.name.Name) -> DeployedZone:
        """The zone that holds a name: the deepest one at or above it."""
        return max(
            (zone for zone in self.zones if name.is_subdomain(zone.origin)),
            key=lambda zone: len(zone.origin),
        )


@dataclass(frozen=True, slots=True)
class Addition:
    """Records that a signal adds to a zone."""

    zone: dns.name.Name
    rrset: dns.rrset.RRset


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
    in_referral: ClassVar[bool] = False
    """Whether it comes with the delegation of the zone that holds the server's name: ``read_referral``."""
    Parameters: ClassVar[type[BaseModel]] = Parameters

    def publish(self, deployment: Deployment, parameters: BaseModel) -> Iterable[Addition]:
        """The records that operators who use this signal add to their zones."""
        return ()

    def read_referral(self, referral: Referral, now: float) -> None:
        """Take what this signal finds in a referral: change its parts, or add to its offers."""

    def discover(self, server: dns.name.Name, lookup: Lookup, now: float) -> Task[Offer | None]:
        """Ask for what this signal publishes about a name server.

        None means that its absence was established, as far as that can be believed.
        """
        return None
        yield
