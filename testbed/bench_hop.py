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
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from typing import Any

import dns.name
import dns.rdatatype

from testbed.attack import catalogue
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

HOPS: dict[str, tuple[str, dict[str, Any]] | None] = {
    "plain forwarding": None,
    "an attacker that wants connections to other ports": ("block", {"transports": ["dot"]}),
    "an attacker that reads the questions": ("hinder", {"types": ["TLSA"]}),
    "an attacker that rewrites every response": ("strip-records", {"strip": ["DS"]}),
}
"""What sits on the link: an attacker with its parameters, or nothing."""


@dataclass(frozen=True)
class Speed:
    """Responses a second as fast as it goes; of queries at a steady pace, how many got none."""

    per_second: float
    lost: int
    sent: int


def measure(seconds: float) -> dict[str, dict[str, Any]]:
    """The speed with each kind of hop, each measured for so many seconds and again at a steady pace.

    Must run in a sandbox.
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
    speeds = {}
    with _child(functools.partial(_serve, answering, response)):
        for name, sitting in HOPS.items():
            asking = bound(network.resolver, socket.SOCK_DGRAM, local)
            asking.connect(remote)
            attackers = []
            if sitting is not None:
                kind = catalogue.load(sitting[0])
                attackers = [kind(scene(world, LINK, random.Random(0)), kind.Parameters(**sitting[1]))]
            ready, go = os.pipe()
            with _child(functools.partial(_ask, asking, wire, seconds, ready)) as output:
                taken = asyncio.run(_sit(network, attackers, go, output))
            os.close(ready)
            os.close(go)
            asking.close()
            speeds[name] = json.loads(taken)
    answering.close()
    network.close()
    return speeds


async def _sit(network: Network, attackers: list[Any], go: int, output: int) -> bytes:
    """Run a hop, tell the client to begin, and go on until it has written what it measured."""
    loop = asyncio.get_running_loop()
    done: asyncio.Future[bytes] = loop.create_future()
    link = None
    if attackers:
        link = AttackedLink(network.hops[LINK], attackers, lambda _: LINK, _no_credential, lambda _: None)
        link.switch({0})

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
