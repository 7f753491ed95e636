"""TLSA records in the parent: carried in DS records, as DS glue (draft-schwartz-ds-glue).

They stand in the delegation of the zone that holds the server's name, and cost no query. What they are worth
depends on the signatures of that zone's *parent*, and not on its own: unlike with TLSA records that are asked
for, it need not be signed itself. Without authentication the draft has TLSA records be ignored.
"""

from __future__ import annotations

from collections.abc import Iterable

import dns.name
import dns.rdatatype
import dns.rrset
from pydantic import BaseModel

from testbed.core import identity
from testbed.core.delegation import Offer, Referral
from testbed.core.resolver.cache import Standing
from testbed.core.resolver.requests import sni_text
from testbed.core.signal import Addition, Deployment, Signal
from testbed.signals.ds_glue import Carried, decode, encode
from testbed.signals.tlsa_query import DOT, TlsaParameters, make, read

_LABELS = identity.tlsa_owner(dns.name.root, DOT[1]).labels[:2]


class TlsaInParent(Signal):
    """Servers with DoT are announced, with keys, in the delegations of the zones that hold their names."""

    name = "tlsa-in-parent"
    summary = "TLSA records carried in DS records"
    source = "draft-schwartz-ds-glue"
    in_referral = True
    least_standing = Standing.VALIDATED
    Parameters = TlsaParameters

    def publish(self, deployment: Deployment, parameters: BaseModel) -> Iterable[Addition]:
        """DS records in the delegations of zones that hold names of servers with DoT."""
        assert isinstance(parameters, TlsaParameters)
        for server in deployment.servers:
            zone = deployment.zone_of(server.name)
            if zone.parent is None or DOT not in server.offers:
                continue
            rrset = make(server, *DOT, parameters)
            carried = Carried(rrset.name, rrset.rdtype, rrset.ttl, tuple(rrset))
            ds = encode(carried, zone.origin)
            yield Addition(zone.parent, dns.rrset.from_rdata(zone.origin, parameters.ttl, ds))

    def read_referral(self, referral: Referral, now: float) -> None:
        """Take the TLSA records for DoT. An RRset without records says that a server has no DoT."""
        carried = [item for ds in referral.ds or () if (item := decode(ds, referral.zone)) is not None]
        for item in carried:
            labels, server = item.owner.labels[:2], dns.name.Name(item.owner.labels[2:])
            if item.rdtype != dns.rdatatype.TLSA or tuple(map(bytes.lower, labels)) != _LABELS:
                continue
            transports = (DOT,) if item.rdatas else ()
            records = read(item.rrset) if item.rdatas else ()
            until = now + item.ttl
            offer = Offer(self.name, transports, referral.ds_standing, until, tlsa=records)
            referral.offers.append((server, offer))
            referral.until = min(referral.until, until)
            referral.notes.append(f"{len(records)} TLSA records for {sni_text(server)} in DS records")


SIGNAL = TlsaInParent()
