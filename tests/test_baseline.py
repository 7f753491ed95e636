"""A resolver's own file of accepted results: written, read, kept up, and what is wrong with it."""

from __future__ import annotations

from pathlib import Path

import pytest
import records
from hypothesis import given
from hypothesis import strategies as st

from testbed.compare import baseline
from testbed.compare.baseline import Accepted, read, updated
from testbed.record import Verdict
from testbed.scenario.errors import ScenarioError

LEAKS = "basic/tls-blocked[policy=strict]"


def written(tmp_path, runs=(), text=None, **options):
    """A file that holds a text, or what is accepted of runs."""
    path = tmp_path / "accepted.txt"
    made = updated(Accepted(path), runs, (), **{"inconclusive": False, **options}).text()
    path.write_text(made if text is None else text)
    return path


def line_of(path, id):
    return next(line for line in path.read_text().splitlines() if line.startswith(id))


def test_what_is_written_is_read_back(tmp_path):
    path = written(tmp_path, records.sample())
    again = read(path)
    assert again.text() == path.read_text()
    assert set(again.results) == {
        run.id for run in records.sample() if run.verdict not in ("skipped", "inconclusive")
    }


def test_a_line_says_what_the_resolver_does(tmp_path):
    path = written(tmp_path, [records.unexpected(), records.passive()])
    assert line_of(path, LEAKS) == f"{LEAKS} leak leak=name downgrade differs=leak,verdict"
    assert line_of(path, "basic/parent") == (
        "basic/parent-in-clear[policy=strict] leak leak=zone at-rest=zone"
    )


def test_an_engine_is_named_from_the_folder_of_the_file(tmp_path):
    own = records.safe(engine=str(tmp_path / "my engine"))
    assert "engine=./my_engine" in written(tmp_path, [own]).read_text()
    assert read(tmp_path / "accepted.txt").of(own.id, own.engine)
    other = records.safe(engine=str(tmp_path.parent / "engine"))
    assert "engine=../engine" in written(tmp_path, [other]).read_text()
    assert "engine=unbound" in written(tmp_path, [records.safe(engine="unbound")]).read_text()


def test_results_of_another_resolver_are_no_baseline(tmp_path):
    path = written(tmp_path, [records.safe(engine="unbound")])
    run = records.safe(engine="powerdns")
    with pytest.raises(ScenarioError, match=r"accepted\.txt:4:1: .*'unbound'.*'powerdns'"):
        read(path).of(run.id, run.engine)


def test_what_is_unknown_is_accepted_only_by_request(tmp_path):
    runs = [records.inconclusive(), records.skipped()]
    assert not read(written(tmp_path, runs)).results
    (result,) = read(written(tmp_path, runs, inconclusive=True)).results.values()
    assert result.verdict is Verdict.INCONCLUSIVE


def test_old_lines_stay_until_something_is_known(tmp_path):
    path = written(tmp_path, [records.safe(), records.denial(), records.unexpected()])
    old = read(path)
    unknown = {"verdict": Verdict.INCONCLUSIVE, "expected": False}
    skipped = {"verdict": Verdict.SKIPPED, "expected": None}
    gone = {"verdict": Verdict.NOT_APPLICABLE, "expected": None}
    runs = [records.safe(**unknown), records.denial(**skipped), records.unexpected(**gone)]
    new = updated(old, runs, (), inconclusive=False)
    assert set(new.results) == {records.safe().id, records.denial().id}
    assert not updated(old, [], list(old.results), inconclusive=False).results


def test_comments_stay_with_their_line(tmp_path):
    known = ("# issue 12", "", "# and 13", f"{LEAKS} leak leak=name")
    text = "\n".join(["# A head", "", *known, "a/b safe", "# the end", ""])
    path = written(tmp_path, text=text)
    new = updated(read(path), [records.unexpected(), records.safe()], (), inconclusive=False).text()
    assert new.splitlines() == [
        *("# A head", ""),
        "a/b safe",
        f"{records.safe().id} safe",
        *("# issue 12", "", "# and 13", f"{LEAKS} leak leak=name downgrade differs=leak,verdict"),
        "# the end",
    ]


def test_a_file_without_a_head_has_none(tmp_path):
    path = written(tmp_path, text="# one\na/b safe\n\nb/c leak\n")
    assert read(path).text() == path.read_text()


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("a/b", "4:1: there is no verdict after 'a/b'"),
        ("a/b  perhaps", "4:6: there is no verdict"),
        ("a/b safe\na/b leak", "5:1: 'a/b' stands there twice"),
        ("a/b skipped", "4:5: what did not run cannot be accepted"),
        ("a/b leak leek=name", "4:10: unknown name 'leek' of a result; did you mean 'leak'?"),
        ("a/b leak leak=nam", "4:10: unknown secret 'nam'; did you mean 'name'?"),
        ("a/b leak leak=none", "4:10: unknown secret 'none'"),
        ("a/b hijack hijack=no", "4:12: 'hijack' takes no value"),
        ("a/b leak leak=name leak=name", "4:20: 'leak=name' is no name=value, or stands there twice"),
    ],
)
def test_what_is_wrong_is_said_with_line_and_column(tmp_path, text, complaint):
    path = written(tmp_path, text=f"# head\n\n# comment\n{text}\n")
    with pytest.raises(ScenarioError) as found:
        read(path)
    assert str(found.value).startswith(f"{path}:{complaint}")


def test_what_cannot_be_read_is_said(tmp_path):
    with pytest.raises(ScenarioError, match=r"No such file.*write it with --accept"):
        read(tmp_path / "missing")
    (tmp_path / "binary").write_bytes(b"\xff\xfe")
    with pytest.raises(ScenarioError, match="no text in UTF-8"):
        read(tmp_path / "binary")


@given(st.text())
def test_garbage_is_refused_or_read(tmp_path_factory, text):
    path = tmp_path_factory.mktemp("garbage") / "accepted.txt"
    path.write_text(text, encoding="utf-8", errors="replace", newline="")
    try:
        found = read(path)
    except ScenarioError:
        return
    path.write_text(found.text())
    assert read(path).results.keys() == found.results.keys()


def test_paths_outside_are_named_too():
    assert baseline.engine_from("/a/b/engine", Path("/a/c")) == "../b/engine"
    assert baseline.engine_from("/a/c/engine", Path("/a/c")) == "./engine"
    assert baseline.engine_from("reference", Path("/a/c")) == "reference"
