"""Run in a sandbox: each attacker on a bare link, with other traffic beside it. Prints one JSON object.

It has, for each entry of ``bare_link``, what is otherwise than it should be. Arguments are the ids of those
that are to be played, all of them if there are none.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import random
import socket
import sys
from collections import defaultdict
from pathlib import Path
from struct import pack

sys.path.insert(0, str(Path(__file__).parents[1]))

import crossing
from bare_link import ENTRIES, OVERDONE, WORLD, query
from crossing import TOWARDS_RESOLVER, TOWARDS_SERVER
from deeds import EVERYWHERE, SEALED, Flow, Passed, Side, Untouched

from testbed import transports
from testbed.attack import catalogue
from testbed.core.transfer import Incoming
from testbed.core.transport import Transport, TransportError
from testbed.evidence import PhaseEvidence
from testbed.network.loop import VirtualLoop
from testbed.onpath.link import AttackedLink
from testbed.run.cast import scene
from testbed.run.services import sink
from testbed.run.stage import ATTACKER, Stage
from testbed.scenario.world import World as Described
from testbed.topology import RESOLVER, load
from testbed.transports import tcp, udp
from testbed.verdict.dissect import dissect
from testbed.world.build import build

TOPOLOGY = load("hosted")
OF = build(TOPOLOGY, Described.model_validate(WORLD))
FAMILIES = {4: 0, 6: 1}
VERSION = {4: socket.AF_INET, 6: socket.AF_INET6}
PATIENCE = 2.0
ECHO_UDP, ECHO_TCP = 5353, 8080
OFF_PORT = 8853
"""Where a server has the same encrypted transports as on their own ports, out of any attacker's sight."""

BULK = random.Random(0).randbytes(20_000)
DATAGRAMS = (b"\0", random.Random(1).randbytes(1400), random.Random(2).randbytes(3000))


class Asker:
    """The resolver's host, with ports that are known beforehand, so that flows can be told apart."""

    ports = iter(range(10_000, 60_000, 2))

    def __init__(self, host):
        self._host = host
        self.port = next(Asker.ports)

    def socket(self, family, kind, proto=0):
        sock = self._host.socket(family, kind, proto)
        sock.bind(("::" if family == socket.AF_INET6 else "0.0.0.0", self.port))
        return _Bound(fileno=sock.detach())


class _Bound(socket.socket):
    """A socket that has its port already."""

    def bind(self, address):
        """Leave it at that."""


class Talk:
    """What is asked over one transport: in one session, or with a port each over UDP."""

    def __init__(self, bench, transport, version, asks, *, port=None, sni=None):
        self._bench = bench
        self.transport, self.version, self.asks = transport, version, asks
        self._to = (bench.server.addresses[FAMILIES[version]], port or transport.port)
        self._sni = sni or str(bench.server.name).rstrip(".")
        self.outcomes = dict.fromkeys(asks, "not asked")
        self.ports = {}
        self.spared = port is not None or sni is not None

    async def hold(self):
        """Ask everything, one after the other."""
        session = None
        try:
            if self.transport is not Transport.UDP:
                session = await self._session()
            for number, ask in enumerate(self.asks, start=7):
                await self._ask(session, ask, number)
        except TransportError as error:
            for ask in self.asks:
                if self.outcomes[ask] == "not asked":
                    self.outcomes[ask] = str(error.failure)
        finally:
            if session is not None:
                session.close()

    async def _session(self):
        host = self._asker(*self.asks)
        local = TOPOLOGY.resolver_addresses[FAMILIES[self.version]]
        if self.transport is Transport.TCP:
            return await tcp.connect(host, local, self._to, timeout=PATIENCE)
        connect = transports.load(self.transport).connect
        secrets = sink(self._bench.secrets, RESOLVER)
        return await connect(host, local, self._to, sni=self._sni, timeout=PATIENCE, secrets=secrets)

    def _asker(self, *asks):
        asker = Asker(self._bench.network.resolver)
        self.ports |= dict.fromkeys(asks, asker.port)
        return asker

    async def _ask(self, session, ask, number):
        asked = query(ask, number)
        wire = asked.to_wire()
        local = TOPOLOGY.resolver_addresses[FAMILIES[self.version]]
        try:
            if session is None:
                host = self._asker(ask)
                await udp.exchange(host, (local, 0), self._to, wire, lambda data: True, PATIENCE)
            elif "AXFR" in ask:
                await session.transfer(wire, PATIENCE, Incoming(asked.question[0].name, number).take)
            else:
                await session.exchange(wire, PATIENCE)
            self.outcomes[ask] = ""
        except TransportError as error:
            self.outcomes[ask] = str(error.failure)


