"""An event loop whose clock jumps: timers cost no waiting, and the load of the machine changes nothing.

Time stands still while anything happens. When nothing does (no callback is ready, nothing can be read, no
job runs in another thread and no packet is under way in the kernel: the network is *quiescent*), the clock
jumps to the next timer. Whether an answer comes before a timeout thus depends on what the other side does,
never on how fast it does it.

Why "under way" can be told exactly. On veth interfaces (veth(4)) a packet travels inside the system call
that sends it, through all hosts that forward it, in software interrupts on the sender's own CPU. What the
kernel puts off stays on that CPU, either as an interrupt still pending or in the CPU's backlog queue. So
the loop keeps its thread on one CPU, has it run pending interrupts until there are none, and then reads the
length of the backlog. An interrupt handler cannot be halfway done while our own code runs on its CPU.
What the kernel sends by timers of its own would escape this; :mod:`testbed.network.fabric` switches it off.
"""

from __future__ import annotations

import asyncio
import bisect
import contextlib
import math
import os
import selectors
import socket
import time
from collections.abc import Callable, Iterator
from typing import Any, TypeVar, TypeVarTuple

from testbed.network import libc

T = TypeVar("T")
Ts = TypeVarTuple("Ts")

SETTLE = 0.02
"""In real time: seconds without an event after which the network counts as quiescent."""

_ROUNDS = 100
"""How often to let interrupts run before going to sleep for a while: other traffic may cause them."""

_PATIENCE = 0.001
"""Seconds to sleep while the kernel has put packets off to a thread of its own."""

_Events = list[tuple[selectors.SelectorKey, int]]


class KernelQueues:
    """What the kernel has put off: interrupts still to be handled, and packets sent but not yet received.

    Raises OSError when the kernel does not show them (Linux before 5.14).
    """

    _LENGTH, _CPU = 11, 12  # columns: net/core/net-procfs.c, softnet_seq_show()
    _INTERRUPTS = (b"HI:", b"NET_TX:", b"NET_RX:", b"TASKLET:")

    def __init__(self) -> None:
        self._backlog = os.open("/proc/net/softnet_stat", os.O_RDONLY | os.O_CLOEXEC)
        self._softirqs = os.open("/proc/softirqs", os.O_RDONLY | os.O_CLOEXEC)
        self._size = 4096 + 256 * os.sysconf("SC_NPROCESSORS_CONF")
        if any(len(row) <= self._CPU for row in self._rows()):
            raise OSError("/proc/net/softnet_stat does not show the length of the backlog")
        self._columns: dict[int, list[slice]] = {}
        # A lock of a TCP socket holds back software interrupts; when it is released, they run.
        self._lock = socket.socket(socket.AF_INET, socket.SOCK_STREAM)

    def settled(self, cpu: int) -> bool:
        """Have a CPU, which must be the caller's, do what it has put off. Whether nothing is left.

        Interrupts that raise others may leave them to a kernel thread (ksoftirqd) when it is another
        process's turn; so this goes on until there was nothing to handle.
        """
        handled = self._handled(cpu)
        for _ in range(_ROUNDS):
            self._lock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 0)
            before, handled = handled, self._handled(cpu)
            if handled == before:
                return not self.backlog(cpu)
        return False

    def backlog(self, cpu: int | None = None) -> int:
        """How many packets wait on one CPU, or on all."""
        rows = self._rows()
        if cpu is not None:
            rows = [row for row in rows if int(row[self._CPU], 16) == cpu]
        return sum(int(row[self._LENGTH], 16) for row in rows)

    def _rows(self) -> list[list[bytes]]:
        return [row.split() for row in os.pread(self._backlog, self._size, 0).splitlines()]

    def _handled(self, cpu: int) -> list[bytes]:
        """How many of each kind of interrupt that moves packets a CPU has handled, as text."""
        table = os.pread(self._softirqs, self._size, 0)
        if cpu not in self._columns:
            self._columns[cpu] = self._find_column(table, cpu)
        return [table[place] for place in self._columns[cpu]]

    def _find_column(self, table: bytes, cpu: int) -> list[slice]:
        """The places of a CPU's counts; each row is as long as any other."""
        header, *rows = table.splitlines(keepends=True)
        column = header.split().index(b"CPU%d" % cpu)
        width = (len(rows[0]) - 1 - rows[0].index(b":") - 1) // len(header.split())
        places, start = [], len(header)
        for row in rows:
            if row.split()[0] in self._INTERRUPTS:
                first = start + row.index(b":") + 1 + column * width
                places.append(slice(first, first + width))
            start += len(row)
        return places

    def close(self) -> None:
        """Close the descriptors."""
        os.close(self._backlog)
        os.close(self._softirqs)
        self._lock.close()


