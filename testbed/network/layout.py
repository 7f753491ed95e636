"""Which hosts, interfaces, addresses and routes a topology needs: all that can be said without a kernel."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace

from testbed.topology import BOTH, CA, CLIENT, EVIL, RESOLVER, Topology, within

TPROXY_MARK = 1
"""A hop delivers packets with this mark to its own sockets instead of forwarding them."""

TPROXY_TABLE = 100
"""The routing table that does it."""

NAME_LENGTH = 15
"""Longest name of an interface (IFNAMSIZ - 1)."""

_ROUTE = "quickack 1"
# Acknowledge every segment at once: otherwise the number of packets depends on whether 40 ms have passed.


@dataclass(frozen=True)
class End:
    """An end of a veth pair, and the other end: their names, Ethernet addresses and hosts."""

    name: str
    mac: str
    to: str
    peer_name: str
    peer_mac: str
    reached: tuple[str, ...]
    """Addresses to which packets leave through it."""


@dataclass
class Plan:
    """A host that is to be. The ends of a hop come in the order of :class:`testbed.network.host.Hop`."""

    name: str
    addresses: tuple[str, str]
    router: bool = False
    ends: list[End] = field(default_factory=list)

    def commands(self) -> list[str]:
        """What ``ip -batch`` must do on this host."""
        ipv4, ipv6 = self.addresses
        lines = [
            "link set dev lo up",
            f"address add {ipv4}/32 dev lo",
            f"address add {ipv6}/128 dev lo nodad",
        ]
        for end in self.ends:
            # Without the flag nothing announces membership in multicast groups.
            lines.append(f"link set dev {end.name} multicast off up")
            for address in end.reached:
                own, length = (ipv6, 128) if ":" in address else (ipv4, 32)
                lines.append(f"route add {address}/{length} dev {end.name} src {own} {_ROUTE}")
                lines.append(f"neighbour add {address} lladdr {end.peer_mac} dev {end.name} nud permanent")
        if self.router:
            lines += [
                f"route add local 0.0.0.0/0 dev lo table {TPROXY_TABLE}",
                f"route add local ::/0 dev lo table {TPROXY_TABLE}",
                RULE,
            ]
        return lines


RULE = f"rule add fwmark {TPROXY_MARK} lookup {TPROXY_TABLE}"
"""Wanted on hops for IPv4, and once more in a batch of ``ip -6``."""


def hop_name(link: str) -> str:
    """The name of the host in the middle of a link."""
    return f"hop-{link}"


def lay_out(topology: Topology) -> dict[str, Plan]:
    """The hosts of a topology by name: the resolver, then each link's hop and the hosts at its far end.

    The link of a CA has the CA in the resolver's place, and all servers at its far end. From the attacker's
    link a way leads on to every other server, for what the attacker sends there; no answer comes back by it.
    """
    resolver = Plan(RESOLVER, topology.resolver_addresses)
    plans = {RESOLVER: resolver}
    for number, link in enumerate(topology.links, start=1):
        hop = Plan(hop_name(link), (f"203.0.113.{number}", f"2001:db8:113::{number:x}"), router=True)
        plans[hop.name] = hop
        near = resolver
        far: list[tuple[Plan, tuple[int, ...]]]
        if link == CA:
            assert topology.ca_addresses is not None
            near = plans[CA] = Plan(CA, topology.ca_addresses)
            far = [(plans[server.role], server.families) for server in topology.servers]
        elif link == CLIENT:
            far = [(Plan(CLIENT, topology.client_addresses), BOTH)]
        else:
            servers = topology.on_link(link)
            far = [(Plan(server.role, (server.ipv4, server.ipv6)), server.families) for server in servers]
        reached = tuple(address for plan, families in far for address in within(plan.addresses, families))
        spoken = {family for _, families in far for family in families}
        _join(near, hop, number, 0, reached, tuple(within(near.addresses, spoken)), link)
        for position, (plan, families) in enumerate(far, start=1):
            plans[plan.name] = plan
            through, back = (tuple(within(end.addresses, families)) for end in (near, plan))
            _join(plan, hop, number, position, through, back, near.name)
    if EVIL in topology.by_role:
        _lead_on(topology, plans)
    return plans


def _lead_on(topology: Topology, plans: dict[str, Plan]) -> None:
    """Plan the way from the attacker's host to the servers that are not on its link."""
    link = topology.by_role[EVIL].link
    evil, hop, number = plans[EVIL], plans[hop_name(link)], topology.links.index(link) + 1
    leaving = next(index for index, end in enumerate(evil.ends) if end.to == hop.name)
    for server in topology.servers:
        if server.link != link:
            there = evil.ends[leaving]
            evil.ends[leaving] = replace(there, reached=(*there.reached, *server.addresses))
            _join(plans[server.role], hop, number, len(hop.ends), (), server.addresses, EVIL)


def _join(
    host: Plan,
    hop: Plan,
    link: int,
    position: int,
    through: tuple[str, ...],
    back: tuple[str, ...],
    leads_to: str,
) -> None:
    """Plan a veth pair. ``through`` is what the host reaches by it, ``back`` what the hop does.

    ``leads_to`` is what the host's end is called after.
    """
    host_mac, hop_mac = (f"02:00:00:{link:02x}:{position:02x}:{side:02x}" for side in (1, 2))
    host_end = _interface_name(leads_to, host, link)
    hop_end = _interface_name(host.name, hop, position)
    host.ends.append(End(host_end, host_mac, hop.name, hop_end, hop_mac, through))
    hop.ends.append(End(hop_end, hop_mac, host.name, host_end, host_mac, back))


def _interface_name(leads_to: str, on: Plan, number: int) -> str:
    """An interface bears the name of what it leads to; on the resolver and on a CA, that of the link."""
    name = leads_to
    taken = {end.name for end in on.ends}
    if len(name) > NAME_LENGTH or name in taken:
        name = f"{name[: NAME_LENGTH - 4]}-{number:03d}"
    return name


def pairs(plans: dict[str, Plan]) -> Iterator[tuple[Plan, End]]:
    """Every veth pair once, by the end that is not on a hop."""
    for plan in plans.values():
        if not plan.router:
            for end in plan.ends:
                yield plan, end
