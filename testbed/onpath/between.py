"""Queries that have a stream each, as in DoH and DoQ, on their way through a session that was terminated."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field
from typing import Any

from testbed.attack.actions import Reset
from testbed.attack.fates import Fate, Forward, Return
from testbed.attack.pending import Pending
from testbed.core.dohpath import Template
from testbed.core.transport import Transport, TransportError
from testbed.transports import Session

TIMEOUT = 10.0
"""Seconds for a session with the true server, and again for a response in it: more than resolvers wait."""


@dataclass(frozen=True)
class AnyPath(Template):
    """The path of DoH at which an attacker answers: whichever is asked for, which it asks for in turn."""

    asked: list[str] = field(default_factory=list)

    def message(self, path: str) -> str | None:
        """Take a path as it comes. What is in it is of no use, as resolvers use POST."""
        self.asked[:] = [path]
        return ""

    def expand(self, message: bytes | None) -> str:
        """The path that was asked for."""
        return self.asked[0]


class Between:
    """Asks the true server what it is asked, with the attackers' hooks on the way.

    ``dial`` opens a session with the server when it is first needed, ``abort`` ends that with the resolver.
    """

    def __init__(
        self,
        pending: Pending,
        dial: Callable[[], Coroutine[Any, Any, Session]],
        abort: Callable[[], None],
    ) -> None:
        self._pending = pending
        self._dial = dial
        self._abort = abort
        self._dialling: asyncio.Task[Session] | None = None
        self._number = 0

    async def answer(self, wire: bytes, transport: Transport, peer: str) -> list[bytes]:
        """The responses to a query, with the message ID of streams, 0; none when there are none to be had."""
        # The hooks tell queries apart by their message IDs.
        self._number = self._number % 0xFFFF + 1
        fate = self._pending.query(self._number.to_bytes(2) + wire[2:])
        if not isinstance(fate, Forward):
            return await self._back(fate)
        await asyncio.sleep(fate.delay)
        fates: list[Fate] = []

        def last(response: bytes) -> bool:
            """Whether there is something to send on; a zone transfer is held back until it is whole."""
            fates.extend(self._pending.responses(response))
            return bool(fates)

        try:
            session = await self._session()
            await session.transfer(fate.wire, TIMEOUT, last)
        except TransportError:
            self._abort()
            return []
        return [octets for fate in fates for octets in await self._back(fate)]

    async def _back(self, fate: Fate) -> list[bytes]:
        """What is sent to the resolver."""
        match fate:
            case Forward(wire, delay):
                await asyncio.sleep(delay)
                return [b"\0\0" + wire[2:]]
            case Return(wire):
                return [b"\0\0" + wire[2:]]
            case Reset():
                self._abort()
        return []

    async def _session(self) -> Session:
        if self._dialling is None:
            self._dialling = asyncio.get_running_loop().create_task(self._dial())
        return await asyncio.shield(self._dialling)

    def close(self) -> None:
        """End the session with the server."""
        dialling = self._dialling
        if dialling is None:
            return
        if not dialling.done():
            dialling.cancel()
        elif not dialling.cancelled() and dialling.exception() is None:
            dialling.result().close()
