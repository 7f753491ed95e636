"""SVCB records as glue: in the referral to the zone that holds a name server's name.

To reach ``ns1.dnshost.net`` a resolver is referred from ``net`` to ``dnshost.net``; that referral brings
along the SVCB records of name servers below ``dnshost.net`` (draft-rescorla-dprive-adox). One change at one
parent announces a server for all the zones on it. It costs no query, and nothing signs it.
"""

from collections import defaultdict

import dns.message
import dns.name
import dns.rrset
from pydantic import BaseModel

from testbed.core import svcb
from testbed.core.authoritative import ResponseExtension
from testbed.core.delegation import Referral
from testbed.core.resolver.cache import lifetime
from testbed.core.signal import Deployment, Signal
from testbed.core.zone import Zone
from testbed.signals.svcb_at_target_parent import RidingParameters, announcements


class SvcbGlue(Signal):
    """Servers are announced in the delegation of the zone that holds their names."""

    name = "svcb-glue"
    summary = "SVCB records of name servers, in the referral to the zone that holds their names"
    source = "draft-rescorla-dprive-adox"
    in_referral = True
    Parameters = RidingParameters

    def extend(self, deployment: Deployment, parameters: BaseModel) -> ResponseExtension | None:
        """Parents add SVCB records of the servers whose names are in the zone that they refer to."""
        assert isinstance(parameters, RidingParameters)
        records: dict[dns.name.Name, list[dns.rrset.RRset]] = defaultdict(list)
        for server, rrset in announcements(deployment.servers, parameters.ttl):
            records[deployment.zone_of(server).origin].append(rrset)

        def add(_query: dns.message.Message, response: dns.message.Message, _zone: Zone) -> None:
            servers = svcb.delegated(response)
            if servers is not None:
                response.additional.extend(records.get(servers.name, ()))

        return add

    def read_referral(self, referral: Referral, now: float) -> None:
        """Take the SVCB records about servers at or below the zone that is referred to."""
        for server, rrset in svcb.riding(referral.message):
            if server.is_subdomain(referral.zone):
                until = lifetime(rrset, now)
                offer = svcb.offer(self.name, server, rrset, referral.standing, until)
                referral.offers.append((server, offer))


SIGNAL = SvcbGlue()
