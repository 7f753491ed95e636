"""The stage: a network that stands, its event loop and its packet recorder, for one phase after the other."""

from __future__ import annotations

import random
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from typing import Protocol

from testbed.core.resolver.state import Configuration, TraceEvent
from testbed.core.zone import Zone
from testbed.engines.description import Authoritative, Engine
from testbed.engines.program import ProgramResolver
from testbed.engines.reference import ReferenceResolver
from testbed.evidence import TlsSecret
from testbed.network.capture import Recorder
from testbed.network.fabric import Network
from testbed.network.loop import VirtualLoop
from testbed.offpath.sender import OffPath
from testbed.onpath.link import AttackedLink
from testbed.run.authority import Authority
from testbed.run.cast import Placed
from testbed.run.occupation import Occupation
from testbed.run.operators import Operators
from testbed.run.programs import Programs
from testbed.run.services import Services, sink
from testbed.topology import CA, CLIENT, EVIL, RESOLVER, Topology
from testbed.world.build import World
from testbed.world.epoch import EPOCH

ATTACKER = "attacker"
"""Who holds the secrets of TLS sessions that an attacker terminates."""


class UnderTest(Protocol):
    """A resolver under test: the reference resolver, or a program."""

    @property
    def trace(self) -> Sequence[TraceEvent]:
        """What it says that it has decided, as far as it says so."""
        ...

    async def start(self) -> None:
        """Begin to serve clients; return once it does."""
        ...

    def stop(self) -> None:
        """End everything at once."""
        ...

    async def restart(self) -> None:
        """Start anew, with nothing kept."""
        ...

    async def flush(self) -> None:
        """Empty the caches."""
        ...

    async def wait_idle(self) -> None:
        """Return when nothing is under way any more."""
        ...

    def set_clock(self) -> None:
        """Take notice that the time of day is another one than it would be if it had passed evenly."""
        ...


class Stage:
    """A network and what it takes to play on it. Built once, used for many phases."""

    def __init__(self, topology: Topology, loop: VirtualLoop) -> None:
        self.topology = topology
        self.loop = loop
        self.network = Network.build(topology)
        self.recorder = Recorder(self.network, loop)
        self._began = 0.0
        self.spoiled = False
        """Whether hosts remember something of a phase that the next one must not meet."""

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

    def servers(
        self,
        world: World,
        evil_zones: Iterable[Zone],
        secrets: list[TlsSecret],
        programs: Collection[str] = (),
        operators: Operators | None = None,
    ) -> Services:
        """Start the authoritative servers of a world, but those that are programs, by their roles.

        The attacker's own serves further zones; ``operators`` have a hand in what others say.
        """
        return Services(self.network, world, evil_zones, secrets, programs, operators)

    def programs(
        self, world: World, engines: Mapping[str, Authoritative], secrets: list[TlsSecret]
    ) -> Programs:
        """The servers of a world that are programs, by their roles, none of them started yet."""
        return Programs(self.network, world, engines, secrets, self.clock)

    def resolver(
        self,
        configuration: Configuration,
        rng: random.Random,
        secrets: list[TlsSecret],
        time_of_day: Callable[[], float],
    ) -> ReferenceResolver:
        """The reference resolver, not yet started."""
        return ReferenceResolver(
            self.network.resolver,
            self.topology.resolver_addresses,
            configuration,
            self.clock,
            rng,
            sink(secrets, RESOLVER),
            time_of_day,
        )

    def authority(
        self, configuration: Configuration, rng: random.Random, secrets: list[TlsSecret]
    ) -> Authority:
        """The CA, whose resolver is configured as given. Raises KeyError where the topology has none."""
        addresses = self.topology.ca_addresses
        if addresses is None:
            raise KeyError(CA)
        host = self.network.hosts[CA]
        resolver = ReferenceResolver(host, addresses, configuration, self.clock, rng, sink(secrets, CA))
        return Authority(resolver, rng)

    def program(
        self,
        engine: Engine,
        configuration: Configuration,
        signals: tuple[str, ...],
        time_of_day: Callable[[], float],
    ) -> ProgramResolver:
        """An engine that is a program, not yet started."""
        return ProgramResolver(
            engine,
            self.network.resolver,
            self.topology.resolver_addresses,
            configuration,
            signals,
            time_of_day,
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
                sink(secrets, ATTACKER),
            )
            for link, attackers in placed.items()
        }

    def off_path(self, placed: Sequence[Placed]) -> OffPath:
        """The attackers that are on no link, none of them switched on yet."""
        return OffPath(self.network.hosts[EVIL], [one.attacker for one in placed])

    def occupation(self, world: World, placed: Sequence[Placed], secrets: list[TlsSecret]) -> Occupation:
        """The attackers that open connections of their own, none of them switched on yet."""
        return Occupation(self.network, world, placed, self.loop, sink(secrets, ATTACKER))

    def _role_at(self, address: str) -> str:
        server = self.topology.at(address)
        return server.role if server is not None else CLIENT
