"""The virtual clock: it jumps when nothing can happen any more, and never before."""

import asyncio
import contextlib
import os
import socket
import time
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from testbed.network import loop as loop_module
from testbed.network.loop import KernelQueues, VirtualLoop


@pytest.fixture
def loop():
    made = VirtualLoop()
    yield made
    made.close()


@contextlib.contextmanager
def udp_pair():
    with (
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as one,
        socket.socket(type=socket.SOCK_DGRAM) as other,
    ):
        for end in (one, other):
            end.setblocking(False)
            end.bind(("127.0.0.1", 0))
        one.connect(other.getsockname())
        other.connect(one.getsockname())
        yield one, other


def open_descriptors():
    return len(list(Path("/proc/self/fd").iterdir()))


def test_time_starts_at_zero_and_only_jumps(loop):
    async def main():
        assert loop.time() == 0.0
        time.sleep(0.02)
        assert loop.time() == 0.0
        await asyncio.sleep(3600)
        assert loop.time() == 3600.0

    started = time.monotonic()
    loop.run_until_complete(main())
    assert time.monotonic() - started < 2
    assert loop.jumps == 1


@settings(max_examples=50, deadline=None)
@given(st.lists(st.floats(0, 1e6), max_size=20))
def test_timers_fire_in_order_at_their_times(delays):
    loop = VirtualLoop()
    fired = []

    async def main():
        for delay in delays:
            loop.call_later(delay, lambda delay=delay: fired.append((delay, loop.time())))
        await asyncio.sleep(2e6)

    loop.run_until_complete(main())
    loop.close()
    assert [delay for delay, _ in fired] == sorted(delays)
    assert all(abs(at - delay) < 1e-6 for delay, at in fired)


def test_timers_far_in_the_future(loop):
    async def main():
        await asyncio.sleep(1e9)
        await asyncio.sleep(0.25)
        return loop.time()

    assert loop.run_until_complete(asyncio.wait_for(main(), 2e9)) == pytest.approx(1e9 + 0.25)


def test_data_on_its_way_beats_any_timer(loop):
    async def main():
        with udp_pair() as (one, other):

            async def echo():
                while True:
                    await loop.sock_sendall(other, await loop.sock_recv(other, 100))

            server = loop.create_task(echo())
            for _ in range(500):
                async with asyncio.timeout(1e-6):
                    await loop.sock_sendall(one, b"?")
                    await loop.sock_recv(one, 100)
            server.cancel()

    loop.run_until_complete(main())
    assert loop.jumps == 0


def test_a_timeout_fires_when_nothing_comes(loop):
    async def main():
        with udp_pair() as (one, _), pytest.raises(TimeoutError):
            async with asyncio.timeout(30):
                await loop.sock_recv(one, 100)
        assert loop.time() == 30.0

    loop.run_until_complete(main())


def test_no_jump_while_the_kernel_holds_packets(loop, monkeypatch):
    lengths = [3, 1, 1, 0]
    asked = []

    def backlog(self, cpu=None):
        asked.append(loop.time())
        return lengths[min(len(asked), len(lengths)) - 1]

    monkeypatch.setattr(KernelQueues, "backlog", backlog)
    loop.run_until_complete(asyncio.sleep(5))
    assert asked == [0.0] * 4
    assert loop.time() == 5.0


def test_no_jump_while_interrupts_raise_others(loop, monkeypatch):
    counts = iter([[b"1"], [b"2"], [b"3"], [b"3"]])
    monkeypatch.setattr(KernelQueues, "_handled", lambda self, cpu: next(counts))
    assert loop._queues.settled(0) is True
    assert next(counts, None) is None


def test_endless_interrupts_are_not_quiet(loop, monkeypatch):
    counts = iter(range(10**6))
    monkeypatch.setattr(KernelQueues, "_handled", lambda self, cpu: [b"%d" % next(counts)])
    assert loop._queues.settled(0) is False


def test_interrupt_counts_are_those_of_the_cpu(loop):
    table = (
        b"                    CPU0       CPU1       CPU3       \n"
        b"          HI:          1         20        300\n"
        b"       TIMER:         11         11         11\n"
        b"      NET_TX:          2         30        400\n"
        b"      NET_RX:          3         40 4294967295\n"
        b"     TASKLET:          4         50        600\n"
        b"         RCU:         99         99         99\n"
    )
    for cpu, expected in ((0, [1, 2, 3, 4]), (1, [20, 30, 40, 50]), (3, [300, 400, 4294967295, 600])):
        assert [int(table[place]) for place in loop._queues._find_column(table, cpu)] == expected


def test_the_clock_stands_while_a_thread_works(loop):
    async def main():
        timer = loop.create_task(asyncio.sleep(1))
        await loop.run_in_executor(None, time.sleep, 0.1)
        assert loop.time() == 0.0
        assert not timer.done()
        await timer
        assert loop.time() == 1.0

    loop.run_until_complete(main())


def test_the_executor_ends_without_jumps(loop):
    async def main():
        loop.run_in_executor(None, time.sleep, 0.1)
        await asyncio.sleep(0)
        await loop.shutdown_default_executor()

    loop.run_until_complete(main())
    assert loop.jumps == 0


