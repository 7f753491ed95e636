"""The zones of a world, made from a topology: what their operators put into them before they are signed."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import dns.name
import dns.rdata
import dns.rdataclass
import dns.rdatatype
import dns.rrset

from testbed.core.notation import Record
from testbed.topology import MIRROR, TARGET, Server, Topology

TTL = 3600
"""Seconds; of every record that does not ask for another."""

SERIAL = 2026010100

TARGET_CONTENT = """
@ A 203.0.113.10
@ AAAA 2001:db8:80::10
@ MX 10 mail
@ TXT "the target zone"
mail A 203.0.113.25
www A 203.0.113.80
www AAAA 2001:db8:80::80
secret A 203.0.113.99
secret AAAA 2001:db8:80::99
alias CNAME secret
*.wild A 203.0.113.77
old DNAME example.org.
"""
"""What there is in the target zone, beside what a scenario adds."""


class ZoneFile:
    """A zone in the making: RRsets to which records can be added in any order."""

    def __init__(self, origin: dns.name.Name) -> None:
        self.origin = origin
        self._rrsets: dict[tuple[dns.name.Name, dns.rdatatype.RdataType], dns.rrset.RRset] = {}

    def add(self, name: dns.name.Name, rdtype: dns.rdatatype.RdataType, text: str, ttl: int = TTL) -> None:
        """Add a record; names in its text are relative to the origin. Raises dns.exception.DNSException."""
        rdata = dns.rdata.from_text(dns.rdataclass.IN, rdtype, text, self.origin, relativize=False)
        self.merge(dns.rrset.from_rdata(name, ttl, rdata))

    def merge(self, rrset: dns.rrset.RRset) -> None:
        """Add all records of an RRset; the lowest TTL wins (RFC 2181 section 5.2)."""
        key = (rrset.name, rrset.rdtype)
        present = self._rrsets.get(key)
        if present is None:
            self._rrsets[key] = dns.rrset.from_rdata_list(rrset.name, rrset.ttl, list(rrset))
            return
        for rdata in rrset:
            present.add(rdata, min(present.ttl, rrset.ttl))

    def put(self, name: dns.name.Name, rrset: dns.rrset.RRset) -> None:
        """Add a copy of an RRset under a name that has none of its type yet."""
        copy: dns.rrset.RRset = rrset.copy()  # type: ignore[no-untyped-call]
        copy.name = name
        self._rrsets[name, rrset.rdtype] = copy

    def replace(self, rrset: dns.rrset.RRset) -> None:
        """Put an RRset into the place of the one of the same name and type, if there is one."""
        self._rrsets[rrset.name, rrset.rdtype] = rrset

    def raise_serial(self) -> None:
        """Give the SOA record the next serial, as whoever changes a zone does (RFC 1912 section 2.2)."""
        soa = self._rrsets[self.origin, dns.rdatatype.SOA]
        raised = soa[0].replace(serial=soa[0].serial + 1)
        self.replace(dns.rrset.from_rdata(self.origin, soa.ttl, raised))

    def remove(self, name: dns.name.Name, rdtype: dns.rdatatype.RdataType) -> None:
        """Take out an RRset. Raises KeyError when it is not there."""
        del self._rrsets[name, rdtype]

    def rrsets(self) -> list[dns.rrset.RRset]:
        """Everything that was added."""
        return list(self._rrsets.values())


def hosted_zones(topology: Topology, count: int) -> tuple[dns.name.Name, ...]:
    """Names of the zones that the target's servers host beside the target, beside which it is one of many."""
    parent = topology.by_role[TARGET].zone.parent()
    return tuple(
        dns.name.Name((f"hosted-{number}".encode(), *parent.labels)) for number in range(2, count + 1)
    )


def lay_out(
    topology: Topology, hosted: Iterable[dns.name.Name], records: Iterable[Record]
) -> dict[dns.name.Name, ZoneFile]:
    """The unsigned zones of a topology.

    ``hosted`` are further zones on the target's servers, ``records`` further records.
    """
    files = {server.zone: ZoneFile(server.zone) for server in topology.servers}
    target = topology.by_role[TARGET]
    _host(files, hosted, target.zone.parent(), name_servers(topology, target.zone))
    for zone in dict.fromkeys(server.zone for server in topology.servers):
        _delegate(files, zone, name_servers(topology, zone))
    for server in topology.servers:
        _add_addresses(files[_holder(files, server.name)], server)
    for line in TARGET_CONTENT.strip().splitlines():
        owner, rdtype, text = line.split(maxsplit=2)
        name = dns.name.from_text(owner, target.zone)
        files[target.zone].add(name, dns.rdatatype.from_text(rdtype), text)
    for record in records:
        rrset = dns.rrset.from_rdata(record.name, record.ttl, record.rdata)
        _keeper(files, rrset.name, rrset.rdtype).merge(rrset)
    return files


