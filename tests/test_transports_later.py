"""Handlers that cannot answer at once, as a resolver's cannot."""

import asyncio

import pytest
from loopback import HOST, LOOPBACK, everything, free_port, query, raw, response, run, until

from testbed.core.transport import Failure, TransportError
from testbed.transports import framing, tcp, udp


class Slow:
    """Answers when it is told to, in whatever order."""

    def __init__(self):
        self.waiting = {}

    def handle(self, wire, transport, peer):
        future = asyncio.get_running_loop().create_future()
        self.waiting[wire[:2]] = (wire, future)
        return future

    def answer(self, number):
        wire, future = self.waiting.pop(number.to_bytes(2))
        future.set_result([response(wire)])


def test_over_udp():
    async def scenario():
        slow, remote = Slow(), (LOOPBACK, free_port())
        listener = udp.serve(HOST, *remote, slow.handle)
        asked = asyncio.ensure_future(
            udp.exchange(HOST, (LOOPBACK, 0), remote, query(7), lambda data: True, 5.0)
        )
        await until(lambda: slow.waiting)
        slow.answer(7)
        assert await asked == response(query(7))
        listener.close()

    run(scenario())


def test_over_tcp_out_of_order():
    async def scenario():
        slow, remote = Slow(), (LOOPBACK, free_port())
        listener = tcp.serve(HOST, *remote, slow.handle)
        session = await tcp.connect(HOST, LOOPBACK, remote, timeout=5.0)
        first, second = (asyncio.ensure_future(session.exchange(query(n), 5.0)) for n in (1, 2))
        await until(lambda: len(slow.waiting) == 2)
        slow.answer(2)
        assert await second == response(query(2))
        assert not first.done()
        slow.answer(1)
        assert await first == response(query(1))
        session.close()
        listener.close()

    run(scenario())


def test_a_client_that_half_closes_gets_what_is_still_owed():
    async def scenario():
        slow, remote = Slow(), (LOOPBACK, free_port())
        listener = tcp.serve(HOST, *remote, slow.handle)
        sock = await raw(remote)
        sock.send(framing.frame(query(1)))
        await until(lambda: slow.waiting)
        sock.shutdown(1)
        await asyncio.sleep(0)
        slow.answer(1)
        assert await everything(sock) == framing.frame(response(query(1)))
        sock.close()
        await until(lambda: listener.open == 0)
        listener.close()

    run(scenario())


@pytest.mark.parametrize("transport", [udp, tcp])
def test_closing_a_listener_gives_up_what_is_owed(transport):
    async def scenario():
        slow, remote = Slow(), (LOOPBACK, free_port())
        listener = transport.serve(HOST, *remote, slow.handle)
        if transport is tcp:
            session = await tcp.connect(HOST, LOOPBACK, remote, timeout=5.0)
            asked = asyncio.ensure_future(session.exchange(query(1), 5.0))
        else:
            asked = asyncio.ensure_future(
                udp.exchange(HOST, (LOOPBACK, 0), remote, query(1), lambda data: True, 0.2)
            )
        await until(lambda: slow.waiting)
        _, future = slow.waiting[(1).to_bytes(2)]
        listener.close()
        with pytest.raises(TransportError) as caught:
            await asked
        assert caught.value.failure in (Failure.RESET, Failure.TIMEOUT, Failure.REFUSED)
        assert future.cancelled()

    run(scenario())
