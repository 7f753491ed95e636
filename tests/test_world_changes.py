"""How much operators have to change, counted from zones; and worlds that change while a scenario runs."""

from __future__ import annotations

import dns.name
import dns.rdatatype
import pytest
from places import described
from worlds import world

from testbed import topology
from testbed.core.notation import parse_record
from testbed.world.changes import Changes, changes


def changed(*roles: str, place: str = "hosted", **world: object) -> Changes:
    secure = list(roles) or ["target"]
    return changes(topology.load(place), described(place, secure=secure, **world), secure)


@pytest.mark.parametrize("zones", [1, 7])
@pytest.mark.parametrize(
    ("signal", "rrsets", "zones_changed"),
    [
        ("none", lambda zones: 0, lambda zones: 0),
        ("probing", lambda zones: 0, lambda zones: 0),
        ("commitment", lambda zones: 0, lambda zones: 0),
        ("ds-glue", lambda zones: 1, lambda zones: 1),
        ("svcb-query", lambda zones: 1, lambda zones: 1),
        ("ds-pin", lambda zones: zones, lambda zones: 1),
        ("child-signal", lambda zones: zones, lambda zones: zones),
        ("name-pin", lambda zones: 2 * zones + 2, lambda zones: zones + 2),
    ],
)
def test_each_signal_has_its_price(signal, rrsets, zones_changed, zones):
    made = changed(signal=[signal], hosted_zones=zones)
    assert made == Changes(rrsets(zones), zones_changed(zones))


def test_signing_does_not_count():
    signed = ["root", "target-parent", "ns-parent", "ns-zone", "target"]
    assert changed(signal=["ds-glue"], signed=signed) == changed(signal=["ds-glue"])


def test_several_servers_are_counted_together_and_each_by_itself():
    together = changed("target", "target-2", place="multi-ns", signal=["ds-glue"])
    assert together == Changes(2, 2)
    both = described("multi-ns", signal=["ds-glue"], secure=["target", "target-2"])
    assert changes(topology.load("multi-ns"), both, ["target-2"]) == Changes(1, 1)


def test_nothing_changes_when_nobody_begins_to_encrypt():
    world = described("hosted", signal=["ds-glue"], secure=["target"])
    assert changes(topology.load("hosted"), world, []) == Changes(0, 0)


SECRET = dns.name.from_text("secret.example.org.")
TARGET = SECRET.parent()
A, DS, SOA = dns.rdatatype.A, dns.rdatatype.DS, dns.rdatatype.SOA


def test_records_take_the_place_of_others_and_zones_are_signed_anew():
    before = world()
    after = before.changed([parse_record(f"secret.example.org A 203.0.113.{last}") for last in (1, 2)], 500)
    assert len(before.zones[TARGET].rrset(SECRET, A)) == 1
    put = [record.address for record in after.zones[TARGET].rrset(SECRET, A)]
    assert put == ["203.0.113.1", "203.0.113.2"]
    for origin, zone in after.zones.items():
        assert zone.soa[0].serial == before.zones[origin].soa[0].serial + 1
    old, new = (one.zones[TARGET].signatures(TARGET, SOA)[0] for one in (before, after))
    assert new.inception - old.inception == new.expiration - old.expiration == 500
    assert after.truth(SECRET, A).answer[0] == after.zones[TARGET].rrset(SECRET, A)
    assert after.services == before.services


def test_the_last_change_of_several_counts():
    (first, second, new) = map(
        parse_record, ("www.example.org A 192.0.2.1", "www.example.org A 192.0.2.2", "n.org TXT x")
    )
    after = world().changed([first], 10).changed([second], 20).changed([new], 30)
    assert [record.address for record in after.zones[TARGET].rrset(first.name, A)] == ["192.0.2.2"]
    assert after.zones[TARGET.parent()].rrset(new.name, dns.rdatatype.TXT) is not None
    assert after.truth(first.name, A).answer


def test_a_delegation_is_changed_in_the_parent():
    other = parse_record(f"example.org DS 1 13 2 {'ab' * 32}")
    after = world().changed([other], 10)
    assert [record.key_tag for record in after.zones[TARGET.parent()].rrset(TARGET, DS)] == [1]
    assert after.zones[TARGET].rrset(TARGET, DS) is None
