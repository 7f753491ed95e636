"""Attackers that run servers: what they do to messages inside, whatever these came over."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Awaitable, Collection, Iterable

from testbed.attack.chain import Chain
from testbed.attack.fates import Fate, Forward, Return
from testbed.attack.pending import Pending
from testbed.attack.timing import Clock
from testbed.core.transport import Transport
from testbed.run.cast import Placed, active_among
from testbed.topology import Topology
from testbed.transports import Handler


class Operators:
    """The attackers of a scenario that run the servers at the far ends of links. Nobody acts at first."""

    def __init__(self, placed: Iterable[Placed], topology: Topology, clock: Clock) -> None:
        by_link: dict[str, list[Placed]] = defaultdict(list)
        for one in placed:
            if one.operates and not one.passive:
                by_link[one.link].append(one)
        self._placed = by_link
        self._chains = {
            link: Chain([one.attacker for one in those], clock) for link, those in by_link.items()
        }
        self._links = {server.role: server.link for server in topology.servers}
        for chain in self._chains.values():
            chain.active = set()

    def begin_step(self, step: int, active: Collection[int]) -> None:
        """Another step begins, in which those act that have these numbers in the scenario."""
        for link, chain in self._chains.items():
            chain.begin_step(step)
            chain.active = active_among(self._placed[link], active)

    def around(self, role: str, handler: Handler) -> Handler:
        """What answers as a server that attackers run; the handler itself where none runs it."""
        chain = self._chains.get(self._links[role])
        if chain is None:
            return handler

        async def answer(wire: bytes, transport: Transport, peer: str) -> list[bytes]:
            pending = Pending(chain, transport, role)
            fate = pending.query(wire)
            if not isinstance(fate, Forward):
                return await _sent([fate])
            await asyncio.sleep(fate.delay)
            said = handler(fate.wire, transport, peer)
            responses = await said if isinstance(said, Awaitable) else said
            return await _sent([one for each in responses for one in pending.responses(each)])

        return answer


async def _sent(fates: Iterable[Fate]) -> list[bytes]:
    """The messages that go out, when it is time for the last of them. To drop or reset is to say nothing."""
    sent = []
    for fate in fates:
        if isinstance(fate, Forward):
            await asyncio.sleep(fate.delay)
        if isinstance(fate, Forward | Return):
            sent.append(fate.wire)
    return sent