class _Selector(selectors.EpollSelector):
    """Asks the loop what to do instead of sleeping until the next timer."""

    def __init__(self, idle: Callable[[float | None], _Events]) -> None:
        super().__init__()
        self._idle = idle
        self.batches = 0
        self.hook: Callable[[], None] | None = None

    def select(self, timeout: float | None = None) -> _Events:
        events = self.wait(0)
        if events or (timeout is not None and timeout <= 0):
            return events
        return self._idle(timeout)

    def wait(self, timeout: float | None) -> _Events:
        """What an ordinary selector does."""
        events = super().select(timeout)
        if events:
            self.batches += 1
            if self.hook is not None:
                self.hook()
        return events


class VirtualLoop(asyncio.SelectorEventLoop):
    """An asyncio event loop in virtual time.

    ``time()`` starts at 0 and only moves by jumps. ``cpu`` is the CPU that the loop stays on while it runs
    in virtual time (default: the one it finds itself on); loops that run at the same time want different
    ones. ``jumps`` counts the jumps. ``others_busy`` says, in real time, whether programs are doing something
    that may lead to packets.

    While the clock is *held* (see :meth:`hold`) it does not jump, and the loop waits for events like any
    other: a worker holds it whenever it has nothing to run, or time would race along the timers of idle
    connections while it waits for orders.
    """

    _clock_resolution: float  # of the base class

    def __init__(self, cpu: int | None = None) -> None:
        self._clock = 0.0
        self._cpu = libc.current_cpu() if cpu is None else cpu
        self._held = 0
        self._executing = 0
        self._quiescence: list[asyncio.Future[None]] = []
        self._real_since: float | None = None
        self._quiet_since = (0, 0.0)
        self._settle = SETTLE
        self._allowed: set[int] = set()
        self.jumps = 0
        self.others_busy: Callable[[], bool] | None = None
        self._were_busy = False
        self._queues = KernelQueues()
        self._virtual_selector = _Selector(self._idle)
        self.restart_display()
        super().__init__(self._virtual_selector)

    # -- the clock ---------------------------------------------------------------------------------

    def time(self) -> float:
        """Seconds of virtual time since the loop was made."""
        if self._real_since is None:
            return self._clock
        return self._clock + time.monotonic() - self._real_since

    @property
    def realtime(self) -> bool:
        """Whether the clock runs by itself, like that of an ordinary loop. Programs under test need that."""
        return self._real_since is not None

    @realtime.setter
    def realtime(self, wanted: bool) -> None:
        if wanted == self.realtime:
            return
        self._clock = self.time()
        self._real_since = time.monotonic() if wanted else None
        if self.is_running():
            self._stay_on_cpu()

    @contextlib.contextmanager
    def hold(self) -> Iterator[None]:
        """Let the clock stand still, whatever timers there are."""
        self._held += 1
        try:
            yield
        finally:
            self._held -= 1

    def skip(self, seconds: float) -> None:
        """In real time: set the clock forward. Timers on the way are due at once."""
        self._jump(seconds)

    async def quiesce(self, settle: float = SETTLE) -> None:
        """Wait until the network is quiescent, without letting the clock jump before that.

        In real time: until nothing happened for ``settle`` seconds.
        """
        self._settle = settle
        self._quiet_since = (self._virtual_selector.batches, time.monotonic())
        waiter = self.create_future()
        self._quiescence.append(waiter)
        await waiter

    @property
    def after_events(self) -> Callable[[], None] | None:
        """A function to call each time that something has happened; it must be quick."""
        return self._virtual_selector.hook

    @after_events.setter
    def after_events(self, hook: Callable[[], None] | None) -> None:
        self._virtual_selector.hook = hook

    # -- the display clock -------------------------------------------------------------------------

    def restart_display(self) -> None:
        """Set the display clock to 0."""
        self._display_origin = time.time_ns()
        self._jumped = 0.0
        self._jump_stamps: list[int] = []
        self._jump_totals: list[float] = [0.0]

    def display_time(self) -> float:
        """Seconds since the display clock was restarted: the real ones and all that were jumped over.

        Unlike ``time()`` it moves between any two packets, so captures and traces are dated with it.
        """
        return (time.time_ns() - self._display_origin) * 1e-9 + self._jumped

    def display_time_of(self, stamp: int) -> float:
        """The display time of a moment on the kernel's real-time clock (CLOCK_REALTIME, nanoseconds).

        The moment must lie after the last restart of the display clock.
        """
        jumped = self._jump_totals[bisect.bisect_right(self._jump_stamps, stamp)]
        return (stamp - self._display_origin) * 1e-9 + jumped

    # -- what the loop does when it has nothing to do ----------------------------------------------

    def _idle(self, timeout: float | None) -> _Events:
        """Events, or none: then the clock has reached the next timer or somebody was told of the quiet."""
        select = self._virtual_selector.wait
        if self.realtime:
            return self._idle_realtime(timeout)
        while not self._executing:
            settled = self._queues.settled(self._cpu)
            if events := select(0 if settled else _PATIENCE):
                return events
            if not settled:
                continue
            if self._tell_quiescence():
                return []
            if timeout is None or self._held:
                break
            self._jump(timeout)
            return []
        return select(None)

    def _idle_realtime(self, timeout: float | None) -> _Events:
        select = self._virtual_selector.wait
        if not self._quiescence:
            return select(timeout)
        batches, since = self._quiet_since
        now = time.monotonic()
        were_busy, self._were_busy = self._were_busy, self.others_busy is not None and self.others_busy()
        under_way = self._executing or self._queues.backlog() or self._were_busy or were_busy
        if batches != self._virtual_selector.batches or under_way:
            since = now
            self._quiet_since = (self._virtual_selector.batches, since)
        remaining = since + self._settle - now
        if remaining <= 0:
            self._tell_quiescence()
            return []
        return select(remaining if timeout is None else min(timeout, remaining))

    def _tell_quiescence(self) -> bool:
        waiters = [waiter for waiter in self._quiescence if not waiter.done()]
        self._quiescence.clear()
        for waiter in waiters:
            waiter.set_result(None)
        return bool(waiters)

    def _jump(self, seconds: float) -> None:
        self.jumps += 1
        self._clock += seconds
        # A timer is due when it lies before time() plus the resolution: after some months of virtual time,
        # a nanosecond would vanish in the addition.
        self._clock_resolution = max(self._clock_resolution, math.ulp(self._clock))
        self._jumped += seconds
        self._jump_stamps.append(time.time_ns())
        self._jump_totals.append(self._jumped)

    # -- the parts of an ordinary loop that matter here --------------------------------------------

    def run_in_executor(self, executor: Any, func: Callable[[*Ts], T], *args: *Ts) -> asyncio.Future[T]:
        """Run a function in another thread; the clock stands still until it returns."""
        future: asyncio.Future[T] = super().run_in_executor(executor, func, *args)
        self._executing += 1
        future.add_done_callback(self._executed)
        return future

    async def shutdown_default_executor(self, *args: Any) -> None:
        """End the executor's threads; the clock stands still meanwhile."""
        self._executing += 1
        try:
            await super().shutdown_default_executor(*args)
        finally:
            self._executing -= 1

    def _executed(self, _future: asyncio.Future[Any]) -> None:
        self._executing -= 1

    def run_forever(self) -> None:
        """Run until stopped, on one CPU."""
        self._allowed = os.sched_getaffinity(0)
        if self._cpu not in self._allowed:
            self._cpu = libc.current_cpu()
        self._stay_on_cpu()
        try:
            super().run_forever()
        finally:
            os.sched_setaffinity(0, self._allowed)

    def _stay_on_cpu(self) -> None:
        os.sched_setaffinity(0, self._allowed if self.realtime else {self._cpu})

    def close(self) -> None:
        """Close the loop."""
        if not self.is_closed():
            self._queues.close()
        super().close()