class Parting(Talk):
    """Queries over TCP from somebody who says at once that there will be no more, and reads to the end."""

    async def hold(self):
        loop = self._bench.stage.loop
        sock = self._asker(*self.asks).socket(VERSION[self.version], socket.SOCK_STREAM)
        with sock:
            wires = [query(ask, number).to_wire() for number, ask in enumerate(self.asks, start=7)]
            async with asyncio.timeout(PATIENCE):
                await loop.sock_connect(sock, self._to)
                await loop.sock_sendall(sock, b"".join(len(wire).to_bytes(2) + wire for wire in wires))
                sock.shutdown(socket.SHUT_WR)
                while await loop.sock_recv(sock, 65535):
                    pass
        self.outcomes = dict.fromkeys(self.asks, "")


class Bench:
    """A link of the network, the server at its end, and traffic for it."""

    def __init__(self, stage, link):
        self.stage, self.network = stage, stage.network
        self.link = link
        self.server = next(one for one in TOPOLOGY.servers if one.link == link)
        self.host = self.network.hosts[self.server.role]
        self.secrets = []

    @contextlib.contextmanager
    def beside(self):
        """Servers of other things than DNS, and of DNS on other ports, at the far end and at the near one."""
        loop, handler = self.stage.loop, OF.authoritative(self.server.role)
        with contextlib.ExitStack() as stack:
            for version, index in FAMILIES.items():
                far, near = self.server.addresses[index], TOPOLOGY.resolver_addresses[index]
                for transport, port in ((Transport.DOT, OFF_PORT), (Transport.DOQ, OFF_PORT)):
                    listener = transports.load(transport).serve(
                        self.host,
                        far,
                        port,
                        lambda wire, transport, _: handler.respond_wire(wire, transport),
                        credential=OF.services[self.server.role][1],
                        secrets=sink(self.secrets, self.server.role),
                    )
                    stack.callback(listener.close)
                for host, address, kind, port in (
                    (self.host, far, socket.SOCK_DGRAM, ECHO_UDP),
                    (self.host, far, socket.SOCK_STREAM, ECHO_TCP),
                    (self.network.resolver, near, socket.SOCK_DGRAM, 53),
                    (self.network.resolver, near, socket.SOCK_DGRAM, 853),
                    (self.network.resolver, near, socket.SOCK_STREAM, 853),
                ):
                    sock = host.socket(VERSION[version], kind)
                    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                    sock.bind((address, port))
                    serve = _echo_datagrams if kind == socket.SOCK_DGRAM else _echo_streams
                    stack.callback(loop.create_task(serve(sock)).cancel)
            yield

    async def bystanders(self):
        """Traffic that is no attacker's business: other ports and protocols, and from the other end."""
        resolver, jobs = self.network.resolver, []
        for version, index in FAMILIES.items():
            far, near = self.server.addresses[index], TOPOLOGY.resolver_addresses[index]
            jobs += [
                _shout(resolver, version, (far, ECHO_UDP)),
                _call(resolver, version, (far, ECHO_TCP)),
                _shout(self.host, version, (near, 53), DATAGRAMS[:2]),
                _shout(self.host, version, (near, 853), DATAGRAMS[:2]),
                _call(self.host, version, (near, 853)),
                _ping(resolver, version, far),
            ]
        await asyncio.gather(*jobs)


async def _echo_datagrams(sock):
    loop = asyncio.get_running_loop()
    with sock:
        while True:
            data, peer = await loop.sock_recvfrom(sock, 65535)
            await loop.sock_sendto(sock, data, peer)


