"""Captures: every frame on both sides of every hop, and the kernel's own count of them.

One packet socket (packet(7)) on each hop sees all its interfaces, so the frames of a link come in the
order in which they crossed it. They lie in a ring that is shared with the kernel until they are fetched.
"""

from __future__ import annotations

import mmap
import os
import socket
import struct
from concurrent.futures import ThreadPoolExecutor

from testbed.evidence import Frame, LinkCapture, Side
from testbed.network.fabric import Network
from testbed.network.host import Hop
from testbed.network.loop import VirtualLoop

RING_FRAMES = 2048
"""How many frames a hop's ring holds."""

_FULL = 4  # the ring is emptied early when a quarter of it is full
_ATTEMPTS = 10

_SLOT = 2048
_BLOCK = 64 * 1024

_SOL_PACKET = 263
_PACKET_RX_RING, _PACKET_STATISTICS, _PACKET_VERSION = 5, 6, 10
_TPACKET_V2 = 1
_TP_STATUS_USER = 1
_ETH_P_ALL = 3
_PACKET_OUTGOING = 4

# struct tpacket2_hdr, padded to TPACKET_ALIGNMENT, then the part of struct sockaddr_ll that matters:
# status, length, captured, start of the frame, seconds, nanoseconds; interface, kind of packet.
_HEADER = struct.Struct("=IIIH2xII4x4x4xiHB")


_FREE = struct.pack("=I", 0)  # TP_STATUS_KERNEL

_Fetched = tuple[int, Side, bool, bytes]
# Time (CLOCK_REALTIME, nanoseconds), side, whether the hop sent it, bytes.


class Ring:
    """The packet socket of a hop, and the frames that it has seen.

    Raises OSError when packet sockets are not allowed.
    """

    def __init__(self, hop: Hop, frames: int = RING_FRAMES) -> None:
        self._sides: dict[int, Side] = {hop.resolver_side.index: "resolver"}
        self._sides |= {interface.index: "far" for interface in hop.far_sides}
        self._names = {interface.name.encode(): self._sides[interface.index] for interface in hop.interfaces}
        self._frames = frames
        self._next = 0
        self._oversized = 0
        self._taken: list[_Fetched] = []
        with hop.entered():
            kind = socket.SOCK_RAW | socket.SOCK_NONBLOCK
            self._socket = socket.socket(socket.AF_PACKET, kind, socket.htons(_ETH_P_ALL))
            self._counters = os.open("/proc/thread-self/net/dev", os.O_RDONLY | os.O_CLOEXEC)
        self._socket.setsockopt(_SOL_PACKET, _PACKET_VERSION, _TPACKET_V2)
        size = frames * _SLOT
        request = struct.pack("IIII", _BLOCK, size // _BLOCK, _SLOT, frames)
        self._socket.setsockopt(_SOL_PACKET, _PACKET_RX_RING, request)
        self._ring = mmap.mmap(self._socket.fileno(), size)

    def relieve(self) -> None:
        """Empty the ring if a good part of it is full."""
        ahead = (self._next + self._frames // _FULL) % self._frames
        if self._ring[ahead * _SLOT] & _TP_STATUS_USER:
            self.empty()

    def empty(self) -> None:
        """Take the frames out of the ring, to be fetched."""
        ring, unpack, sides = self._ring, _HEADER.unpack_from, self._sides
        while True:
            at = self._next * _SLOT
            status, length, captured, start, seconds, nanoseconds, interface, _, kind = unpack(ring, at)
            if not status & _TP_STATUS_USER:
                return
            side = sides.get(interface)
            if side is not None:
                data = ring[at + start : at + start + captured]
                stamp = seconds * 1_000_000_000 + nanoseconds
                self._taken.append((stamp, side, kind == _PACKET_OUTGOING, data))
                self._oversized += captured != length
            ring[at : at + 4] = _FREE
            self._next = (self._next + 1) % self._frames

    def fetch(self) -> list[_Fetched]:
        """The frames since the last call."""
        self.empty()
        taken, self._taken = self._taken, []
        return taken

    def snapshot(self) -> dict[Side, int]:
        """Empty the ring, and count the packets on each side as the kernel does, at the same moment.

        Programs under test may be sending: then it is tried again, a few times.
        """
        for _ in range(_ATTEMPTS):
            before = self._counts()
            self.empty()
            if before == self._counts():
                break
        return before

    def _counts(self) -> dict[Side, int]:
        """Packets received and sent on each side since the interfaces exist."""
        counts: dict[Side, int] = {"resolver": 0, "far": 0}
        for line in os.pread(self._counters, 65536, 0).splitlines()[2:]:
            name, _, columns = line.partition(b":")
            side = self._names.get(name.strip())
            if side is not None:
                values = columns.split()
                counts[side] += int(values[1]) + int(values[9])
        return counts

    def lost(self) -> int:
        """How many frames, since the last call, came while the ring was full or were cut off."""
        statistics = self._socket.getsockopt(_SOL_PACKET, _PACKET_STATISTICS, 8)
        lost = self._oversized + int(struct.unpack("II", statistics)[1])
        self._oversized = 0
        return lost

    def close(self) -> None:
        """Stop listening."""
        self._ring.close()
        self._socket.close()
        os.close(self._counters)


class Recorder:
    """Captures all links of a network, one phase of a run after the other.

    Call :meth:`begin`, :meth:`mark` and :meth:`finish` while the network is quiescent: then frames and
    counters cannot disagree for any other reason than a loss.
    """

    def __init__(self, network: Network, loop: VirtualLoop, frames: int = RING_FRAMES) -> None:
        self._loop = loop
        self._rings = {link: Ring(hop, frames) for link, hop in network.hops.items()}
        self._frames: dict[str, list[Frame]] = {}
        self._before: dict[str, dict[Side, int]] = {}
        self.begin()
        loop.after_events = self._relieve

    def begin(self) -> None:
        """Forget what was captured before, and set the loop's display clock to 0."""
        for link, ring in self._rings.items():
            self._before[link] = ring.snapshot()
            ring.fetch()
            ring.lost()
            self._frames[link] = []
        self._loop.restart_display()

    def mark(self, step: int) -> None:
        """The frames since the last mark belong to a step of the run."""
        for link, ring in self._rings.items():
            self._add(link, ring, step)

    def finish(self, step: int) -> dict[str, LinkCapture]:
        """The captures by link. What came after the last mark belongs to the step that is given."""
        captures = {}
        for link, ring in self._rings.items():
            before, now = self._before[link], ring.snapshot()
            self._add(link, ring, step)
            counted = {side: now[side] - before[side] for side in now}
            captures[link] = LinkCapture(link, self._frames[link], counted, ring.lost())
            self._frames[link] = []
            self._before[link] = now
        return captures

    def _add(self, link: str, ring: Ring, step: int) -> None:
        frames, display = self._frames[link], self._loop.display_time_of
        for number, (stamp, side, outgoing, data) in enumerate(ring.fetch(), start=len(frames) + 1):
            frames.append(Frame(number, display(stamp), side, outgoing, step, data))

    def _relieve(self) -> None:
        for ring in self._rings.values():
            ring.relieve()

    def close(self) -> None:
        """Stop capturing."""
        self._loop.after_events = None
        # The kernel takes its time to let go of a packet socket, and no longer for many at once.
        with ThreadPoolExecutor(len(self._rings)) as threads:
            list(threads.map(Ring.close, self._rings.values()))
