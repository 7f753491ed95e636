"""How many DNS messages a second the hop on a link passes on, beside plain forwarding by the kernel.

Client, hop and server are processes of their own, as far as there are CPUs for them. The server sends one and
the same referral, whatever it is asked, so that it costs next to nothing.
"""

from __future__ import annotations

import asyncio
import functools
import json
import os
import random
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import asdict, dataclass
from typing import Any

import dns.name
import dns.rdatatype

from testbed.attack import catalogue
from testbed.bench import peers
from testbed.core import message
from testbed.core.message import encode
from testbed.core.transport import Transport
from testbed.network.fabric import Network
from testbed.network.host import on_all_cpus
from testbed.onpath.link import AttackedLink
from testbed.run.cast import scene
from testbed.scenario.world import World as Described
from testbed.topology import load
from testbed.transports.sockets import bound
from testbed.world.build import build

LINK = "ns-parent"
DNS_PORT = 53
OUTSTANDING = 64
"""Queries that wait for a response at any time."""

WAIT = 0.5
"""Seconds until a response counts as lost."""

PACE = 1000
"""Queries a second at which nothing should be lost."""

DNSPERF_SECONDS = 30

REWRITING: tuple[str, dict[str, Any]] = ("strip-records", {"strip": ["DS"]})

HOPS: dict[str, tuple[str, dict[str, Any]] | None] = {
    "plain forwarding": None,
    "an attacker that wants connections to other ports": ("block", {"transports": ["dot"]}),
    "an attacker that reads the questions": ("hinder", {"types": ["TLSA"]}),
    "an attacker that rewrites every response": REWRITING,
}
"""What sits on the link: an attacker with its parameters, or nothing."""


@dataclass(frozen=True)
class Speed:
    """Responses a second as fast as it goes; of queries at a steady pace, how many got none."""

    per_second: float
    lost: int
    sent: int


Speeds = dict[str, dict[str, Any]]
"""By what sits on the link: a ``Speed``, or under "missing" why there is none."""

Sitting = Callable[[], AbstractContextManager[None]]


def measure(seconds: float) -> Speeds:
    """The speed with each kind of hop, each measured for so many seconds and again at a steady pace.

    Beside it, that with other tools on the hop, and what dnsperf finds over a longer time. Must run in a
    sandbox.
    """
    topology = load("hosted")
    described = {"signal": ["ds-glue"], "secure": ["target"], "signed": []}
    world = build(topology, Described.model_validate(described))
    network = Network.build(topology)
    query = message.query(dns.name.from_text("www.dnshost.net."), dns.rdatatype.A, id=0)
    wire = encode(query)
    server = topology.by_role[LINK]
    ((response),) = world.authoritative(LINK).respond_wire(wire, Transport.UDP)
    remote, local = (server.ipv4, DNS_PORT), (topology.resolver_addresses[0], 0)
    answering = bound(network.hosts[LINK], socket.SOCK_DGRAM, remote)
    speeds: Speeds = {}

    def on_the_hop(attackers: list[Any], sitting: Sitting) -> dict[str, Any]:
        asking = bound(network.resolver, socket.SOCK_DGRAM, local)
        asking.connect(remote)
        ready, go = os.pipe()
        try:
            with sitting(), _child(functools.partial(_ask, asking, wire, seconds, ready)) as output:
                taken: dict[str, Any] = json.loads(asyncio.run(_sit(network, attackers, go, output)))
        finally:
            os.close(ready)
            os.close(go)
            asking.close()
        return taken

    def attackers(name: str, parameters: dict[str, Any]) -> list[Any]:
        kind = catalogue.load(name)
        return [kind(scene(world, LINK, random.Random(0)), kind.Parameters(**parameters))]

    with _child(functools.partial(_serve, answering, response)):
        for name, sitting in HOPS.items():
            speeds[name] = on_the_hop([] if sitting is None else attackers(*sitting), nullcontext)
        for peer in peers.PEERS:
            at_hop = functools.partial(peer.sit, network.hops[LINK], local[0], server.ipv4)
            speeds[peer.name] = _if_possible(peer.missing, functools.partial(on_the_hop, [], at_hop))
        asked = functools.partial(_asked_by_dnsperf, network, local[0], server.ipv4)
        missing = None if peers.command("dnsperf") else "not installed: apt-get install dnsperf"
        speeds[f"rewriting, asked by dnsperf for {DNSPERF_SECONDS} s"] = _if_possible(
            missing, lambda: _beside(network, attackers(*REWRITING), asked)
        )
    answering.close()
    network.close()
    return speeds


