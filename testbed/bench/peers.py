"""What usual tools do on the hop, for the benchmark: the same work, each in its own way.

They are optional. ``make bench`` puts those of Python into an environment of their own below ``build``; what
is missing is said, with how to get it.
"""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from testbed.network.host import Hop, Host

ENVIRONMENT = Path("build/peers/bin")
SCRIPTS = Path(__file__).parents[2] / "tools/peers"
QUEUE, PORT = 1, 5300


class PeerError(Exception):
    """A tool does not start. One line says so."""


@dataclass(frozen=True)
class Peer:
    """A tool that rewrites every response: what it takes, and how it is put on a hop.

    ``needs`` are pairs: whether something is there, and how to get it. ``sit`` is given the hop, and the
    addresses of the resolver and of the server.
    """

    name: str
    needs: Sequence[tuple[Callable[[], bool], str]]
    sit: Callable[[Hop, str, str], AbstractContextManager[None]]

    @property
    def missing(self) -> str | None:
        """How to get what is not there; None when nothing is missing."""
        lacking = [how for there, how in self.needs if not there()]
        return f"not installed: {'; '.join(lacking)}" if lacking else None


def command(name: str) -> str | None:
    """Where a program is: in the environment of the tools, or on the path."""
    return shutil.which(name, path=str(ENVIRONMENT.resolve())) or shutil.which(name)


def _imports(module: str) -> bool:
    python = ENVIRONMENT / "python"
    if not python.exists():
        return False
    done = subprocess.run([python, "-c", f"import {module}"], stderr=subprocess.DEVNULL, check=False)
    return done.returncode == 0


def _run(host: Host, argv: Sequence[str], given: str = "") -> None:
    """Run a program on a host to its end. Raises PeerError."""
    process = host.popen(
        argv, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
    )
    _, said = process.communicate(given)
    if process.returncode:
        raise PeerError(f"{argv[0]}: {said.strip() or f'status {process.returncode}'}")


@contextmanager
def _running(host: Host, argv: Sequence[str], log: Path) -> Iterator[None]:
    """Run a program on a host that says when it is ready. Raises PeerError."""
    with log.open("w") as said:
        process = host.popen(argv, stdout=subprocess.PIPE, stderr=said, text=True)
    assert process.stdout is not None
    try:
        for line in process.stdout:
            if line.strip() == "ready":
                break
        else:
            last = (log.read_text().strip().splitlines() or ["it ended"])[-1]
            raise PeerError(f"{Path(argv[0]).name}: {last}")
        yield
    finally:
        process.kill()
        process.wait()


@contextmanager
def _queue(hop: Hop, _resolver: str, server: str) -> Iterator[None]:
    rule = ["FORWARD", "-p", "udp", "-s", server, "--sport", "53", "-j", "NFQUEUE", "--queue-num", str(QUEUE)]
    iptables = str(command("iptables-nft"))
    python, script = str(ENVIRONMENT.resolve() / "python"), str(SCRIPTS / "queue_strip.py")
    _run(hop, [iptables, "-A", *rule])
    try:
        with TemporaryDirectory() as folder, _running(hop, [python, script, str(QUEUE)], Path(folder, "log")):
            yield
    finally:
        _run(hop, [iptables, "-D", *rule])


_NAT = """
table ip peer {{
  chain there {{
    type nat hook prerouting priority dstnat
    ip daddr {server} udp dport 53 dnat to {hop}:{port}
  }}
  chain back {{
    type nat hook postrouting priority srcnat
    ip daddr {server} udp dport 53 snat to {resolver}
  }}
}}
"""


@contextmanager
def _proxy(hop: Hop, resolver: str, server: str) -> Iterator[None]:
    _run(
        hop,
        ["nft", "-f", "-"],
        _NAT.format(server=server, resolver=resolver, hop=hop.addresses[0], port=PORT),
    )
    mode, script = f"reverse:dns://{server}:53@{PORT}", str(SCRIPTS / "mitm_strip.py")
    argv = [str(command("mitmdump")), "--quiet", "--mode", mode, "--scripts", script]
    try:
        with TemporaryDirectory() as folder:
            argv += ["--set", f"confdir={folder}"]
            with _running(hop, argv, Path(folder, "log")):
                yield
    finally:
        _run(hop, ["nft", "delete", "table", "ip", "peer"])


PEERS = (
    Peer(
        "NetfilterQueue with scapy, rewriting every response",
        (
            (lambda: command("iptables-nft") is not None, "apt-get install iptables"),
            (
                lambda: _imports("netfilterqueue, scapy"),
                "apt-get install libnetfilter-queue-dev, rm -r build/peers, make bench",
            ),
        ),
        _queue,
    ),
    Peer(
        "mitmproxy's DNS mode, rewriting every response",
        ((lambda: command("mitmdump") is not None, "rm -r build/peers, make bench (Python 3.10 or later)"),),
        _proxy,
    ),
)


def dnsperf(client: Host, local: str, server: str, question: str, pace: int, seconds: int) -> tuple[int, int]:
    """How many queries dnsperf sent at a steady pace, and how many of them got no response.

    Raises PeerError.
    """
    with TemporaryDirectory() as folder:
        data = Path(folder, "questions")
        data.write_text(f"{question}\n")
        argv = [str(command("dnsperf")), "-s", server, "-a", local, "-d", str(data), "-e", "-D"]
        argv += ["-Q", str(pace), "-l", str(seconds), "-t", "1", "-q", "1000"]
        process = client.popen(argv, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        said, _ = process.communicate()
    found = {name: value.split() for name, value in map(_parted, said.splitlines())}
    try:
        return int(found["Queries sent"][0]), int(found["Queries lost"][0])
    except (KeyError, IndexError, ValueError):
        last = (said.strip().splitlines() or ["no output"])[-1]
        raise PeerError(f"dnsperf: {last}") from None


def _parted(line: str) -> tuple[str, str]:
    name, _, value = line.partition(":")
    return name.strip(), value
