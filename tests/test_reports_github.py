"""Annotations and job summaries for GitHub Actions: nothing in a record is taken for a command or markup."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import records
from hypothesis import given
from hypothesis import strategies as st

from testbed.compare.baseline import result_of
from testbed.compare.standing import judged
from testbed.reports import github, place
from testbed.reports.standing import notes

ROOT = Path("/repository")
COMMAND = re.compile(r"::(error|notice) (?:file=[^,:]*,)?(?:line=\d+,)?title=[^,:]*::[^\r\n]*")


def better():
    return judged(records.unexpected(leak="zone"), result_of(records.unexpected(), Path()))


def test_what_fails_is_an_error_at_its_place(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    runs = [records.safe(), records.unexpected(file="scenarios/a,b.yaml", line=7), records.inconclusive()]
    one, other = github.commands(runs, tmp_path)
    assert one.startswith(
        "::error file=scenarios/a%2Cb.yaml,line=7,title=basic/tls-blocked%3A "
        "An attacker resets the TLS connection to the target::basic/tls-blocked[policy=strict]: "
        "verdict: expected denial, got leak; leak: expected none, got name"
    )
    assert other.startswith("::error title=svcb-query/forged-denial%3A The SVCB")


def test_a_file_outside_the_repository_is_not_named():
    (command,) = github.commands([records.unexpected(file="/opt/adox/a.yaml", line=7)], ROOT)
    assert command.startswith("::error title=")


def test_what_is_better_is_a_notice():
    (command,) = github.commands([better()], ROOT)
    assert command.startswith("::notice title=")
    assert "better than accepted: leak: accepted name, got zone" in command


def test_there_are_no_more_than_are_shown():
    runs = [records.unexpected()] * 50
    assert len(github.commands(runs, ROOT)) == github.MAX_ANNOTATIONS


@given(st.text())
def test_a_text_is_no_command(text):
    run = records.unexpected(title=text, scenario=text, mismatches=(text,), file="", reason=text)
    (command,) = github.commands([run], ROOT)
    assert COMMAND.fullmatch(command)
    assert len(command.splitlines()) == 1


def test_the_summary_has_the_counts_and_what_fails():
    text = github.summary([records.safe(), records.unexpected()], ["better than accepted (1)", "    a_b: x"])
    assert "### ❌ adox" in text
    assert "2 runs: 1 as expected, 1 differs" in text
    assert (
        r"| basic/tls-blocked\[policy=strict\] | leak | verdict: expected denial, got leak<br>leak:" in text
    )
    assert r"- a\_b: x" in text
    assert "basic/all-links-secure" not in text
    assert "### ✅ adox" in github.summary([records.safe()])


@given(st.text())
def test_a_text_is_no_markup(text):
    run = records.unexpected(mismatches=(text, "<b>|`*_[x](y)"))
    (row,) = [line for line in github.summary([run]).splitlines() if line.startswith("| basic")]
    assert len(re.findall(r"(?<!\\)\|", row.replace(r"\\", ""))) == 4
    assert "<b>" not in row


def test_the_summary_is_added_to_that_of_the_step(tmp_path, monkeypatch):
    path = tmp_path / "summary.md"
    path.write_text("before\n")
    monkeypatch.setenv(github.SUMMARY, str(path))
    github.write_summary([records.safe()])
    assert path.read_text().startswith("before\n### ✅ adox")
    monkeypatch.delenv(github.SUMMARY)
    github.write_summary([records.safe()])


@pytest.mark.parametrize(("value", "found"), [("true", True), ("false", False), (None, False)])
def test_a_runner_says_that_it_is_one(monkeypatch, value, found):
    monkeypatch.delenv(github.ACTIONS, raising=False)
    if value is not None:
        monkeypatch.setenv(github.ACTIONS, value)
    assert github.here() is found


def test_the_repository_is_where_the_runner_says(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv(place.WORKSPACE, raising=False)
    assert place.workspace() == tmp_path
    monkeypatch.setenv(place.WORKSPACE, "/repository")
    assert place.workspace() == ROOT


def test_notes_say_what_is_better_unknown_and_gone():
    unknown = records.inconclusive()
    kept = result_of(unknown, Path())
    text = "\n".join(notes([better(), judged(unknown, kept), records.safe()], ["a/gone"]))
    assert "better than accepted (1); --accept takes them in:\n    basic/tls-blocked[policy=strict]: " in text
    assert "inconclusive, and accepted as that (1)" in text
    assert "in no scenario any more (1); --accept removes them:\n    a/gone" in text
    assert notes([records.safe()]) == []
