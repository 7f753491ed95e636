"""A zone as an authoritative server holds it: RRsets by name and type, zone cuts, chains of denial."""

from __future__ import annotations

import bisect
import functools
import hashlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Literal, cast

import dns.name
import dns.rdataclass
import dns.rdatatype
import dns.rrset
import dns.zonefile
from dns.rdatatype import RdataType
from dns.rdtypes.ANY.NSEC3PARAM import NSEC3PARAM
from dns.rdtypes.ANY.SOA import SOA

from testbed.core.canonical import NameKey, name_key, parent_of
from testbed.core.deleg import DELEGATION_TYPES
from testbed.core.nsec3 import Nsec3Chain

Denial = Literal["nsec", "nsec3"]

BESIDE_CNAME = frozenset({RdataType.CNAME, RdataType.NSEC})
"""The types that may share a name with a CNAME, signatures apart (RFC 4034 section 4)."""

PARENT_SIDE = frozenset({RdataType.DS, *DELEGATION_TYPES})
"""The types that, at a zone cut, are the parent's own and not the child's.

RFC 4035 section 2.4 has DS; draft-ietf-dnsop-delext section 3 adds those that make a cut, DELEG among them.
"""

CUTTING = frozenset({RdataType.NS, *DELEGATION_TYPES})
"""The types that make a zone cut, each by itself."""


class ZoneError(ValueError):
    """The records do not make a zone; the message says which, and why."""


@dataclass(slots=True)
class _Node:
    """What stands at one name."""

    name: dns.name.Name
    rrsets: dict[RdataType, dns.rrset.RRset] = field(default_factory=dict)
    signatures: dict[RdataType, dns.rrset.RRset] = field(default_factory=dict)


