"""Run in a sandbox, by test_real_authoritatives.py: ``server_cases.py ENGINE TRANSPORT...``.

Starts an authoritative server that is a program, asks it what it should know, and ends it. Prints JSON.
"""

import contextlib
import json
import sys
import tempfile
import time
from pathlib import Path

import dns.message

from testbed import topology
from testbed.core.transport import Transport
from testbed.engines import catalogue
from testbed.network.loop import VirtualLoop
from testbed.run.programs import Programs
from testbed.run.stage import Stage
from testbed.scenario.load import load_text
from testbed.topology import TARGET, Topology
from testbed.transports import tcp
from testbed.world.build import build

WORLD = """
id: t/t
title: t
world:
  signal: [svcb-query, tlsa-query]
  signed: {{root: {{}}, target-parent: {{denial: nsec3, opt_out: true}}, target: {{denial: {denial}}}}}
  secure: {{target: {{transports: [{transports}]}}}}
  records:
    - two.sub.example.org 300 SVCB 1 . alpn=dot port=8853 key7="/dns-query{{?dns}}"
    - odd.example.org 300 TYPE65280 \\# 3 abcdef
    - insecure.example.org 300 NS ns.elsewhere.test.
    - secure.example.org 300 NS ns.elsewhere.test.
    - secure.example.org 300 DS 1 225 2 {digest}
"""
QUESTIONS = (
    ("secret.example.org.", "A"),
    ("alias.example.org.", "A"),
    ("x.wild.example.org.", "A"),
    ("nothing.example.org.", "A"),
    ("secret.example.org.", "MX"),
    ("two.sub.example.org.", "SVCB"),
    ("odd.example.org.", "TYPE65280"),
    ("www.insecure.example.org.", "A"),
    ("www.secure.example.org.", "A"),
    ("x.old.example.org.", "A"),
    ("example.org.", "DNSKEY"),
)


def sections(message):
    """What a message says, whatever the order; positive answers need nothing in the authority section."""
    parts = [message.answer] if message.answer else [message.authority]
    return message.rcode(), *(
        frozenset((rrset.name, rrset.rdtype, rrset.covers, frozenset(rrset)) for rrset in part)
        for part in parts
    )


def processes():
    """All that have not ended, whether or not somebody has taken notice that they did."""
    found = set()
    for entry in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            if entry.read_text().rpartition(")")[2].split()[0] != "Z":
                found.add(entry.parent.name)
    return found


async def play(stage, world, engine):
    secrets = []
    before = processes()
    programs = Programs(stage.network, world, {TARGET: engine}, secrets, stage.clock)
    began = time.monotonic()
    await programs.start()
    ready = time.monotonic() - began
    told = []
    server = stage.topology.by_role[TARGET]
    for name, rdtype in QUESTIONS:
        query = dns.message.make_query(name, rdtype, want_dnssec=True)
        # From its own host: nothing of this is about the network.
        host = stage.network.hosts[TARGET]
        session = await tcp.connect(host, server.ipv4, (server.ipv4, 53), timeout=5)
        response = dns.message.from_wire(await session.exchange(query.to_wire(), 5))
        session.close()
        (expected,) = world.authoritative(TARGET).respond(query, Transport.TCP)
        if sections(response) != sections(expected):
            told.append(f"{name} {rdtype}:\n{response}\n-- instead of --\n{expected}")
    began = time.monotonic()
    programs.close()
    return {
        "ready": ready,
        "stopped": time.monotonic() - began,
        "differences": told,
        "secrets": [secret.line for secret in secrets],
        "processes": sorted(processes() - before),
        "folders": [str(path) for path in Path(tempfile.gettempdir()).glob("engine-*")],
    }


def main(name, denial, *transports):
    text = WORLD.format(denial=denial, transports=", ".join(transports) or "dot", digest="ab" * 32)
    if not transports:
        text = text.replace("  secure:", "  #")
    (cell,) = load_text(text, Path("t.yaml"))
    hosted: Topology = topology.load("hosted")
    loop = VirtualLoop()
    stage = Stage(hosted, loop)
    loop.realtime = True
    stage.begin()
    world = build(hosted, cell.scenario.world)
    engine = catalogue.able(name, transports)
    loop.run_until_complete(play(stage, world, engine))
    found = loop.run_until_complete(play(stage, world, engine))
    print(json.dumps(found))


if __name__ == "__main__":
    main(*sys.argv[1:])
