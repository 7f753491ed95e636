"""On-path attackers do the same over all transports, over IPv4 and IPv6, and leave all else alone."""

from __future__ import annotations

import json

import pytest
from sandboxed import run

pytestmark = pytest.mark.wire

CLEAR = [f"{transport} {family}" for transport in ("udp", "tcp") for family in (4, 6)]
TLS = [f"{transport} {family}" for transport in ("dot", "doh") for family in (4, 6)]
QUIC = ["doq 4", "doq 6"]
EVERYWHERE = CLEAR + TLS + QUIC
EVIL = "ns.evil-dns.net."


@pytest.fixture(scope="module")
def seen():
    return json.loads(run("onpath_cases.py"))


def has(answer, *words):
    return any(all(word in line for word in words) for line in answer)


@pytest.mark.parametrize("where", EVERYWHERE)
def test_strip_ds_glue(seen, where):
    met, plain = seen["strip-ds-glue"], seen["observe"]
    assert has(plain[f"{where} delegation"], " DS ")
    assert not has(met[f"{where} delegation"], " DS ")
    assert has(met[f"{where} delegation"], " NS ", "ns0.dnshost.net.")
    assert met[f"{where} keys"] == []
    assert met[f"{where} other"] == plain[f"{where} other"]


@pytest.mark.parametrize("where", EVERYWHERE)
def test_forge_ns(seen, where):
    met, plain = seen["forge-ns"], seen["observe"]
    assert has(met[f"{where} delegation"], " NS ", EVIL)
    assert not has(met[f"{where} delegation"], " NS ", "ns0.dnshost.net.")
    assert met[f"{where} other"] == plain[f"{where} other"]
    assert met[f"{where} keys"] == plain[f"{where} keys"]


@pytest.mark.parametrize("where", EVERYWHERE)
def test_forge_glue(seen, where):
    met = seen["forge-glue"]
    assert has(met[f"{where} delegation"], "ns0.dnshost.net.", " A ", "198.51.100.66")
    assert has(met[f"{where} delegation"], "ns0.dnshost.net.", " AAAA ", "2001:db8:51::42")
    assert has(met[f"{where} delegation"], " NS ", "ns0.dnshost.net.")


@pytest.mark.parametrize("where", EVERYWHERE)
def test_deny_svcb(seen, where):
    met, plain = seen["deny-svcb"], seen["observe"]
    assert has(met[f"{where} service"], " SOA ")
    assert not has(met[f"{where} service"], " NS ")
    assert met[f"{where} delegation"] == plain[f"{where} delegation"]


@pytest.mark.parametrize(
    ("how", "tls", "quic"),
    [
        ("reset", "refused", "refused"),
        ("drop", "timeout", "timeout"),
        ("icmp", "unreachable", "unreachable"),
        ("alert", "tls", "refused"),
    ],
)
def test_block_tls(seen, how, tls, quic):
    met, plain = seen[f"block-tls {how}"], seen["observe"]
    for where in TLS:
        assert met[f"{where} delegation"] == tls
    for where in QUIC:
        assert met[f"{where} delegation"] == quic
    for family in (4, 6):
        assert met[f"quic {family}"] == quic
    for where in CLEAR:
        assert met[f"{where} delegation"] == plain[f"{where} delegation"]


@pytest.mark.parametrize("where", EVERYWHERE)
def test_impersonate_relays(seen, where):
    for label in ("delegation", "keys", "service", "other"):
        assert seen["impersonate"][f"{where} {label}"] == seen["observe"][f"{where} {label}"]


def test_what_was_done_is_counted(seen):
    assert seen["observe"]["counted"] == [0, 0]
    assert seen["impersonate"]["counted"] == [24, 24]
    for how in ("reset", "drop", "icmp", "alert"):
        assert seen[f"block-tls {how}"]["counted"] == [26, 26]
    for name in ("strip-ds-glue", "forge-ns", "deny-svcb"):
        matched, acted = seen[name]["counted"]
        assert matched == acted > 0


def test_when_they_leave_everything_is_as_before(seen):
    for name, met in seen.items():
        if name != "untouched":
            assert met["afterwards"] == seen["observe"]["udp 4 other"]


def test_messages_that_nobody_touches_arrive_octet_by_octet(seen):
    assert seen["untouched"]["True"] == seen["untouched"]["False"]
