"""DELEG without transports: the base protocol, which reaches servers over Do53 only (draft-ietf-deleg).

A DELEG RRset at the zone cut takes the place of NS and glue for resolvers that set the DE bit. Others get
the NS records, if there are any. Published, this signal delegates without a word about encryption. A resolver
that looks for it understands the DELEG records of others, but none of the keys that list transports.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from typing import ClassVar, Literal

import dns.message
import dns.name
import dns.rdatatype
import dns.rrset
from pydantic import BaseModel, Field

from testbed.core.deleg import BASE, DE_FLAG, DELEGPARAM, Key, Record, UnusableError, read
from testbed.core.delegation import Endpoint, Offer, Referral, named_by
from testbed.core.rdata import ADT_FLAG
from testbed.core.resolver.cache import Security, Standing
from testbed.core.resolver.state import ResolutionError
from testbed.core.resolver.tasks import Task
from testbed.core.signal import (
    Addition,
    DeployedServer,
    DeployedZone,
    Deployment,
    Lookup,
    Parameters,
    Removal,
    Signal,
)

PARAM_LABEL = "_deleg"
"""Under this label, below a server's name, stand the DELEGPARAM records about it."""

MOST_INCLUDES = 8
"""DELEGPARAM RRsets that are asked for, all in all, for one delegation (draft-ietf-deleg section 7.1)."""

RETRY = 30.0
"""Seconds for which a delegation is used of which some part could not be had (RFC 9520 section 3.2)."""

Form = Literal["server-name", "addresses", "include-delegparam"]


class DelegBaseParameters(Parameters):
    """What the operators choose."""

    ttl: int = Field(3600, ge=0, description="TTL of the records, in seconds.")
    form: Form = Field(
        "server-name",
        description="What the records give: names of servers, their addresses, or names of DELEGPARAM "
        "records. Names inside the delegated zone are not allowed; there it is addresses.",
    )
    also_ns: bool = Field(True, description="Whether there are NS records for other resolvers.")
    adt: bool = Field(True, description="Whether signed zones with DELEG records set the ADT flag.")


@dataclass(frozen=True, slots=True)
class Source:
    """Where a record comes from: how far it can be believed, and until when."""

    standing: Standing
    until: float


class DelegBase(Signal):
    """Zones whose servers encrypt are delegated with DELEG records; to no avail, as these speak of Do53."""

    name = "deleg-base"
    summary = "DELEG records, of which only Do53 is understood"
    source = "draft-ietf-deleg; draft-ietf-dnsop-delext"
    extended = True
    Parameters = DelegBaseParameters
    known: ClassVar[frozenset[Key]] = BASE
    """The keys that the resolver understands."""

    # -- operators ---------------------------------------------------------------------------------

    def publish(self, deployment: Deployment, parameters: BaseModel) -> Iterable[Addition | Removal]:
        """DELEG records in the parents of zones of which a server encrypts; DELEGPARAM if so chosen."""
        assert isinstance(parameters, DelegBaseParameters)
        if parameters.form == "include-delegparam":
            yield from self._params(deployment, parameters)
        for zone in _delegated(deployment):
            assert zone.parent is not None
            rdatas = [
                record.rdata() for server in zone.servers for record in self._about(server, zone, parameters)
            ]
            yield Addition(zone.parent, dns.rrset.from_rdata_list(zone.origin, parameters.ttl, rdatas))
            if not parameters.also_ns:
                yield Removal(zone.parent, zone.origin, dns.rdatatype.NS)

    def key_flags(self, zone: dns.name.Name, deployment: Deployment, parameters: BaseModel) -> int:
        """ADT, which zones with DELEG records must set (draft-ietf-dnsop-delext section 8.2.1)."""
        assert isinstance(parameters, DelegBaseParameters)
        holds = any(child.parent == zone for child in _delegated(deployment))
        return ADT_FLAG if parameters.adt and holds else 0

    def _about(
        self, server: DeployedServer, zone: DeployedZone, parameters: DelegBaseParameters
    ) -> Iterable[Record]:
        """The records about a server in the delegation of a zone."""
        if parameters.form == "addresses" or server.name.is_subdomain(zone.origin):
            return self.describe(server, Record(addresses=server.addresses), parameters)
        if parameters.form == "include-delegparam" and server.offers:
            return (Record(includes=(_param_owner(server),)),)
        return self.describe(server, Record(names=(server.name,)), parameters)

    def _params(self, deployment: Deployment, parameters: DelegBaseParameters) -> Iterator[Addition]:
        for server in deployment.servers:
            if server.offers:
                owner = _param_owner(server)
                records = self.describe(server, Record(names=(server.name,)), parameters)
                rdatas = [record.rdata(DELEGPARAM) for record in records]
                rrset = dns.rrset.from_rdata_list(owner, parameters.ttl, rdatas)
                yield Addition(deployment.zone_of(owner).origin, rrset)

    def describe(
        self, server: DeployedServer, plain: Record, parameters: DelegBaseParameters
    ) -> Iterable[Record]:
        """The records that describe a server; ``plain`` is the one that only says where it is."""
        return (plain,)

    # -- resolvers ---------------------------------------------------------------------------------

    def dress(self, query: dns.message.Message) -> None:
        """Set the DE bit."""
        query.ednsflags |= DE_FLAG

    def complete_referral(self, referral: Referral, lookup: Lookup, now: float) -> Task[None]:
        """Take servers from DELEG records, and from the DELEGPARAM records that they include.

        Where that leaves none, there are none: nothing stands in for DELEG records.
        """
        if referral.deleg is None or referral.endpoints:
            return
        pending = [(referral.deleg, Source(referral.servers_standing, referral.until))]
        asked: set[dns.name.Name] = set()
        while pending:
            rrset, source = pending.pop(0)
            for record in self._usable(rrset, referral):
                self._take(record, source, referral)
                for name in record.includes:
                    if name not in asked and len(asked) < MOST_INCLUDES:
                        asked.add(name)
                        pending += yield from _include(name, source, referral, lookup, now)
        referral.servers = tuple(referral.endpoints)

    def _usable(self, rrset: dns.rrset.RRset, referral: Referral) -> Iterator[Record]:
        for rdata in rrset:
            try:
                yield read(rdata.to_wire() or b"", referral.zone, self.known)
            except UnusableError as error:
                referral.notes.append(f"a DELEG record is skipped: {error}")

    def _take(self, record: Record, source: Source, referral: Referral) -> None:
        """Add the servers that a record gives to those that others gave."""
        offer = self.offer(record, source, referral)
        for address in record.addresses:
            _add(referral, named_by(address), Endpoint((address,), offer, clear=offer is None))
        for name in record.names:
            _add(referral, name, Endpoint((), offer, clear=offer is None))

    def offer(self, record: Record, source: Source, referral: Referral) -> Offer | None:
        """The encryption that a record lists; None where it is about Do53."""
        return None


