"""A signal in the zone itself: SVCB records at ``_dns.<zone>``, about all of the zone's servers together.

No parent has to take part. But somebody has to be asked for it, and that is the very server that is to be
asked over TLS: at first contact the query for the signal goes out in clear, and names the zone. There is no
draft of it; the records are those of RFC 9461, at the name of a zone instead of a server's, with target ".".
"""

from collections.abc import Iterable

import dns.name
import dns.rdatatype
from pydantic import BaseModel, Field

from testbed.core import svcb
from testbed.core.delegation import Offer
from testbed.core.resolver.cache import Security, Standing
from testbed.core.resolver.tasks import Task
from testbed.core.signal import Addition, DeployedZone, Deployment, Lookup, Parameters, Signal
from testbed.core.transport import Transport


class ChildSignalParameters(Parameters):
    """What the operators choose."""

    ttl: int = Field(3600, ge=0, description="TTL of the SVCB records, in seconds.")


class ChildSignal(Signal):
    """Each zone says of its own servers that they encrypt; asked for before anything else in the zone is."""

    name = "child-signal"
    summary = "SVCB records at _dns.<zone>, asked for from the zone's own servers"
    source = "RFC 9461, for a zone instead of a server"
    discovers = True
    about_zones = True
    Parameters = ChildSignalParameters

    def publish(self, deployment: Deployment, parameters: BaseModel) -> Iterable[Addition]:
        """SVCB records in each zone whose servers all encrypt."""
        assert isinstance(parameters, ChildSignalParameters)
        for zone in deployment.zones:
            offers = _in_common(zone)
            if offers:
                owner = svcb.owner(zone.origin)
                path = zone.servers[0].path
                rrset = svcb.make(dns.name.root, offers, parameters.ttl, owner, path=path)
                yield Addition(zone.origin, rrset)

    def discover(self, server: dns.name.Name, lookup: Lookup, now: float) -> Task[Offer | None]:
        """Ask for the SVCB records of a zone; an absence is remembered as long as the answer may be."""
        looked = yield from lookup(svcb.owner(server), dns.rdatatype.SVCB)
        standing = Standing.VALIDATED if looked.security is Security.SECURE else looked.standing
        return svcb.offer(self.name, dns.name.root, looked.rrset, standing, looked.until)


def _in_common(zone: DeployedZone) -> tuple[tuple[Transport, int], ...]:
    """What every server of a zone offers, in the order of the first; DoH at its path."""
    first, *others = zone.servers
    return tuple(
        (transport, port)
        for transport, port in first.offers
        if all((transport, port) in other.offers for other in others)
        and (not transport.http or all(other.path == first.path for other in others))
    )


SIGNAL = ChildSignal()
