"""Zones as they are published: with their digests, signed; and as they were some time ago."""

from __future__ import annotations

import functools
from collections.abc import Iterator, Mapping

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
"""The signal that gives the root zone its digest."""

AGE = 10 * DAY
"""Seconds that the old zones are older than those that are in force."""

PAST_SERIAL = 2025122200
"""Their serial, of the form YYYYMMDDnn as all are (RFC 1912 section 2.2)."""


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


class Past(Mapping[dns.name.Name, Zone]):
    """Zones as they were before operators published any signal, genuine and still validly signed.

    Copies of the root zone had digests then, too. Each zone is made when somebody asks for it. The target's
    servers hosted no other zones yet. ``life`` is that of signatures that were made when the world began.
    """

    def __init__(
        self, topology: Topology, described: Described, seed: int, life: tuple[int, int] = SIGNATURE_LIFE
    ) -> None:
        self._life = life
        options = {name: given for name, given in described.signal_options.items() if name == ROOT_MIRROR}
        before = described.model_copy(update={"signal_options": options, "hosted_zones": 1})
        self._draft = functools.cache(lambda: draft(topology, before, seed))
        self._made: dict[dns.name.Name, Zone] = {}

    def __getitem__(self, origin: dns.name.Name) -> Zone:
        if origin not in self._made:
            plan = self._draft()
            rrsets = [_earlier(rrset) for rrset in plan.files[origin].rrsets()]
            inception, expiration = self._life
            life = (inception - AGE, expiration - AGE)
            self._made[origin] = publish(
                Zone(origin, rrsets), plan.signing.get(origin), plan.keys.get(origin), life
            )
        return self._made[origin]

    def __iter__(self) -> Iterator[dns.name.Name]:
        return iter(self._draft().files)

    def __len__(self) -> int:
        return len(self._draft().files)


def _earlier(rrset: dns.rrset.RRset) -> dns.rrset.RRset:
    """An RRset of the zone; its SOA record with the serial that it had."""
    if rrset.rdtype != dns.rdatatype.SOA:
        return rrset
    return dns.rrset.from_rdata(rrset.name, rrset.ttl, rrset[0].replace(serial=PAST_SERIAL))
