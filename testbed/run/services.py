"""The authoritative servers of a world, as sockets on the hosts of a network."""

from __future__ import annotations

import asyncio
import functools
import itertools
import random
from collections.abc import Callable, Collection, Iterable, Iterator

from testbed import transports
from testbed.core.authoritative import Authoritative
from testbed.core.transport import Transport
from testbed.core.zone import Zone
from testbed.evidence import TlsSecret
from testbed.network.fabric import Network
from testbed.run.operators import Operators
from testbed.scenario.world import Fragments
from testbed.topology import EVIL, within
from testbed.transports import Handler, Listener, fragmenting, tcp, udp
from testbed.transports.capacity import Capacity
from testbed.world.build import World


class Services:
    """All servers but those of ``programs``, from when this is made until ``close``.

    ``evil_zones`` are further zones that the attacker's own server serves; ``secrets`` takes the secrets of
    all TLS sessions, as the servers have them. ``operators`` are attackers that run some of them.
    """

    def __init__(
        self,
        network: Network,
        world: World,
        evil_zones: Iterable[Zone],
        secrets: list[TlsSecret],
        programs: Collection[str] = (),
        operators: Operators | None = None,
    ) -> None:
        self._network = network
        self._world = world
        self._secrets = secrets
        self._evil_zones = tuple(evil_zones)
        self._roles = [server.role for server in world.topology.servers if server.role not in programs]
        self._operators = operators
        self._logic: dict[str, Authoritative] = {}
        self.publish(world)
        self._handlers = {role: self._handler(role) for role in self._logic}
        self._capacities = {role: Capacity(kept.most, kept.full) for role, kept in world.connections.items()}
        self._clear = [listener for role in self._handlers for listener in self._serve_clear(role)]
        self._encrypted = {role: list(self._serve_encrypted(role)) for role in self._handlers}

    def publish(self, world: World) -> None:
        """Serve the zones as they are in a world that has changed; connections stay."""
        for role in self._roles:
            self._logic[role] = world.authoritative(role, self._evil_zones if role == EVIL else ())

    def _handler(self, role: str) -> Handler:
        latency = self._world.latency.get(role, 0.0)

        def at_once(wire: bytes, transport: Transport, _peer: str) -> list[bytes]:
            return self._logic[role].respond_wire(wire, transport)

        async def in_time(wire: bytes, transport: Transport, peer: str) -> list[bytes]:
            await asyncio.sleep(latency)
            return at_once(wire, transport, peer)

        handler: Handler = in_time if latency else at_once
        return handler if self._operators is None else self._operators.around(role, handler)

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
            host, handler = self._network.hosts[role], self._handlers[role]
            serve: Callable[..., Listener] = udp.serve
            if role in self._world.fragments:
                serve = self._cutting(role, self._world.fragments[role])
            yield serve(host, address, Transport.UDP.port, handler)
            yield tcp.serve(host, address, Transport.TCP.port, handler, capacity=self._capacities.get(role))

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
                    capacity=self._capacities.get(role),
                    **({"path": self._world.paths[role]} if transport.http else {}),
                    **({"tls12": role in self._world.tls12} if transport is Transport.DOT else {}),
                )


def sink(secrets: list[TlsSecret], holder: str) -> Callable[[str], None]:
    """Something that takes key log lines and notes who holds them."""
    return lambda line: secrets.append(TlsSecret(line, holder))


def _close(listeners: list[Listener]) -> None:
    for listener in listeners:
        listener.close()
    listeners.clear()
