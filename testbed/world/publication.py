"""Zones as they are published: with their digests, signed; and the root zone as it was some time ago."""

from __future__ import annotations

from collections.abc import Mapping

import dns.name
import dns.rdatatype
import dns.rrset

from testbed.core import zonemd
from testbed.core.signer import KeySet, sign_zone
from testbed.core.zone import Zone
from testbed.scenario.world import Signing
from testbed.scenario.world import World as Described
from testbed.topology import Topology
from testbed.world.draft import draft
from testbed.world.epoch import DAY, SIGNATURE_LIFE

ROOT_MIRROR = "root-mirror"
"""The signal that gives the root zone its digest; only in its worlds old copies are of use to somebody."""

AGE = 10 * DAY
"""Seconds that the old root zone is older than the one that is in force."""

PAST_SERIAL = 2025122200
"""Its serial, of the form YYYYMMDDnn as all are (RFC 1912 section 2.2)."""


def publish(zone: Zone, how: Signing | None, keys: KeySet | None, life: tuple[int, int]) -> Zone:
    """A zone that was written, as it is published: placeholders of digests filled in, signed if it is to be.

    ``life`` is of its signatures, two Unix times.
    """

    def sign(plain: Zone) -> Zone:
        if how is None or keys is None:
            return plain
        inception, expiration = life
        return sign_zone(
            plain,
            keys,
            inception=inception,
            expiration=expiration,
            denial=how.denial,
            opt_out=how.opt_out,
        )

    if zone.rrset(zone.origin, dns.rdatatype.ZONEMD) is not None:
        zone = zonemd.completed(zone, sign(zone))
    return sign(zone)


def past(topology: Topology, described: Described, seed: int) -> Mapping[dns.name.Name, Zone]:
    """Zones as they were before operators published any signal, genuine and still validly signed.

    That is the root zone, in worlds in which there are local copies of it.
    """
    if ROOT_MIRROR not in described.signal_options:
        return {}
    options = {ROOT_MIRROR: described.signal_options[ROOT_MIRROR]}
    before = described.model_copy(update={"signal_options": options, "hosted_zones": 1})
    plan = draft(topology, before, seed)
    root = dns.name.root
    rrsets = [_earlier(rrset) for rrset in plan.files[root].rrsets()]
    inception, expiration = SIGNATURE_LIFE
    life = (inception - AGE, expiration - AGE)
    return {root: publish(Zone(root, rrsets), plan.signing.get(root), plan.keys.get(root), life)}


def _earlier(rrset: dns.rrset.RRset) -> dns.rrset.RRset:
    """An RRset of the zone; its SOA record with the serial that it had."""
    if rrset.rdtype != dns.rdatatype.SOA:
        return rrset
    return dns.rrset.from_rdata(rrset.name, rrset.ttl, rrset[0].replace(serial=PAST_SERIAL))
