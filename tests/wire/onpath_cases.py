"""Run in a sandbox: attackers on the target's link, met over every transport. Prints one JSON object."""

from __future__ import annotations

import asyncio
import json
import random
import socket
import sys
from pathlib import Path

import dns.message
import dns.name
import dns.rdatatype

from testbed import transports
from testbed.attack import catalogue
from testbed.core import message
from testbed.core.transport import Transport, TransportError
from testbed.network.loop import VirtualLoop
from testbed.onpath.link import AttackedLink
from testbed.run.cast import scene
from testbed.run.stage import Stage
from testbed.scenario.world import World as Described
from testbed.topology import load
from testbed.transports import tcp, udp
from testbed.world.build import build

TOPOLOGY = load("hosted")
LINK = "ns-parent"
SERVER = TOPOLOGY.by_role[LINK]
RESOLVER = TOPOLOGY.resolver_addresses
WORLD = build(
    TOPOLOGY,
    Described.model_validate(
        {
            "signal": ["ds-glue"],
            "secure": {LINK: {"transports": ["dot", "doq", "doh", "doh3"]}, "target": {}},
            "signed": [],
        }
    ),
)
TRANSPORTS = (Transport.UDP, Transport.TCP, Transport.DOT, Transport.DOQ, Transport.DOH, Transport.DOH3)
QUESTIONS = {
    "delegation": ("www.dnshost.net.", "A"),
    "keys": ("dnshost.net.", "DS"),
    "service": ("_dns.ns1.dnshost.net.", "SVCB"),
    "other": ("nothing.net.", "A"),
}


def query(name, rdtype, number):
    return message.query(dns.name.from_text(name), dns.rdatatype.from_text(rdtype), id=number)


async def ask(stage, transport, family, wire, server=SERVER):
    """The answer's octets, or in a word how it failed."""
    host, local, remote = stage.network.resolver, RESOLVER[family], server.addresses[family]
    try:
        if transport is Transport.UDP:
            return await udp.exchange(host, (local, 0), (remote, 53), wire, lambda data: True, 2.0)
        if transport is Transport.TCP:
            session = await tcp.connect(host, local, (remote, 53), timeout=2.0)
        else:
            name = str(server.name).rstrip(".")
            connect = transports.load(transport).connect
            session = await connect(host, local, (remote, transport.port), sni=name, timeout=2.0)
        answer = await session.exchange(wire, 2.0)
        session.close()
        return answer
    except TransportError as error:
        return str(error.failure)


async def touch_quic(stage, family):
    """How a datagram to the port of DoQ fares that no server answers."""
    host, local, remote = stage.network.resolver, RESOLVER[family], SERVER.addresses[family]
    try:
        await udp.exchange(host, (local, 0), (remote, 853), b"\xc3" + bytes(1199), lambda data: True, 2.0)
    except TransportError as error:
        return str(error.failure)


def described(answer):
    if isinstance(answer, str):
        return answer
    read = dns.message.from_wire(answer)
    sections = (read.answer, read.authority, read.additional)
    return sorted(rrset.to_text() for section in sections for rrset in section)


async def meet(stage, name, **parameters):
    """What a client sees of an attacker, over every transport and both address families."""
    kind = catalogue.load(name)
    attacker = kind(scene(WORLD, LINK, random.Random(0)), kind.Parameters(**parameters))
    link = AttackedLink(
        stage.network.hops[LINK],
        [attacker],
        lambda address: LINK,
        lambda kind, role: WORLD.forged_credential(kind, SERVER.role),
        lambda line: None,
    )
    link.switch({0})
    seen = {}
    for transport in TRANSPORTS:
        for family in (0, 1):
            for label, (qname, rdtype) in QUESTIONS.items():
                wire = query(qname, rdtype, 7).to_wire()
                answer = await ask(stage, transport, family, wire)
                seen[f"{transport} {4 if family == 0 else 6} {label}"] = described(answer)
    seen["quic 4"] = await touch_quic(stage, 0)
    seen["quic 6"] = await touch_quic(stage, 1)
    link.close()
    after = await ask(stage, Transport.UDP, 0, query("nothing.net.", "A", 8).to_wire())
    seen["afterwards"] = described(after)
    seen["counted"] = [attacker.matches, sum(attacker.actions.values())]
    await stage.loop.quiesce()
    return seen


async def untouched(stage):
    """Frames of a link with an attacker that has every hook and does nothing, against none at all."""
    folder = Path("/tmp/attackers")
    folder.mkdir()
    (folder / "idle.py").write_text(
        "from testbed.attack.api import Attacker, Capability\n"
        "class Idle(Attacker):\n"
        "    capability = Capability.ON_PATH\n"
        "    source = 'none'\n"
        "    def query(self, query): return None\n"
        "    def response(self, response): return None\n"
        "    def connect(self, connect): return None\n"
        "    def handshake(self, handshake): return None\n"
        "    def established(self, session): return None\n"
        "    def datagram(self, datagram): return None\n"
    )
    kind = catalogue.load("idle", (folder,))
    attacker = kind(scene(WORLD, LINK, random.Random(0)), kind.Parameters())
    link = AttackedLink(stage.network.hops[LINK], [attacker], lambda a: LINK, None, lambda line: None)
    seen = {}
    for present in (False, True):
        link.switch({0} if present else set())
        answers = []
        for transport in TRANSPORTS:
            for family in (0, 1):
                for number, (qname, rdtype) in enumerate(QUESTIONS.values()):
                    wire = query(qname, rdtype, number).to_wire()
                    answer = await ask(stage, transport, family, wire)
                    answers.append(answer if isinstance(answer, str) else answer.hex())
        seen[str(present)] = answers
    link.close()
    await stage.loop.quiesce()
    return seen


