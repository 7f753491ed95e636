"""What usual tools are compared with: what is said of those that are missing, and of what dnsperf counts."""

from __future__ import annotations

import contextlib
import subprocess
import sys

import pytest

from testbed.bench.peers import PEERS, Peer, PeerError, dnsperf

STATISTICS = """\
Statistics:

  Queries sent:         29999
  Queries completed:    29998 (100.00%)
  Queries lost:         1 (0.00%)
"""


class Client:
    """A host on which every program prints the same."""

    def __init__(self, output: str) -> None:
        self.output = output

    def popen(self, argv, **options):
        return subprocess.Popen([sys.executable, "-c", f"print({self.output!r})"], **options)


def test_what_dnsperf_counts_is_read():
    assert dnsperf(Client(STATISTICS), "192.0.2.53", "198.51.100.5", "a A", 1000, 30) == (29999, 1)


@pytest.mark.parametrize(("output", "said"), [("", "no output"), ("Error: nobody\n", "Error: nobody")])
def test_a_tool_that_fails_is_told_of(output, said):
    with pytest.raises(PeerError, match=said):
        dnsperf(Client(output), "192.0.2.53", "198.51.100.5", "a A", 1000, 30)


def test_what_is_missing_is_said_with_how_to_get_it():
    one = Peer(
        "one", ((lambda: True, "a"), (lambda: False, "b"), (lambda: False, "c")), contextlib.nullcontext
    )
    assert one.missing == "not installed: b; c"
    assert Peer("none", ((lambda: True, "a"),), contextlib.nullcontext).missing is None
    assert all(how for peer in PEERS for _, how in peer.needs)
