"""Servers that keep a number of connections, and what becomes of the next one."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

import pytest
from loopback import CREDENTIAL, HOST, LOOPBACK, echo, free_port, query, response, run, until
from quic_peers import udp_port

from testbed import transports
from testbed.core.transport import Failure, TransportError
from testbed.transports.capacity import Capacity

SERVICES = ["tcp", "dot", "doh", "doq", "doh3"]


@dataclass
class Connection:
    """A connection that does nothing; ``idle_since`` is None while it is busy."""

    idle_since: float | None
    retired: bool = False

    def retire(self) -> None:
        self.retired = True


def capacity(full, *kept):
    one = Capacity(len(kept), full)
    for connection in kept:
        one.count([connection])
    return one


def test_there_is_room_until_there_is_none():
    kept = []
    one = Capacity(2, "refuse")
    one.count(kept)
    for expected in (True, True, False):
        assert one.admit() is expected
        kept.append(Connection(1.0))


def test_who_has_been_idle_for_longest_has_to_go():
    busy, fresh, old = Connection(None), Connection(5.0), Connection(2.0)
    assert capacity("close-idle", busy, fresh, old).admit()
    assert [one.retired for one in (busy, fresh, old)] == [False, False, True]


def test_who_is_being_answered_may_stay():
    busy = Connection(None)
    assert not capacity("close-idle", busy).admit()
    assert not busy.retired


def places(count, service):
    """Free ports for so many listeners."""
    return [(LOOPBACK, udp_port() if service in ("doq", "doh3") else free_port()) for _ in range(count)]


def serve(service, remote, kept):
    options = {} if service == "tcp" else {"credential": CREDENTIAL}
    return transports.load(service).serve(HOST, *remote, echo, capacity=kept, **options)


async def ask(service, remote):
    """A session over which something was asked and answered."""
    options = {} if service == "tcp" else {"sni": None}
    session = await transports.load(service).connect(HOST, LOOPBACK, remote, timeout=3, **options)
    assert await session.exchange(query(0), 3) == response(query(0))
    return session


@pytest.mark.parametrize("service", SERVICES)
def test_servers_refuse_what_they_have_no_room_for(service):
    async def scenario():
        (remote,) = places(1, service)
        listener = serve(service, remote, Capacity(2, "refuse"))
        first, second = [await ask(service, remote) for _ in range(2)]
        with pytest.raises(TransportError) as refused:
            await ask(service, remote)
        assert refused.value.failure in (Failure.RESET, Failure.REFUSED)
        assert listener.open == 2
        assert await first.exchange(query(0), 3) == response(query(0))
        first.close()
        await until(lambda: listener.open == 1)
        third = await ask(service, remote)
        for session in (second, third):
            session.close()
        listener.close()

    run(scenario())


@pytest.mark.parametrize("service", SERVICES)
def test_servers_close_whoever_has_been_idle_for_longest(service):
    async def scenario():
        (remote,) = places(1, service)
        listener = serve(service, remote, Capacity(2, "close-idle"))
        first = await ask(service, remote)
        await asyncio.sleep(0.01)
        second = await ask(service, remote)
        await asyncio.sleep(0.01)
        await first.exchange(query(0), 3)
        third = await ask(service, remote)
        await until(second.closed.done)
        assert second.closed.result() is None or second.closed.result().failure is Failure.CLOSED
        assert not first.closed.done()
        assert listener.open == 2
        for session in (first, third):
            session.close()
        listener.close()

    run(scenario())


def test_all_services_of_a_server_share_its_capacity():
    async def scenario():
        kept = Capacity(1, "refuse")
        remotes = {service: places(1, service)[0] for service in ("tcp", "doq")}
        listeners = [serve(service, remote, kept) for service, remote in remotes.items()]
        session = await ask("tcp", remotes["tcp"])
        with pytest.raises(TransportError):
            await ask("doq", remotes["doq"])
        session.close()
        await until(lambda: not listeners[0].open)
        (await ask("doq", remotes["doq"])).close()
        for listener in listeners:
            listener.close()

    run(scenario())
