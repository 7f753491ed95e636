"""The authoritative servers of a world that are programs."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Iterable, Mapping
from typing import Any

from testbed.core.authoritative import IDLE_TIMEOUT
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
        await _all(server.start() for server in self._servers.values())

    @property
    def busy(self) -> bool:
        """Whether any of them does something."""
        return any(server.busy for server in self._servers.values())

    async def advance(self, seconds: float) -> None:
        """Take notice that the world's clock was set forward. Raises EngineError.

        Programs time idle connections by a clock that nobody can set, so what encrypts is started anew when
        ours would have ended them.
        """
        anew = []
        for role, server in self._servers.items():
            server.set_clock()
            if server.encrypts and seconds >= IDLE_TIMEOUT:
                self._stop(role)
                anew.append(server)
        await _all(server.start() for server in anew)

    def close(self) -> None:
        """End them all."""
        for role in self._servers:
            self._stop(role)

    def _stop(self, role: str) -> None:
        note = sink(self._secrets, role)
        for line in self._servers[role].stop():
            note(line)


async def _all(tasks: Iterable[Coroutine[Any, Any, None]]) -> None:
    """Wait until all are done, and raise what any has raised."""
    for failure in await asyncio.gather(*tasks, return_exceptions=True):
        if failure is not None:
            raise failure
