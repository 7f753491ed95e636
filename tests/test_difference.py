"""`adox diff`: what changed, with packets and decisions where there are records."""

from __future__ import annotations

import pytest
import records

from testbed.cli import main as cli
from testbed.compare.reference import entries, write
from testbed.record import TraceLine
from testbed.reports import jsonfile
from testbed.tables.matrix import columns, table

WAS = records.downgrade()
NOW = records.downgrade(
    verdict="denial",
    leak="none",
    downgrade=False,
    denial=True,
    exposures=(),
    answer=("SERVFAIL (EDE 22)",),
    trace=(*WAS.trace[:1], TraceLine(step=0, time=1.0, kind="fallback", text="none")),
)


def run(capsys, *arguments):
    with pytest.raises(SystemExit) as ended:
        cli.main(["diff", *map(str, arguments)])
    out, err = capsys.readouterr()
    return int(ended.value.code or 0), out, err


@pytest.fixture
def places(tmp_path):
    """The same results, before and after a change, in each form in which they may be kept."""
    found = {}
    for name, record in (("was", WAS), ("now", NOW)):
        json = tmp_path / f"{name}.json"
        json.write_text(jsonfile.dump([record, records.safe()]))
        text = tmp_path / f"{name}.txt"
        text.write_text(write(entries([record, records.safe()]), "kept"))
        folder = tmp_path / name / "basic"
        folder.mkdir(parents=True)
        (folder / "run.json").write_text(record.model_dump_json())
        (folder.parent / "safe").mkdir()
        (folder.parent / "safe" / "run.json").write_text(records.safe().model_dump_json())
        found[name] = (json, text, tmp_path / name)
    return found


def test_the_same_in_every_form_is_no_difference(places, capsys):
    for one in places["was"]:
        for other in places["was"]:
            assert run(capsys, one, other) == (0, "no difference\n", "")


def test_records_tell_of_packets_answers_and_the_decision_at_which_the_ways_parted(places, capsys):
    status, out, _ = run(capsys, places["was"][0], places["now"][2])
    assert status == 1
    assert out.splitlines()[:1] == [WAS.id]
    assert "    verdict: leak -> denial" in out
    assert "    leak: name -> -" in out
    packet = WAS.exposures[0].packet
    assert f"exposed no more: the name, read in clear text, in packet {packet} of attack/target.pcapng" in out
    assert "the client got: NOERROR" in out
    assert "decision 2 of the resolver: referral: org. from 198.51.100.1" in out
    assert "-> fallback: none" in out
    assert out.endswith("1 differ\n")


def test_a_packet_that_shows_more_is_told_the_other_way_around(places, capsys):
    _, out, _ = run(capsys, places["now"][0], places["was"][0])
    assert "exposed now: the name" in out


def test_texts_tell_of_fields(places, capsys):
    status, out, _ = run(capsys, places["was"][1], places["now"][1])
    assert status == 1
    assert "    verdict: leak -> denial" in out
    assert "decision" not in out


def test_rows_of_the_matrix_are_compared_cell_by_cell(tmp_path, capsys):
    before = {"a/b/c/strict": dict.fromkeys(columns(), ".")}
    after = {"a/b/c/strict": {**before["a/b/c/strict"], "strips QT": "Nv"}}
    for name, rows in (("was.txt", before), ("now.txt", after)):
        (tmp_path / name).write_text(table(rows))
    status, out, _ = run(capsys, tmp_path / "was.txt", tmp_path / "now.txt")
    assert (status, out.splitlines()[:2]) == (1, ["a/b/c/strict", "    strips QT: . -> Nv"])


@pytest.mark.parametrize("content", ["", "{}", "no results at all", '{"schema": 1, "runs": [{}]}'])
@pytest.mark.parametrize("name", ["x.json", "x.txt", "run.json"])
def test_what_holds_no_results_is_unusable(tmp_path, capsys, content, name):
    (tmp_path / name).write_text(content)
    status, out, err = run(capsys, tmp_path / name, tmp_path / name)
    assert (status, out) == (2, "")
    assert err.startswith(f"adox: {tmp_path / name}: ")


def test_a_folder_with_nothing_in_it_is_unusable(tmp_path, capsys):
    status, _, err = run(capsys, tmp_path, tmp_path / "missing")
    assert status == 2
    assert "there are no results here" in err
