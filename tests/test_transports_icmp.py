"""What ICMP does to a client, with the kernel's own error messages, in a network namespace of its own."""

import json
import shutil
import subprocess
import sys

import pytest

RULES = """
table inet filter {
    chain input {
        type filter hook input priority 0
        meta l4proto { tcp, udp } th dport 1001 reject with icmpx admin-prohibited
        meta l4proto { tcp, udp } th dport 1002 reject with icmpx port-unreachable
        tcp dport 1003 reject with icmpx host-unreachable
        meta l4proto { tcp, udp } th dport 1004 drop
    }
}
"""

PROBE = """
import asyncio, json, socket
from testbed.core.transport import TransportError
from testbed.transports import tcp, udp

class Host:
    def socket(self, family, kind, proto=0):
        sock = socket.socket(family, kind, proto)
        sock.setblocking(False)
        return sock

async def outcome(attempt):
    try:
        await attempt
    except TransportError as error:
        return error.failure
    return "answered"

async def main():
    found = {}
    for address in ("127.0.0.1", "::1"):
        for port in (1001, 1002, 1003, 1004):
            remote = address, port
            found[f"tcp {address} {port}"] = await outcome(tcp.connect(Host(), address, remote, timeout=0.3))
            query = udp.exchange(Host(), (address, 0), remote, bytes(12), lambda _: True, 0.3)
            if port != 1003:
                found[f"udp {address} {port}"] = await outcome(query)
            else:
                query.close()
    print(json.dumps(found))

asyncio.run(main())
"""

NAMESPACE = ("unshare", "--map-root-user", "--net")


def available():
    if not (shutil.which("unshare") and shutil.which("nft")):
        return False
    command = [*NAMESPACE, "sh", "-c", "ip link set lo up && nft list ruleset"]
    return subprocess.run(command, capture_output=True, check=False).returncode == 0


@pytest.mark.skipif(not available(), reason="no network namespaces, or no nft")
def test_kinds_of_destination_unreachable():
    script = 'ip link set lo up && printf %s "$1" | nft -f - && exec "$2" -c "$3"'
    command = [*NAMESPACE, "sh", "-c", script, "sh", RULES, sys.executable, PROBE]
    result = subprocess.run(command, capture_output=True, check=True, text=True, timeout=30)
    expected = {1001: "unreachable", 1002: "refused", 1003: "unreachable", 1004: "timeout"}
    assert json.loads(result.stdout) == {
        f"{protocol} {address} {port}": failure
        for address in ("127.0.0.1", "::1")
        for port, failure in expected.items()
        for protocol in ("tcp", "udp")
        if (protocol, port) != ("udp", 1003)
    }
