"""`adox list`, `show`, `schema`: what they print, and how they end."""

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest
from scenario_files import DATA, GOOD, changed

from testbed import __version__
from testbed.cli import main as cli
from testbed.scenario.schema import schema

MATRIX = "matrix:\n  attack.0.with.how: [drop, forge]\nexpect:\n"
RULES = "  - when: {attack.0.with.how: drop}\n    verdict: denial\n    why: It is gone.\n  - verdict: leak\n"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A plain scenario and one with a matrix, and the attackers that they name."""
    (tmp_path / "attackers").symlink_to(DATA / "attackers")
    (tmp_path / "plain.yaml").write_text(GOOD)
    text = changed(
        ("section/name", "section/matrix"),
        ("title: A title", "title: Another one\nclaim: 7\nsays: It leaks."),
        ("expect:\n", MATRIX),
        ("  verdict: leak\n", RULES),
    )
    (tmp_path / "matrix.yaml").write_text(text + "claimed: {verdict: hijack}\nwhy: In general.\n")
    return tmp_path


def run(capsys: pytest.CaptureFixture[str], *arguments: object) -> tuple[int, str, str]:
    """Exit status, output and errors of a command."""
    with pytest.raises(SystemExit) as ended:
        cli.main([str(argument) for argument in arguments])
    out, err = capsys.readouterr()
    return int(ended.value.code or 0), out, err


def test_list_is_plain_in_a_pipe(folder, capsys):
    status, out, err = run(capsys, "list", folder)
    assert (status, err) == (0, "")
    assert [line.split("\t") for line in out.splitlines()] == [
        ["section/matrix[how=drop]", "7", "tamper on ns-parent", "denial", "Another one"],
        ["section/matrix[how=forge]", "7", "tamper on ns-parent", "leak", "Another one"],
        ["section/name", "-", "tamper on ns-parent", "leak", "A title"],
    ]


def test_list_is_a_table_on_a_terminal(folder, capsys, monkeypatch):
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    monkeypatch.setenv("COLUMNS", "200")
    _, out, _ = run(capsys, "list", folder)
    plain = re.sub(r"\x1b\[[0-9;]*m", "", out)
    heading, *rows = (line.split() for line in plain.splitlines())
    assert heading == ["id", "claim", "attack", "expected", "title"]
    assert [row[0] for row in rows] == [
        "section/matrix[how=drop]",
        "section/matrix[how=forge]",
        "section/name",
    ]


def test_list_selects(folder, capsys):
    _, out, _ = run(capsys, "list", folder, "-k", "matrix and not forge")
    assert out.split("\t")[0] == "section/matrix[how=drop]"
    assert len(out.splitlines()) == 1


def test_list_as_json(folder, capsys):
    _, out, _ = run(capsys, "list", "--json", folder, "-k", "drop")
    assert json.loads(out) == {
        "schema": 1,
        "scenarios": [
            {
                "id": "section/matrix[how=drop]",
                "scenario": "section/matrix",
                "title": "Another one",
                "claim": 7,
                "cell": {"attack.0.with.how": "drop"},
                "attack": [{"attacker": "tamper", "on": ["ns-parent"]}],
                "expect": {"verdict": ["denial"]},
                "claimed": {"verdict": ["hijack"]},
                "path": str(folder / "matrix.yaml"),
                "line": 1,
            }
        ],
    }


def test_list_has_the_scenarios_of_the_testbed_by_default(capsys):
    status, out, _ = run(capsys, "list")
    assert status == 0
    assert out


def test_unusable_input_is_one_line_each_and_exit_2(folder, capsys):
    (folder / "plain.yaml").write_text(GOOD.replace("leak", "leek").replace("signal:", "signals:"))
    status, out, err = run(capsys, "list", folder)
    assert (status, out) == (2, "")
    assert err.splitlines() == [
        f"{folder}/plain.yaml:4:3: unknown key 'signals'; did you mean 'signal'?",
        f"{folder}/plain.yaml:15:12: unknown value 'leek' for `verdict`; did you mean 'leak'?",
    ]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["list", "nowhere"], "nowhere: there is no such file or folder; check the path"),
        (["list", "-k", "nothing-at-all"], "-k 'nothing-at-all': selects none of the "),
        (["list", "-k", "("], "-k '(': at the end: a word is missing there"),
        (
            ["show", "section/nam", "."],
            "section/nam: unknown scenario 'section/nam'; did you mean 'section/name'?",
        ),
    ],
)
def test_other_unusable_input(arguments, said, folder, capsys, monkeypatch):
    monkeypatch.chdir(folder)
    status, out, err = run(capsys, *arguments)
    assert (status, out) == (2, "")
    assert err.startswith(said)
    assert len(err.splitlines()) == 1


@pytest.mark.parametrize("arguments", [["lits"], ["list", "--jsn"], ["show"], []])
def test_wrong_usage_is_exit_2(arguments, capsys):
    assert run(capsys, *arguments)[0] == 2


def test_a_mistyped_command_is_recognised(capsys):
    assert "Did you mean 'schema'?" in run(capsys, "shcema")[2]


def test_show_explains_a_cell(folder, capsys):
    status, out, _ = run(capsys, "show", "section/matrix[how=drop]", folder)
    assert status == 0
    assert out.startswith("section/matrix[how=drop]\n  Another one\n\nClaim 7\n  It leaks.\n")
    for part in (
        "The signal ds-glue is published",
        "Signed zones: root (.), target-parent (org.).",
        "Servers that offer encryption: root (a.root-servers.net.), target-parent (a.nic.org.)",
        "Engine reference, policy strict:",
        "tamper on ns-parent (active on-path). Tampers with queries.",
        "0  The client asks for secret.example.org A.",
        "verdict denial.\n  The document claims: verdict hijack.\n  It is gone.",
    ):
        assert part in out
    assert "Matrix" not in out


def test_show_explains_a_scenario_with_all_its_cells(folder, capsys):
    _, out, _ = run(capsys, "show", "section/matrix", folder)
    assert "Described is the first of 2 cells, [how=drop]." in out
    assert "how: drop, forge\n    [how=drop]  verdict denial\n    [how=forge]  verdict leak\n" in out


def test_schema_is_printed_as_json(folder, capsys, monkeypatch):
    monkeypatch.chdir(folder)
    _, out, _ = run(capsys, "schema")
    assert json.loads(out) == json.loads(json.dumps(schema(folder)))


def test_schema_tells_of_an_unusable_attacker(tmp_path, capsys, monkeypatch):
    (tmp_path / "attackers").mkdir()
    path = tmp_path / "attackers" / "broken.py"
    path.write_text("")
    monkeypatch.chdir(tmp_path)
    status, out, err = run(capsys, "schema")
    assert (status, out) == (2, "")
    assert err == f"{path}: no subclasses of Attacker are defined here; define exactly one\n"


def test_version(capsys):
    assert run(capsys, "--version") == (0, f"adox {__version__}\n", "")


def test_help_lists_every_command_with_its_first_sentence(capsys):
    _, out, _ = run(capsys, "--help")
    for command in ("list", "show", "schema", "doctor"):
        assert command in out
    assert "List scenarios: the attack, and the verdict that is expected." in out


def test_a_command_is_found_by_being_there(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(cli, "__file__", str(tmp_path / "main.py"))
    (tmp_path / "main.py").write_text("")
    (tmp_path / "_helper.py").write_text("raise RuntimeError\n")
    (tmp_path / "say_hello.py").write_text(
        'def command():\n    """Say hello.\n\n    And go."""\n    print("hello")\n'
    )
    monkeypatch.setattr("testbed.cli.__path__", [str(tmp_path)])
    monkeypatch.delitem(sys.modules, "testbed.cli.say_hello", raising=False)
    _, out, _ = run(capsys, "--help")
    assert "Say hello." in out
    assert "helper" not in out
    assert run(capsys, "say-hello") == (0, "hello\n", "")


@pytest.mark.parametrize("arguments", [["--version"], ["--help"], ["list", str(DATA)]])
def test_no_command_loads_what_it_does_not_need(arguments):
    """The network, the event loop and the reports are for those who run something."""
    script = (
        "import sys; from testbed.cli.main import main\n"
        f"try:\n    main({arguments!r})\nexcept SystemExit as ended:\n    assert not ended.code\n"
        "print(*sys.modules, file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    heavy = {"mininet", "asyncio", "jinja2", "scapy", "testbed.run", "testbed.network", "testbed.reports"}
    assert not heavy & set(done.stderr.split())


def test_a_reader_that_goes_away_is_no_trouble(folder):
    """As in ``adox list | head -1``."""
    command = f"{sys.executable} -m testbed.cli.main schema | head -c 1"
    done = subprocess.run(["sh", "-c", command], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, "{", "")
