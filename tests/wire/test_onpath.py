"""On-path attackers do the same over all transports, over IPv4 and IPv6, and leave all else alone."""

from __future__ import annotations

import json

import pytest
from sandboxed import run

CLEAR = [f"{transport} {family}" for transport in ("udp", "tcp") for family in (4, 6)]
TLS = [f"{transport} {family}" for transport in ("dot", "doh") for family in (4, 6)]
QUIC = [f"{transport} {family}" for transport in ("doq", "doh3") for family in (4, 6)]
EVERYWHERE = CLEAR + TLS + QUIC
EVIL = "ns.evil-dns.net."


@pytest.fixture(scope="module")
def results():
    return json.loads(run("onpath_cases.py"))


@pytest.fixture(scope="module")
def seen(results):
    return results["seen"]


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


LABELS = ("delegation", "keys", "service", "other")


def same(seen, name, where, *labels):
    """Whether answers are those that there are without an attacker."""
    return all(seen[name][f"{where} {label}"] == seen["observe"][f"{where} {label}"] for label in labels)


@pytest.mark.parametrize("where", CLEAR)
def test_hinder(seen, where):
    refused = "unreachable" if where.startswith("udp") else "reset"
    assert seen["hinder drop"][f"{where} keys"] == "timeout"
    assert seen["hinder reset"][f"{where} keys"] in (refused, "refused", "closed")
    for name in ("hinder drop", "hinder reset"):
        assert same(seen, name, where, "delegation", "service", "other")
    assert same(seen, "hinder delay", where, *LABELS)
    assert seen["hinder delay"]["counted"][1] == 4


@pytest.mark.parametrize("where", TLS)
@pytest.mark.parametrize("name", ["hinder drop", "forge-records", "answer", "truncate reset"])
def test_without_a_certificate_tls_is_left_alone(seen, name, where):
    assert same(seen, name, where, *LABELS)


@pytest.mark.parametrize("where", EVERYWHERE)
def test_strip_records(seen, where):
    assert seen["strip-records"][f"{where} keys"] == []
    assert not has(seen["strip-records"][f"{where} delegation"], " DS ")
    assert same(seen, "strip-records", where, "other")


@pytest.mark.parametrize("where", CLEAR)
def test_forge_records(seen, where):
    forged = [one for one in seen["forge-records"][f"{where} keys"] if " A " in one]
    assert forged == [f"{EVIL} 60 IN A 198.51.100.66"]
    assert same(seen, "forge-records", where, "delegation", "service", "other")


@pytest.mark.parametrize("where", CLEAR)
def test_answer(seen, where):
    assert seen["answer"][f"{where} keys"] == []
    assert same(seen, "answer", where, "delegation", "service", "other")


@pytest.mark.parametrize(("how", "failure"), [("reset", "refused"), ("drop", "timeout")])
def test_truncate(seen, how, failure):
    for family in (4, 6):
        assert seen[f"truncate {how}"][f"udp {family} delegation"] == []
        assert seen[f"truncate {how}"][f"tcp {family} delegation"] == failure


@pytest.mark.parametrize(
    ("name", "dot", "quic"),
    [
        ("block sni", "reset", None),
        ("block other sni", None, None),
        ("block alpn", "tls", None),
        ("block size", None, "timeout"),
        ("reset-established", "reset", None),
        ("slow-handshake", None, None),
        ("slower-handshake", "timeout", None),
    ],
)
def test_what_becomes_of_sessions(seen, name, dot, quic):
    for family in (4, 6):
        met = seen[name][f"dot {family} delegation"]
        assert met == (dot or seen["observe"][f"dot {family} delegation"])
        assert seen[name][f"quic {family}"] == (quic or seen["observe"][f"quic {family}"])
    for where in CLEAR:
        assert same(seen, name, where, *LABELS)


def test_what_was_done_is_counted(seen):
    assert seen["observe"]["counted"] == [0, 0]
    assert seen["impersonate"]["counted"] == [32, 32]
    for how in ("reset", "drop", "icmp", "alert"):
        assert seen[f"block-tls {how}"]["counted"] == [34, 34]
    for name in ("strip-ds-glue", "forge-ns", "deny-svcb"):
        matched, acted = seen[name]["counted"]
        assert matched == acted > 0


def test_when_they_leave_everything_is_as_before(seen):
    for name, met in seen.items():
        if name != "untouched":
            assert met["afterwards"] == seen["observe"]["udp 4 other"]


def test_messages_that_nobody_touches_arrive_octet_by_octet(seen):
    assert seen["untouched"]["True"] == seen["untouched"]["False"]


def test_what_was_held_back_is_lost_when_they_leave(results):
    before, after, trouble = results["outlived"]
    assert before > 0
    assert (after, trouble) == (0, [])


def test_each_of_several_servers_on_a_link_can_be_reached_through_an_attacker():
    answers = json.loads(run("onpath_cases.py", "several"))
    assert len(answers) == 13 * 4
    assert all(has(answer, " SOA ") for answer in answers.values())


def test_a_port_can_be_used_again_once_the_attacker_has_left():
    seen = json.loads(run("onpath_cases.py", "reused"))
    assert seen == {present: [True] * 4 for present in ("reader", "other", "none")}
