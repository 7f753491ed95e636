"""Run in a sandbox: what hosts make of packets that an off-path attacker sends. Prints one JSON object."""

from __future__ import annotations

import asyncio
import errno
import json
import random
import socket
import struct
import sys

from testbed.attack.api import (
    Attacker,
    Capability,
    Parameters,
    SpoofedDatagram,
    SpoofedError,
    SpoofedFragment,
    SpoofedSegment,
)
from testbed.core.notation import parse_question
from testbed.evidence import PhaseEvidence
from testbed.network.loop import VirtualLoop
from testbed.offpath.sender import OffPath
from testbed.run.cast import scene
from testbed.run.stage import Stage
from testbed.scenario.world import World as Described
from testbed.topology import EVIL, load
from testbed.verdict.dissect import dissect
from testbed.verdict.frames import Fragment
from testbed.world.build import build

TOPOLOGY = load("hosted")
WORLD = build(TOPOLOGY, Described.model_validate({}))
TARGET = TOPOLOGY.by_role["target"]
RESOLVER = TOPOLOGY.resolver_addresses
PORT = 40123


class Scripted(Attacker):
    """Sends what it is told to."""

    capability = Capability.OFF_PATH
    source = "a test"
    packets = ()

    def off_path(self, moment):
        return self.packets


async def spoof(stage, *packets):
    """Have them sent, and wait until nothing moves any more."""
    attacker = Scripted(scene(WORLD, "", random.Random(0)), Parameters())
    attacker.packets = packets
    sender = OffPath(stage.network.hosts[EVIL], [attacker])
    sender.switch({0})
    sender.cause(parse_question("secret.example.org"))
    await asyncio.sleep(0.01)
    await stage.loop.quiesce()
    sender.close()
    assert attacker.spent.injected == len(packets)


def ends(family):
    return (RESOLVER[family], PORT), (TARGET.addresses[family], 53)


def received(sock):
    """What has come to a socket, or the error that it was told of."""
    try:
        return sock.recv(65535).decode()
    except BlockingIOError:
        return "nothing"
    except OSError as error:
        return errno.errorcode[error.errno]


def waiting(stage, family):
    """The socket of a query that waits for its answer."""
    own, server = ends(family)
    version = socket.AF_INET6 if family else socket.AF_INET
    sock = stage.network.resolver.socket(version, socket.SOCK_DGRAM)
    sock.bind(own)
    sock.connect(server)
    return sock


async def datagrams(stage):
    seen = {}
    for family in (0, 1):
        own, server = ends(family)
        about = SpoofedDatagram(own, server, b"")
        beside = SpoofedDatagram((own[0], PORT + 1), server, b"")
        told = {
            "answer": SpoofedDatagram(server, own, b"forged"),
            "another port": SpoofedDatagram(server, (own[0], PORT + 1), b"forged"),
            "another server": SpoofedDatagram((TARGET.addresses[family], 54), own, b"forged"),
            "no-port": SpoofedError(server[0], own[0], "no-port", about),
            "no-port beside": SpoofedError(server[0], own[0], "no-port", beside),
            "no-host": SpoofedError(server[0], own[0], "no-host", about),
            "prohibited": SpoofedError(server[0], own[0], "prohibited", about),
        }
        for name, packet in told.items():
            with waiting(stage, family) as sock:
                await spoof(stage, packet)
                seen[f"{name} {4 if family == 0 else 6}"] = received(sock)
    return seen


async def fragments(stage):
    """Two halves of a datagram, both forged, the second one first."""
    seen = {}
    for family in (0, 1):
        own, server = ends(family)
        text = b"forged in two parts"
        whole = struct.pack("!HHHH", 53, PORT, 8 + len(text), 0) + text
        if family:
            whole = with_checksum(whole, own[0], server[0])
        halves = [
            SpoofedFragment(server[0], own[0], 7, 16, whole[16:]),
            SpoofedFragment(server[0], own[0], 7, 0, whole[:16], last=False),
        ]
        with waiting(stage, family) as sock:
            await spoof(stage, *halves)
            seen[str(4 if family == 0 else 6)] = received(sock)
    return seen


