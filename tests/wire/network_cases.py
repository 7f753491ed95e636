"""Run in a sandbox, by test_network.py: ``network_cases.py CASE``. Each case is a function; it may print."""

import asyncio
import contextlib
import json
import os
import socket
import ssl
import struct
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

import dns.message

import testbed.topology
from testbed.network import libc, pcapng
from testbed.network.capture import Recorder
from testbed.network.fabric import Network
from testbed.network.layout import TPROXY_MARK
from testbed.network.loop import VirtualLoop
from testbed.topology import Topology, server

FAMILIES = (socket.AF_INET, socket.AF_INET6)
EPOCH = 1767225600.0


class Bench:
    """A network, its loop and its recorder."""

    def __init__(self, topology: Topology | None = None) -> None:
        self.topology = topology or testbed.topology.load("hosted")
        self.network = Network.build(self.topology)
        self.loop = VirtualLoop()
        self.recorder = Recorder(self.network, self.loop)
        self.resolver = self.network.resolver
        self.target = self.network.hosts["target" if "target" in self.network.hosts else "root"]

    def run(self, main):
        return self.loop.run_until_complete(main)

    def finish(self):
        """The captures, which must agree with the kernel."""
        captures = self.recorder.finish(0)
        for link, capture in captures.items():
            sides = {side: sum(frame.side == side for frame in capture.frames) for side in pcapng.SIDES}
            assert capture.counted == sides, (link, capture.counted, sides)
            assert capture.lost == 0
            assert [frame.number for frame in capture.frames] == list(range(1, len(capture.frames) + 1))
            times = [frame.time for frame in capture.frames]
            assert times == sorted(times)
        return captures


@contextlib.contextmanager
def udp(client, server_host, family, port=53):
    """A bound socket on the one host, and one connected to it on the other."""
    address = server_host.addresses[FAMILIES.index(family)]
    with server_host.socket(family, socket.SOCK_DGRAM) as listening:
        listening.bind((address, port))
        with client.socket(family, socket.SOCK_DGRAM) as asking:
            asking.connect((address, port))
            yield asking, listening


async def tcp(loop, client, server_host, family, port=53):
    """A connection: the client's end and the server's."""
    address = server_host.addresses[FAMILIES.index(family)]
    with server_host.socket(family, socket.SOCK_STREAM) as listening:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind((address, port))
        listening.listen()
        asking = client.socket(family, socket.SOCK_STREAM)
        await loop.sock_connect(asking, (address, port))
        answering, peer = await loop.sock_accept(listening)
    assert peer[0] == client.addresses[FAMILIES.index(family)]
    return asking, answering


