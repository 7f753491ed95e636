"""The authoritative servers of a world, as sockets on the hosts of a network."""

from __future__ import annotations

import asyncio
import functools
import itertools
import random
from collections.abc import Callable, Iterable, Iterator

from testbed import transports
from testbed.core.authoritative import Authoritative
from testbed.core.transport import Transport
from testbed.core.zone import Zone
from testbed.evidence import TlsSecret
from testbed.network.fabric import Network
from testbed.scenario.world import Fragments
from testbed.topology import EVIL, within
from testbed.transports import Handler, Listener, fragmenting
from testbed.world.build import World


class Services:
    """All servers, from when this is made until ``close``.

    ``evil_zones`` are further zones that the attacker's own server serves; ``secrets`` takes the secrets of
    all TLS sessions, as the servers have them.
    """

    def __init__(
        self, network: Network, world: World, evil_zones: Iterable[Zone], secrets: list[TlsSecret]
    ) -> None:
        self._network = network
        self._world = world
        self._secrets = secrets
        extra = tuple(evil_zones)
        self._handlers = {
            server.role: _handler(
                world.authoritative(server.role, extra if server.role == EVIL else ()),
                world.latency.get(server.role, 0.0),
            )
            for server in world.topology.servers
        }
        self._clear = [listener for role in self._handlers for listener in self._serve_clear(role)]
        self._encrypted = {role: list(self._serve_encrypted(role)) for role in self._handlers}

    def interrupt(self, role: str) -> None:
        """End the encrypted services of a role's server: sessions are reset, connections refused."""
        _close(self._encrypted[role])

    def resume(self, role: str) -> None:
        """Start the encrypted services of a role's server again."""
        self.interrupt(role)
        self._encrypted[role] = list(self._serve_encrypted(role))

    def close(self) -> None:
        """End everything."""
        for listeners in (self._clear, *self._encrypted.values()):
            _close(listeners)

    def _serve_clear(self, role: str) -> Iterator[Listener]:
        for address in self._world.topology.by_role[role].addresses:
            for transport in (Transport.UDP, Transport.TCP):
                serve = transports.load(transport).serve
                if transport is Transport.UDP and role in self._world.fragments:
                    serve = self._cutting(role, self._world.fragments[role])
                yield serve(self._network.hosts[role], address, transport.port, self._handlers[role])

    def _cutting(self, role: str, fragments: Fragments) -> Callable[..., Listener]:
        """What serves with responses cut into fragments."""
        rng = random.Random(f"{self._world.seed} fragments {role}")
        ids: Iterator[int] = itertools.cycle(range(1, 2**16))
        if fragments.ids == "random":
            ids = (rng.randrange(1, 2**16) for _ in itertools.count())
        return functools.partial(fragmenting.serve, mtu=fragments.mtu, ids=ids)

    def _serve_encrypted(self, role: str) -> Iterator[Listener]:
        offers, credential = self._world.services.get(role, ((), None))
        addresses = self._world.topology.by_role[role].addresses
        for address in within(addresses, self._world.families.get(role, ())):
            for transport, port in offers:
                yield transports.load(transport).serve(
                    self._network.hosts[role],
                    address,
                    port,
                    self._handlers[role],
                    credential=credential,
                    secrets=sink(self._secrets, role),
                    **({"path": self._world.paths[role]} if transport.http else {}),
                )


def sink(secrets: list[TlsSecret], holder: str) -> Callable[[str], None]:
    """Something that takes key log lines and notes who holds them."""
    return lambda line: secrets.append(TlsSecret(line, holder))


def _close(listeners: list[Listener]) -> None:
    for listener in listeners:
        listener.close()
    listeners.clear()


def _handler(logic: Authoritative, latency: float) -> Handler:
    async def in_time(wire: bytes, transport: Transport) -> list[bytes]:
        await asyncio.sleep(latency)
        return logic.respond_wire(wire, transport)

    if latency:
        return lambda wire, transport, _peer: in_time(wire, transport)
    return lambda wire, transport, _peer: logic.respond_wire(wire, transport)