def _include(
    name: dns.name.Name, source: Source, referral: Referral, lookup: Lookup, now: float
) -> Task[list[tuple[dns.rrset.RRset, Source]]]:
    """The DELEGPARAM RRset of a name, if it can be had; if not, the delegation is not kept for long."""
    try:
        looked = yield from lookup(name, DELEGPARAM)
    except ResolutionError as error:
        referral.notes.append(f"DELEGPARAM records at {name} are not to be had: {error.text}")
        referral.until = min(referral.until, now + RETRY)
        return []
    referral.until = min(referral.until, looked.until)
    if looked.rrset is None:
        referral.notes.append(f"there are no DELEGPARAM records at {name}")
        return []
    own = Standing.VALIDATED if looked.security is Security.SECURE else looked.standing
    return [(looked.rrset, Source(min(source.standing, own), looked.until))]


def _add(referral: Referral, server: dns.name.Name, endpoint: Endpoint) -> None:
    """Note a server. What several records list for one adds up."""
    known = referral.endpoints.get(server)
    if known is not None:
        offer = known.offer or endpoint.offer
        if known.offer is not None and endpoint.offer is not None:
            transports = dict.fromkeys((*known.offer.transports, *endpoint.offer.transports))
            tlsa = dict.fromkeys((*known.offer.tlsa, *endpoint.offer.tlsa))
            offer = replace(known.offer, transports=tuple(transports), tlsa=tuple(tlsa))
        endpoint = Endpoint(endpoint.addresses, offer, known.clear or endpoint.clear)
    referral.endpoints[server] = endpoint
    listed = [str(endpoint.offer)] if endpoint.offer is not None else []
    listed += ["Do53"] if endpoint.clear else []
    where = endpoint.addresses[0] if endpoint.addresses else server.to_text(omit_final_dot=True)
    referral.notes.append(f"DELEG lists {' and '.join(listed)} for {where}")


def _delegated(deployment: Deployment) -> Iterator[DeployedZone]:
    """The zones that are delegated with DELEG records."""
    for zone in deployment.zones:
        if zone.parent is not None and any(server.offers for server in zone.servers):
            yield zone


def _param_owner(server: DeployedServer) -> dns.name.Name:
    return dns.name.Name((PARAM_LABEL.encode(), *server.name.labels))


SIGNAL = DelegBase()
