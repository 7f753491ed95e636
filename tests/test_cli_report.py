"""`adox report`, and what `adox run` has in common with it: parts, accepted results, exit statuses."""

from __future__ import annotations

import json
from xml.etree import ElementTree as ET

import pytest
import records
from scenario_files import DATA, GOOD

from testbed.cli import main as cli
from testbed.cli._accepting import gone
from testbed.compare.baseline import Accepted, read, updated
from testbed.record import Verdict
from testbed.reports import github, jsonfile
from testbed.scenario.load import collect

GOOD_RUNS = (records.safe(), records.denial())


@pytest.fixture(autouse=True)
def _folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for variable in (github.ACTIONS, github.SUMMARY):
        monkeypatch.delenv(variable, raising=False)


@pytest.fixture
def adox(capsys):
    """Runs a command: exit status, output, errors."""

    def run(*arguments):
        with pytest.raises(SystemExit) as ended:
            cli.main(list(map(str, arguments)))
        out, err = capsys.readouterr()
        return int(ended.value.code or 0), out, err

    return run


@pytest.fixture
def kept(tmp_path):
    """Writes records, and returns the name of their file."""

    def write(name, *runs, shard=None):
        jsonfile.write(runs, str(tmp_path / name), shard)
        return name

    return write


def accept(path, *runs, **options):
    text = updated(Accepted(path), runs, (), **{"inconclusive": False, **options}).text()
    path.write_text(text)
    return path


def test_parts_become_one_report(adox, kept, tmp_path):
    parts = [kept("1.json", records.safe(), shard="1/2"), kept("2.json", records.denial(), shard="2/2")]
    status, out, _ = adox(
        "report", *parts, "--json", "all.json", "--junit", "all.xml", "--sarif", "all.sarif"
    )
    assert status == 0
    assert "2 runs: 2 as expected" in out
    assert {run.id for run in jsonfile.load((tmp_path / "all.json").read_text())} == {
        run.id for run in GOOD_RUNS
    }
    assert "shard" not in json.loads((tmp_path / "all.json").read_text())
    assert len(list(ET.parse(tmp_path / "all.xml").iter("testcase"))) == 2
    assert json.loads((tmp_path / "all.sarif").read_text())["runs"][0]["results"] == []


def test_a_report_on_standard_output_has_it_alone(adox, kept):
    status, out, err = adox("report", kept("1.json", *GOOD_RUNS), "--sarif", "-")
    assert status == 0
    assert json.loads(out)["version"] == "2.1.0"
    assert "2 as expected" in err


@pytest.mark.parametrize(
    ("runs", "status"),
    [
        ((records.safe(),), 0),
        ((records.safe(), records.skipped()), 0),
        ((records.safe(), records.unexpected()), 1),
        ((records.safe(), records.inconclusive()), 1),
        ((records.skipped(),), 3),
        ((), 0),
    ],
)
def test_the_exit_status_is_that_of_a_run(adox, kept, runs, status):
    assert adox("report", kept("1.json", *runs))[0] == status


@pytest.mark.parametrize(
    ("parts", "complaint"),
    [
        (["1/3"], "1.json: parts that are missing: 2/3 and 3/3; give the records of every runner"),
        (["2/2", "2/2"], "2.json: this is part 2/2, and so is 1.json"),
        (["1/2", "2/3"], "1.json: some are parts of 2, some are not"),
        (["1/2", "2/2", None], "1.json: some are parts of 2, some are not"),
        (["4/2"], "1.json: '4/2' is no part of a whole"),
    ],
)
def test_parts_must_make_a_whole(adox, kept, parts, complaint):
    runs = [records.safe(), records.denial(), records.passive()]
    names = [
        kept(f"{number}.json", run, shard=part)
        for number, (part, run) in enumerate(zip(parts, runs, strict=False), 1)
    ]
    status, _, err = adox("report", *names)
    assert status == 2
    assert complaint in err


def test_a_run_may_stand_there_once_for_each_resolver(adox, kept):
    one, other = kept("1.json", records.safe()), kept("2.json", records.safe())
    status, _, err = adox("report", one, other)
    assert status == 2
    assert f"2.json: {records.safe().id} stands in 1.json too" in err
    assert adox("report", one, kept("3.json", records.safe(engine="unbound")))[0] == 0


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        (None, "a.json: cannot be read (No such file or directory)"),
        ('{\n"schema": 1,]', "a.json:2:13: this is no JSON"),
        ('{"schema": 9, "runs": []}', "a.json: not a report of schema 1"),
        ('{"schema": 1, "runs": [{}]}', "errors in the records"),
    ],
)
def test_what_is_no_report_is_refused(adox, tmp_path, text, complaint):
    if text is not None:
        (tmp_path / "a.json").write_text(text)
    status, _, err = adox("report", "a.json")
    assert status == 2
    assert complaint in err
    assert len(err.splitlines()) == 1


