"""How an authoritative server finds the answer to a question in its zones (RFC 1034 section 4.3.2).

With what was added since: wildcards (RFC 4592), DNAME (RFC 6672), DNSSEC (RFC 4035 section 3.1, RFC 5155
section 7.2), minimal answers to ANY (RFC 8482), Delegation Types (draft-ietf-dnsop-delext section 4).
"""

from __future__ import annotations

from collections.abc import Iterable

import dns.flags
import dns.message
import dns.name
import dns.rcode
import dns.rrset
from dns.rdatatype import RdataType

from testbed.core import message, prover, rdata
from testbed.core.canonical import NameKey, name_key, wildcard_at
from testbed.core.deleg import DELEGATION_TYPES, NEW_DELEGATION_ONLY
from testbed.core.zone import PARENT_SIDE, Zone

LONGEST_CHAIN = 16
"""CNAME and DNAME records that are followed within the zones of a server."""

ADDRESSES = (RdataType.A, RdataType.AAAA)


class Zones:
    """The zones of a server. Raises ValueError when two have the same origin."""

    def __init__(self, zones: Iterable[Zone]) -> None:
        self._by_apex: dict[NameKey, Zone] = {}
        for zone in zones:
            if self._by_apex.setdefault(zone.apex, zone) is not zone:
                raise ValueError(f"two zones {zone.origin}")

    def at(self, name: dns.name.Name) -> Zone | None:
        """The zone whose apex a name is."""
        return self._by_apex.get(name_key(name))

    def holding(self, name: dns.name.Name, rdtype: RdataType, extended: bool = False) -> Zone | None:
        """The zone to answer from: the deepest above a name, or the one above that for what is the parent's.

        A server that has a child zone but none above it answers even a query for DS from the child (RFC 4035
        section 3.1.4.1). ``extended`` says whether the client knows of Delegation Types.
        """
        key = name_key(name)
        zone = self._deepest(key)
        if zone is not None and parents_own(rdtype, extended) and zone.apex == key:
            return self._deepest(key[:-1]) or zone
        return zone

    def _deepest(self, key: NameKey) -> Zone | None:
        while key:
            if key in self._by_apex:
                return self._by_apex[key]
            key = key[:-1]
        return None


def parents_own(rdtype: RdataType, extended: bool) -> bool:
    """Whether a type is the parent's at a zone cut; ``extended`` clients know of Delegation Types."""
    return rdtype in PARENT_SIDE and (extended or rdtype not in DELEGATION_TYPES)


