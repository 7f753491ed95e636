"""How many connections a server keeps open at a time, and what becomes of the next one.

RFC 7766 section 6.2.2 has servers limit connections, RFC 9103 and RFC 9250 (section 5.5.3) likewise.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Protocol

from testbed.core.transport import Full


class Kept(Protocol):
    """A connection that a server keeps."""

    @property
    def idle_since(self) -> float | None:
        """When its last query came, or it did itself; None while a query is being answered."""
        ...

    def retire(self) -> None:
        """Close it in good order."""
        ...


class Capacity:
    """The connections of a server, whichever of its services they are for, of which it keeps so many."""

    def __init__(self, most: int, full: Full) -> None:
        self._most = most
        self._full = full
        self._kept: list[Collection[Kept]] = []

    def count(self, connections: Collection[Kept]) -> None:
        """Count the connections that are in this collection at any time."""
        self._kept.append(connections)

    def admit(self) -> bool:
        """Whether one more connection may come. Makes room for it if that is what the server does."""
        if sum(map(len, self._kept)) < self._most:
            return True
        if self._full == "refuse":
            return False
        idle = [(kept.idle_since, kept) for kept in self._all() if kept.idle_since is not None]
        if idle:
            min(idle, key=lambda item: item[0])[1].retire()
        return bool(idle)

    def _all(self) -> list[Kept]:
        return [kept for connections in self._kept for kept in connections]