def test_quiesce_waits_for_the_network_but_not_for_timers(loop):
    async def main():
        heard = []
        with udp_pair() as (one, other):
            loop.add_reader(other, lambda: heard.append(other.recv(100)))
            loop.call_later(1, heard.append, b"timer")
            for _ in range(20):
                one.send(b"x")
            await loop.quiesce()
            assert heard == [b"x"] * 20
            assert loop.time() == 0.0
            loop.remove_reader(other)

    loop.run_until_complete(main())


def test_a_cancelled_quiesce_does_no_harm(loop):
    async def main():
        waiting = loop.create_task(loop.quiesce())
        await asyncio.sleep(0)
        waiting.cancel()
        await loop.quiesce()
        await asyncio.sleep(1)

    loop.run_until_complete(main())
    assert loop.time() == 1.0


def test_a_held_clock_waits_for_orders(loop):
    reader, writer = os.pipe()
    os.set_blocking(reader, False)

    async def main():
        order = loop.create_future()
        loop.add_reader(reader, lambda: order.set_result(os.read(reader, 10)))
        fired = []
        loop.call_later(0.001, fired.append, True)
        with loop.hold():
            loop.run_in_executor(None, lambda: (time.sleep(0.1), os.write(writer, b"go")))
            assert await order == b"go"
            await loop.quiesce()
            assert not fired
            assert loop.time() == 0.0
        await asyncio.sleep(1)
        assert fired

    try:
        loop.run_until_complete(main())
    finally:
        os.close(reader)
        os.close(writer)


def test_a_silent_control_pipe_does_not_stop_the_clock(loop):
    reader, writer = os.pipe()
    try:
        loop.add_reader(reader, lambda: None)
        loop.run_until_complete(asyncio.sleep(100))
        assert loop.time() == 100.0
    finally:
        os.close(reader)
        os.close(writer)


def test_real_time(loop, monkeypatch):
    async def main():
        await asyncio.sleep(10)
        loop.realtime = True
        started = time.monotonic()
        await asyncio.sleep(0.05)
        assert time.monotonic() - started >= 0.05
        assert 10.05 <= loop.time() < 11
        loop.realtime = False
        stopped = loop.time()
        time.sleep(0.02)
        assert loop.time() == stopped
        await asyncio.sleep(10)
        assert loop.time() == pytest.approx(stopped + 10)

    loop.run_until_complete(main())


def test_quiesce_in_real_time_waits_for_programs(loop):
    async def main():
        loop.realtime = True
        until = time.monotonic() + 5 * loop_module.SETTLE
        loop.others_busy = lambda: time.monotonic() < until
        await loop.quiesce()
        assert time.monotonic() >= until + loop_module.SETTLE

    loop.run_until_complete(main())


def test_quiesce_in_real_time(loop):
    async def main():
        loop.realtime = True
        heard = []
        with udp_pair() as (one, other):
            loop.add_reader(other, lambda: heard.append(other.recv(100)))
            for number in range(5):
                loop.call_later(number * loop_module.SETTLE / 2, one.send, b"x")
            await loop.quiesce()
            loop.remove_reader(other)
        assert len(heard) == 5

    loop.run_until_complete(main())


def test_display_time_moves_on_and_counts_jumps(loop):
    async def main():
        stamps = []
        for _ in range(5):
            stamps.append((time.time_ns(), loop.display_time()))
            await asyncio.sleep(100)
            stamps.append((time.time_ns(), loop.display_time()))
        for stamp, shown in stamps:
            assert loop.display_time_of(stamp) == pytest.approx(shown, abs=0.05)
        shown = [shown for _, shown in stamps]
        assert shown == sorted(shown)
        assert shown[-1] >= 500
        loop.restart_display()
        assert loop.display_time() < 1
        assert loop.time() == 500.0

    loop.run_until_complete(main())


def test_it_stays_on_one_cpu_and_gives_the_others_back():
    before = os.sched_getaffinity(0)
    chosen = max(before)
    loop = VirtualLoop(chosen)

    async def main():
        assert os.sched_getaffinity(0) == {chosen}
        loop.realtime = True
        assert os.sched_getaffinity(0) == before
        loop.realtime = False
        assert os.sched_getaffinity(0) == {chosen}

    loop.run_until_complete(main())
    loop.close()
    assert os.sched_getaffinity(0) == before


def test_a_cpu_that_is_not_ours_is_not_insisted_on():
    loop = VirtualLoop(100_000)
    loop.run_until_complete(asyncio.sleep(1))
    loop.close()
    assert loop.time() == 1.0


def test_descriptors_are_given_back():
    before = open_descriptors()
    for _ in range(3):
        VirtualLoop().close()
    assert open_descriptors() == before


def test_after_events_is_called(loop):
    calls = []

    async def main():
        loop.after_events = lambda: calls.append(1)
        with udp_pair() as (one, other):
            loop.call_later(1, one.send, b"x")
            await loop.sock_recv(other, 10)
        loop.after_events = None

    loop.run_until_complete(main())
    assert calls
