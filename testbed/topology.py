"""What a topology is made of: servers in roles, and a link from the resolver to each of them."""

from __future__ import annotations

import functools
import importlib
import pkgutil
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass, field

import dns.name

RESOLVER = "resolver"
CLIENT = "client"
MIRROR = "mirror"

CA = "ca"
"""The host of a CA, and the link between it and all servers. Only some topologies have one."""

TARGET = "target"
"""The role of the first server of the target zone. Its others are in roles of their own."""

EVIL = "evil"
"""The role that the attacker's own server plays."""

BOTH = (4, 6)
"""The IP versions."""


@dataclass(frozen=True)
class Server:
    """An authoritative server: the role it plays, its name, its addresses and the zone of its role.

    ``zone`` is the zone that the role stands for; what else is hosted there is the world's to say. Several
    servers may have the same: all of them serve it, each in a role of its own. ``parent`` is the role that
    serves the parent zone, None at the root. ``families`` are the IP versions over which it is reached.
    """

    role: str
    zone: dns.name.Name
    name: dns.name.Name
    ipv4: str
    ipv6: str
    parent: str | None
    link: str = ""
    families: tuple[int, ...] = BOTH

    def __post_init__(self) -> None:
        if not self.link:
            object.__setattr__(self, "link", self.role)

    @property
    def addresses(self) -> tuple[str, ...]:
        """The addresses at which it is reached, the IPv4 address first."""
        return tuple(within((self.ipv4, self.ipv6), self.families))


@dataclass(frozen=True)
class Topology:
    """Hosts and links. Each server hangs on a link to the resolver, most on their own; so does the client.

    Where there is a CA, ``ca_addresses`` are set, and all servers hang on a link to it, too. ``hosted_zones``
    is how many zones the target's servers host where a scenario does not say.
    """

    name: str
    summary: str
    servers: tuple[Server, ...]
    sensitive_name: dns.name.Name
    resolver_addresses: tuple[str, str] = ("192.0.2.53", "2001:db8:2::53")
    client_addresses: tuple[str, str] = ("192.0.2.1", "2001:db8:2::1")
    hosted_zones: int = 10
    ca_addresses: tuple[str, str] | None = None
    by_role: dict[str, Server] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "by_role", {server.role: server for server in self.servers})

    @property
    def roles(self) -> tuple[str, ...]:
        """Every role that a server plays here."""
        return tuple(self.by_role)

    @property
    def links(self) -> tuple[str, ...]:
        """Every link, the client's first and the CA's last."""
        of_ca = () if self.ca_addresses is None else (CA,)
        return (CLIENT, *dict.fromkeys(server.link for server in self.servers), *of_ca)

    @property
    def families(self) -> tuple[int, ...]:
        """The IP versions over which the resolver and servers reach each other."""
        return tuple(sorted({family for server in self.servers for family in server.families}))

    def on_link(self, link: str) -> tuple[Server, ...]:
        """The servers at the far end of a link."""
        return tuple(server for server in self.servers if server.link == link)

    def at(self, address: str) -> Server | None:
        """The server that has an address, if any."""
        return next((server for server in self.servers if address in server.addresses), None)


def within(addresses: Iterable[str], families: Collection[int]) -> Iterator[str]:
    """Those addresses that are of certain IP versions."""
    return (address for address in addresses if (6 if ":" in address else 4) in families)


def server(
    role: str,
    zone: str,
    name: str,
    number: int,
    parent: str | None,
    link: str = "",
    families: tuple[int, ...] = BOTH,
) -> Server:
    """A server whose addresses are made from a number between 1 and 254."""
    return Server(
        role=role,
        zone=dns.name.from_text(zone),
        name=dns.name.from_text(name),
        ipv4=f"198.51.100.{number}",
        ipv6=f"2001:db8:51::{number:x}",
        parent=parent,
        link=link,
        families=families,
    )


@functools.cache
def names() -> tuple[str, ...]:
    """The names of all topologies that there are when it is first asked for."""
    folder = importlib.import_module("topologies").__path__
    return tuple(sorted(module.name.replace("_", "-") for module in pkgutil.iter_modules(folder)))


def load(name: str) -> Topology:
    """The topology of a name.

    Raises KeyError when no file in ``topologies/`` bears it.
    """
    if name not in names():
        raise KeyError(name)
    module = importlib.import_module(f"topologies.{name.replace('-', '_')}")
    topology: Topology = module.TOPOLOGY
    return topology
