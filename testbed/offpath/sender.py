"""The off-path attackers of a scenario, in the attacker's host: what they send is sent when it is due."""

from __future__ import annotations

import asyncio
import contextlib
import importlib
import socket
import struct
from collections.abc import Callable, Sequence
from itertools import groupby

from testbed.attack.api import Attacker
from testbed.attack.events import Arrival, Moment
from testbed.attack.spoofed import Spoofed, SpoofedError, SpoofedFragment
from testbed.attack.timing import Post
from testbed.core.notation import Question
from testbed.network import sandbox
from testbed.network.host import Host

DNS_PORT = 53

_LARGEST = 65535
_UDP_HEADER = 8
_QR = 0x80
_FAMILIES = (socket.AF_INET, socket.AF_INET6)


class OffPath:
    """The off-path attackers, in the order of the scenario; ``switch`` turns them on and off.

    The timeline of attackers that act in a part of it only begins now. Refuses to start outside a sandbox:
    raises NotInSandbox.
    """

    def __init__(self, host: Host, attackers: Sequence[Attacker]) -> None:
        sandbox.require()
        self._loop = asyncio.get_running_loop()
        began = self._loop.time()
        self._posts = [Post(attacker, lambda: self._loop.time() - began) for attacker in attackers]
        self.trouble: list[str] = []
        """Why something that should have been sent was not: a run that this happens to says nothing."""
        self.remembered = False
        """Whether something was sent that kernels remember for minutes of real time: fragments, path MTUs."""
        self._due: set[asyncio.TimerHandle] = set()
        self._arrivals: list[Arrival] = []
        # Loaded before anybody waits for packets: scapy takes long.
        self._encode: Callable[[Spoofed], bytes] = importlib.import_module("testbed.offpath.packets").encode
        self._senders = {
            version: host.socket(version, socket.SOCK_RAW, socket.IPPROTO_RAW) for version in _FAMILIES
        }
        self._ears = [host.socket(version, socket.SOCK_RAW, socket.IPPROTO_UDP) for version in _FAMILIES]
        for ear in self._ears:
            self._loop.add_reader(ear, self._listen, ear)

    def switch(self, active: set[int]) -> None:
        """Let exactly these attackers act, by their number among the off-path ones."""
        for number, post in enumerate(self._posts):
            post.switch(number in active)

    def begin_step(self, number: int) -> None:
        """Another step of the scenario begins."""
        for post in self._posts:
            post.begin_step(number)

    def cause(self, question: Question) -> None:
        """The resolver is about to be asked something: have the attackers send what they will."""
        for post in self._posts:
            moment = Moment(question.name, question.rdtype, tuple(self._arrivals))
            for after, packets in groupby(
                post.caused(post.attacker.off_path, moment), lambda packet: packet.after
            ):
                self._put_off(after, post, list(packets))

    def close(self) -> None:
        """Stop; what was still to be sent is not."""
        self.switch(set())
        for handle in self._due:
            handle.cancel()
        self._due.clear()
        for ear in self._ears:
            self._loop.remove_reader(ear)
        for sock in (*self._ears, *self._senders.values()):
            sock.close()

    def _put_off(self, seconds: float, post: Post, packets: list[Spoofed]) -> None:
        def send() -> None:
            self._due.discard(handle)
            for packet in packets:
                if post.sends(packet):
                    self._send(packet)

        handle = self._loop.call_later(seconds, send)
        self._due.add(handle)

    def _send(self, packet: Spoofed) -> None:
        self.remembered = self.remembered or isinstance(packet, SpoofedFragment | SpoofedError)
        target = packet.target if isinstance(packet.target, str) else packet.target[0]
        version = socket.AF_INET6 if ":" in target else socket.AF_INET
        try:
            self._senders[version].sendto(self._encode(packet), (target, 0))
        except OSError as error:
            self.trouble.append(f"a spoofed packet to {target} could not be sent: {error.strerror}")

    def _listen(self, ear: socket.socket) -> None:
        """Take note of what comes to the attacker's own server, beside the server itself."""
        with contextlib.suppress(BlockingIOError):
            while True:
                packet, (source, *_) = ear.recvfrom(_LARGEST)
                # The header of IPv4 comes along, that of IPv6 does not (ipv6(7)).
                start = (packet[0] & 0x0F) * 4 if ear.family == socket.AF_INET else 0
                source_port, target_port = struct.unpack_from("!HH", packet, start)
                wire = packet[start + _UDP_HEADER :]
                if target_port == DNS_PORT and len(wire) > 2 and not wire[2] & _QR:
                    self._arrivals.append(Arrival((source, source_port), wire))