async def outlived(stage):
    """Frames that are seen after an attacker left who holds messages back, and what went wrong then."""
    trouble = []
    stage.loop.set_exception_handler(lambda _, context: trouble.append(str(context)))
    for messages in ("queries", "responses"):
        await meet(stage, "hinder", how="delay", seconds=100, messages=messages, certificate="self-signed")
    await meet(stage, "slow-handshake", seconds=100)
    before = sum(len(one.frames) for one in stage.recorder.finish(0).values())
    stage.recorder.begin()
    await asyncio.sleep(300)
    await stage.loop.quiesce()
    after = sum(len(one.frames) for one in stage.recorder.finish(0).values())
    stage.loop.set_exception_handler(None)
    return [before, after, trouble]


async def connect_from(stage, family, port, until_closed):
    """Connect to the server from a port, and close before it does or after it. Whether that worked."""
    kind = (socket.AF_INET, socket.AF_INET6)[family]
    with stage.network.resolver.socket(kind, socket.SOCK_STREAM) as client:
        client.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        client.bind((RESOLVER[family], port))
        try:
            async with asyncio.timeout(2):
                await stage.loop.sock_connect(client, (SERVER.addresses[family], 53))
        except TimeoutError:
            return False
        if until_closed:
            await stage.loop.sock_recv(client, 1)
    await stage.loop.quiesce()
    return True


def placed(stage, name, **parameters):
    """An attacker on the link, not yet there."""
    kind = catalogue.load(name)
    attacker = kind(scene(WORLD, LINK, random.Random(0)), kind.Parameters(**parameters))
    return AttackedLink(stage.network.hops[LINK], [attacker], lambda a: LINK, None, lambda line: None)


async def reused(stage):
    """Connections through an attacker, then from the same ports past one that wants others, past none."""
    stage.begin()
    services = stage.servers(WORLD, (), [])
    reader = placed(stage, "strip-ds-glue")
    other = placed(stage, "block", transports=["dot"])
    seen = {}
    for present in ("reader", "other", "none"):
        reader.switch({0} if present == "reader" else set())
        other.switch({0} if present == "other" else set())
        seen[present] = [
            await connect_from(stage, family, port, until_closed and present == "reader")
            for family in (0, 1)
            for port, until_closed in ((40001, True), (40002, False))
        ]
    reader.close()
    other.close()
    services.close()
    print(json.dumps(seen))


async def several(stage):
    """Which of the servers on one link answer while an attacker sits there that looks at messages."""
    stage.begin()
    link = "root"
    world = build(stage.topology, Described())
    services = stage.servers(world, (), [])
    kind = catalogue.load("strip-svcb")
    attacker = kind(scene(world, link, random.Random(0)), kind.Parameters())
    attacked = AttackedLink(stage.network.hops[link], [attacker], lambda a: link, None, lambda line: None)
    attacked.switch({0})
    seen = {}
    for server in stage.topology.on_link(link):
        for transport in (Transport.UDP, Transport.TCP):
            for family in (0, 1):
                wire = query(".", "SOA", 7).to_wire()
                answer = described(await ask(stage, transport, family, wire, server))
                seen[f"{server.role} {transport} {family}"] = answer
    attacked.close()
    services.close()
    await stage.loop.quiesce()
    print(json.dumps(seen))


async def main(stage):
    stage.begin()
    services = stage.servers(WORLD, (), [])
    seen = {
        "strip-ds-glue": await meet(stage, "strip-ds-glue"),
        "forge-ns": await meet(stage, "forge-ns", zone="dnshost.net"),
        "forge-glue": await meet(stage, "forge-ns", forge="glue"),
        "deny-svcb": await meet(stage, "deny-svcb"),
        "impersonate": await meet(stage, "impersonate"),
        **{
            f"block-tls {how}": await meet(stage, "block-tls", how=how)
            for how in ("reset", "drop", "icmp", "alert")
        },
        "hinder drop": await meet(stage, "hinder", types=["DS"]),
        "hinder reset": await meet(stage, "hinder", types=["DS"], how="reset", messages="responses"),
        "hinder delay": await meet(stage, "hinder", types=["DS"], how="delay", seconds=1),
        "strip-records": await meet(stage, "strip-records", strip=["DS"], certificate="self-signed"),
        "forge-records": await meet(
            stage, "forge-records", types=["DS"], records=["{own-name} 60 A {own-ipv4}"], section="additional"
        ),
        "answer": await meet(stage, "answer", types=["DS"], rcode="REFUSED"),
        "truncate reset": await meet(stage, "truncate"),
        "truncate drop": await meet(stage, "truncate", tcp="drop"),
        "block sni": await meet(stage, "block", sni=["{server:ns-parent}"]),
        "block other sni": await meet(stage, "block", sni=["{server:target}"]),
        "block alpn": await meet(stage, "block", alpn=["dot"], how="alert"),
        "block size": await meet(stage, "block", larger_than=1000, how="drop"),
        "reset-established": await meet(stage, "reset-established"),
        "slow-handshake": await meet(stage, "slow-handshake", seconds=1),
        "slower-handshake": await meet(stage, "slow-handshake", seconds=3),
        "observe": await meet(stage, "observe"),
        "untouched": await untouched(stage),
    }
    late = await outlived(stage)
    services.close()
    print(json.dumps({"seen": seen, "outlived": late}))


if __name__ == "__main__":
    loop = VirtualLoop()
    plays = {"several": (several, load("roots")), "reused": (reused, TOPOLOGY), "main": (main, TOPOLOGY)}
    play, place = plays[sys.argv[1] if sys.argv[1:] else "main"]
    loop.run_until_complete(play(Stage(place, loop)))
