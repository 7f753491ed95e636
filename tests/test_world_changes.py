"""How much operators have to change: counted from zones with and without the encryption of a server."""

from __future__ import annotations

import pytest
from places import described

from testbed import topology
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
