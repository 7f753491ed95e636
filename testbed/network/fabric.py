"""The network of a topology: hosts, and a routed link from the resolver to each server.

::

    resolver ──── hop ──── server        one hop for each link, one server host for each role

Every host has one IPv4 and one IPv6 address, on its loopback interface, and host routes to the addresses
that it may talk to. A CA has a link like the resolver's, to all servers. From the hop of the attacker's link
a way leads on to all servers, for what the attacker sends to them. Neighbours are configured, not
discovered, and interfaces have no link-local address: on a link there is nothing but what hosts and
attackers send on purpose.
"""

from __future__ import annotations

import ctypes
import fcntl
import os
import socket
import struct
import subprocess
from concurrent.futures import ThreadPoolExecutor

from testbed.network import sandbox
from testbed.network.host import Hop, Host, Interface, on_all_cpus
from testbed.network.layout import RULE, Plan, hop_name, lay_out, pairs
from testbed.network.mininet_parts import Net, Node
from testbed.topology import CLIENT, RESOLVER, Topology

SETTINGS: dict[str, str | int] = {
    "ipv6/conf/all/disable_ipv6": 0,
    "ipv6/conf/default/disable_ipv6": 0,
    # No traffic of IPv6's own: no link-local addresses, no duplicate detection, no solicitations.
    "ipv6/conf/default/addr_gen_mode": 1,
    "ipv6/conf/all/accept_dad": 0,
    "ipv6/conf/default/accept_dad": 0,
    "ipv6/conf/default/router_solicitations": 0,
    "ipv6/conf/all/accept_ra": 0,
    "ipv6/conf/default/accept_ra": 0,
    # Whoever forges a source address gets through, as in networks that do not filter (BCP 38).
    "ipv4/conf/all/rp_filter": 0,
    "ipv4/conf/default/rp_filter": 0,
    "ipv4/conf/all/accept_redirects": 0,
    "ipv4/conf/default/accept_redirects": 0,
    "ipv6/conf/all/accept_redirects": 0,
    "ipv6/conf/default/accept_redirects": 0,
    # ICMP errors are sent whenever they are due, not only so many a second.
    "ipv4/icmp_ratemask": 0,
    "ipv6/icmp/ratelimit": 0,
    "ipv6/icmp/ratemask": "127",  # a type that does not exist: even the limit for all of them is off
    # Connections remember nothing of earlier ones, and wait for no timer of the kernel: no pacing (BBR), no
    # probing for a loss, no waiting for more to send.
    "ipv4/tcp_congestion_control": "reno",
    "ipv4/tcp_autocorking": 0,
    # Windows that do not grow: no system call sends more than the ring of a capture holds.
    "ipv4/tcp_rmem": "4096 131072 131072",
    "ipv4/tcp_no_metrics_save": 1,
    "ipv4/tcp_early_retrans": 0,
    "ipv4/tcp_slow_start_after_idle": 0,
    "ipv4/tcp_tw_reuse": 1,
    # Programs under test that give up root can still serve.
    "ipv4/ip_unprivileged_port_start": 0,
}
"""Kernel settings of every host, below /proc/sys/net. Made before its interfaces, which inherit them."""

FORWARDING: dict[str, str | int] = {
    "ipv4/ip_forward": 1,
    "ipv6/conf/all/forwarding": 1,
    # A connection that was terminated here is forgotten when it ends. In TIME_WAIT it would catch packets of
    # a later one from the same port that is to pass. A wait for the other side's FIN that is no longer than
    # TIME_WAIT, 60 s, would count as such.
    "ipv4/tcp_max_tw_buckets": 0,
    "ipv4/tcp_fin_timeout": 61,
}
"""Those of hops. Made after their interfaces gave up multicast, or they would join the router groups."""

SIOCETHTOOL = 0x8946
OFFLOADS = (
    0x1F,  # ETHTOOL_STSO: TCP segmentation
    0x24,  # ETHTOOL_SGSO: generic segmentation
    0x2C,  # ETHTOOL_SGRO: generic receive
    0x17,  # ETHTOOL_STXCSUM: checksums
)
"""Off, so that a capture has what would be on a wire: true checksums, no frame above the MTU."""


class NetworkError(Exception):
    """The network could not be built."""


