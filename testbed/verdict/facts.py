"""What the verdict has to know of the world and of the attacker besides the packets."""

from __future__ import annotations

import ipaddress
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from functools import cached_property, lru_cache

import dns.name

from testbed.topology import MIRROR, TARGET, Topology


@dataclass(frozen=True, slots=True)
class Place:
    """What is at a server's address: its role, the link that leads there, how many zones are served.

    ``zones`` is the size of the anonymity set that the address gives: with 1, a packet to the target's
    server says which zone it is about.
    """

    role: str
    link: str
    zones: int


@dataclass(frozen=True)
class Facts:
    """The world and the attacker, as far as the verdict depends on them.

    ``places`` is keyed by address, in text form. ``offers`` are the roles whose servers offer ADoX;
    ``attacked_links`` those links that the attacker sits on, ``attacker_roles`` the roles whose servers it
    runs. ``passive`` says that nothing but listening is done. ``sharing`` are roles whose servers serve the
    same zone, for each zone that has several.
    """

    target_zone: dns.name.Name
    sensitive_name: dns.name.Name
    places: Mapping[str, Place]
    resolver_addresses: tuple[str, ...]
    offers: frozenset[str] = frozenset()
    attacked_links: frozenset[str] = frozenset()
    attacker_roles: frozenset[str] = frozenset()
    passive: bool = False
    sharing: tuple[frozenset[str], ...] = ()
    by_address: dict[bytes, Place] = field(init=False, repr=False, compare=False)
    """The places by packed address."""

    def __post_init__(self) -> None:
        by_address = {packed(address): place for address, place in self.places.items()}
        object.__setattr__(self, "by_address", by_address)

    @classmethod
    def of(
        cls,
        topology: Topology,
        *,
        offers: Collection[str] = (),
        attacked_links: Collection[str] = (),
        attacker_roles: Collection[str] = (),
        passive: bool = False,
        zones_hosted: Mapping[str, int] | None = None,
        sensitive_name: dns.name.Name | None = None,
    ) -> Facts:
        """The facts of a scenario on a topology.

        ``zones_hosted`` is by role; a role that is not in it hosts so many that its address says nothing.
        """
        many = 1000
        hosted = zones_hosted or {}
        return cls(
            target_zone=topology.by_role[TARGET].zone,
            sensitive_name=sensitive_name or topology.sensitive_name,
            places={
                address: Place(server.role, server.link, hosted.get(server.role, many))
                for server in topology.servers
                for address in server.addresses
            },
            resolver_addresses=topology.resolver_addresses,
            offers=frozenset(offers),
            attacked_links=frozenset(attacked_links),
            attacker_roles=frozenset(attacker_roles),
            passive=passive,
            sharing=_sharing(topology),
        )

    @cached_property
    def links(self) -> frozenset[str]:
        """The links that lead to servers."""
        return frozenset(place.link for place in self.places.values())

    @cached_property
    def attacker_links(self) -> frozenset[str]:
        """The links that lead to servers which the attacker runs."""
        return frozenset(place.link for place in self.places.values() if place.role in self.attacker_roles)

    def role(self, address: bytes) -> str:
        """The role of the server at a packed address, or the address itself as text."""
        place = self.by_address.get(address)
        return place.role if place is not None else text(address)

    @cached_property
    def target_roles(self) -> frozenset[str]:
        """The roles whose servers are authoritative for the target zone."""
        return next((roles for roles in self.sharing if TARGET in roles), frozenset((TARGET,)))

    def tells_target(self, address: bytes) -> bool:
        """Whether traffic to an address can only be about the target zone."""
        place = self.by_address.get(address)
        return place is not None and place.role in self.target_roles and place.zones == 1


def _sharing(topology: Topology) -> tuple[frozenset[str], ...]:
    roles: dict[dns.name.Name, set[str]] = {}
    for server in topology.servers:
        if server.link != MIRROR:
            roles.setdefault(server.zone, set()).add(server.role)
    return tuple(frozenset(group) for group in roles.values() if len(group) > 1)


@lru_cache(maxsize=1024)
def packed(address: str) -> bytes:
    """An address as it is in packets. Raises ValueError when the text is no IP address."""
    return ipaddress.ip_address(address).packed


@lru_cache(maxsize=1024)
def text(address: bytes) -> str:
    """A packed address as text."""
    return str(ipaddress.ip_address(address))
