"""Responses that take time: awaited beside everything else, and dropped when nobody wants them any more."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable


class Later:
    """The responses that a listener or a connection still owes."""

    def __init__(self) -> None:
        self._tasks: set[asyncio.Task[None]] = set()

    def __len__(self) -> int:
        return len(self._tasks)

    def start(self, responses: Awaitable[list[bytes]], send: Callable[[list[bytes]], None]) -> None:
        """Await responses and send them."""

        async def wait() -> None:
            answer = await responses
            self._tasks.discard(task)
            send(answer)

        task = asyncio.get_running_loop().create_task(wait())
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def cancel(self) -> None:
        """Give up on all of them."""
        for task in self._tasks:
            task.cancel()
