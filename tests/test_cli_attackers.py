"""`adox attackers`, `adox new attacker`, and the table in the documentation."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from testbed.attack import catalogue
from testbed.attack.describe import describe, descriptions
from testbed.cli import main as cli
from testbed.reports.attackers import page

ROOT = Path(__file__).parents[1]


def run(capsys, *arguments):
    """Exit status, output and errors of a command."""
    with pytest.raises(SystemExit) as ended:
        cli.main([str(argument) for argument in arguments])
    out, err = capsys.readouterr()
    return int(ended.value.code or 0), out, err


def test_all_are_listed_with_what_they_are(capsys):
    status, out, err = run(capsys, "attackers")
    assert (status, err) == (0, "")
    rows = {line.split("\t")[0]: line.split("\t")[1:] for line in out.splitlines()}
    assert list(rows) == catalogue.names(catalogue.folders_near(Path.cwd()))
    assert rows["observe"] == ["passive", "any link", "RFC 7626 section 2.4.1", "-"]


def test_as_json(capsys):
    _, out, _ = run(capsys, "attackers", "--json", "impersonate")
    (found,) = json.loads(out)["attackers"]
    assert found["capability"] == "active on-path"
    assert found["needs"] == ["mis-issued certificate", "key thief"]
    assert found["hooks"] == ["response", "handshake"]
    answers = next(one for one in found["parameters"] if one["name"] == "answers")
    assert (answers["values"], answers["default"]) == (["relayed", "forged"], "relayed")


def test_everything_about_one(capsys):
    _, out, _ = run(capsys, "attackers", "hinder")
    assert "  with how: drop, delay, reset; default: drop\n    drop: swallow it." in out
    assert "  with seconds: number; default: 1.0\n" in out


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["attackers", "hindre"], "hindre: unknown attacker 'hindre'; did you mean 'hinder'?"),
        (["new", "attakcer", "x"], "attakcer: unknown kind 'attakcer'; did you mean 'attacker'?"),
        (
            ["new", "attacker", "x", "--capability", "of-path"],
            "of-path: unknown capability 'of-path'; did you",
        ),
        (["new", "attacker", "No Name"], "No Name: 'No Name' is no name; write words of a-z"),
        (["new", "attacker", "hinder"], "hinder: there is an attacker 'hinder' already"),
    ],
)
def test_unusable_input(arguments, said, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    status, out, err = run(capsys, *arguments)
    assert (status, out) == (2, "")
    assert err.startswith(said)
    assert not list(tmp_path.iterdir())


def test_an_attacker_that_cannot_be_used_is_said(capsys, tmp_path, monkeypatch):
    (tmp_path / "attackers").mkdir()
    (tmp_path / "attackers" / "broken.py").write_text("")
    monkeypatch.chdir(tmp_path)
    status, _, err = run(capsys, "attackers")
    assert status == 2
    assert err.startswith(str(tmp_path / "attackers" / "broken.py"))


@pytest.mark.parametrize("options", [(), ("--capability", "off-path")])
def test_a_new_attacker_works_as_written(options, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    status, out, _ = run(capsys, "new", "attacker", "keep-quiet", *options)
    assert status == 0
    assert out.splitlines() == ["wrote attackers/keep_quiet.py", "wrote tests/test_attacker_keep_quiet.py"]
    assert "keep-quiet" in run(capsys, "attackers")[1]
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "tests"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout
    for tool in (["ruff", "check"], ["ruff", "format", "--check"]):
        settings = ["--config", str(ROOT / "pyproject.toml"), "--config", f"src = ['{ROOT}']"]
        checked = [sys.executable, "-m", *tool, *settings, "."]
        done = subprocess.run(checked, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout


def test_nothing_is_overwritten(capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "tests").mkdir()
    (tmp_path / "tests" / "test_attacker_keep_quiet.py").write_text("mine\n")
    status, _, err = run(capsys, "new", "attacker", "keep-quiet")
    assert status == 2
    assert "this file exists already" in err
    assert not (tmp_path / "attackers").exists()


def test_every_attacker_says_all_that_the_table_has():
    for one in descriptions():
        assert all((one.summary, one.capability, one.position, one.source)), one.name
        assert all(parameter.about for parameter in one.parameters), one.name


def test_parameters_that_are_lists_of_words_say_so():
    sections = next(one for one in describe("strip-records").parameters if one.name == "sections")
    assert (sections.values, sections.kind) == (("answer", "authority", "additional"), "list")


def test_the_table_in_the_documentation_is_up_to_date():
    text = (ROOT / "docs" / "attackers.md").read_text()
    assert page(text, descriptions()) == text, "run `adox accept docs`"


def test_a_page_without_a_place_for_the_table_is_refused():
    with pytest.raises(ValueError, match="no place for the table"):
        page("# Attackers\n", [])
