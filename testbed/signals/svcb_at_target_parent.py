"""SVCB records of a zone's name servers in the referral to that zone (draft-rescorla-dprive-adox).

The parent adds what it knows of the name servers that it refers to, whatever zone their names are in, to the
additional section. It costs no query. Nothing signs it: not even a signed parent signs what stands there.

What is said about a name that is not below the parent is taken for the zone of the referral only (compare RFC
2181 section 5.4.1). So the same server may be asked over TLS for one zone and in clear for another.
"""

from collections.abc import Iterable
from dataclasses import replace

import dns.message
import dns.name
import dns.rrset
from pydantic import BaseModel, Field

from testbed.core import svcb
from testbed.core.authoritative import ResponseExtension
from testbed.core.delegation import Referral
from testbed.core.resolver.cache import lifetime
from testbed.core.signal import DeployedServer, Deployment, Parameters, Signal
from testbed.core.zone import Zone


class RidingParameters(Parameters):
    """What the operators choose."""

    ttl: int = Field(
        3600,
        ge=0,
        description="TTL of the SVCB records, in seconds. Once they have expired, the signal is gone until "
        "the delegation has expired, too.",
    )


class SvcbAtTargetParent(Signal):
    """Servers are announced beside the NS records that name them."""

    name = "svcb-at-target-parent"
    summary = "SVCB records of a zone's name servers, in the referral to the zone"
    source = "draft-rescorla-dprive-adox"
    Parameters = RidingParameters

    def extend(self, deployment: Deployment, parameters: BaseModel) -> ResponseExtension | None:
        """Parents add SVCB records of the servers that a referral names."""
        assert isinstance(parameters, RidingParameters)
        records = dict(announcements(deployment.servers, parameters.ttl))

        def add(_query: dns.message.Message, response: dns.message.Message, _zone: Zone) -> None:
            for rdata in svcb.delegated(response) or ():
                if rdata.target in records:
                    response.additional.append(records[rdata.target])

        return add

    def read_referral(self, referral: Referral, now: float) -> None:
        """Take the SVCB records about the servers that the referral names."""
        for server, rrset in svcb.riding(referral.message):
            if server not in referral.servers:
                continue
            in_bailiwick = server.is_subdomain(referral.parent)
            offer = svcb.offer(self.name, server, rrset, referral.standing, lifetime(rrset, now))
            referral.offers.append((server, replace(offer, zone=None if in_bailiwick else referral.zone)))


def announcements(
    servers: Iterable[DeployedServer], ttl: int
) -> Iterable[tuple[dns.name.Name, dns.rrset.RRset]]:
    """The SVCB records of those servers that encrypt, by their names."""
    for server in servers:
        if server.offers:
            yield (
                server.name,
                svcb.make(server.name, server.offers, ttl, svcb.owner(server.name), path=server.path),
            )


SIGNAL = SvcbAtTargetParent()
