"""The verdict catches what is planted, each kind of leak and of broken capture, and nothing else."""

from __future__ import annotations

import json

import pytest
from sandboxed import run

LEAKS = {
    "clear-retry": ("target", "name", "clear"),
    "clear-retry-of-the-zone": ("target", "zone", "clear"),
    "wrong-server": ("ns-zone", "name", "clear"),
    "wrong-server-root": ("root", "name", "clear"),
    "ipv6-only": ("target-parent", "name", "clear"),
    "mixed-case": ("target", "name", "clear"),
    "error-report": ("ns-zone", "name", "clear"),
    "tcp-on-the-port-of-tls": ("target", "name", "clear"),
    "sni-on-the-port-of-do53": ("target", "name", "sni"),
    "sni": ("target", "name", "sni"),
    "sni-of-the-zone": ("target", "zone", "sni"),
}
SPOILT = ("spoilt-lost-frame", "spoilt-cut-off", "spoilt-empty", "spoilt-blind", "spoilt-dropped")


@pytest.fixture(scope="module")
def records():
    lines = run("leaky.py").splitlines()
    return {record["id"].partition("/")[2]: record for record in map(json.loads, lines)}


def test_the_control_raises_nothing(records):
    control = records["none"]
    assert control["verdict"] == "safe"
    assert control["leak"] == "none"
    assert not control["exposures"]
    assert not any(control[flag] for flag in ("downgrade", "hijack", "denial", "detected"))


@pytest.mark.parametrize("fault", LEAKS)
def test_a_planted_leak_is_caught(records, fault):
    link, secret, how = LEAKS[fault]
    record = records[fault]
    assert (record["verdict"], record["leak"]) == ("leak", secret)
    (exposure,) = record["exposures"]
    assert (exposure["link"], exposure["secret"], exposure["how"]) == (link, secret, how)


@pytest.mark.parametrize("fault", SPOILT)
def test_a_broken_capture_is_never_taken_for_silence(records, fault):
    assert records[fault]["verdict"] == "inconclusive"
    assert records[fault]["reason"]