class Lookup:
    """Fills a response with what the zones have to say about its question.

    ``extended`` says whether the client knows of Delegation Types. The RRsets that are put into the response
    are the zones' own and must not be changed.
    """

    def __init__(self, zones: Zones, response: dns.message.Message, dnssec: bool, extended: bool) -> None:
        self._zones = zones
        self._response = response
        self._dnssec = dnssec
        self._extended = extended
        self._rdtype = response.question[0].rdtype

    def run(self, zone: Zone) -> None:
        """Answer from a zone, and go on to others while an alias leads to one that the server has."""
        self._response.flags |= dns.flags.AA
        name: dns.name.Name | None = self._response.question[0].name
        here: Zone | None = zone
        seen: set[NameKey] = set()
        while name is not None and here is not None and len(seen) < LONGEST_CHAIN:
            seen.add(name_key(name))
            name = self._step(here, name)
            if name is None or name_key(name) in seen:
                return
            here = self._zones.holding(name, self._rdtype)

    def _step(self, zone: Zone, name: dns.name.Name) -> dns.name.Name | None:
        """Answer for one name; the result is the name that it is an alias for."""
        cut = zone.cut(name)
        if cut is not None and not (parents_own(self._rdtype, self._extended) and cut == name):
            if not self._extended and zone.rrset(cut, RdataType.NS) is None:
                self._hide(zone, cut, name)
            elif not self._response.answer:
                # The end of an alias in a delegated zone is for the resolver to ask about.
                self._refer(zone, cut)
            return None
        dname = zone.dname(name)
        if dname is not None:
            return self._redirect(zone, dname, name)
        if zone.has_name(name):
            return self._match(zone, name)
        wildcard = wildcard_at(zone.closest_encloser(name))
        if zone.has_name(wildcard):
            return self._match(zone, name, wildcard)
        self._response.set_rcode(dns.rcode.NXDOMAIN)
        self._deny(zone, prover.nxdomain(zone, name) if self._dnssec else ())
        return None

    def _match(
        self, zone: Zone, name: dns.name.Name, wildcard: dns.name.Name | None = None
    ) -> dns.name.Name | None:
        """Answer with what stands at a name, or at the wildcard that stands in for it."""
        found = self._find(zone, wildcard or name)
        if found is None:
            prove = prover.wildcard_nodata if wildcard is not None else prover.nodata
            self._deny(zone, prove(zone, name) if self._dnssec else ())
            return None
        self._put(self._response.answer, zone, found, name if wildcard is not None else None)
        if wildcard is not None and self._dnssec:
            for rrset in prover.wildcard_answer(zone, name):
                self._put(self._response.authority, zone, rrset)
        if found.rdtype == RdataType.CNAME and self._rdtype not in (RdataType.CNAME, RdataType.ANY):
            target: dns.name.Name = found[0].target
            return target
        if found.rdtype == RdataType.NS:
            self._add_addresses(zone, found)
        return None

    def _find(self, zone: Zone, at: dns.name.Name) -> dns.rrset.RRset | None:
        if self._rdtype == RdataType.RRSIG:
            signed = (zone.signatures(at, rdtype) for rdtype in zone.types(at))
            return next((rrsigs for rrsigs in signed if rrsigs is not None), None)
        if self._rdtype == RdataType.ANY:
            # One RRset says as much as there is need to know (RFC 8482 section 4.1).
            return next((zone.rrset(at, rdtype) for rdtype in zone.types(at)), None)
        return zone.rrset(at, self._rdtype) or zone.rrset(at, RdataType.CNAME)

    def _redirect(self, zone: Zone, dname: dns.rrset.RRset, name: dns.name.Name) -> dns.name.Name | None:
        """Answer with a DNAME and the CNAME that follows from it (RFC 6672 section 3.1)."""
        self._put(self._response.answer, zone, dname)
        prefix = name.labels[: len(name) - len(dname.name)]
        try:
            target = dns.name.Name((*prefix, *dname[0].target.labels))
        except dns.name.NameTooLong:
            self._response.set_rcode(dns.rcode.YXDOMAIN)
            return None
        cname = dns.rrset.from_rdata(name, dname.ttl, rdata.make(RdataType.CNAME, target))
        self._response.answer.append(cname)
        return None if self._rdtype in (RdataType.CNAME, RdataType.ANY) else target

    def _refer(self, zone: Zone, cut: dns.name.Name) -> None:
        """Refer to the servers of a delegated zone (RFC 4035 section 3.1.4).

        A client that knows of Delegation Types gets these in place of NS records, without any glue, and in a
        signed zone the proof of which there are (draft-ietf-dnsop-delext section 4.1).
        """
        self._response.flags &= ~dns.flags.AA
        authority = self._response.authority
        extensions = [rdtype for rdtype in zone.types(cut) if rdtype in DELEGATION_TYPES]
        servers = None
        if self._extended and extensions:
            for rdtype in extensions:
                self._put_present(authority, zone, cut, rdtype)
        else:
            servers = zone.rrset(cut, RdataType.NS)
            assert servers is not None
            authority.append(servers)
        signed = self._dnssec and self._put_present(authority, zone, cut, RdataType.DS)
        if self._dnssec and (self._extended or not signed):
            for rrset in prover.nodata(zone, cut):
                self._put(authority, zone, rrset)
        if servers is not None:
            self._add_addresses(zone, servers)

    def _hide(self, zone: Zone, cut: dns.name.Name, name: dns.name.Name) -> None:
        """Answer a client that cannot see a cut without NS: nothing is below (draft-ietf-deleg 5.2.2.1)."""
        found = self._find(zone, cut) if name == cut and self._rdtype in PARENT_SIDE else None
        if found is not None:
            self._put(self._response.answer, zone, found)
            return
        if name != cut:
            self._response.set_rcode(dns.rcode.NXDOMAIN)
            proof = prover.nxdomain(zone, name) if self._dnssec else []
        else:
            proof = prover.nodata(zone, cut) if self._dnssec else []
        self._deny(zone, proof)
        if self._response.opt is not None:
            message.add_ede(self._response, NEW_DELEGATION_ONLY)

    def _add_addresses(self, zone: Zone, servers: dns.rrset.RRset) -> None:
        """Add the addresses of name servers that the zone has, glue that cannot be done without first."""
        targets: list[dns.name.Name] = [server.target for server in servers if zone.encloses(server.target)]
        targets.sort(key=lambda target: not target.is_subdomain(servers.name))
        for target in targets:
            for rdtype in ADDRESSES:
                rrset = zone.rrset(target, rdtype)
                if rrset is not None:
                    self._put(self._response.additional, zone, rrset)

    def _deny(self, zone: Zone, proof: Iterable[dns.rrset.RRset]) -> None:
        """Add the SOA that says for how long an absence holds (RFC 2308 section 3), and the proof of it."""
        authority = self._response.authority
        for rrset in zone.negative_soa if self._dnssec else zone.negative_soa[:1]:
            authority.append(rrset)
        for rrset in proof:
            self._put(authority, zone, rrset)

    def _put_present(
        self, section: list[dns.rrset.RRset], zone: Zone, name: dns.name.Name, rdtype: RdataType
    ) -> bool:
        """Add the RRset of a name and type if there is one; whether there is."""
        rrset = zone.rrset(name, rdtype)
        if rrset is not None:
            self._put(section, zone, rrset)
        return rrset is not None

    def _put(
        self,
        section: list[dns.rrset.RRset],
        zone: Zone,
        rrset: dns.rrset.RRset,
        name: dns.name.Name | None = None,
    ) -> None:
        """Add an RRset, with its signatures if they are wanted, under its own name or another."""
        if any(present is rrset for present in section):
            return
        signatures = zone.signatures(rrset.name, rrset.rdtype) if self._dnssec else None
        for part in (rrset, signatures):
            if part is not None:
                section.append(
                    part if name is None else dns.rrset.from_rdata_list(name, part.ttl, list(part))
                )
