"""What the network floor needs from a machine, whether it is there, and how to get it.

Everything that only the kernel can answer is tried, once, in a sandbox that is thrown away.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import socket
import struct
import subprocess
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from testbed.network import sandbox
from testbed.network.loop import KernelQueues


@dataclass(frozen=True, slots=True)
class Capability:
    """Something that is needed. ``detail`` says what was found; ``remedy`` how to get what is missing."""

    name: str
    ok: bool
    detail: str
    remedy: str = ""


PROGRAMS = {
    "unshare": "util-linux",
    "ip": "iproute2",
    "nft": "nftables",
    "mnexec": "mininet (for its mnexec), or build mnexec.c from Mininet's sources",
    "bash": "bash",
}
"""Programs, and the Debian packages that have them."""

TPROXY_RULES = """
table inet probe {
  chain pre {
    type filter hook prerouting priority mangle
    meta l4proto tcp socket transparent 1 meta mark set 1 accept
    meta nfproto ipv4 udp dport 53 tproxy ip to :5353 meta mark set 1 accept
    meta nfproto ipv6 tcp dport 853 tproxy ip6 to :5353 meta mark set 1 accept
  }
}
"""

KERNEL = {
    "veth": "a kernel with CONFIG_VETH (modprobe veth)",
    "TPROXY": "a kernel with CONFIG_NFT_TPROXY and CONFIG_NFT_SOCKET (modprobe nft_tproxy nft_socket)",
    "AF_PACKET": "a kernel with CONFIG_PACKET (modprobe af_packet)",
    "IPv6": "boot without ipv6.disable=1",
    "packet queues": "Linux 5.14 or newer",
}
"""What is tried in a sandbox, and how to get it."""

TIMEOUT = 30


def availability() -> list[Capability]:
    """What is needed, in the order in which one would look for it."""
    path = os.pathsep.join([os.environ.get("PATH", os.defpath), *sandbox.SYSTEM_PATH])
    found = []
    for program, package in PROGRAMS.items():
        place = shutil.which(program, path=path)
        found.append(
            Capability(
                program, place is not None, place or "not found", "" if place else f"install {package}"
            )
        )
    found.append(_mininet())
    results, complaint = _try_in_sandbox()
    found.append(_namespaces(results is not None, complaint))
    for name, remedy in KERNEL.items():
        if results is None:
            found.append(Capability(name, False, "cannot be tried without namespaces"))
        else:
            error = results[name]
            found.append(Capability(name, not error, error or "works", remedy if error else ""))
    return found


def missing() -> str:
    """Why nothing can run on this machine, in one line; empty when everything is there."""
    return "; ".join(f"{found.name}: {found.detail}" for found in availability() if not found.ok)


def _mininet() -> Capability:
    try:
        from testbed.network import mininet_parts  # noqa: PLC0415 - it may be missing
    except ImportError as error:
        return Capability("Mininet", False, str(error), "pip install mininet==2.3.0.dev6")
    return Capability("Mininet", True, mininet_parts.VERSION)


def _try_in_sandbox() -> tuple[dict[str, str] | None, str]:
    """What went wrong for each thing tried; or None, and why there is no sandbox."""
    with tempfile.TemporaryFile() as complaints:
        try:
            worker = sandbox.launch(["-m", "testbed.network.availability"], stderr=complaints.fileno())
            with worker:
                worker.wait_ready(TIMEOUT)
                output, _ = worker.process.communicate(timeout=TIMEOUT)
        except (sandbox.SandboxError, subprocess.TimeoutExpired) as error:
            complaints.seek(0)
            lines = complaints.read().decode(errors="replace").strip().splitlines()
            return None, lines[-1] if lines else str(error)
    results: dict[str, str] = json.loads(output)
    return results, ""


def _namespaces(ok: bool, complaint: str) -> Capability:
    how = "root" if sandbox.privileged() else "user namespaces, without root"
    return Capability("namespaces", ok, how if ok else complaint, "" if ok else _why_no_namespaces())


def _why_no_namespaces() -> str:
    """What keeps this user from making namespaces, as far as the kernel says."""
    if sandbox.privileged():
        return "the container or a security module forbids unshare(2): run it with --privileged"
    if not Path("/proc/self/ns/user").exists():
        return "run as root: this kernel has no user namespaces (CONFIG_USER_NS)"
    for name, bad, remedy in (
        ("kernel/unprivileged_userns_clone", "0", "sysctl -w kernel.unprivileged_userns_clone=1"),
        ("user/max_user_namespaces", "0", "sysctl -w user.max_user_namespaces=10000"),
        (
            "kernel/apparmor_restrict_unprivileged_userns",
            "1",
            "sysctl -w kernel.apparmor_restrict_unprivileged_userns=0, or an AppArmor profile with `userns,`",
        ),
    ):
        with contextlib.suppress(OSError):
            if Path("/proc/sys", name).read_text().strip() == bad:
                return f"run as root, or: {remedy}"
    return "run as root: user namespaces are forbidden here, for instance by a container's seccomp filter"


# -- inside the sandbox ----------------------------------------------------------------------------


def _run(command: list[str], text: str = "") -> None:
    subprocess.run(command, input=text, text=True, capture_output=True, check=True)


def _try_veth() -> None:
    _run(["ip", "link", "add", "probe0", "type", "veth", "peer", "name", "probe1"])


def _try_tproxy() -> None:
    _run(["nft", "-f", "-"], TPROXY_RULES)
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as transparent:
        transparent.setsockopt(socket.IPPROTO_IP, 19, 1)  # IP_TRANSPARENT
    with socket.socket(socket.AF_INET6, socket.SOCK_STREAM) as transparent:
        transparent.setsockopt(socket.IPPROTO_IPV6, 75, 1)  # IPV6_TRANSPARENT


def _try_packet_socket() -> None:
    with socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0) as raw:
        raw.setsockopt(263, 10, 1)  # SOL_PACKET, PACKET_VERSION, TPACKET_V2
        raw.setsockopt(263, 5, struct.pack("IIII", 65536, 1, 2048, 32))  # PACKET_RX_RING


def _try_ipv6() -> None:
    with socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as any_socket:
        any_socket.bind(("::1", 0))


def _try_queues() -> None:
    KernelQueues().close()


TRIALS: dict[str, Callable[[], None]] = {
    "veth": _try_veth,
    "TPROXY": _try_tproxy,
    "AF_PACKET": _try_packet_socket,
    "IPv6": _try_ipv6,
    "packet queues": _try_queues,
}


def main() -> None:
    """Try everything, and print what went wrong as a JSON object."""
    sandbox.require()
    sys.stdout.write(json.dumps({name: _outcome(trial) for name, trial in TRIALS.items()}))


def _outcome(trial: Callable[[], None]) -> str:
    """What went wrong, if anything."""
    try:
        trial()
    except subprocess.CalledProcessError as error:
        return str((error.stderr.strip().splitlines() or [error])[0])
    except OSError as error:
        return str(error)
    return ""


if __name__ == "__main__":
    main()
