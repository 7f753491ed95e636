"""What authors of a resolver do in their own repository: build it, run scenarios against it, let CI judge."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

from testbed.network.availability import availability

REPOSITORY = Path(__file__).parent / "own-resolver"

pytestmark = [
    pytest.mark.skipif(not shutil.which("make"), reason="make is not installed"),
    pytest.mark.skipif(not all(found.ok for found in availability()), reason="no sandbox can be made here"),
]

OVER_TLS_FIRST = """\
    try:
        return dns.query.tls(query, address, timeout=PATIENCE_S, ssl_context=CONTEXT)
    except OSError:
        return dns.query.udp(query, address, timeout=PATIENCE_S)
"""
IN_CLEAR = "    return dns.query.udp(query, address, timeout=PATIENCE_S)\n"


class Repository:
    """The repository of a resolver, checked out."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        shutil.copytree(REPOSITORY, folder)
        self.make()

    def make(self) -> None:
        command = ["make", "-s", f"PYTHON={sys.executable}"]
        subprocess.run(command, cwd=self.folder, check=True)

    def change(self, before: str, after: str) -> None:
        source = self.folder / "src" / "__main__.py"
        text = source.read_text()
        assert before in text
        source.write_text(text.replace(before, after))
        self.make()

    def adox(self, *arguments: str) -> tuple[int, str]:
        """Exit status and output of a command, as on a runner of GitHub Actions."""
        runner = {
            "GITHUB_ACTIONS": "true",
            "GITHUB_WORKSPACE": str(self.folder),
            "GITHUB_STEP_SUMMARY": str(self.folder / "summary.md"),
        }
        command = [sys.executable, "-m", "testbed.cli.main", *arguments]
        done = subprocess.run(
            command,
            cwd=self.folder,
            env={**os.environ, **runner},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
        return done.returncode, done.stdout

    def run_part(self, part: int) -> tuple[int, str]:
        """What one of two runners does."""
        options = ["--engine", "./engine", "--baseline", "accepted.txt", "--shard", f"{part}/2"]
        files = ["--json", f"{part}.json", "--junit", f"{part}.xml", "--sarif", f"{part}.sarif"]
        return self.adox("run", "attacks", *options, *files)

    def ran(self, *parts: int) -> set[str]:
        return {
            case.attrib["name"]
            for part in parts
            for case in ET.parse(self.folder / f"{part}.xml").iter("testcase")
        }

    def failed(self, *names: object) -> set[str]:
        """The test cases that failed, in JUnit files."""
        return {
            case.attrib["name"]
            for name in names
            for case in ET.parse(self.folder / f"{name}.xml").iter("testcase")
            if case.find("failure") is not None or case.find("error") is not None
        }

    def alerts(self, *parts: int) -> dict[str, tuple[str, str, int]]:
        """Level and place of each result, in SARIF files."""
        found = {}
        for part in parts:
            (run,) = json.loads((self.folder / f"{part}.sarif").read_text())["runs"]
            for result in run["results"]:
                place = result["locations"][0]["physicalLocation"]
                where = place["artifactLocation"]["uri"], place["region"]["startLine"]
                found[result["ruleId"]] = (result["level"], *where)
        return found


def test_only_what_is_worse_fails_the_build(tmp_path):
    repository = Repository(tmp_path / "repository")

    (first, said), (second, said_too) = repository.run_part(1), repository.run_part(2)
    assert (first, second) == (0, 0), said + said_too
    assert repository.ran(1) & repository.ran(2) == set()
    assert repository.ran(1, 2) == {"own/forged", "own/overheard"}
    assert repository.failed(1, 2) == set()
    assert repository.alerts(1, 2) == {"own/forged": ("note", "attacks/forged.yaml", 14)}
    assert "::error" not in said + said_too

    repository.change(OVER_TLS_FIRST, IN_CLEAR)
    outcomes = [repository.run_part(1), repository.run_part(2)]
    log = "".join(text for _, text in outcomes)
    assert sorted(status for status, _ in outcomes) == [0, 1], log
    assert repository.failed(1, 2) == {"own/overheard"}
    assert repository.alerts(1, 2)["own/overheard"] == ("error", "attacks/overheard.yaml", 12)
    (error,) = (line for line in log.splitlines() if line.startswith("::error"))
    assert "own/overheard: leak: accepted none, got name" in error

    options = ["--baseline", "accepted.txt"]
    status, log = repository.adox("report", "1.json", "2.json", *options, "--junit", "all.xml")
    assert status == 1, log
    assert repository.failed("all") == {"own/overheard"}
    assert "own/overheard" in (repository.folder / "summary.md").read_text()
    status, log = repository.adox("report", "1.json", *options)
    assert status == 2
    assert "1.json: parts that are missing: 2/2" in log

    status, log = repository.adox("report", "1.json", "2.json", *options, "--accept")
    assert status == 0, log
    kept = (repository.folder / "accepted.txt").read_text()
    before = (REPOSITORY / "accepted.txt").read_text()
    changed = set(kept.splitlines()) ^ set(before.splitlines())
    assert {line.split()[0] for line in changed} == {"own/overheard"}