async def _echo_streams(sock):
    loop = asyncio.get_running_loop()
    with sock:
        sock.listen()
        while True:
            connection, _ = await loop.sock_accept(sock)
            with connection:
                while data := await loop.sock_recv(connection, 65535):
                    await loop.sock_sendall(connection, data)


async def _shout(host, version, to, datagrams=DATAGRAMS):
    """Send datagrams, one larger than fits into a packet, and wait for each to come back."""
    loop = asyncio.get_running_loop()
    with host.socket(VERSION[version], socket.SOCK_DGRAM) as sock:
        sock.connect(to)
        for data in datagrams:
            await loop.sock_sendall(sock, data)
            async with asyncio.timeout(PATIENCE):
                assert await loop.sock_recv(sock, 65535) == data


async def _call(host, version, to):
    """Send more than fits into a window's beginning, read it again."""
    loop = asyncio.get_running_loop()
    with host.socket(VERSION[version], socket.SOCK_STREAM) as sock:
        async with asyncio.timeout(PATIENCE):
            await loop.sock_connect(sock, to)
            await loop.sock_sendall(sock, BULK)
            back = b""
            while len(back) < len(BULK):
                back += await loop.sock_recv(sock, 65535)
        assert back == BULK


async def _ping(host, version, address):
    """Send ICMP echo requests; the kernel at the other end answers (RFC 792, RFC 4443 section 4.1)."""
    kind, protocol = (8, socket.IPPROTO_ICMP) if version == 4 else (128, socket.IPPROTO_ICMPV6)
    with host.socket(VERSION[version], socket.SOCK_RAW, protocol) as sock:
        for number in (1, 2):
            request = pack("!BBHHH", kind, 0, 0, 5, number) + bytes(56)
            if version == 4:
                request = request[:2] + (0xFFFF - crossing.checksum(request)).to_bytes(2) + request[4:]
            sock.sendto(request, (address, 0))


def placed(bench, entry):
    """The attacker of an entry, and its place on the link."""
    kind = catalogue.load(entry.attacker)
    attacker = kind(scene(OF, bench.link, random.Random(0)), kind.Parameters(**entry.parameters))
    entry.prepare(attacker)
    link = AttackedLink(
        bench.network.hops[bench.link],
        [attacker],
        lambda address: bench.server.role,
        OF.forged_credential,
        sink(bench.secrets, ATTACKER),
    )
    return attacker, link


def talks(bench, entry):
    """What is asked, over every transport and both address families; and the same on other ports."""
    for version in FAMILIES:
        for transport in EVERYWHERE:
            yield Talk(bench, transport, version, entry.asked(transport))
            if entry.spares and entry.touches(transport):
                yield Talk(bench, transport, version, entry.asked(transport), sni=entry.spares)
        for transport in (Transport.DOT, Transport.DOQ):
            yield Talk(bench, transport, version, entry.asked(Transport.UDP)[:1], port=OFF_PORT)
        if entry.spared:
            yield Parting(bench, Transport.TCP, version, entry.spared)


def ports_of(attacker):
    """The servers' ports of what its hooks are shown; all else is not to leave the kernel."""
    of_messages = any(attacker.overrides(hook) for hook in ("query", "response", "transfer"))
    hooks = ("connect", "handshake", "established", "datagram")
    others = attacker.ports if any(attacker.overrides(hook) for hook in hooks) else frozenset()
    return others | (frozenset((53,)) if of_messages else frozenset())


