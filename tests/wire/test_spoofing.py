"""What kernels make of packets with somebody else's address: the odds that scenarios are played with."""

from __future__ import annotations

import json

import pytest
from sandboxed import run


@pytest.fixture(scope="module")
def seen():
    return json.loads(run("offpath_cases.py"))


@pytest.mark.parametrize("family", [4, 6])
def test_datagrams_reach_whoever_waits_for_that_server_at_that_port(seen, family):
    met = seen["datagrams"]
    assert met[f"answer {family}"] == "forged"
    for name in ("another port", "another server"):
        assert met[f"{name} {family}"] == "nothing"


@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        ("no-port", {4: "ECONNREFUSED", 6: "ECONNREFUSED"}),
        ("no-port beside", {4: "nothing", 6: "nothing"}),
        ("no-host", {4: "nothing", 6: "nothing"}),
        ("prohibited", {4: "EHOSTUNREACH", 6: "EACCES"}),
    ],
)
def test_errors_count_for_the_port_that_they_quote(seen, kind, expected):
    """An unreachable host is a soft error (RFC 1122 section 4.2.3.9), and no reason to give up."""
    for family, outcome in expected.items():
        assert seen["datagrams"][f"{kind} {family}"] == outcome


def test_fragments_are_put_together(seen):
    assert seen["fragments"] == {"4": "forged in two parts", "6": "forged in two parts"}


@pytest.mark.parametrize("family", [4, 6])
@pytest.mark.parametrize("told", ["resolver", "server"])
def test_resets_need_the_very_number_that_is_expected_next(seen, told, family):
    """RFC 5961 section 3.2: any other number in the window is only answered."""
    assert seen["resets"][f"exact to the {told} {family}"] == "ECONNRESET"
    assert seen["resets"][f"in the window to the {told} {family}"] == "nothing"


def test_who_is_told_of_a_small_mtu_sends_fragments(seen):
    """Not over IPv6, where no MTU is below 1280 (RFC 8200 section 5, RFC 8201 section 4)."""
    before, after = seen["path_mtu"]["4"]
    assert (before, after > 0) == (0, True)
    assert seen["path_mtu"]["6"] == [0, 0]


def test_what_could_not_be_sent_is_told(seen):
    expected = "a spoofed packet to 192.0.2.200 could not be sent: Network is unreachable"
    assert seen["trouble"] == [expected]
