"""The time of day on the resolver's host, which attackers may have set."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence

from testbed.attack.api import Attacker
from testbed.attack.timing import Post


class WallClock:
    """Tells what the host takes for Unix time. ``clock`` tells the true one, ``began`` when all began.

    No attacker is switched on yet.
    """

    def __init__(self, clock: Callable[[], float], began: float, attackers: Sequence[Attacker]) -> None:
        self._clock = clock
        self._posts = [Post(attacker, lambda: clock() - began) for attacker in attackers]
        self._shifts: dict[int, float] = {}

    def __call__(self) -> float:
        """Unix time, in seconds."""
        return self._clock() + sum(self._shifts.values())

    def begin_step(self, number: int, active: Collection[int]) -> bool:
        """Another step begins, in which the attackers with these indices are active.

        Whether the time of day has jumped.
        """
        before = sum(self._shifts.values())
        for index, post in enumerate(self._posts):
            post.begin_step(number)
            post.switch(index in active)
            if not post.on:
                self._shifts.pop(index, None)
            elif index not in self._shifts:
                action = post.ask(post.attacker.clock, "")
                if action is not None:
                    self._shifts[index] = action.seconds
        return sum(self._shifts.values()) != before
