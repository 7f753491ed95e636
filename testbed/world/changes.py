"""What operators have to change in zones when servers begin to offer encryption."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

import dns.name
import dns.rdata
import dns.rdatatype

from testbed.scenario.world import World as Described
from testbed.topology import Topology
from testbed.world.draft import draft

Labels = tuple[bytes, ...]
Content = dict[tuple[Labels, Labels, dns.rdatatype.RdataType], object]


@dataclass(frozen=True, slots=True)
class Changes:
    """How many RRsets are different, new or gone, and in how many zones.

    Neither signatures nor SOA records count, which change whenever anything does.
    """

    rrsets: int
    zones: int


def changes(topology: Topology, described: Described, rollout: Collection[str], seed: int = 0) -> Changes:
    """What changes when the servers of some roles begin to offer encryption as a scenario describes it.

    Compared are the zones as operators write them, before they are signed: with these servers as
    described, and with the same servers in clear only.
    """
    secure = {role: service for role, service in described.secure.items() if role not in rollout}
    before = _content(topology, described.model_copy(update={"secure": secure}), seed)
    after = _content(topology, described, seed)
    changed = [key for key in before.keys() | after.keys() if before.get(key) != after.get(key)]
    return Changes(len(changed), len({zone for zone, *_ in changed}))


def _content(topology: Topology, described: Described, seed: int) -> Content:
    """The RRsets of all zones: TTLs and records by zone, name and type."""
    files = draft(topology, described, seed).files
    wires: dict[int, bytes] = {}  # thousands of zones share their records

    def wire(rdata: dns.rdata.Rdata) -> bytes:
        known = wires.get(id(rdata))
        if known is None:
            known = wires[id(rdata)] = rdata.to_digestable()
        return known

    return {
        (origin.labels, rrset.name.labels, rrset.rdtype): (rrset.ttl, sorted(map(wire, rrset)))
        for origin, file in files.items()
        for rrset in file.rrsets()
        if rrset.rdtype != dns.rdatatype.SOA
    }