class Captured:
    """The two sides of a link in one capture."""

    def __init__(self, capture, secrets):
        self.packets = [crossing.read(frame) for frame in capture.frames]
        self.flows = crossing.by_port(self.packets)
        self._messages = defaultdict(list)
        view = dissect(PhaseEvidence({capture.link: capture}, secrets, [], [], []))
        for name, side in zip(("resolver", "far"), view.sides(capture.link), strict=True):
            for message in side.messages:
                if message.transport in SEALED:
                    packet = crossing.read(message.frame)
                    port = next(iter(crossing.by_port([packet])))
                    self._messages[port, name].append(Passed(packet.time, message.dns.wire))

    def side(self, name, port, transport):
        """What one side saw of a flow."""
        packets = [packet for packet in self.flows[port] if packet.way[0] == name]
        up, down = (
            next(way for way in both if way[0] == name) for both in (TOWARDS_SERVER, TOWARDS_RESOLVER)
        )
        there = [packet for packet in packets if packet.way == up and not packet.error]
        side = Side(sent=crossing.octets(packets, up), reached=there[0].time if there else None)
        side.signs = {packet.error for packet in packets if packet.error}
        if any(packet.flags & crossing.RST and packet.way[1] for packet in packets):
            side.signs.add("reset")
        back = crossing.octets(packets, down)
        if transport.carrier == "tcp" and transport.encrypted and back[:1] == b"\x15":
            side.signs.add("alert")
        for passed in self._all(name, port, transport, packets):
            (side.responses if passed.wire[2] & 0x80 else side.queries).append(passed)
        return side

    def _all(self, name, port, transport, packets):
        if transport.encrypted:
            return self._messages[port, name]
        if transport is Transport.UDP:
            return [Passed(packet.time, packet.payload) for packet in packets if not packet.error]
        return [one for way in {packet.way for packet in packets} for one in crossing.framed(packets, way)]

    def flow(self, talk, ask):
        """A question over a transport."""
        sides = [self.side(name, talk.ports[ask], talk.transport) for name in ("resolver", "far")]
        section = query(ask, 0).to_wire()[12:].split(b"\0\0\x29")[0]
        for side in sides:
            side.queries = [one for one in side.queries if one.wire[12:].startswith(section)]
            side.responses = [one for one in side.responses if one.wire[12:].startswith(section)]
        return Flow(f"{talk.transport} {talk.version}", talk.transport, *sides, talk.outcomes[ask])


async def play(bench, entry):
    """What is otherwise than it should be."""
    bench.secrets.clear()
    services = bench.stage.servers(OF, (), bench.secrets)
    attacker, link = placed(bench, entry)
    link.switch({0})
    with bench.beside():
        await bench.stage.loop.quiesce()
        bench.stage.recorder.begin()
        held = list(talks(bench, entry))
        await asyncio.gather(bench.bystanders(), *(talk.hold() for talk in held))
        await bench.stage.loop.quiesce()
        captured = bench.stage.recorder.finish(0)[bench.link]
    link.close()
    services.close()
    await bench.stage.loop.quiesce()
    return list(complaints(entry, attacker, held, captured, bench.secrets))


def complaints(entry, attacker, held, capture, secrets):
    """Everything that is otherwise than it should be."""
    captured = Captured(capture, secrets)
    if capture.lost or sum(capture.counted.values()) != len(capture.frames):
        yield f"{len(capture.frames)} frames were captured of {capture.counted}"
    yield from crossing.invalid(captured.packets)
    yield from crossing.altered(captured.packets, ports_of(attacker))
    if bool(attacker.actions) != bool(entry.acts):
        yield f"it counted {attacker.matches} matches, {dict(attacker.actions)}"
    for talk in held:
        for ask in talk.asks:
            flow = captured.flow(talk, ask)
            deed = None if talk.spared else entry.deed(ask, talk.transport)
            for complaint in (deed or Untouched()).complaints(flow):
                yield f"{flow.where} {ask}: {complaint}"
        if talk.spared or not entry.touches(talk.transport):
            for port in set(talk.ports.values()):
                for complaint in crossing.unequal(captured.flows[port]):
                    yield f"{talk.transport} {talk.version}: {complaint}"


async def main(stage):
    stage.begin()
    entries = (*ENTRIES, *OVERDONE)
    chosen = [entry for entry in entries if not sys.argv[1:] or entry.id in sys.argv[1:]]
    found = {entry.id: await play(Bench(stage, entry.on), entry) for entry in chosen}
    print(json.dumps(found))


if __name__ == "__main__":
    loop = VirtualLoop()
    loop.run_until_complete(main(Stage(TOPOLOGY, loop)))