def revise(files: Mapping[dns.name.Name, ZoneFile], records: Iterable[Record]) -> None:
    """Put the RRsets that records make up into the place of those of the same name and type.

    All zones get the next serial, since all are signed anew.
    """
    changed: dict[tuple[dns.name.Name, dns.rdatatype.RdataType], dns.rrset.RRset] = {}
    for record in records:
        rrset = dns.rrset.from_rdata(record.name, record.ttl, record.rdata)
        present = changed.setdefault((rrset.name, rrset.rdtype), rrset)
        present.add(record.rdata, min(present.ttl, record.ttl))
    for rrset in changed.values():
        _keeper(files, rrset.name, rrset.rdtype).replace(rrset)
    for file in files.values():
        file.raise_serial()


def name_servers(topology: Topology, zone: dns.name.Name) -> list[Server]:
    """The servers in the NS RRset of a zone; those that only give away copies of it are not."""
    return [server for server in topology.servers if server.zone == zone and server.link != MIRROR]


def parents_of(topology: Topology) -> dict[dns.name.Name, dns.name.Name]:
    """The parent zone of each zone but the root."""
    return {
        server.zone: topology.by_role[server.parent].zone
        for server in topology.servers
        if server.parent is not None
    }


def _delegate(files: dict[dns.name.Name, ZoneFile], zone: dns.name.Name, servers: list[Server]) -> None:
    """Write a zone's apex, and its delegation with in-domain glue into the parent (RFC 9471)."""
    own = files[zone]
    own.add(zone, dns.rdatatype.SOA, _soa(servers[0]))
    for server in servers:
        own.add(zone, dns.rdatatype.NS, server.name.to_text())
    if zone == dns.name.root:
        for server in servers:
            _add_addresses(own, server)
        return
    parent = files[_holder(files, zone.parent())]
    for server in servers:
        parent.add(zone, dns.rdatatype.NS, server.name.to_text())
        if server.name.is_subdomain(zone):
            _add_addresses(parent, server)


def _host(
    files: dict[dns.name.Name, ZoneFile],
    zones: Iterable[dns.name.Name],
    parent: dns.name.Name,
    servers: list[Server],
) -> None:
    """Write zones that are all alike, and their delegations. There may be thousands: records are shared."""
    above = files[_holder(files, parent)]
    soa = dns.rrset.from_text(parent, TTL, "IN", "SOA", _soa(servers[0]))
    address = dns.rrset.from_text(parent, TTL, "IN", "A", "203.0.113.11")
    delegation = dns.rrset.from_text(parent, TTL, "IN", "NS", *(server.name.to_text() for server in servers))
    for zone in zones:
        own = files[zone] = ZoneFile(zone)
        for rrset in (soa, delegation, address):
            own.put(zone, rrset)
        above.put(zone, delegation)


def _soa(first: Server) -> str:
    return f"{first.name} hostmaster.{first.name} {SERIAL} 1800 900 604800 900"


def _keeper(
    files: Mapping[dns.name.Name, ZoneFile], name: dns.name.Name, rdtype: dns.rdatatype.RdataType
) -> ZoneFile:
    """The zone that records of a name and type lie in; DS lies above the zone cut (RFC 4035 section 2.4)."""
    above = rdtype == dns.rdatatype.DS and name != dns.name.root
    return files[_holder(files, name.parent() if above else name)]


def _holder(files: Mapping[dns.name.Name, ZoneFile], name: dns.name.Name) -> dns.name.Name:
    """The zone that holds a name: the deepest one at or above it."""
    while name not in files:
        name = name.parent()
    return name


def _add_addresses(file: ZoneFile, server: Server) -> None:
    for address in server.addresses:
        file.add(server.name, dns.rdatatype.AAAA if ":" in address else dns.rdatatype.A, address)