def _if_possible(missing: str | None, work: Callable[[], dict[str, Any]]) -> dict[str, Any]:
    """What a tool came to, or why it is missing."""
    try:
        return work() if missing is None else {"missing": missing}
    except peers.PeerError as error:
        return {"missing": str(error)}


def _beside(network: Network, attackers: list[Any], work: Callable[[], dict[str, Any]]) -> dict[str, Any]:
    """Do something in a thread while attackers sit on the link."""

    async def both() -> dict[str, Any]:
        link = _link(network, attackers)
        try:
            return await asyncio.to_thread(work)
        finally:
            link.close()

    return asyncio.run(both())


def _asked_by_dnsperf(network: Network, local: str, server: str) -> dict[str, Any]:
    sent, lost = peers.dnsperf(network.resolver, local, server, "www.dnshost.net A", PACE, DNSPERF_SECONDS)
    return {"per_second": None, "lost": lost, "sent": sent}


async def _sit(network: Network, attackers: list[Any], go: int, output: int) -> bytes:
    """Run a hop, tell the client to begin, and go on until it has written what it measured."""
    loop = asyncio.get_running_loop()
    done: asyncio.Future[bytes] = loop.create_future()
    link = _link(network, attackers) if attackers else None

    def readable() -> None:
        loop.remove_reader(output)
        done.set_result(os.read(output, 65536))

    loop.add_reader(output, readable)
    os.write(go, b"\0")
    try:
        return await done
    finally:
        if link is not None:
            link.close()


def _link(network: Network, attackers: list[Any]) -> AttackedLink:
    """The link with its attackers, who are switched on."""
    link = AttackedLink(network.hops[LINK], attackers, lambda _: LINK, _no_credential, lambda _: None)
    link.switch({0})
    return link


def _no_credential(*_: object) -> Any:
    raise AssertionError("nothing here is encrypted")


@contextmanager
def _child(work: Callable[[int], None]) -> Iterator[int]:
    """A process that does some work, on whichever CPU; what it writes can be read."""
    reading, writing = os.pipe()
    process = os.fork()
    if process == 0:
        try:
            with on_all_cpus():
                work(writing)
        finally:
            os._exit(0)
    os.close(writing)
    try:
        yield reading
    finally:
        os.kill(process, 9)
        os.waitpid(process, 0)
        os.close(reading)


def _serve(sock: socket.socket, response: bytes, _output: int) -> None:
    """Send the same response, whatever is asked, until the process ends."""
    sock.setblocking(True)
    while True:
        data, peer = sock.recvfrom(4096)
        sock.sendto(data[:2] + response[2:], peer)


def _ask(sock: socket.socket, wire: bytes, seconds: float, ready: int, output: int) -> None:
    """Measure once the hop is set up, and write the result."""
    os.read(ready, 1)
    per_second = _flat_out(sock, wire, seconds)
    sent, lost = _steadily(sock, wire, seconds)
    os.write(output, json.dumps(asdict(Speed(per_second, lost, sent))).encode())


def _flat_out(sock: socket.socket, wire: bytes, seconds: float) -> float:
    """Responses a second, with a number of queries outstanding all the time."""
    sock.settimeout(WAIT)
    began = time.perf_counter()
    number = answered = 0
    for number in range(OUTSTANDING):
        sock.send(number.to_bytes(2) + wire[2:])
    while time.perf_counter() - began < seconds:
        try:
            sock.recv(4096)
            answered += 1
            fresh = 1
        except TimeoutError:
            fresh = OUTSTANDING
        for _ in range(fresh):
            number = (number + 1) % 0x10000
            sock.send(number.to_bytes(2) + wire[2:])
    elapsed = time.perf_counter() - began
    _drain(sock)
    return answered / elapsed


def _steadily(sock: socket.socket, wire: bytes, seconds: float) -> tuple[int, int]:
    """How many queries were sent at a steady pace, and how many of them got no response."""
    count, answered = int(PACE * seconds), 0
    began = time.perf_counter()
    for number in range(count):
        while (left := began + number / PACE - time.perf_counter()) > 0:
            sock.settimeout(max(left, 1e-6))
            answered += _received(sock)
        sock.send(number.to_bytes(2) + wire[2:])
    return count, count - answered - _drain(sock)


def _received(sock: socket.socket) -> int:
    try:
        sock.recv(4096)
    except (TimeoutError, BlockingIOError):
        return 0
    return 1


def _drain(sock: socket.socket) -> int:
    """Responses that still come."""
    sock.settimeout(WAIT)
    count = 0
    while _received(sock):
        count += 1
    return count
