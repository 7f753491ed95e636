from __future__ import annotations

import re
from itertools import pairwise
from xml.etree import ElementTree as ET

import records

from testbed.record import AttackLine
from testbed.reports import ladder


def parsed(run):
    drawing = ladder.draw(run)
    return drawing, ET.fromstring(drawing.svg)


def rows(root):
    return [group for group in root.iter("g") if group.get("class", "").split()[:1] == ["x"]]


def role_names(root):
    return [
        (float(group.find("rect").get("x")), group.find("text").text)
        for group in root.iter("g")
        if group.get("class", "").startswith("role")
    ]


def test_there_is_a_row_for_each_crossing_from_top_to_bottom():
    run = records.forged_ns()
    _, root = parsed(run)
    found = rows(root)
    assert len(found) == len(run.ladder)
    heights = [int(re.search(r"translate\(0 (\d+)\)", group.get("transform"))[1]) for group in found]
    assert heights == sorted(heights)
    assert min(b - a for a, b in pairwise(heights)) >= 22


def test_only_links_with_traffic_have_a_lifeline_in_the_order_of_the_topology():
    _, root = parsed(records.forged_ns())
    assert [name for _, name in sorted(role_names(root))] == [
        "client",
        "resolver",
        "root",
        "target-parent",
        "ns-parent",
        "evil",
    ]


def test_arrows_point_the_way_the_message_went():
    run = records.safe()
    _, root = parsed(run)
    for crossing, group in zip(run.ladder, rows(root), strict=True):
        start, end = map(int, re.fullmatch(r"M(\d+) 0H(\d+)", group.find("path").get("d")).groups())
        rightwards = (crossing.towards == "far") != (crossing.link == "client")
        assert (end > start) is rightwards
        assert group.find("path").get("class") == crossing.protection
        lock = [use for use in group.iter("use") if use.get("href") == "#lock"]
        assert bool(lock) is (crossing.protection == "secure")


def test_what_the_attacker_read_and_altered_is_marked_in_words():
    run = records.forged_ns()
    drawing, root = parsed(run)
    for crossing, group in zip(run.ladder, rows(root), strict=True):
        labels = [
            text.text for mark in group.iter("g") if mark.get("class") == "mark" for text in mark.iter("text")
        ]
        assert labels == ([] if crossing.seen == "none" else [crossing.seen])
        bolts = [use for use in group.iter("use") if use.get("href") == "#bolt"]
        assert len(bolts) == crossing.altered
    assert drawing.marks == {"clear", "secure", "attacker", "zone", "name", "altered"}


def test_the_attacker_sits_on_its_link_and_is_named():
    drawing, root = parsed(records.forged_ns())
    assert [text.text for g in root.iter("g") if g.get("class") == "attacker" for text in g.iter("text")] == [
        "forge-ns",
        ladder.OWN_SERVER,
    ]
    assert drawing.svg.count("#eye") == 1
    assert "attacker" not in ladder.draw(records.safe(attacked_links=())).marks


def test_an_attacker_that_is_off_path_is_named_above_its_own_host():
    line = AttackLine(attacker="spoof-responses", link="", matched=1, acted=1)
    _, root = parsed(records.forged_ns(attackers=(line,), attacked_links=()))
    assert [text.text for g in root.iter("g") if g.get("class") == "attacker" for text in g.iter("text")] == [
        "spoof-responses"
    ]


def test_steps_are_set_apart_with_the_time_between_them():
    _, root = parsed(records.denial())
    steps = [g.find("text").text for g in root.iter("g") if g.get("class") == "step"]
    assert steps == ["step 1", "step 3: +1 h"]
    assert "step 1" not in ladder.draw(records.safe()).svg


def test_details_are_in_the_title_of_each_row():
    _, root = parsed(records.downgrade())
    titles = [group.find("title").text for group in rows(root)]
    assert (
        "secret.example.org. A; to target over udp, clear; packet 6 of the capture of link target; "
        "the attacker learned the name"
    ) in titles


def test_long_text_is_cut_but_whole_in_the_title():
    wire = records.Wire()
    wire.cross("target", "far", "x" * 500)
    _, root = parsed(records.record("a/b", wire))
    (row,) = rows(root)
    text = row.find("text[@y='-9']").text
    assert text.endswith("…")
    assert len(text) < 130
    assert "x" * 500 in row.find("title").text


def test_a_long_ladder_bears_the_names_at_its_foot_too():
    wire = records.Wire()
    for number in range(40):
        wire.ask("target", f"n{number}.example.org. A", "NXDOMAIN")
    _, root = parsed(records.record("a/b", wire))
    names = [name for _, name in role_names(root)]
    assert names == ["client", "resolver", "target"] * 2


def test_hostile_text_is_escaped():
    drawing, root = parsed(records.hostile())
    assert not list(root.iter("script"))
    assert "\u202e" not in drawing.svg
    assert r"\u202eevil" in drawing.svg


def test_a_link_that_the_topology_does_not_name_is_drawn_all_the_same():
    wire = records.Wire()
    wire.cross("<elsewhere>", "far", "stray")
    _, root = parsed(records.record("a/b", wire))
    assert "<elsewhere>" in [name for _, name in role_names(root)]


def test_nothing_crossed_nothing_is_drawn():
    assert ladder.draw(records.skipped()) is None


def test_durations_are_short():
    spans = [0, 0.004, 1.5, 60, 90, 3600, 5400, 86400, 30 * 86400]
    assert [ladder._duration(span) for span in spans] == [
        "0",
        "4 ms",
        "1.5 s",
        "1 min",
        "90.0 s",
        "1 h",
        "90 min",
        "1 d",
        "30 d",
    ]
