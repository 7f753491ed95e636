"""TLSA records about name servers, asked for before the name server is (RFC 6698, RFC 7671).

Who publishes the key with which a server speaks TLS says that it does, and over what: DoT is looked for at
``_853._tcp.<name server>``, DoQ at ``_853._udp``, DoH at ``_443._tcp``, where it takes a policy to say that
such a server is no mere web server. Each costs a query; a policy chooses.

The signal is the credential: who follows it asks for nothing else. It counts where DNSSEC validates it, and
nowhere else (RFC 6698 section 4.1): anybody could forge an unsigned one, with a key of their own.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Literal, cast

import dns.name
import dns.rdatatype
import dns.rrset
from dns.rdtypes.ANY.TLSA import TLSA
from pydantic import BaseModel, Field

from testbed.core import identity
from testbed.core.delegation import Offer
from testbed.core.policy import Policy
from testbed.core.resolver.cache import Security, Standing
from testbed.core.resolver.tasks import Task
from testbed.core.signal import Addition, DeployedServer, Deployment, Lookup, Parameters, Signal
from testbed.core.transport import Transport

USAGES = {"pkix-ee": identity.PKIX_EE, "dane-ta": identity.DANE_TA, "dane-ee": identity.DANE_EE}


class TlsaParameters(Parameters):
    """What the operators choose."""

    ttl: int = Field(3600, ge=0, description="TTL of the TLSA records, in seconds.")
    usage: Literal["pkix-ee", "dane-ta", "dane-ee"] = Field(
        "dane-ee",
        description="Certificate usage. The records hold the hash of a key: for dane-ta that of the last "
        "authority in the server's chain, otherwise the server's.",
    )


def make(
    server: DeployedServer, transport: Transport, port: int, parameters: TlsaParameters
) -> dns.rrset.RRset:
    """The TLSA RRset of a server for one of its transports: a SHA-256 hash of a key."""
    usage = USAGES[parameters.usage]
    certificate = server.chain[-1 if usage == identity.DANE_TA else 0]
    record = identity.tlsa(certificate, usage)
    owner = identity.tlsa_owner(server.name, port, transport.carrier)
    return dns.rrset.from_rdata(owner, parameters.ttl, record)


def read(rrset: dns.rrset.RRset) -> tuple[TLSA, ...]:
    """The records of a TLSA RRset, in an order that is always the same."""
    return tuple(sorted(cast(TLSA, rdata) for rdata in rrset))


class TlsaQuery(Signal):
    """The resolver asks synchronously: it waits for the TLSA answer before it asks anything else."""

    name = "tlsa-query"
    summary = "TLSA records about the name server, asked for"
    source = "RFC 6698, RFC 7671"
    discovers = True
    least_standing = Standing.VALIDATED
    Parameters = TlsaParameters

    def __init__(self, sought: Iterable[Transport] = (Transport.DOT,)) -> None:
        self._sought = tuple(sought)

    def under(self, policy: Policy) -> TlsaQuery:
        """The signal, looked for where the policy has it."""
        return TlsaQuery(map(Transport, policy.sought))

    def publish(self, deployment: Deployment, parameters: BaseModel) -> Iterable[Addition]:
        """TLSA records in the zones that hold the names of the servers that encrypt."""
        assert isinstance(parameters, TlsaParameters)
        for server in deployment.servers:
            zone = deployment.zone_of(server.name).origin
            for transport, port in server.offers:
                yield Addition(zone, make(server, transport, port, parameters))

    def discover(self, server: dns.name.Name, lookup: Lookup, now: float) -> Task[Offer | None]:
        """Ask for TLSA records until there are some; an absence is remembered as long as the answers may be.

        Where one answer is not validated, no other will be.
        """
        until, standing = math.inf, Standing.NONE
        for transport in self._sought:
            owner = identity.tlsa_owner(server, transport.port, transport.carrier)
            looked = yield from lookup(owner, dns.rdatatype.TLSA)
            until = min(until, looked.until)
            standing = Standing.VALIDATED if looked.security is Security.SECURE else looked.standing
            if standing is not Standing.VALIDATED:
                break
            if looked.rrset is not None:
                offered = ((transport, transport.port),)
                return Offer(self.name, offered, standing, looked.until, tlsa=read(looked.rrset))
        return Offer(self.name, (), standing, until)


SIGNAL = TlsaQuery()
