"""The stage: a network that stands, its event loop and its packet recorder, for one phase after the other."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable, Mapping

from testbed.core.authoritative import Authoritative
from testbed.core.resolver.state import Configuration
from testbed.core.transport import Transport
from testbed.core.zone import Zone
from testbed.engines.reference import ReferenceResolver
from testbed.evidence import TlsSecret
from testbed.network.capture import Recorder
from testbed.network.fabric import Network
from testbed.network.loop import VirtualLoop
from testbed.onpath.link import AttackedLink
from testbed.run.cast import Placed
from testbed.topology import CLIENT, RESOLVER, Topology
from testbed.transports import Handler, Listener, dot, tcp, udp
from testbed.world.build import EVIL, World
from testbed.world.epoch import EPOCH

ATTACKER = "attacker"
"""Who holds the secrets of TLS sessions that an attacker terminates."""


class Stage:
    """A network and what it takes to play on it. Built once, used for many phases."""

    def __init__(self, topology: Topology, loop: VirtualLoop) -> None:
        self.topology = topology
        self.loop = loop
        self.network = Network.build(topology)
        self.recorder = Recorder(self.network, loop)
        self._began = 0.0

    def close(self) -> None:
        """Take the network down."""
        self.recorder.close()
        self.network.close()

    def begin(self) -> None:
        """Start a phase: the world's clock is at its epoch, nothing is recorded."""
        self._began = self.loop.time()
        self.loop.restart_display()
        self.recorder.begin()

    def clock(self) -> float:
        """Unix time in the world of the current phase."""
        return EPOCH + self.loop.time() - self._began

    def servers(self, world: World, evil_zones: Iterable[Zone], secrets: list[TlsSecret]) -> list[Listener]:
        """Start all authoritative servers of a world; the attacker's own serves further zones."""
        listeners: list[Listener] = []
        extra = tuple(evil_zones)
        for server in self.topology.servers:
            logic = world.authoritative(server.role, extra if server.role == EVIL else ())
            listeners += self._serve(server.role, world, _handler(logic), secrets)
        return listeners

    def _serve(
        self, role: str, world: World, handler: Handler, secrets: list[TlsSecret]
    ) -> Iterable[Listener]:
        host = self.network.hosts[role]
        offers, credential = world.services.get(role, ((), None))
        for address in self.topology.by_role[role].addresses:
            yield udp.serve(host, address, Transport.UDP.port, handler)
            yield tcp.serve(host, address, Transport.TCP.port, handler)
            for transport, port in offers:
                assert transport is Transport.DOT
                assert credential is not None
                yield dot.serve(
                    host, address, port, handler, credential=credential, secrets=_sink(secrets, role)
                )

    def resolver(
        self, configuration: Configuration, rng: random.Random, secrets: list[TlsSecret]
    ) -> ReferenceResolver:
        """The reference resolver, not yet started."""
        return ReferenceResolver(
            self.network.resolver,
            self.topology.resolver_addresses,
            configuration,
            self.clock,
            rng,
            _sink(secrets, RESOLVER),
        )

    def attacked_links(
        self, world: World, placed: Mapping[str, list[Placed]], secrets: list[TlsSecret]
    ) -> dict[str, AttackedLink]:
        """The links that have active attackers on them, none of them switched on yet."""
        return {
            link: AttackedLink(
                self.network.hops[link],
                [one.attacker for one in attackers],
                self._role_at,
                world.forged_credential,
                _sink(secrets, ATTACKER),
            )
            for link, attackers in placed.items()
        }

    def _role_at(self, address: str) -> str:
        server = self.topology.at(address)
        return server.role if server is not None else CLIENT


def _handler(logic: Authoritative) -> Handler:
    return lambda wire, transport, _peer: logic.respond_wire(wire, transport)


def _sink(secrets: list[TlsSecret], holder: str) -> Callable[[str], None]:
    return lambda line: secrets.append(TlsSecret(line, holder))
