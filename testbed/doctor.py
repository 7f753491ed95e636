"""What this machine has of what the test bed uses, what it lacks, and how to get that.

Looks only: starts programs to ask for their version, installs and changes nothing.
"""

from __future__ import annotations

import os
import shutil
import ssl
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from cryptography.hazmat.backends.openssl import backend

from testbed.network.availability import availability
from testbed.network.sandbox import SYSTEM_PATH
from testbed.versions import PATIENCE, version_in, words

OLDEST_PYTHON = (3, 11)


@dataclass(frozen=True)
class Finding:
    """One thing that was looked for.

    ``needed``: `adox run` cannot do without it. ``detail`` says what was found, or else what is wrong or what
    it would serve for. ``how`` says how to get it, and is empty when it is there.
    """

    group: str
    name: str
    ok: bool
    needed: bool
    detail: str
    how: str = ""


@dataclass(frozen=True)
class Program:
    """A useful program: its command, the Debian and Ubuntu package it comes in, what it serves for here.

    ``version`` are the arguments that make it print its version; without any it is only looked for.
    """

    group: str
    command: str
    package: str
    purpose: str
    version: tuple[str, ...] = ()


PYTHON = "Python"
NETWORK = "sandbox and network"
TOOLS = "tools"
SERVERS = "servers and resolvers"

# What a run cannot do without is in testbed.network.availability.
PROGRAMS = (
    Program(TOOLS, "make", "make", "make demo, make test", ("--version",)),
    Program(TOOLS, "tshark", "tshark", "captures read independently, in tests", ("--version",)),
    Program(TOOLS, "kdig", "knot-dnsutils", "queries by hand over DoT, DoH and DoQ", ("-V",)),
    Program(TOOLS, "delv", "bind9-dnsutils", "validation by hand", ("-v",)),
    Program(TOOLS, "named-checkzone", "bind9-utils", "zones checked independently", ("-v",)),
    Program(TOOLS, "dnsperf", "dnsperf", "load"),
    Program(TOOLS, "ldns-verify-zone", "ldnsutils", "signed zones checked independently", ("-v",)),
    Program(SERVERS, "unbound", "unbound", "Unbound, a resolver", ("-V",)),
    Program(SERVERS, "kresd", "knot-resolver", "Knot Resolver", ("--version",)),
    Program(SERVERS, "pdns_recursor", "pdns-recursor", "PowerDNS Recursor", ("--version",)),
    Program(SERVERS, "named", "bind9", "BIND, a resolver and authoritative server", ("-v",)),
    Program(SERVERS, "faketime", "faketime", "the world's time for real resolvers", ("--version",)),
    Program(SERVERS, "nsd", "nsd", "NSD, an authoritative server", ("-v",)),
    Program(SERVERS, "knotd", "knot", "Knot DNS, an authoritative server", ("-V",)),
)


def examine() -> list[Finding]:
    """Everything that was looked for, group by group."""
    with ThreadPoolExecutor(len(PROGRAMS)) as pool:
        programs = pool.map(look_for, PROGRAMS)
        return [*python(), *network(), *programs]


def ready(findings: list[Finding]) -> bool:
    """Whether everything that a run needs is there."""
    return all(finding.ok for finding in findings if finding.needed)


def python() -> list[Finding]:
    """The interpreter and the TLS libraries below it."""
    found = sys.version_info[:2] >= OLDEST_PYTHON
    oldest = ".".join(map(str, OLDEST_PYTHON))
    return [
        Finding(
            PYTHON,
            "Python",
            found,
            needed=True,
            detail=f"{sys.version.split()[0]}, {sys.executable}",
            how="" if found else f"Python {oldest} or newer, then: make clean demo PYTHON=/path/to/it",
        ),
        Finding(PYTHON, "TLS of ssl", ok=True, needed=True, detail=ssl.OPENSSL_VERSION),
        Finding(PYTHON, "TLS of cryptography", ok=True, needed=True, detail=backend.openssl_version_text()),
    ]


def network() -> list[Finding]:
    """What sandboxes and networks are made of: all of it is needed."""
    return [
        Finding(NETWORK, found.name, found.ok, needed=True, detail=found.detail, how=found.remedy)
        for found in availability()
    ]


def look_for(program: Program) -> Finding:
    """Whether a program is there and starts, and its version."""

    def finding(ok: bool, detail: str) -> Finding:
        return Finding(
            program.group,
            program.command,
            ok,
            needed=False,
            detail=detail,
            how="" if ok else f"apt-get install {program.package}",
        )

    path = shutil.which(
        program.command, path=os.pathsep.join([os.environ.get("PATH", os.defpath), *SYSTEM_PATH])
    )
    if path is None:
        return finding(ok=False, detail=program.purpose)
    if not program.version:
        return finding(ok=True, detail=path)
    try:
        answer = words(path, program.version, PATIENCE)
    except (OSError, subprocess.TimeoutExpired) as error:
        return finding(ok=False, detail=f"{path} does not start: {error}")
    version = version_in(answer)
    if version is None:
        # What the dynamic loader says of a missing library, for one.
        return finding(ok=False, detail=f"{path} does not say its version: {answer.strip()[:200]}")
    return finding(ok=True, detail=f"{version}, {path}")
