"""`adox doctor`: it must not call a machine ready that is not, nor miss what is there."""

import json
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner, Result

from testbed import doctor
from testbed.cli import doctor as cli
from testbed.doctor import Finding, Program
from testbed.network import availability

ROOT = Path(__file__).parent.parent
TOOL = Program("tools", "some-tool", "some-package", "some purpose", ("--version",))


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The only folder that programs are looked for in, besides the system's own."""
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    return tmp_path


def program(folder: Path, text: str) -> Path:
    file = folder / TOOL.command
    file.write_text(text)
    file.chmod(0o755)
    return file


@pytest.mark.parametrize(
    ("said", "version"),
    [
        ("Version 1.17.1\n\nConfigure line: --build=x86_64-linux-gnu\n", "1.17.1"),
        ("Knot Resolver, version 5.6.0\n", "5.6.0"),
        ("Nov 24 18:57:33 PowerDNS Recursor 4.8.8 (C) 2001-2022 PowerDNS.COM BV\n", "4.8.8"),
        ("BIND 9.18.49-1~deb12u1-Debian (Extended Support Version) <id:>\n", "9.18.49-1~deb12u1-Debian"),
        ("NSD version 4.6.1\nWritten by NLnet Labs.\n", "4.6.1"),
        ("knotd (Knot DNS), version 3.2.6\n", "3.2.6"),
        ("verify-zone version 1.8.3 (ldns version 1.8.3)\n", "1.8.3"),
        ("ip utility, iproute2-6.1.0, libbpf 1.1.0\n", "6.1.0"),
        ("nftables v1.0.6 (Lester Gooch #5)\n", "1.0.6"),
        ("TShark (Wireshark) 4.0.17 (Git v4.0.17 packaged as 4.0.17-0+deb12u3).\n", "4.0.17"),
        ("ethtool version 6.1\n", "6.1"),
        ("GNU Make 4.3.\n", "4.3"),
        ("error while loading shared libraries: libprotobuf-c.so.1: cannot open", None),
        ("", None),
    ],
)
def test_versions_are_read_from_what_real_programs_print(said: str, version: str | None) -> None:
    assert doctor.version_in(said) == version


def test_a_program_that_is_there_is_found_with_its_version(folder: Path) -> None:
    file = program(folder, "#!/bin/sh\necho some-tool 2.5.1 >&2\nexit 1\n")
    assert doctor.look_for(TOOL) == Finding("tools", "some-tool", True, False, f"2.5.1, {file}")


def test_a_program_that_is_not_there_comes_with_its_package(folder: Path) -> None:
    found = doctor.look_for(TOOL)
    assert not found.ok
    assert found.how == "apt-get install some-package"
    assert "some purpose" in found.detail


@pytest.mark.parametrize(
    "text",
    [
        "#!/bin/sh\necho some-tool: error while loading shared libraries: libfoo.so.3\nexit 127\n",
        "#!/no/such/interpreter\n",
        "#!/bin/sh\nexec sleep 60\n",
    ],
    ids=["lacks a library", "cannot be executed", "hangs"],
)
def test_a_program_that_does_not_work_is_not_ok(
    folder: Path, text: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(doctor, "PATIENCE", 0.2)
    file = program(folder, text)
    found = doctor.look_for(TOOL)
    assert not found.ok
    assert str(file) in found.detail
    assert found.how


def test_what_the_network_lacks_is_needed(monkeypatch: pytest.MonkeyPatch) -> None:
    lacking = availability.Capability("TPROXY", False, "no such chain", "another kernel")
    monkeypatch.setattr(doctor, "availability", lambda: [lacking])
    assert doctor.network() == [
        Finding(doctor.NETWORK, "TPROXY", False, needed=True, detail="no such chain", how="another kernel")
    ]


def test_what_the_set_up_installs_is_looked_for_here() -> None:
    lines = (ROOT / "tools" / "packages.txt").read_text().splitlines()
    fields = [line.split("|") for line in lines if not line.startswith("#")]
    installed = {command.strip(): package.strip() for package, command, _ in fields}
    useful = {program.command: program.package for program in doctor.PROGRAMS}
    assert installed.keys() <= useful.keys() | availability.PROGRAMS.keys()
    for command, package in installed.items():
        assert package in (useful.get(command) or availability.PROGRAMS[command])
    # bash runs the set-up itself.
    assert availability.PROGRAMS.keys() - {"bash"} <= installed.keys()


# -- the command ----------------------------------------------------------------------------------------

GOOD = Finding("tools", "nft", True, True, "1.0.6")
LACKING = Finding("tools", "mnexec", False, True, "missing: hosts", "apt-get install mininet")
ABSENT = Finding("servers", "nsd", False, False, "missing: NSD", "apt-get install nsd")


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch):
    app = typer.Typer()
    app.command()(cli.command)

    def with_findings(findings: list[Finding], *arguments: str) -> Result:
        monkeypatch.setattr(doctor, "examine", lambda: findings)
        return CliRunner().invoke(app, arguments, env={"COLUMNS": "200"})

    return with_findings


def test_a_ready_machine_exits_0_whatever_else_is_absent(run) -> None:
    result = run([GOOD, ABSENT])
    assert result.exit_code == 0
    assert "Scenarios can run here." in result.output
    assert "apt-get install nsd" in result.output


def test_a_machine_that_lacks_something_needed_exits_3_and_names_it(run) -> None:
    result = run([GOOD, LACKING, ABSENT])
    assert result.exit_code == 3
    assert "Scenarios cannot run here: mnexec." in result.output
    assert "apt-get install mininet" in result.output


@pytest.mark.parametrize(("finding", "ready"), [(GOOD, True), (LACKING, False), (ABSENT, True)])
def test_json_says_the_same(run, finding: Finding, ready: bool) -> None:
    result = run([finding], "--json")
    printed = json.loads(result.output)
    assert printed["ready"] is ready
    assert result.exit_code == (0 if ready else 3)
    assert printed["findings"] == [finding.__dict__]


def test_brackets_in_what_a_program_says_are_no_markup(run) -> None:
    assert "[/oops]" in run([Finding("tools", "x", True, True, "[/oops]")]).output


def test_this_machine_is_examined_without_a_crash() -> None:
    findings = doctor.examine()
    assert {finding.group for finding in findings} >= {
        doctor.PYTHON,
        doctor.NETWORK,
        doctor.TOOLS,
        doctor.SERVERS,
    }
    assert all(finding.ok or finding.how for finding in findings)
