"""Run in a sandbox, by test_interop_validation.py: every broken zone, asked about at Unbound and at us.

Prints, as JSON, what each says to each question: ``[zone, name in it, type, ours, Unbound's]``.
"""

import asyncio
import contextlib
import json
import multiprocessing
import shutil
import socket
import subprocess
import sys
import tempfile
from pathlib import Path
from types import SimpleNamespace

import broken_denials  # noqa: F401 - it adds its breakages to the others
import dns.asyncquery
import dns.edns
import dns.flags
import dns.message
import dns.name
import dns.rcode
import dns.rdatatype
from breakages import BREAKAGES, WITH_EACH_SETUP, signatures
from broken_zones import ROOT_SERVER, SETUPS, Broken, servers, trust_anchor

from testbed.core.policy import POLICIES
from testbed.core.resolver.state import Configuration, RootServer
from testbed.memory import MemoryNetwork
from testbed.transports import tcp, udp

UNBOUND = "127.0.0.100"
AT_ONCE = 4
PATIENCE = 60
CONFIGURATION = """
server:
    interface: {address}
    directory: "{folder}"
    username: ""
    chroot: ""
    pidfile: ""
    use-syslog: no
    logfile: ""
    verbosity: 0
    num-threads: 1
    do-ip6: no
    do-not-query-localhost: no
    access-control: 127.0.0.0/8 allow
    root-hints: "{folder}/hints"
    trust-anchor: "{anchor}"
    val-override-date: 20260101000000
    val-sig-skew-min: 0
    val-sig-skew-max: 0
    val-nsec3-keysize-iterations: "1024 100 2048 100 4096 100"
    module-config: "validator iterator"
    qname-minimisation: no
    aggressive-nsec: no
    harden-below-nxdomain: no
    target-fetch-policy: "0 0 0 0 0"
    ede: yes
    infra-cache-min-rtt: 5000
    unknown-server-time-limit: 5000
remote-control:
    control-enable: no
"""
VALIDATION = range(1, 13)
"""EDE INFO-CODEs about validation (RFC 8914)."""


def verdict(response):
    if response.rcode() == dns.rcode.SERVFAIL:
        codes = {each.code for each in response.options if isinstance(each, dns.edns.EDEOption)}
        return "bogus" if codes & {*VALIDATION} else f"failed {sorted(codes)}"
    return "secure" if response.flags & dns.flags.AD else "insecure"


def all_broken():
    """Every breakage that has to do with denials with each setup, all others with one after the other."""
    return [
        _made(f"{label}-{number}", SETUPS[number], make)
        for turn, (label, make) in enumerate([*BREAKAGES.items(), *signatures()])
        for number in (range(len(SETUPS)) if label in WITH_EACH_SETUP else [turn % len(SETUPS)])
    ]


def _made(label, setup, make):
    broken = Broken(label, setup)
    make(broken)
    return broken


RESOLVER = ("192.0.2.53", "2001:db8::53")
"""Where our resolver would ask from."""


def ours(authoritatives, zones):
    """The verdicts of our resolver, in memory."""
    by_role = {address: SimpleNamespace(role=address, link=address) for address in authoritatives}
    world = SimpleNamespace(
        topology=SimpleNamespace(at=by_role.get, by_role=by_role, resolver_addresses=RESOLVER),
        services={},
        latency={},
        families={},
        paths={},
        authoritative=lambda role, zones=(): authoritatives.get(role),
    )
    hints = (RootServer(dns.name.from_text("ns."), (ROOT_SERVER,)),)
    policy = POLICIES["opportunistic"].model_copy(update={"minimisation": "off"})
    network = MemoryNetwork(world, Configuration(policy, hints, trust_anchor(), (), (), families=(4,)))
    return [
        [verdict(network.ask(broken.name(relative), rdtype)) for relative, rdtype in broken.questions]
        for broken in zones
    ]


class Host:
    """Opens sockets in the sandbox."""

    def socket(self, family, kind, proto=0):
        opened = socket.socket(family, kind, proto)
        opened.setblocking(False)
        return opened


async def unbounds(authoritatives, zones):
    """The verdicts of a real Unbound that asks the same servers."""
    for address, authoritative in authoritatives.items():

        def handler(wire, transport, peer, authoritative=authoritative):
            return authoritative.respond_wire(wire, transport)

        udp.serve(Host(), address, 53, handler)
        tcp.serve(Host(), address, 53, handler)
    folder = Path(tempfile.mkdtemp())
    anchor = trust_anchor()
    text = CONFIGURATION.format(address=UNBOUND, folder=folder, anchor=f"{anchor.name} DS {anchor[0]}")
    (folder / "hints").write_text(f". 3600000 NS ns.\nns. 3600000 A {ROOT_SERVER}\n")
    (folder / "unbound.conf").write_text(text)
    # A copy, since AppArmor's profile for the installed one lets it read nothing here.
    program = shutil.copy(shutil.which("unbound"), folder)
    process = subprocess.Popen([program, "-d", "-c", folder / "unbound.conf"], stdout=sys.stderr)
    try:
        await ready(process)
        gate = asyncio.Semaphore(AT_ONCE)

        async def ask(broken):
            """The questions about one zone one after the other: what is cached decides about some answers."""
            async with gate:
                verdicts = []
                for relative, rdtype in broken.questions:
                    query = dns.message.make_query(broken.name(relative), rdtype, want_dnssec=True)
                    query.flags |= dns.flags.AD
                    verdicts.append(verdict(await dns.asyncquery.udp(query, UNBOUND, timeout=PATIENCE)))
                return verdicts

        return await asyncio.gather(*map(ask, zones))
    finally:
        process.kill()
        process.wait()


async def ready(process):
    """Wait until it answers a question that needs nobody else."""
    query = dns.message.make_query("version.bind.", "TXT", "CH")
    async with asyncio.timeout(PATIENCE):
        while True:
            assert process.poll() is None, "Unbound ended"
            with contextlib.suppress(dns.exception.Timeout):
                return await dns.asyncquery.udp(query, UNBOUND, timeout=0.1)


_inherited = []


def _inherit(*parts):
    _inherited.extend(parts)


def _ours():
    return ours(*_inherited)


def main():
    zones = all_broken()
    authoritatives = servers(zones)
    with multiprocessing.get_context("fork").Pool(1, _inherit, (authoritatives, zones)) as beside:
        ours_to_come = beside.apply_async(_ours)
        theirs = asyncio.run(unbounds(authoritatives, zones))
        mine = ours_to_come.get()
    rows = [
        [broken.label, relative, rdtype, *verdicts]
        for broken, our, their in zip(zones, mine, theirs, strict=True)
        for (relative, rdtype), *verdicts in zip(broken.questions, our, their, strict=True)
    ]
    print(json.dumps(rows))


if __name__ == "__main__":
    main()
