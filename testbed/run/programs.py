"""The authoritative servers of a world that are programs."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping

from testbed.engines.description import Authoritative
from testbed.engines.server import ProgramServer
from testbed.evidence import TlsSecret
from testbed.network.fabric import Network
from testbed.run.services import sink
from testbed.world.build import World


class Programs:
    """The servers of some roles, from ``start`` until ``close``. ``secrets`` takes those of TLS sessions."""

    def __init__(
        self,
        network: Network,
        world: World,
        engines: Mapping[str, Authoritative],
        secrets: list[TlsSecret],
        clock: Callable[[], float],
    ) -> None:
        self._secrets = secrets
        self._servers = {
            role: ProgramServer(engine, network.hosts[role], world, role, clock)
            for role, engine in engines.items()
        }

    async def start(self) -> None:
        """Start them all, and return when they serve. Raises EngineError."""
        starting = (server.start() for server in self._servers.values())
        for failure in await asyncio.gather(*starting, return_exceptions=True):
            if failure is not None:
                raise failure

    @property
    def busy(self) -> bool:
        """Whether any of them does something."""
        return any(server.busy for server in self._servers.values())

    def set_clock(self) -> None:
        """Take notice that the world's clock was set forward."""
        for server in self._servers.values():
            server.set_clock()

    def close(self) -> None:
        """End them all."""
        for role, server in self._servers.items():
            note = sink(self._secrets, role)
            for line in server.stop():
                note(line)
