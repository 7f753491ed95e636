from __future__ import annotations

import random
import unicodedata

import pytest
import records
from hypothesis import given
from hypothesis import strategies as st

from testbed.compare import findings
from testbed.record import Spent, Verdict
from testbed.reports import summary
from testbed.reports.summary import Status, took


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({"expected": True}, Status.AS_EXPECTED),
        ({"expected": False}, Status.DIFFERS),
        ({"expected": None}, Status.UNJUDGED),
        ({"verdict": Verdict.INCONCLUSIVE, "expected": True}, Status.INCONCLUSIVE),
        ({"verdict": Verdict.SKIPPED, "expected": None}, Status.SKIPPED),
    ],
)
def test_inconclusive_is_never_a_pass(fields, expected):
    assert summary.status(records.safe(**fields)) is expected


@given(st.text())
def test_visible_text_is_one_line_of_printable_characters(text):
    shown = findings.visible(text)
    assert not any(unicodedata.category(character) in ("Cc", "Zl", "Zp", "Cs") for character in shown)
    assert not any(unicodedata.bidirectional(c) in ("RLO", "LRO", "RLE", "LRE", "PDF") for c in shown)
    assert findings.visible(shown) == shown


def test_visible_text_writes_out_what_it_does_not_show():
    assert findings.visible("a\x1b[31m\u202eb\tc\ud800") == r"a\x1b[31m\u202eb c\ud800"
    assert findings.visible("zürich 例え") == "zürich 例え"


def test_the_matrix_has_policies_as_columns_in_the_usual_order():
    table = summary.matrix(records.sample())
    assert table.columns == ["opportunistic", "strict", "committed"]
    assert [part.name for part in table.sections] == ["basic", "ds-glue", "svcb-query", "probing"]
    basic = {row.name: row for row in table.sections[0].rows}
    assert [run.policy for run in basic["tls-blocked"].cells["strict"]] == ["strict"]
    assert [row.claim for row in table.sections[0].rows] == [1, 4, 8, 9, 10]


def test_every_run_is_in_the_matrix_once_whatever_the_order():
    runs = records.many(80)
    shuffled = runs[:]
    random.Random(1).shuffle(shuffled)
    assert [run.id for run in summary.matrix(runs).runs] == [run.id for run in summary.matrix(shuffled).runs]
    assert sorted(run.id for run in summary.matrix(runs).runs) == sorted(run.id for run in runs)


def test_axes_besides_the_policy_get_rows_in_natural_order():
    runs = [
        records.record(f"basic/zones[{count}]", cell={"world.zones": count, "resolver.policy": "strict"})
        for count in (10, 1000, 2)
    ]
    rows = summary.matrix(runs).sections[0].rows
    assert [row.axes for row in rows] == [{"zones": "2"}, {"zones": "10"}, {"zones": "1000"}]


def test_engines_have_columns_of_their_own_when_there_are_several():
    runs = [records.safe(), records.safe(engine="unbound")]
    assert summary.matrix(runs).columns == ["reference, strict", "unbound, strict"]


def test_runs_that_fall_on_the_same_place_are_all_kept():
    runs = [records.safe(), records.safe(id="basic/other")]
    (row,) = summary.matrix(runs).rows
    assert len(row.cells["strict"]) == 2


def test_a_policy_that_is_not_the_named_one_is_an_axis():
    run = records.record("basic/x", policy="custom", cell={"resolver.policy": {"dnssec": False}})
    assert summary.axes(run) == {"policy": "dnssec: false"}


def test_anchors_are_unique_and_plain():
    runs = [records.record("a/b[x]"), records.record("a/b(x)"), records.record("<"), records.record(">")]
    assert summary.anchors(runs) == ["run-a-b-x", "run-a-b-x-2", "run-x", "run-x-2"]


def test_the_sentence_counts_and_says_why_something_was_skipped():
    assert summary.tally(records.sample()).sentence == (
        "12 runs: 9 as expected, 1 differs, 1 inconclusive, 1 skipped (unbound is not installed)"
    )
    assert summary.tally([]).sentence == "0 runs"
    two = [records.skipped(), records.skipped(), records.skipped(reason="no DoQ")]
    assert summary.tally(two).sentence == "3 runs: 3 skipped (2 unbound is not installed; 1 no DoQ)"


def test_the_decisive_packet_of_a_leak_is_the_worst_that_the_attack_exposed():
    found = findings.decisive(records.forged_ns())
    assert found is not None
    assert (found.link, found.packet, found.capture) == ("evil", 8, "attack/evil.pcapng")
    assert "sent to a server that the attacker runs" in found.text


def test_what_is_exposed_at_rest_decides_only_when_the_attack_exposed_nothing():
    found = records.forged_ns().exposures
    rest = found[1].model_copy(update={"at_rest": True})
    attack = found[0].model_copy(update={"at_rest": False})
    assert findings.decisive(records.forged_ns(exposures=(rest, attack))).packet == attack.packet
    assert findings.decisive(records.passive()).packet == 2


def test_the_decisive_packet_of_a_denial_is_what_the_attacker_did():
    found = findings.decisive(records.denial())
    assert found is not None
    assert (found.link, found.capture) == ("target", None)
    assert "TCP RST" in found.text


def test_a_safe_run_has_no_decisive_packet():
    assert findings.decisive(records.safe()) is None


def test_exposed_at_rest_is_told_from_what_the_attack_exposed():
    assert findings.at_rest(records.forged_ns()) == "zone"
    assert findings.at_rest(records.downgrade()) == "none"


def test_the_command_survives_a_shell():
    assert summary.tshark("a b'c.pcapng", 7) == """tshark -r 'a b'"'"'c.pcapng' -Y 'frame.number == 7' -V"""


@pytest.mark.parametrize(
    ("spent", "text"),
    [
        (Spent(), "nothing"),
        (Spent(injected=2, presence_s=90), "2 injected, there for 90 s"),
        (Spent(altered=1, held=3), "1 altered, 3 connections held"),
    ],
)
def test_what_an_attack_took(spent, text):
    assert took(spent) == text


def test_axes_that_end_alike_are_told_apart():
    cell = {
        "attack.0.with.how": "reset",
        "attack.1.with.how": "drop",
        "steps.0": {"query": "www.example.org A"},
    }
    axes = summary.axes(records.record("a/b[x]", cell=cell))
    assert axes == {
        "attack.0.with.how": "reset",
        "attack.1.with.how": "drop",
        "steps.0": "query: www.example.org A",
    }