def checksum(data: bytes) -> int:
    """The Internet checksum (RFC 1071) over data that holds one: 0 when it is right."""
    data += bytes(len(data) % 2)
    total = sum(struct.unpack(f"!{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return total ^ 0xFFFF


def assert_valid(frame: bytes) -> None:
    """Assert that an Ethernet frame fits the MTU and that its checksums are right."""
    assert len(frame) <= 1514
    packet = frame[14:]
    if packet[0] >> 4 == 4:
        assert checksum(packet[:20]) == 0
        addresses, protocol, payload = (
            packet[12:20],
            packet[9],
            packet[20 : int.from_bytes(packet[2:4], "big")],
        )
    else:
        addresses, protocol = packet[8:40], packet[6]
        payload = packet[40 : 40 + int.from_bytes(packet[4:6], "big")]
    assert protocol in (6, 17)
    assert checksum(addresses + struct.pack("!II", len(payload), protocol) + payload) == 0


# -- hosts and links -------------------------------------------------------------------------------


def everybody_reaches_everybody() -> None:
    bench = Bench()

    async def main():
        others = [host for name, host in bench.network.hosts.items() if name != "resolver"]
        for family in FAMILIES:
            for host in others:
                for one, other in ((bench.resolver, host), (host, bench.resolver)):
                    with udp(one, other, family) as (asking, listening):
                        asking.send(b"query")
                        data, peer = await bench.loop.sock_recvfrom(listening, 100)
                        assert data == b"query"
                        assert peer[0] == one.addresses[FAMILIES.index(family)]
                    for end in await tcp(bench.loop, one, other, family):
                        end.close()
        await bench.loop.quiesce()

    bench.run(main())
    captures = bench.finish()
    assert set(captures) == set(bench.topology.links)
    for capture in captures.values():
        assert capture.frames
        for frame in capture.frames:
            assert_valid(frame.data)
    assert bench.loop.jumps == 0


def nobody_speaks_unasked() -> None:
    bench = Bench()
    time.sleep(3)
    assert not any(capture.frames for capture in bench.finish().values())


def built_in() -> None:
    started = time.perf_counter()
    network = Network.build(testbed.topology.load("hosted"))
    built = time.perf_counter()
    for _ in range(1000):
        network.resolver.socket(socket.AF_INET, socket.SOCK_DGRAM).close()
    print(json.dumps({"build_s": built - started, "socket_us": (time.perf_counter() - built) * 1e3}))


def servers_share_a_link() -> None:
    topology = Topology(
        name="shared",
        summary="",
        servers=(
            server("root", ".", "a.root-servers.net.", 1, parent=None, link="both"),
            server("target", "org.", "a.nic.org.", 3, parent="root", link="both"),
        ),
        sensitive_name=testbed.topology.load("hosted").sensitive_name,
    )
    bench = Bench(topology)
    hop = bench.network.hops["both"]
    assert [side.to for side in hop.far_sides] == ["root", "target"]

    async def main():
        for host in (bench.network.hosts["root"], bench.target):
            for family in FAMILIES:
                with udp(bench.resolver, host, family) as (asking, listening):
                    asking.send(b"x")
                    await bench.loop.sock_recv(listening, 10)

    bench.run(main())
    assert len(bench.finish()["both"].frames) == 8


def sockets_leave_the_thread_where_it_was() -> None:
    network = Network.build(testbed.topology.load("hosted"))

    def here():
        return Path("/proc/thread-self/ns/net").readlink()

    def check():
        home = here()
        network.resolver.socket(socket.AF_INET, socket.SOCK_DGRAM).close()
        assert here() == home
        for wrong in (
            lambda: network.resolver.socket(12345, 1),
            lambda: network.resolver.popen(["/nonexistent"]),
        ):
            try:
                wrong()
            except OSError:
                pass
            else:
                raise AssertionError("that cannot work")
            assert here() == home
        with network.resolver.entered():
            outer = here()
            with network.client.entered():
                assert here() not in (home, outer)
            assert here() == outer
        assert here() == home
        finished.append(home)

    finished: list[Path] = []
    threads = [threading.Thread(target=check) for _ in range(2)]
    with network.hosts["root"].entered():
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    check()
    assert len(finished) == 3
    assert finished[0] == finished[1] != finished[2]


def programs_run_on_their_host() -> None:
    bench = Bench()

    async def main():
        own = os.sched_getaffinity(0)
        code = (
            "import os, socket; print(len(os.sched_getaffinity(0)), *[n for _, n in socket.if_nameindex()])"
        )
        process = bench.target.popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)
        cpus, *names = process.communicate()[0].split()
        assert int(cpus) == len(os.sched_getaffinity(1))
        assert names == ["lo", *(interface.name for interface in bench.target.interfaces)]
        assert os.sched_getaffinity(0) == own
        assert len(own) == 1

    bench.run(main())
    node = bench.network.mininet["hop-target"]
    assert "target" in node.cmd("ip -brief link")
    assert node.intf("target").MAC() == bench.network.hops["target"].far_side.mac
    assert len(bench.network.mininet.links) == 22
    bench.recorder.close()
    bench.network.close()


def errors_come_each_time() -> None:
    """ICMP errors are not limited to so many a second."""
    bench = Bench()

    async def main():
        for family in FAMILIES:
            refused = 0
            for _ in range(300):
                address = bench.target.addresses[FAMILIES.index(family)]
                with bench.resolver.socket(family, socket.SOCK_DGRAM) as asking:
                    asking.connect((address, 9))
                    asking.send(b"x")
                    try:
                        await asyncio.wait_for(bench.loop.sock_recv(asking, 10), 1)
                    except ConnectionRefusedError:
                        refused += 1
            assert refused == 300, refused

    bench.run(main())


def hops_can_take_packets() -> None:
    """TPROXY: what carries the mark goes to a socket of the hop, which answers in the server's name."""
    bench = Bench()
    hop = bench.network.hops["target"]
    rules = "\n".join(
        f"iifname resolver meta nfproto {kind} meta l4proto {{ tcp, udp }} th dport 53"
        f" tproxy {short} to :5300 meta mark set {TPROXY_MARK} accept"
        for kind, short in (("ipv4", "ip"), ("ipv6", "ip6"))
    )
    chain = f"type filter hook prerouting priority mangle\n{rules}"
    hop.popen(["nft", f"table inet attack {{ chain pre {{ {chain}\n }}\n }}"]).wait()
    transparent = {socket.AF_INET: (socket.IPPROTO_IP, 19), socket.AF_INET6: (socket.IPPROTO_IPV6, 75)}

    def at_hop(family, kind, address):
        made = hop.socket(family, kind)
        made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        made.setsockopt(*transparent[family], 1)
        made.bind(address)
        return made

    async def main():
        loop = bench.loop
        for family in FAMILIES:
            true = (bench.target.addresses[FAMILIES.index(family)], 53)
            anywhere = ("0.0.0.0" if family == socket.AF_INET else "::", 5300)
            with (
                udp(bench.resolver, bench.target, family) as (asking, listening),
                at_hop(family, socket.SOCK_DGRAM, anywhere) as taking,
                at_hop(family, socket.SOCK_DGRAM, true) as forging,
            ):
                asking.send(b"query")
                data, peer = await loop.sock_recvfrom(taking, 100)
                assert data == b"query"
                forging.sendto(b"forged", peer)
                assert await loop.sock_recv(asking, 100) == b"forged"
                await loop.quiesce()
                with contextlib.suppress(BlockingIOError):
                    raise AssertionError(listening.recv(100))
            with at_hop(family, socket.SOCK_STREAM, anywhere) as taking:
                taking.listen()
                with bench.resolver.socket(family, socket.SOCK_STREAM) as asking:
                    await loop.sock_connect(asking, true)
                    taken, _ = await loop.sock_accept(taking)
                    with taken:
                        assert taken.getsockname()[:2] == true

    bench.run(main())


# -- captures --------------------------------------------------------------------------------------


def a_query_is_seen_on_both_sides() -> None:
    bench = Bench()

    async def main():
        for family in FAMILIES:
            with udp(bench.resolver, bench.target, family) as (asking, listening):
                bench.recorder.begin()
                asking.send(b"query")
                _, peer = await bench.loop.sock_recvfrom(listening, 100)
                await asyncio.sleep(100)
                bench.recorder.mark(0)
                listening.sendto(b"response", peer)
                await bench.loop.sock_recv(asking, 100)
                await bench.loop.quiesce()
                bench.recorder.mark(1)
            captures = bench.finish()
            frames = captures.pop("target").frames
            assert not any(capture.frames for capture in captures.values())
            assert [(frame.side, frame.outgoing, frame.step) for frame in frames] == [
                ("resolver", False, 0),
                ("far", True, 0),
                ("far", False, 1),
                ("resolver", True, 1),
            ]
            assert [frame.time >= 100 for frame in frames] == [False, False, True, True]
            assert frames[3].time < 110
            hop = bench.network.hops["target"]
            for frame in frames:
                inside = hop.resolver_side if frame.side == "resolver" else hop.far_side
                macs = [inside.mac, inside.peer_mac] if frame.outgoing else [inside.peer_mac, inside.mac]
                assert frame.data[:12] == bytes.fromhex("".join(reversed(macs)).replace(":", ""))

    bench.run(main())


def a_large_transfer_is_captured_whole() -> None:
    bench = Bench()
    size = 3_000_000

    async def main():
        for family in FAMILIES:
            asking, answering = await tcp(bench.loop, bench.resolver, bench.target, family)
            with asking, answering:

                async def receive(asking=asking):
                    left = size
                    while left:
                        left -= len(await bench.loop.sock_recv(asking, 1 << 16))

                async with asyncio.timeout(1e-3):
                    await asyncio.gather(bench.loop.sock_sendall(answering, bytes(size)), receive())
            await bench.loop.quiesce()
            frames = bench.finish()["target"].frames
            assert len(frames) > 2 * size / 1448
            for frame in frames[:: len(frames) // 500]:
                assert_valid(frame.data)

    bench.run(main())
    assert bench.loop.jumps == 0


def a_full_ring_is_not_silent() -> None:
    bench = Bench()
    recorder = Recorder(bench.network, bench.loop, frames=32)
    with udp(bench.resolver, bench.target, socket.AF_INET) as (asking, _):
        for _ in range(50):
            asking.send(b"x")
    capture = recorder.finish(0)["target"]
    assert capture.lost > 0
    assert len(capture.frames) < sum(capture.counted.values()) == 100
    assert len(capture.frames) + capture.lost == 100


def what_was_before_is_forgotten() -> None:
    bench = Bench()

    async def main():
        with udp(bench.resolver, bench.target, socket.AF_INET) as (asking, _):
            asking.send(b"before")
            await bench.loop.quiesce()
            bench.recorder.begin()
            asking.send(b"after")
            await bench.loop.quiesce()
        (first, second) = bench.finish()["target"].frames
        assert b"after" in first.data
        assert b"after" in second.data
        assert not bench.finish()["target"].frames

    bench.run(main())


def wireshark_reads_it() -> None:
    """A DNS query over UDP, and one over TLS whose secrets are in the file."""
    bench = Bench()
    folder = Path(tempfile.mkdtemp())
    subprocess.run(
        [
            *(
                "openssl",
                "req",
                "-x509",
                "-newkey",
                "ec",
                "-pkeyopt",
                "ec_paramgen_curve:prime256v1",
                "-nodes",
            ),
            *("-keyout", "key.pem", "-out", "cert.pem", "-subj", "/CN=ns1.dnshost.net"),
        ],
        cwd=folder,
        check=True,
        capture_output=True,
    )
    server_side = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server_side.load_cert_chain(folder / "cert.pem", folder / "key.pem")
    client_side = ssl.create_default_context(cafile=str(folder / "cert.pem"))
    client_side.check_hostname = False
    client_side.keylog_filename = str(folder / "keys")
    query = dns.message.make_query("secret.example.org.", "A").to_wire()
    framed = len(query).to_bytes(2, "big") + query

    async def main():
        with udp(bench.resolver, bench.target, socket.AF_INET) as (asking, listening):
            asking.send(query)
            await bench.loop.sock_recv(listening, 1000)
        asking, answering = await tcp(bench.loop, bench.resolver, bench.target, socket.AF_INET6, 853)

        async def serve():
            reader = asyncio.StreamReader()
            protocol = asyncio.StreamReaderProtocol(reader)
            transport, _ = await bench.loop.connect_accepted_socket(
                lambda: protocol, answering, ssl=server_side
            )
            assert await reader.readexactly(len(framed)) == framed
            transport.close()

        async def ask():
            _, writer = await asyncio.open_connection(sock=asking, ssl=client_side, server_hostname="ns1")
            writer.write(framed)
            await writer.drain()
            await asyncio.sleep(1)
            writer.close()

        await asyncio.gather(serve(), ask())
        await bench.loop.quiesce()

    bench.run(main())
    capture = bench.finish()["target"]
    path = folder / "target.pcapng"
    secrets = [line for line in (folder / "keys").read_text().splitlines() if not line.startswith("#")]
    pcapng.write(path, capture, epoch=EPOCH, secrets=secrets, comments={1: "the query, in clear", 3: "SYN"})
    assert pcapng.read(path, epoch=EPOCH).capture.frames[0].data == capture.frames[0].data

    def tshark(*options):
        done = subprocess.run(
            ["tshark", "-r", str(path), *options], capture_output=True, text=True, check=True
        )
        assert "cut short" not in done.stderr, done.stderr
        return done.stdout

    info = subprocess.run(["capinfos", str(path)], capture_output=True, text=True, check=True).stdout
    fields = ["frame.number", "frame.interface_name", "frame.packet_flags_direction", "frame.comment"]
    print(
        json.dumps(
            {
                "frames": len(capture.frames),
                "info": info,
                "rows": tshark("-T", "fields", *(f"-e{field}" for field in [*fields, "frame.time_epoch"])),
                "clear": tshark(
                    "-Y", "dns.qry.name && udp", "-T", "fields", "-eframe.number", "-edns.qry.name"
                ),
                "dot": tshark("-Y", "dns.qry.name && tls", "-T", "fields", "-edns.qry.name"),
                "bad": tshark(
                    *("-o", "ip.check_checksum:TRUE", "-o", "udp.check_checksum:TRUE"),
                    *("-o", "tcp.check_checksum:TRUE", "-Y", '_ws.expert.group == "Checksum"'),
                ),
            }
        )
    )


# -- time ------------------------------------------------------------------------------------------


def no_jump_is_premature() -> None:
    """Round trips with a timer armed, while busy processes fight for the loop's own CPU."""
    seconds = float(sys.argv[2])
    bench = Bench()
    cpu = libc.current_cpu()
    os.sched_setaffinity(0, {cpu})
    spin = [sys.executable, "-S", "-c", f"import os\nos.sched_setaffinity(0, {{{cpu}}})\nwhile True: pass"]
    hogs = [subprocess.Popen(spin) for _ in range(4)]
    until = time.monotonic() + seconds
    count = {"udp": 0, "tcp": 0}

    async def main():
        loop = bench.loop
        while time.monotonic() < until:
            for family in FAMILIES:
                with udp(bench.resolver, bench.target, family) as (asking, listening):
                    for _ in range(50):
                        async with asyncio.timeout(1e-6):
                            asking.send(b"query")
                            _, peer = await loop.sock_recvfrom(listening, 100)
                            listening.sendto(b"response", peer)
                            await loop.sock_recv(asking, 100)
                        count["udp"] += 1
                async with asyncio.timeout(1e-6):
                    asking, answering = await tcp(loop, bench.resolver, bench.target, family)
                    with asking, answering:
                        for size in (100, 20_000, 60_000):
                            await loop.sock_sendall(answering, bytes(size))
                            left = size
                            while left:
                                left -= len(await loop.sock_recv(asking, left))
                count["tcp"] += 1
            await loop.quiesce()
            await asyncio.sleep(10)

    try:
        bench.run(main())
    finally:
        for hog in hogs:
            hog.kill()
    bench.finish()
    print(json.dumps(count))


def programs_under_test_run_in_real_time() -> None:
    bench = Bench()
    code = """
import socket, sys, time
s = socket.socket(type=socket.SOCK_DGRAM); s.bind((sys.argv[1], 53)); print("up", flush=True)
while True:
    data, peer = s.recvfrom(100); time.sleep(0.05); s.sendto(data.upper(), peer)
"""
    process = bench.target.popen(
        [sys.executable, "-c", code, bench.target.addresses[0]], stdout=subprocess.PIPE, text=True
    )
    assert process.stdout.readline() == "up\n"

    async def main():
        bench.loop.realtime = True
        with bench.resolver.socket(socket.AF_INET, socket.SOCK_DGRAM) as asking:
            asking.connect((bench.target.addresses[0], 53))
            asking.send(b"query")
            async with asyncio.timeout(30):
                assert await bench.loop.sock_recv(asking, 100) == b"QUERY"
        await bench.loop.quiesce()
        bench.loop.realtime = False

    bench.run(main())
    frames = bench.finish()["target"].frames
    assert len(frames) == 4
    assert frames[2].time - frames[1].time >= 0.05
    process.kill()
    process.wait()


if __name__ == "__main__":
    globals()[sys.argv[1]]()