def with_checksum(datagram, *addresses):
    """UDP over IPv6 has a checksum (RFC 8200 section 8.1)."""
    pseudo = b"".join(socket.inet_pton(socket.AF_INET6, address) for address in addresses)
    pseudo += struct.pack("!IHBB", len(datagram), 0, 0, 17)
    data = pseudo + datagram + bytes(len(datagram) % 2)
    total = sum(struct.unpack(f"!{len(data) // 2}H", data))
    while total > 0xFFFF:
        total = (total & 0xFFFF) + (total >> 16)
    return datagram[:6] + struct.pack("!H", ~total & 0xFFFF) + datagram[8:]


async def path_mtu(stage):
    """Whether a server's large responses leave in fragments, before it was told of a small MTU and after."""
    seen = {}
    for family in (0, 1):
        own, server = ends(family)
        version = socket.AF_INET6 if family else socket.AF_INET
        with stage.network.hosts["target"].socket(version, socket.SOCK_DGRAM) as serving:
            serving.bind(server)
            told = SpoofedError(
                own[0], server[0], "need-to-fragment", SpoofedDatagram(server, own, b""), mtu=552
            )
            counts = []
            for packets in ((), (told,)):
                await spoof(stage, *packets)
                stage.recorder.begin()
                with waiting(stage, family) as sock:
                    serving.sendto(bytes(1200), own)
                    await stage.loop.quiesce()
                    assert len(sock.recv(65535)) == 1200
                counts.append(count_fragments(stage))
            seen[str(4 if family == 0 else 6)] = counts
    return seen


def count_fragments(stage):
    capture = stage.recorder.finish(0)["target"]
    return sum(isinstance(packet, Fragment) for packet in packets_of(capture))


def packets_of(capture):
    evidence = PhaseEvidence({capture.link: capture}, [], [], [], [])
    return dissect(evidence).resolver[capture.link].packets


async def trouble(stage):
    """A packet for which there is no way is no packet sent, and is told of."""
    attacker = Scripted(scene(WORLD, "", random.Random(0)), Parameters())
    attacker.packets = [SpoofedDatagram(ends(0)[1], ("192.0.2.200", 53), b"")]
    sender = OffPath(stage.network.hosts[EVIL], [attacker])
    sender.switch({0})
    sender.cause(parse_question("secret.example.org"))
    await asyncio.sleep(0.01)
    sender.close()
    return sender.trouble


async def resets(stage):
    """Resets with the right sequence number and with one in the window, to either end of a connection."""
    seen = {}
    for family in (0, 1):
        for told in ("resolver", "server"):
            for name, distance in (("exact", 0), ("in the window", 1000)):
                label = f"{name} to the {told} {4 if family == 0 else 6}"
                seen[label] = await reset(stage, family, told, distance)
    return seen


async def reset(stage, family, told, distance):
    version = socket.AF_INET6 if family else socket.AF_INET
    address = (TARGET.addresses[family], 853)
    stage.recorder.begin()
    listening = stage.network.hosts["target"].socket(version, socket.SOCK_STREAM)
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listening.bind(address)
    listening.listen()
    asking = stage.network.resolver.socket(version, socket.SOCK_STREAM)
    await stage.loop.sock_connect(asking, address)
    answering, peer = await stage.loop.sock_accept(listening)
    await stage.loop.quiesce()
    last = packets_of(stage.recorder.finish(0)["target"])[-1]
    # The last packet is the resolver's acknowledgement: its numbers are what each end expects next.
    (_, acknowledged) = struct.unpack_from("!II", raw_tcp(last), 4)
    expected = acknowledged if told == "resolver" else last.sequence
    own, server = peer[:2], address
    source, target = (server, own) if told == "resolver" else (own, server)
    await spoof(stage, SpoofedSegment(source, target, (expected + distance) % 2**32))
    outcome = received(asking if told == "resolver" else answering)
    for sock in (asking, answering, listening):
        sock.close()
    await stage.loop.quiesce()
    return outcome


def raw_tcp(packet):
    data = packet.frame.data[14:]
    return data[40:] if data[0] >> 4 == 6 else data[(data[0] & 15) * 4 :]


async def everything(stage):
    return {case.__name__: await case(stage) for case in (datagrams, fragments, trouble, resets, path_mtu)}


def main():
    loop = VirtualLoop()
    stage = Stage(TOPOLOGY, loop)
    json.dump(loop.run_until_complete(everything(stage)), sys.stdout)


main()
