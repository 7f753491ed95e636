"""Accepted results as text: what is written is read back, and whatever is something else is refused."""

from __future__ import annotations

import pytest
import records
from hypothesis import given
from hypothesis import strategies as st

from testbed.compare import reference
from testbed.compare.reference import UnreadableError, differences, entries, parse, write


def test_what_is_written_is_read_back():
    kept = entries(records.sample())
    assert parse(write(kept, "A title")) == kept


def test_lines_are_sorted_and_say_what_matters():
    text = write(
        entries([records.downgrade(claim=9, as_claimed=True, acted=2), records.passive()]), "A title"
    )
    assert text.startswith("# A title\n")
    lines = [line for line in text.splitlines() if not line.startswith("#")]
    assert lines == sorted(lines)
    words = lines[-1].split()
    assert words[:2] == ["basic/tls-blocked[policy=opportunistic]", "leak"]
    assert {"leak=name", "downgrade", "fired", "acted=2", "claim=9", "as-claimed"} <= set(words)


def test_what_differs_from_run_to_run_is_not_compared():
    before = entries([records.downgrade()])
    (id,) = before
    after = {id: {**before[id], reference.PACKET: "elsewhere.pcapng:99", reference.OCTETS: "+10"}}
    assert not list(differences(before, after))


def test_differences_are_told_field_by_field():
    before = entries([records.downgrade(), records.safe()])
    after = entries([records.downgrade(downgrade=False, acted=3), records.denial()])
    found = {difference.id: difference.texts for difference in differences(before, after)}
    assert found == {
        "basic/all-links-secure[policy=strict]": ("gone: safe",),
        "basic/tls-blocked[policy=opportunistic]": ("downgrade: yes -> -", "acted: - -> 3"),
        "probing/blocked-after-commitment": ("new: denial",),
    }


@pytest.mark.parametrize(
    ("line", "complaint"),
    [
        ("a", "no verdict"),
        ("a perhaps", "no verdict"),
        ("a leak\na leak", "twice"),
        ("a leak acted=1 acted=2", "twice"),
        ("a leak =1", "no name=value"),
        ("a leak acted=", "no name=value"),
    ],
)
def test_what_is_wrong_is_said_with_its_line(line, complaint):
    with pytest.raises(UnreadableError, match=rf"line {line.count(chr(10)) + 2}: .*{complaint}"):
        parse(f"# a comment\n{line}\n")


def test_a_line_knows_where_its_words_are():
    (line,) = reference.lines("# a comment\n\na/b   leak  leak=name downgrade\n")
    assert (line.number, line.id) == (3, "a/b")
    assert line.columns == {"verdict": 7, "leak": 13, "downgrade": 23}


@given(st.text())
def test_garbage_is_refused_or_read(text):
    try:
        kept = parse(text)
    except UnreadableError:
        return
    assert parse(write(kept, "again")) == kept


def test_a_folder_without_results_has_none(tmp_path):
    assert reference.load(reference.SCENARIOS_FILE, tmp_path) == {}
