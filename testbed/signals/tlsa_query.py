"""TLSA records at ``_853._tcp.<name server>``, asked for before the name server is (RFC 6698, RFC 7671).

Who publishes the key with which a server speaks TLS says that it does. The signal is the credential: who
follows it asks for nothing else. It counts where DNSSEC validates it, and nowhere else (RFC 6698 section
4.1): anybody could forge an unsigned one, with a key of their own.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal, cast

import dns.name
import dns.rdatatype
import dns.rrset
from dns.rdtypes.ANY.TLSA import TLSA
from pydantic import BaseModel, Field

from testbed.core import identity
from testbed.core.delegation import Offer
from testbed.core.resolver.cache import Security, Standing
from testbed.core.resolver.tasks import Task
from testbed.core.signal import Addition, DeployedServer, Deployment, Lookup, Parameters, Signal
from testbed.core.transport import Transport

DOT = (Transport.DOT, Transport.DOT.port)
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
    protocol = "udp" if transport is Transport.DOQ else "tcp"
    return dns.rrset.from_rdata(identity.tlsa_owner(server.name, port, protocol), parameters.ttl, record)


def read(rrset: dns.rrset.RRset) -> tuple[TLSA, ...]:
    """The records of a TLSA RRset, in an order that is always the same."""
    return tuple(sorted(cast(TLSA, rdata) for rdata in rrset))


class TlsaQuery(Signal):
    """The resolver asks synchronously: it waits for the TLSA answer before it asks anything else."""

    name = "tlsa-query"
    summary = "TLSA records at _853._tcp.<name server>, asked for"
    source = "RFC 6698, RFC 7671"
    discovers = True
    least_standing = Standing.VALIDATED
    Parameters = TlsaParameters

    def publish(self, deployment: Deployment, parameters: BaseModel) -> Iterable[Addition]:
        """TLSA records in the zones that hold the names of the servers that encrypt."""
        assert isinstance(parameters, TlsaParameters)
        for server in deployment.servers:
            zone = deployment.zone_of(server.name).origin
            for transport, port in server.offers:
                yield Addition(zone, make(server, transport, port, parameters))

    def discover(self, server: dns.name.Name, lookup: Lookup, now: float) -> Task[Offer | None]:
        """Ask for the TLSA records for DoT; an absence is remembered as long as the answer may be."""
        looked = yield from lookup(identity.tlsa_owner(server, Transport.DOT.port), dns.rdatatype.TLSA)
        standing = Standing.VALIDATED if looked.security is Security.SECURE else looked.standing
        if looked.rrset is None or standing is not Standing.VALIDATED:
            return Offer(self.name, (), standing, looked.until)
        return Offer(self.name, (DOT,), standing, looked.until, tlsa=read(looked.rrset))


SIGNAL = TlsaQuery()
