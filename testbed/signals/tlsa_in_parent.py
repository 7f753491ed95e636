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
from testbed.core.transport import Transport
from testbed.signals.ds_glue import Carried, decode, encode
from testbed.signals.tlsa_query import TlsaParameters, make, read

_TRANSPORTS = {
    identity.tlsa_owner(dns.name.root, transport.port, transport.carrier).labels[:2]: transport
    for transport in Transport
    if transport.encrypted
}


class TlsaInParent(Signal):
    """Servers that encrypt are announced, with keys, in delegations of the zones that hold their names."""

    name = "tlsa-in-parent"
    summary = "TLSA records carried in DS records"
    source = "draft-schwartz-ds-glue"
    in_referral = True
    least_standing = Standing.VALIDATED
    Parameters = TlsaParameters

    def publish(self, deployment: Deployment, parameters: BaseModel) -> Iterable[Addition]:
        """DS records in the delegations of zones that hold names of servers that encrypt.

        There are none for other ports than the usual ones, where nobody would look for them.
        """
        assert isinstance(parameters, TlsaParameters)
        for server in deployment.servers:
            zone = deployment.zone_of(server.name)
            for transport, port in server.offers:
                if zone.parent is None or port != transport.port:
                    continue
                rrset = make(server, transport, port, parameters)
                carried = Carried(rrset.name, rrset.rdtype, rrset.ttl, tuple(rrset))
                ds = encode(carried, zone.origin)
                yield Addition(zone.parent, dns.rrset.from_rdata(zone.origin, parameters.ttl, ds))

    def read_referral(self, referral: Referral, now: float) -> None:
        """Take the TLSA records. An RRset without records says that a server lacks that transport.

        A server with several transports may prove itself by any of the keys over each of them.
        """
        found: dict[dns.name.Name, dict[Transport, Carried]] = {}
        carried = [item for ds in referral.ds or () if (item := decode(ds, referral.zone)) is not None]
        for item in carried:
            transport = _TRANSPORTS.get(tuple(map(bytes.lower, item.owner.labels[:2])))
            if item.rdtype == dns.rdatatype.TLSA and transport is not None:
                found.setdefault(dns.name.Name(item.owner.labels[2:]), {})[transport] = item
        for server, about in found.items():
            offered = [transport for transport in _TRANSPORTS.values() if transport in about]
            transports = tuple((one, one.port) for one in offered if about[one].rdatas)
            keyed = (read(about[one].rrset) for one, _ in transports)
            records = tuple(dict.fromkeys(record for rrset in keyed for record in rrset))
            until = now + min(item.ttl for item in about.values())
            offer = Offer(self.name, transports, referral.ds_standing, until, tlsa=records)
            referral.offers.append((server, offer))
            referral.until = min(referral.until, until)
            referral.notes.append(f"{len(records)} TLSA records for {sni_text(server)} in DS records")


SIGNAL = TlsaInParent()
