"""Run in a sandbox: resolvers that leak on purpose, judged like any other. Prints the records as JSON lines.

Each fault is planted into the reference resolver: whenever a client asks, one more thing crosses some link.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import sys
from pathlib import Path

import dns.flags
import dns.message
import dns.rdatatype

from testbed.core import message
from testbed.core.transport import TransportError
from testbed.engines.reference import ReferenceResolver
from testbed.network.loop import VirtualLoop
from testbed.run.execute import Runner
from testbed.run.stage import Stage
from testbed.scenario.load import load_text
from testbed.topology import load
from testbed.transports import dot, udp

SCENARIO = """
id: planted/{fault}
title: planted
world:
  signal: [ds-glue]
  signed: [root, target-parent, ns-parent, ns-zone, target]
  secure: [root, target-parent, ns-parent, ns-zone, target]
attack:
  - attacker: observe
    on: [root, target-parent, ns-parent, ns-zone, target]
"""

TOPOLOGY = load("hosted")
SECRET = TOPOLOGY.sensitive_name


class Leaky(ReferenceResolver):
    """Asks as it should, and then once more as it should not."""

    fault = "none"

    def _respond(self, token, response):
        task = asyncio.get_running_loop().create_task(self._leak())
        task.add_done_callback(lambda done: ReferenceResolver._respond(self, token, response))

    async def _leak(self):
        with contextlib.suppress(TransportError):
            await LEAKS[self.fault](self)

    async def in_clear(self, role, name=SECRET, family=4, mangle=lambda wire: wire):
        address = TOPOLOGY.by_role[role].addresses[0 if family == 4 else 1]
        query = message.query(name, dns.rdatatype.A, id=4711)
        local = self._addresses[0 if family == 4 else 1]
        wire = mangle(query.to_wire())
        await udp.exchange(self._host, (local, 0), (address, 53), wire, lambda data: True, 1.0)

    async def in_tls(self, role, sni, port=853):
        address = TOPOLOGY.by_role[role].ipv4
        session = await dot.connect(
            self._host, self._addresses[0], (address, port), sni=sni, timeout=1.0, secrets=self._secrets
        )
        session.close()

    async def in_clear_where_tls_is_meant(self, role):
        address = TOPOLOGY.by_role[role].ipv4
        connection = self._host.socket(socket.AF_INET, socket.SOCK_STREAM)
        connection.setblocking(False)
        loop = asyncio.get_running_loop()
        with connection:
            await loop.sock_connect(connection, (address, 853))
            wire = message.query(SECRET, dns.rdatatype.A, id=4711).to_wire()
            await loop.sock_sendall(connection, len(wire).to_bytes(2) + wire)
            await loop.sock_recv(connection, 4096)


async def nothing(resolver):
    """The control: no fault."""


def name_of(text):
    return dns.name.from_text(text)


LEAKS = {
    "none": nothing,
    "clear-retry": lambda r: r.in_clear("target"),
    "clear-retry-of-the-zone": lambda r: r.in_clear("target", name_of("example.org.")),
    "wrong-server": lambda r: r.in_clear("ns-zone"),
    "wrong-server-root": lambda r: r.in_clear("root"),
    "ipv6-only": lambda r: r.in_clear("target-parent", family=6),
    "mixed-case": lambda r: r.in_clear("target", name_of("SeCrEt.eXaMpLe.ORG.")),
    "error-report": lambda r: r.in_clear("ns-zone", name_of("_er.1.secret.example.org.22._er.dnshost.net.")),
    "tcp-on-the-port-of-tls": lambda r: r.in_clear_where_tls_is_meant("target"),
    "sni-on-the-port-of-do53": lambda r: r.in_tls("target", "secret.example.org", 53),
    "sni": lambda r: r.in_tls("target", "secret.example.org"),
    "sni-of-the-zone": lambda r: r.in_tls("target", "ns1.example.org"),
}


class LeakyStage(Stage):
    """A stage with the leaky resolver, and a recorder whose captures can be spoilt."""

    spoil = None

    def resolver(self, configuration, rng, secrets, time_of_day):
        made = super().resolver(configuration, rng, secrets, time_of_day)
        made.__class__ = Leaky
        return made

    def begin(self):
        super().begin()
        finish = type(self.recorder).finish
        self.recorder.finish = lambda step: self.spoilt(finish(self.recorder, step))

    def spoilt(self, captures):
        if self.spoil is not None:
            SPOILING[self.spoil](captures)
        return captures


def lose_a_frame(captures):
    del captures["target"].frames[3]


def lose_the_end(captures):
    del captures["target"].frames[-10:]


def lose_everything(captures):
    captures["target"].frames.clear()


def lose_everything_and_the_count(captures):
    for capture in captures.values():
        capture.frames.clear()
        capture.counted.update(dict.fromkeys(capture.counted, 0))


def drop_at_the_socket(captures):
    captures["target"].lost = 1


SPOILING = {
    "spoilt-lost-frame": lose_a_frame,
    "spoilt-cut-off": lose_the_end,
    "spoilt-empty": lose_everything,
    "spoilt-blind": lose_everything_and_the_count,
    "spoilt-dropped": drop_at_the_socket,
}


async def play(runner, stage, faults):
    for fault in faults:
        Leaky.fault = fault if fault in LEAKS else "none"
        stage.spoil = fault if fault in SPOILING else None
        (cell,) = load_text(SCENARIO.format(fault=fault), Path("planted.yaml"))
        runner._baselines.clear()
        print((await runner.run(cell)).model_dump_json(), flush=True)


if __name__ == "__main__":
    loop = VirtualLoop()
    stage = LeakyStage(TOPOLOGY, loop)
    faults = sys.argv[1:] or [*LEAKS, *SPOILING]
    loop.run_until_complete(play(Runner(stage, 0, None), stage, faults))
