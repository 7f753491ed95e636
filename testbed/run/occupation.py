"""Connections that attackers open from their own host and keep, so that a server has none left for others."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any

from testbed import transports
from testbed.attack.actions import Occupy
from testbed.attack.timing import Post
from testbed.core.transport import Transport, TransportError
from testbed.network.fabric import Network
from testbed.network.loop import VirtualLoop
from testbed.run.cast import Placed
from testbed.topology import EVIL
from testbed.transports import Session
from testbed.transports.tls import Secrets
from testbed.world.build import World

PATIENCE = 5.0
"""Seconds that it waits for a connection to come about."""


class Occupation:
    """Attackers that open connections, from when this is made until ``close``. None is switched on yet."""

    def __init__(
        self, network: Network, world: World, placed: Sequence[Placed], loop: VirtualLoop, secrets: Secrets
    ) -> None:
        self._network = network
        self._world = world
        self._loop = loop
        self._secrets = secrets
        began = loop.time()
        self._posts = [Post(one.attacker, lambda: loop.time() - began) for one in placed]
        self._open: dict[int, list[Session]] = {}

    def begin_step(self, number: int, active: Collection[int]) -> None:
        """Another step begins, in which those with these indices are active. The others let go."""
        for index, post in enumerate(self._posts):
            post.begin_step(number)
            post.switch(index in active)
            if not post.on:
                self._let_go(index)

    async def renew(self) -> None:
        """Have connections opened, as many as are missing; return once they are there."""
        for index, post in enumerate(self._posts):
            action = post.ask(post.attacker.occupy, EVIL)
            if action is not None:
                post.attacker.spent.held += await self._occupy(index, action)

    def close(self) -> None:
        """End all connections."""
        self.begin_step(0, ())

    def _let_go(self, index: int) -> None:
        for session in self._open.pop(index, ()):
            session.close()

    async def _occupy(self, index: int, action: Occupy) -> int:
        """Open what is missing. The number of connections that are new, and that the server has kept."""
        kept = [session for session in self._open.get(index, ()) if not session.closed.done()]
        before = set(map(id, kept))
        refused = False
        while len(kept) < action.connections and not refused:
            try:
                kept.append(await self._dial(action))
            except TransportError:
                break
            # A server that refuses it lets TCP come about first.
            await self._loop.quiesce()
            refused = kept[-1].closed.done()
        self._open[index] = [session for session in kept if not session.closed.done()]
        return sum(id(session) not in before for session in self._open[index])

    async def _dial(self, action: Occupy) -> Session:
        """One connection. Raises TransportError."""
        server = self._world.topology.by_role[action.server]
        index = 0 if 4 in server.families else 1
        evil = self._world.topology.by_role[EVIL]
        local, remote = (evil.ipv4, evil.ipv6)[index], (server.ipv4, server.ipv6)[index]
        port = dict(self._world.offers(action.server)).get(action.transport, action.transport.port)
        options: dict[str, Any] = (
            {} if action.transport is Transport.TCP else {"sni": None, "secrets": self._secrets}
        )
        if action.transport.http:
            options["path"] = self._world.paths[action.server]
        connect = transports.load(action.transport).connect
        session: Session = await connect(
            self._network.hosts[EVIL], local, (remote, port), timeout=PATIENCE, **options
        )
        return session