class Zone:
    """The RRsets of a zone, never changed once it is made; nor must be the RRsets that it hands out.

    ``rrsets`` may hold glue and other occluded data, signatures and denials, in any order. Raises ZoneError
    for records out of the zone or of another class, an RRset given twice, no or more than one SOA, other data
    beside a CNAME (RFC 1034 section 3.6.2), zone cuts at wildcards (RFC 4592 section 4.2) and DELEG at the
    apex (draft-ietf-deleg section 5).
    """

    def __init__(self, origin: dns.name.Name, rrsets: Iterable[dns.rrset.RRset]) -> None:
        self.origin = origin
        self.apex = name_key(origin)
        self._nodes: dict[NameKey, _Node] = {}
        self._hashed: dict[NameKey, _Node] = {}
        for rrset in rrsets:
            self._add(rrset)
        for node in self._nodes.values():
            self._check(node)
        apex = self._nodes.get(self.apex)
        if apex is None or len(apex.rrsets.get(RdataType.SOA, ())) != 1:
            raise ZoneError(f"{origin}: no SOA at the apex")
        self.soa: dns.rrset.RRset = apex.rrsets[RdataType.SOA]
        self._dnames = {key for key, node in self._nodes.items() if RdataType.DNAME in node.rrsets}
        self._cuts = {
            key
            for key, node in self._nodes.items()
            if not CUTTING.isdisjoint(node.rrsets) and key != self.apex and self._dname_above(key) is None
        }
        self._empty = {
            key[:length] for key in self._nodes for length in range(len(self.apex), len(key))
        } - self._nodes.keys()

    @classmethod
    def from_text(cls, origin: str | dns.name.Name, text: str, ttl: int = 3600) -> Zone:
        """A zone from a master file (RFC 1035 section 5), with a default TTL in seconds.

        Raises ZoneError when the records make no zone, dns.exception.DNSException when they cannot be read.
        """
        name = dns.name.from_text(origin) if isinstance(origin, str) else origin
        return cls(name, dns.zonefile.read_rrsets(text, origin=name, default_ttl=ttl))

    def _add(self, rrset: dns.rrset.RRset) -> None:
        key = name_key(rrset.name)
        if key[: len(self.apex)] != self.apex:
            raise _error(rrset, f"not in zone {self.origin}")
        if rrset.rdclass != dns.rdataclass.IN:
            raise _error(rrset, "not of class IN")
        if not len(rrset):
            raise _error(rrset, "no records")
        hashed = RdataType.NSEC3 in (rrset.rdtype, rrset.covers)
        node = (self._hashed if hashed else self._nodes).setdefault(key, _Node(rrset.name))
        signature = rrset.rdtype == RdataType.RRSIG
        place = node.signatures if signature else node.rrsets
        rdtype = rrset.covers if signature else rrset.rdtype
        if rdtype in place:
            raise _error(rrset, "given twice")
        place[rdtype] = rrset

    def _check(self, node: _Node) -> None:
        cname = node.rrsets.get(RdataType.CNAME)
        if cname is not None and (len(cname) > 1 or node.rrsets.keys() - BESIDE_CNAME):
            raise _error(cname, "other data beside it")
        for rdtype in CUTTING.intersection(node.rrsets):
            if node.name.is_wild():
                raise _error(node.rrsets[rdtype], "a wildcard cannot be a zone cut")
            if rdtype in DELEGATION_TYPES and name_key(node.name) == self.apex:
                raise _error(node.rrsets[rdtype], "belongs into the parent zone")

    # -- content -----------------------------------------------------------------------------------

    def encloses(self, name: dns.name.Name) -> bool:
        """Whether a name is at or below the apex, be it in the zone or delegated."""
        return name_key(name)[: len(self.apex)] == self.apex

    def rrset(self, name: dns.name.Name, rdtype: RdataType) -> dns.rrset.RRset | None:
        """The RRset of a name and type, occluded or not."""
        node = self._node(name, rdtype)
        return node.rrsets.get(rdtype) if node is not None else None

    def signatures(self, name: dns.name.Name, rdtype: RdataType) -> dns.rrset.RRset | None:
        """The RRSIG RRset over the RRset of a name and type."""
        node = self._node(name, rdtype)
        return node.signatures.get(rdtype) if node is not None else None

    def types(self, name: dns.name.Name) -> tuple[RdataType, ...]:
        """The types at a name, in the order of their numbers; RRSIG is not among them."""
        node = self._nodes.get(name_key(name))
        return tuple(sorted(node.rrsets)) if node is not None else ()

    def _node(self, name: dns.name.Name, rdtype: RdataType) -> _Node | None:
        # NSEC3 records stand outside of the name space of the zone (RFC 5155 section 7.2.8).
        return (self._hashed if rdtype == RdataType.NSEC3 else self._nodes).get(name_key(name))

    def names(self) -> Iterator[dns.name.Name]:
        """Every name that has records, in canonical order, NSEC3 owners not counted."""
        return (self._nodes[key].name for key in sorted(self._nodes))

    def empty_non_terminals(self) -> Iterator[dns.name.Name]:
        """Every name without records that has some below it, in canonical order (RFC 9499 section 7)."""
        return (dns.name.Name(reversed(key)) for key in sorted(self._empty))

    def has_name(self, name: dns.name.Name) -> bool:
        """Whether a name exists, as one with records or as an empty non-terminal (RFC 4592 section 2.2.2)."""
        key = name_key(name)
        return key in self._nodes or key in self._empty

    def closest_encloser(self, name: dns.name.Name) -> dns.name.Name:
        """The deepest existing name at or above a name, not below a cut (RFC 4592 section 3.3.1)."""
        key = name_key(self.cut(name) or name)
        length = len(key)
        while length > len(self.apex) and key[:length] not in self._nodes and key[:length] not in self._empty:
            length -= 1
        return parent_of(name, length)

    def cut(self, name: dns.name.Name) -> dns.name.Name | None:
        """The zone cut at or above a name; the apex is none (RFC 9499 section 7)."""
        key = name_key(name)
        for length in range(len(self.apex) + 1, len(key) + 1) if self._cuts else ():
            if key[:length] in self._cuts:
                return self._nodes[key[:length]].name
        return None

    def dname(self, name: dns.name.Name) -> dns.rrset.RRset | None:
        """The DNAME RRset that redirects a name: one above it, not one at it (RFC 6672 section 2.3)."""
        above = self._dname_above(name_key(name))
        return self._nodes[above].rrsets[RdataType.DNAME] if above is not None else None

    def _dname_above(self, key: NameKey) -> NameKey | None:
        for length in range(len(self.apex), len(key)) if self._dnames else ():
            if key[:length] in self._dnames:
                return key[:length]
        return None

    def occluded(self, name: dns.name.Name) -> bool:
        """Whether a name lies below a zone cut or a DNAME, so that what stands there is no answer."""
        cut = self.cut(name)
        return (cut is not None and name_key(cut) != name_key(name)) or self.dname(name) is not None

    # -- denial of existence -----------------------------------------------------------------------

    @property
    def signed(self) -> bool:
        """Whether the zone is signed."""
        return RdataType.SOA in self._nodes[self.apex].signatures

    @property
    def denial(self) -> Denial | None:
        """How the zone proves that something is absent, None when it cannot."""
        if RdataType.NSEC in self._nodes[self.apex].rrsets:
            return "nsec"
        return "nsec3" if self.nsec3 is not None else None

    def nsec(self, name: dns.name.Name) -> dns.rrset.RRset:
        """The NSEC RRset at a name in the zone, or else the one in whose span it falls.

        Raises LookupError in a zone without NSEC records.
        """
        keys = self._nsec_order
        return self._nodes[keys[bisect.bisect_right(keys, name_key(name)) - 1]].rrsets[RdataType.NSEC]

    @functools.cached_property
    def _nsec_order(self) -> list[NameKey]:
        return sorted(key for key, node in self._nodes.items() if RdataType.NSEC in node.rrsets)

    @functools.cached_property
    def nsec3(self) -> Nsec3Chain | None:
        """The chain of NSEC3 records that the NSEC3PARAM at the apex stands for (RFC 5155 section 4)."""
        params = self._nodes[self.apex].rrsets.get(RdataType.NSEC3PARAM)
        if params is None:
            return None
        param = cast(NSEC3PARAM, params[0])
        rrsets = (node.rrsets[RdataType.NSEC3] for node in self._hashed.values() if node.rrsets)
        return Nsec3Chain.of(rrsets, param.iterations, param.salt)

    @property
    def negative_ttl(self) -> int:
        """Seconds that an absence may be cached: the lesser of SOA TTL and MINIMUM (RFC 2308, RFC 9077)."""
        return min(self.soa.ttl, cast(SOA, self.soa[0]).minimum)

    @functools.cached_property
    def negative_soa(self) -> list[dns.rrset.RRset]:
        """The SOA with that TTL, for responses about absences, and its signatures if there are any."""
        signatures = self.signatures(self.origin, RdataType.SOA)
        return [
            dns.rrset.from_rdata_list(rrset.name, self.negative_ttl, list(rrset))
            for rrset in (self.soa, signatures)
            if rrset is not None
        ]

    # -- as a whole --------------------------------------------------------------------------------

    def __iter__(self) -> Iterator[dns.rrset.RRset]:
        """Every RRset in the canonical order of names, each followed by its signatures."""
        everything = [*self._nodes.items(), *self._hashed.items()]
        for _, node in sorted(everything, key=lambda item: item[0]):
            for rdtype in sorted(node.rrsets.keys() | node.signatures.keys()):
                yield from (node.rrsets[rdtype],) if rdtype in node.rrsets else ()
                yield from (node.signatures[rdtype],) if rdtype in node.signatures else ()

    def transfer(self) -> Iterator[dns.rrset.RRset]:
        """Every RRset in the order of a transfer: the SOA first, and again last (RFC 5936 section 2.2)."""
        yield self.soa
        yield from (rrset for rrset in self if rrset is not self.soa)
        yield self.soa

    @functools.cached_property
    def fingerprint(self) -> bytes:
        """SHA-256 over all that responses are made from, the case of names included: a key for caches."""
        digest = hashlib.sha256(repr(self.origin.labels).encode())
        for rrset in self:
            digest.update(repr((rrset.name.labels, rrset.ttl, int(rrset.rdtype), len(rrset))).encode())
            for rdata in rrset:
                wire = rdata.to_wire() or b""
                digest.update(len(wire).to_bytes(2, "big") + wire)
        return digest.digest()

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Zone) and self.fingerprint == other.fingerprint

    def __hash__(self) -> int:
        return hash(self.fingerprint)

    def __repr__(self) -> str:
        return f"<Zone {self.origin} {self.fingerprint.hex()[:8]}>"


def _error(rrset: dns.rrset.RRset, problem: str) -> ZoneError:
    return ZoneError(f"{rrset.name} {dns.rdatatype.to_text(rrset.rdtype)}: {problem}")