class TestBaseline:
    def test_a_known_failure_passes_and_a_new_one_fails(self, adox, kept, tmp_path):
        accept(tmp_path / "accepted.txt", records.unexpected(), records.safe())
        options = ["--baseline", "accepted.txt", "--junit", "out.xml"]
        status, out, _ = adox("report", kept("1.json", records.unexpected(), records.safe()), *options)
        assert status == 0
        assert "1 as expected, 1 as accepted" in out
        assert not list(ET.parse(tmp_path / "out.xml").iter("failure"))
        worse = records.safe(verdict=Verdict.LEAK, leak="name")
        status, out, _ = adox("report", kept("2.json", records.unexpected(), worse), *options)
        assert status == 1
        (failure,) = ET.parse(tmp_path / "out.xml").iter("failure")
        assert failure.attrib["message"] == "leak: accepted none, got name"
        assert "leak: accepted none, got name" in out
        assert "expected denial, got leak" not in out

    def test_lines_that_were_not_selected_are_left_alone(self, adox, kept, tmp_path):
        accept(tmp_path / "accepted.txt", *GOOD_RUNS)
        assert adox("report", kept("1.json", records.safe()), "--baseline", "accepted.txt")[0] == 0

    def test_accepting_writes_the_file_and_passes(self, adox, kept, tmp_path):
        name = kept("1.json", records.unexpected(), records.inconclusive())
        status, out, _ = adox("report", name, "--baseline", "accepted.txt", "--accept")
        assert status == 1
        assert "wrote accepted.txt: 1 accepted results" in out
        assert "inconclusive, and so not accepted (1)" in out
        assert records.inconclusive().id not in (tmp_path / "accepted.txt").read_text()
        status, out, _ = adox("report", name, "--baseline", "accepted.txt", "--accept-inconclusive")
        assert status == 0
        assert "wrote accepted.txt: 2 accepted results" in out
        assert adox("report", name, "--baseline", "accepted.txt")[0] == 0

    def test_what_is_skipped_everywhere_cannot_be_run(self, adox, kept, tmp_path):
        accept(tmp_path / "accepted.txt", records.safe())
        lost = records.safe(verdict=Verdict.SKIPPED, expected=None)
        assert adox("report", kept("1.json", lost), "--baseline", "accepted.txt")[0] == 3
        assert adox("report", kept("1.json", lost, records.denial()), "--baseline", "accepted.txt")[0] == 1

    @pytest.mark.parametrize("option", ["--accept", "--accept-inconclusive"])
    def test_a_file_must_be_named(self, adox, kept, option):
        status, _, err = adox("report", kept("1.json", records.safe()), option)
        assert status == 2
        assert "name it with --baseline FILE" in err

    def test_a_bad_file_is_said_before_anything_is_run(self, adox, tmp_path):
        (tmp_path / "accepted.txt").write_text("a/b perhaps\n")
        status, _, err = adox("run", "--baseline", "accepted.txt")
        assert (status, err) == (2, "accepted.txt:1:5: there is no verdict after 'a/b'\n")
        assert adox("run", "--baseline", "missing.txt")[0] == 2

    def test_so_are_results_of_another_resolver(self, adox, tmp_path):
        (tmp_path / "attackers").symlink_to(DATA / "attackers")
        (tmp_path / "plain.yaml").write_text(GOOD)
        (tmp_path / "accepted.txt").write_text("section/name safe engine=unbound\n")
        status, _, err = adox("run", "plain.yaml", "--baseline", "accepted.txt")
        assert status == 2
        assert err.startswith("accepted.txt:1:1: this is a result of 'unbound', and not of 'reference'")

    def test_results_of_scenarios_that_are_gone_are_found(self, tmp_path):
        (tmp_path / "attackers").symlink_to(DATA / "attackers")
        plain = tmp_path / "plain.yaml"
        plain.write_text(GOOD)
        path = tmp_path / "accepted.txt"
        lines = ["section/name", "section/name[how=drop]", "section/other", "elsewhere/name"]
        path.write_text("".join(f"{id} safe\n" for id in lines))
        accepted = read(path)
        cells = collect([plain])
        assert gone(accepted, cells, [plain]) == ["section/name[how=drop]"]
        cells = collect([tmp_path])
        assert gone(accepted, cells, [tmp_path]) == ["section/name[how=drop]", "section/other"]


class TestShard:
    @pytest.mark.parametrize("text", ["0/2", "3/2", "x"])
    def test_what_is_no_part_is_refused(self, adox, tmp_path, text):
        (tmp_path / "attackers").symlink_to(DATA / "attackers")
        (tmp_path / "plain.yaml").write_text(GOOD)
        status, _, err = adox("run", "plain.yaml", "--shard", text)
        assert status == 2
        assert err.startswith(f"--shard: '{text}' is no part of a whole")

    def test_an_empty_part_is_as_expected(self, adox, tmp_path):
        (tmp_path / "attackers").symlink_to(DATA / "attackers")
        (tmp_path / "plain.yaml").write_text(GOOD)
        status, out, _ = adox("run", "plain.yaml", "--shard", "2/2", "--json", "2.json", "--junit", "2.xml")
        assert status == 0
        assert "0 runs" in out
        assert json.loads((tmp_path / "2.json").read_text()) == {"schema": 1, "shard": "2/2", "runs": []}


class TestGithub:
    def test_annotations_come_where_actions_run(self, adox, kept, tmp_path, monkeypatch):
        name = kept("1.json", records.unexpected(), records.safe())
        assert "::error" not in adox("report", name)[1]
        assert "::error title=basic/tls-blocked" in adox("report", name, "--github")[1]
        monkeypatch.setenv(github.ACTIONS, "true")
        monkeypatch.setenv(github.SUMMARY, str(tmp_path / "summary.md"))
        assert "::error" in adox("report", name)[1]
        assert "1 differs" in (tmp_path / "summary.md").read_text()
        assert "::error" not in adox("report", name, "--no-github")[1]

    def test_a_report_on_standard_output_is_not_disturbed(self, adox, kept):
        _, out, err = adox("report", kept("1.json", records.unexpected()), "--github", "--json", "-")
        assert json.loads(out)["runs"]
        assert "::error" in err
