"""Fuzzing: random and mutated messages into everything that parses what others send.

``python tests/fuzz.py 100000`` feeds so many messages to each of the parties; the tests in ``test_fuzz.py``
feed fewer. Whatever comes in, nobody raises or hangs, and the next good query is answered.
"""

from __future__ import annotations

import random
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

import dns.flags
import dns.rcode
import dns.rdatatype
from worlds import attacker, network, policy, world

from testbed.attack import catalogue
from testbed.attack.api import Query
from testbed.attack.chain import Chain
from testbed.attack.pending import Pending
from testbed.core import message
from testbed.core.authoritative import Authoritative
from testbed.core.transport import Transport

SECRET = "secret.example.org."
NAMES = (SECRET, "example.org.", "org.", ".", "_dns.ns1.dnshost.net.", "nothing.example.org.")
TYPES = ("A", "AAAA", "NS", "DS", "DNSKEY", "SVCB", "TXT", "SOA", "ANY", "CNAME")


class Mutator:
    """Makes bad messages out of good ones, and some out of nothing."""

    def __init__(self, seed: int) -> None:
        self.rng = random.Random(seed)

    def mutate(self, wire: bytes) -> bytes:
        rng = self.rng
        kind = rng.randrange(8)
        if kind == 0:
            return rng.randbytes(rng.randrange(200))
        data = bytearray(wire)
        if kind == 1:
            return bytes(data[: rng.randrange(len(data) + 1)])
        if kind == 2:
            data += rng.randbytes(rng.randrange(1, 40))
        if kind == 3:
            start = rng.randrange(len(data))
            del data[start : start + rng.randrange(1, 12)]
        if kind == 4:
            start = rng.randrange(len(data))
            data[start:start] = data[start : start + rng.randrange(1, 30)]
        if kind == 5:  # compression pointers to anywhere
            data[rng.randrange(len(data))] = 0xC0 | rng.randrange(64)
        for _ in range(rng.randrange(1, 6)):
            if data:
                data[rng.randrange(len(data))] = rng.randrange(256)
        return bytes(data)


def good_queries() -> list[bytes]:
    return [
        message.query(dns.name.from_text(name), dns.rdatatype.from_text(rdtype), id=n).to_wire()
        for n, (name, rdtype) in enumerate((name, rdtype) for name in NAMES for rdtype in TYPES)
    ]


def fuzz_authoritative(count: int, seed: int = 0) -> None:
    """Mutated queries into the authoritative server."""
    of = world(signal=("ds-glue",), secure=("target",))
    server = of.authoritative("target")
    mutator, queries = Mutator(seed), good_queries()
    good = message.query(dns.name.from_text(SECRET), dns.rdatatype.A, id=1).to_wire()
    for number in range(count):
        wire = mutator.mutate(mutator.rng.choice(queries))
        for response in server.respond_wire(wire, mutator.rng.choice(list(Transport))):
            assert response[:2] == wire[:2]
            assert response[2] & 0x80
        if number % 1000 == 0:
            (answer,) = server.respond_wire(good, Transport.UDP)
            assert dns.message.from_wire(answer).answer


class Mangled:
    """A server whose answers are mutated now and then."""

    def __init__(self, server: Authoritative, mutator: Mutator, count: list[int]) -> None:
        self.server, self.mutator, self.count = server, mutator, count

    def respond_wire(self, wire: bytes, transport: Transport) -> list[bytes]:
        answers = self.server.respond_wire(wire, transport)
        if self.count[0] <= 0 or self.mutator.rng.random() < 0.3:
            return answers
        self.count[0] -= 1
        mutated = wire[:2] + self.mutator.mutate(answers[0])[2:]
        return [mutated] if len(mutated) > 12 else []


def fuzz_resolver(count: int, seed: int = 0) -> None:
    """Mutated responses into the resolver core."""
    mutator, left = Mutator(seed), [count]
    worlds = [
        (world(signal=("ds-glue",), secure=("target",)), ["ds-glue"]),
        (world(signal=("svcb-query",), secure=("target",), signed=()), ["svcb-query"]),
        (world(signed={"root": {"denial": "nsec3"}, "target-parent": {"denial": "nsec3"}}), []),
    ]
    while left[0] > 0:
        of, signals = mutator.rng.choice(worlds)
        base = mutator.rng.choice(["strict", "opportunistic"])
        net = network(of, policy(base), signals, seed=left[0])
        servers = {
            server.role: Mangled(of.authoritative(server.role), mutator, left)
            for server in of.topology.servers
        }
        net._server = servers.__getitem__
        for name in mutator.rng.sample(NAMES, 3):
            net.ask(name, mutator.rng.choice(["A", "TXT", "NS"]))
        saved, left[0] = left[0], 0
        net.resolver.flush()
        net.advance(600)
        assert net.ask(SECRET).rcode() == dns.rcode.NOERROR
        left[0] = saved


def fuzz_attacker(name: str, count: int, seed: int = 0) -> None:
    """Mutated queries and responses past an attacker."""
    of = world(signal=("ds-glue",), secure=("target",))
    one = attacker(of, name, "ns-parent")
    chain = Chain([one])
    mutator, queries = Mutator(seed), good_queries()
    server = of.authoritative("ns-parent")
    responses = [server.respond_wire(query, Transport.TCP)[0] for query in queries]
    pending = Pending(chain, Transport.UDP, "ns-parent")
    for _ in range(count):
        number = mutator.rng.randrange(len(queries))
        if mutator.rng.random() < 0.5:
            pending.query(mutator.mutate(queries[number]))
        else:
            mutated = mutator.mutate(responses[number])
            chain.response(mutated, Query(queries[number], Transport.UDP, "ns-parent"))


def targets() -> Iterator[tuple[str, Callable[[int], None]]]:
    yield "authoritative", fuzz_authoritative
    yield "resolver", fuzz_resolver
    for name in catalogue.names():
        yield f"attacker {name}", lambda count, name=name: fuzz_attacker(name, count)


if __name__ == "__main__":
    for label, target in targets():
        began = time.perf_counter()
        target(int(sys.argv[1]))
        print(f"{label}: {sys.argv[1]} messages, {time.perf_counter() - began:.1f} s", flush=True)