class Network:
    """A network that stands. Build it with :meth:`build`, once for each worker.

    ``hosts`` has the resolver, the client and each server (by its role); ``hops`` the hops by link.
    ``mininet`` is the Mininet network, for its command line.
    """

    def __init__(
        self, topology: Topology, hosts: dict[str, Host], hops: dict[str, Hop], mininet: Net
    ) -> None:
        self.topology = topology
        self.hosts = hosts
        self.hops = hops
        self.mininet = mininet

    @classmethod
    def build(cls, topology: Topology) -> Network:
        """Build the network of a topology in this sandbox.

        Raises NotInSandbox outside one, NetworkError when the machine or its kernel lacks something.
        """
        sandbox.require()
        plans = lay_out(topology)
        try:
            nodes = _start_nodes(plans)
            everyone = {name: _make_host(plan, nodes[name]) for name, plan in plans.items()}
            for host in everyone.values():
                host.configure(SETTINGS)
            _make_pairs(plans, everyone)
            for host in everyone.values():
                host.interfaces = _settle_interfaces(host, plans[host.name])
            _configure_all(plans, everyone)
        except OSError as error:
            raise NetworkError(f"{error.filename or 'the network'}: {error.strerror}") from error
        hops = {link: everyone.pop(hop_name(link)) for link in topology.links}
        return cls(
            topology,
            everyone,
            {link: hop for link, hop in hops.items() if isinstance(hop, Hop)},
            _tell_mininet(plans, nodes),
        )

    @property
    def resolver(self) -> Host:
        """The host of the resolver."""
        return self.hosts[RESOLVER]

    @property
    def client(self) -> Host:
        """The host of the client."""
        return self.hosts[CLIENT]

    def close(self) -> None:
        """End the hosts' shells and let go of their namespaces. The end of the sandbox does the same."""
        for host in (*self.hosts.values(), *self.hops.values()):
            host.close()
            host.node.terminate()


def _start_nodes(plans: dict[str, Plan]) -> dict[str, Node]:
    """Mininet nodes, without interfaces. Most of the time goes into making namespaces, so in parallel."""
    with on_all_cpus(), ThreadPoolExecutor(os.cpu_count()) as pool:
        return dict(zip(plans, pool.map(Node, plans), strict=True))


def _make_host(plan: Plan, node: Node) -> Host:
    return (Hop if plan.router else Host)(plan.name, node.pid, plan.addresses, node)


def _make_pairs(plans: dict[str, Plan], hosts: dict[str, Host]) -> None:
    lines = [
        f"link add name {end.name} address {end.mac} netns {hosts[plan.name].pid} type veth"
        f" peer name {end.peer_name} address {end.peer_mac} netns {hosts[end.to].pid}"
        for plan, end in pairs(plans)
    ]
    _finish(_start_batch(hosts[RESOLVER], "ip"), lines)


def _settle_interfaces(host: Host, plan: Plan) -> tuple[Interface, ...]:
    """Switch offloads off, and learn the interfaces' numbers."""
    with host.entered(), socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as any_socket:
        numbers = {name: number for number, name in socket.if_nameindex()}
        for end in plan.ends:
            for command in OFFLOADS:
                value = ctypes.create_string_buffer(struct.pack("II", command, 0))
                request = struct.pack("16sP16x", end.name.encode(), ctypes.addressof(value))
                fcntl.ioctl(any_socket, SIOCETHTOOL, request)
    return tuple(Interface(end.name, numbers[end.name], end.mac, end.peer_mac, end.to) for end in plan.ends)


def _configure_all(plans: dict[str, Plan], hosts: dict[str, Host]) -> None:
    """Addresses, routes, neighbours; one process for each host, all at once."""
    batches = [(_start_batch(hosts[name], "ip"), plan.commands()) for name, plan in plans.items()]
    routers = [name for name, plan in plans.items() if plan.router]
    batches += [(_start_batch(hosts[name], "ip", "-6"), [RULE]) for name in routers]
    for process, lines in batches:
        _finish(process, lines)
    for name in routers:
        hosts[name].configure(FORWARDING)


def _start_batch(host: Host, *command: str) -> subprocess.Popen[str]:
    return host.popen(
        [*command, "-batch", "-"],
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )


def _finish(process: subprocess.Popen[str], lines: list[str]) -> None:
    _, complaint = process.communicate("\n".join(lines) + "\n")
    if process.returncode:
        first, *_ = complaint.splitlines() or ["no reason given"]
        raise NetworkError(f"ip -batch: {first}")


def _tell_mininet(plans: dict[str, Plan], nodes: dict[str, Node]) -> Net:
    """A Mininet network of what was built."""
    mininet = Net()
    for node in nodes.values():
        mininet.adopt(node)
    for plan, end in pairs(plans):
        names = {"intfName1": end.name, "intfName2": end.peer_name}
        mininet.addLink(nodes[plan.name], nodes[end.to], addr1=end.mac, addr2=end.peer_mac, **names)
    mininet.build()
    return mininet
