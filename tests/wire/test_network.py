"""The Mininet network, its captures and its clock. The cases run in a sandbox: see network_cases.py."""

import json
import shutil

import pytest
from sandboxed import run

CASES = [
    "everybody_reaches_everybody",
    "nobody_speaks_unasked",
    "servers_share_a_link",
    "sockets_leave_the_thread_where_it_was",
    "programs_run_on_their_host",
    "errors_come_each_time",
    "hops_can_take_packets",
    "a_query_is_seen_on_both_sides",
    "a_large_transfer_is_captured_whole",
    "a_full_ring_is_not_silent",
    "what_was_before_is_forgotten",
    "programs_under_test_run_in_real_time",
]


@pytest.mark.parametrize("case", CASES)
def test_network(case):
    run("network_cases.py", case)


def test_it_is_built_quickly():
    took = json.loads(run("network_cases.py", "built_in"))
    assert took["build_s"] < 2


def test_no_jump_is_premature():
    """Each of the timers would have been reached by a single jump."""
    count = json.loads(run("network_cases.py", "no_jump_is_premature", "4"))
    assert count["udp"] >= 100
    assert count["tcp"] >= 2


@pytest.mark.skipif(not shutil.which("tshark"), reason="tshark is not installed")
def test_wireshark_reads_captures():
    found = json.loads(run("network_cases.py", "wireshark_reads_it"))
    rows = [line.split("\t") for line in found["rows"].splitlines()]
    assert [row[0] for row in rows] == [str(number) for number in range(1, found["frames"] + 1)]
    assert [row[1] for row in rows[:2]] == ["resolver side", "far side"]
    assert [int(row[2], 16) for row in rows[:2]] == [1, 2]  # inbound, outbound
    assert {row[0]: row[3] for row in rows if row[3]} == {"1": "the query, in clear", "3": "SYN"}
    assert all(1767225600 <= float(row[4]) < 1767225700 for row in rows)
    assert found["clear"].splitlines() == ["1\tsecret.example.org", "2\tsecret.example.org"]
    assert set(found["dot"].split()) == {"secret.example.org"}
    assert found["bad"] == ""
    assert "Name = resolver side" in found["info"]
    assert "Name = far side" in found["info"]
    assert "Number of decryption secrets in file: 1" in found["info"]
