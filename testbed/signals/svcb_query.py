"""SVCB records at ``_dns.<name server>``, asked for before the name server is (RFC 9461).

Nothing has to change in any parent zone. The price is a query more, and that the answer is only as good as
the signatures of the zone that holds the name server's name.

A certificate that the resolver cannot check is as good as none. So that it knows beforehand, the records may
name the credentials that a server has, in a parameter of our own (``svcb.CREDENTIALS_KEY``). A resolver then
tries these and no others; where it can check none of them, it does not insist on authentication, unless its
policy allows no clear text at all: then it does without the server.
"""

from collections.abc import Iterable
from dataclasses import replace

import dns.name
import dns.rdatatype
from pydantic import BaseModel, Field

from testbed.core import svcb
from testbed.core.delegation import Offer
from testbed.core.policy import Credential
from testbed.core.resolver.cache import Security, Standing
from testbed.core.resolver.tasks import Task
from testbed.core.signal import Addition, Deployment, Lookup, Parameters, Signal


class SvcbParameters(Parameters):
    """What the operators choose."""

    ttl: int = Field(3600, ge=0, description="TTL of the SVCB records, in seconds.")
    credentials: tuple[Credential, ...] | None = Field(
        None,
        description="Credentials that the records name as those of the servers; they name none if left out.",
    )


class SvcbQuery(Signal):
    """The resolver asks synchronously: it waits for the SVCB answer before it asks anything else."""

    name = "svcb-query"
    summary = "SVCB records at _dns.<name server>, asked for"
    source = "RFC 9461"
    discovers = True
    Parameters = SvcbParameters

    def publish(self, deployment: Deployment, parameters: BaseModel) -> Iterable[Addition]:
        """SVCB records in the zones that hold the names of the servers that encrypt."""
        assert isinstance(parameters, SvcbParameters)
        for server in deployment.servers:
            if server.offers:
                owner = svcb.owner(server.name)
                rrset = svcb.make(
                    server.name, server.offers, parameters.ttl, owner, parameters.credentials, server.path
                )
                yield Addition(deployment.zone_of(server.name).origin, rrset)

    def discover(self, server: dns.name.Name, lookup: Lookup, now: float) -> Task[Offer | None]:
        """Ask for the SVCB records; an absence is remembered as long as the answer may be."""
        looked = yield from lookup(svcb.owner(server), dns.rdatatype.SVCB)
        standing = Standing.VALIDATED if looked.security is Security.SECURE else looked.standing
        offer = svcb.offer(self.name, server, looked.rrset, standing, looked.until)
        if looked.rrset is None:
            return offer
        return replace(offer, credentials=svcb.credentials(server, looked.rrset))


SIGNAL = SvcbQuery()
