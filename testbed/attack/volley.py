"""What off-path attackers are going to send and have not sent yet, for whoever has no timers."""

from __future__ import annotations

import bisect
from collections.abc import Iterator, Sequence

from testbed.attack.api import Attacker
from testbed.attack.events import Moment
from testbed.attack.spoofed import Spoofed
from testbed.attack.timing import Post


class Volley:
    """The off-path attackers of a network in memory, all of them switched on. Times are in seconds."""

    def __init__(self, attackers: Sequence[Attacker]) -> None:
        self._now = 0.0
        self._posts = [Post(attacker, lambda: self._now) for attacker in attackers]
        self._waiting: list[tuple[float, Post, Spoofed]] = []
        for post in self._posts:
            post.switch(True)

    def begin_step(self, number: int) -> None:
        """Another step begins."""
        for post in self._posts:
            post.begin_step(number)

    def cause(self, moment: Moment, now: float) -> None:
        """The resolver is about to be asked something."""
        for post in self._posts:
            for packet in post.caused(post.attacker.off_path, moment):
                entry = (now + packet.after, post, packet)
                bisect.insort(self._waiting, entry, key=lambda waiting: waiting[0])

    def sent_before(self, moment: float) -> Iterator[tuple[float, Spoofed]]:
        """What is sent before a moment, and when; what is not taken from here waits on."""
        while self._waiting and self._waiting[0][0] < moment:
            self._now, post, packet = self._waiting.pop(0)
            if post.sends(packet):
                yield self._now, packet
