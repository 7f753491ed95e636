"""The signal in the target zone itself."""

from __future__ import annotations

import dns.rcode
import dns.rdatatype
import pytest
from signalling import CLEAR, ENCRYPTED, SECRET, asked, over
from worlds import ALL_SIGNED, attacker, network, policy, world

SIGNAL = "child-signal"
OWNER = "_dns.example.org."


def net(base="strict", attackers=None, signed=ALL_SIGNED, secure=("target",), **switches):
    of = world(signal=(SIGNAL,), secure=secure, signed=signed)
    placed = {
        link: [attacker(of, name, link, **options)] for link, (name, options) in (attackers or {}).items()
    }
    return network(of, policy(base, **switches), [SIGNAL], placed)


def test_stands_in_the_zone_and_is_about_no_server_in_particular():
    of = world(signal=(SIGNAL,), secure=("target",))
    zone = of.zones[dns.name.from_text("example.org.")]
    rrset = zone.rrset(dns.name.from_text(OWNER), dns.rdatatype.SVCB)
    assert rrset.to_text() == '_dns.example.org. 3600 IN SVCB 1 . alpn="dot"'
    assert zone.signatures(rrset.name, rrset.rdtype) is not None


def test_zones_on_servers_that_do_not_encrypt_have_none():
    of = world(signal=(SIGNAL,), secure=("target",))
    having = [
        zone.origin.to_text() for zone in of.zones.values() for r in zone if r.rdtype == dns.rdatatype.SVCB
    ]
    assert "org." not in having
    assert "example.org." in having


@pytest.mark.parametrize("base", ["strict", "always"])
def test_the_first_contact_is_in_clear_and_names_the_zone_only(base):
    secure = ("root", "target-parent", "ns-parent", "ns-zone", "target")
    run = net(base, secure=secure)
    run.ask(SECRET)
    assert over(run) == ENCRYPTED
    assert {name for transport, name in asked(run) if transport == "udp"} == {OWNER, "example.org."}


def test_it_is_asked_for_once_for_all_names():
    run = net()
    run.ask(SECRET)
    run.ask("www.example.org.")
    assert [name for _, name in asked(run)].count(OWNER) == 1


def test_absence_is_remembered():
    run = net(secure=())
    run.ask(SECRET)
    run.ask("www.example.org.")
    assert [name for _, name in asked(run)].count(OWNER) == 1
    assert over(run) == CLEAR


@pytest.mark.parametrize("how", ["nodata", "nxdomain", "servfail", "drop"])
@pytest.mark.parametrize("signed", [True, False])
def test_denial_works_only_in_an_unsigned_zone(how, signed):
    zones = ALL_SIGNED if signed else ("root", "target-parent")
    run = net(attackers={"target": ("deny-svcb", {"how": how})}, signed=zones)
    response = run.ask(SECRET)
    if signed:
        assert response.rcode() == dns.rcode.SERVFAIL
        assert not over(run)
    else:
        assert over(run) == CLEAR


def test_it_says_nothing_about_whose_servers_they_are():
    run = net(attackers={"target-parent": ("forge-ns", {})}, secure=("target",))
    run.ask(SECRET)
    assert over(run, role="evil") == ENCRYPTED
