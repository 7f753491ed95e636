"""The container file: it sets up as a checkout does, from what is committed, and runs `adox`."""

from __future__ import annotations

import json
import re
from fnmatch import fnmatch
from pathlib import Path

from packaging.version import Version

ROOT = Path(__file__).parents[1]
CONTAINER = ROOT / "Containerfile"
IGNORED = ROOT / ".dockerignore"


def instructions():
    """Instruction and the rest, line by line, without comments."""
    lines = (line for line in CONTAINER.read_text().splitlines() if line and not line.startswith("#"))
    return [tuple(line.split(maxsplit=1)) for line in lines]


def only(name):
    (found,) = (rest for instruction, rest in instructions() if instruction == name)
    return found


def test_the_base_is_a_release_that_ci_checks_too():
    image, release = only("FROM").split(":")
    workflow = (ROOT / ".github" / "workflows" / "ci.yml").read_text()
    assert f"image: {image}:${{{{ matrix.release }}}}" in workflow
    (releases,) = re.findall(r"release: \[(.*)\]", workflow)
    assert release in releases.split(", ")
    assert Version(release) >= Version("12")


def test_it_is_set_up_by_the_set_up_where_the_checkout_lies():
    steps = instructions()
    source, folder = only("COPY").split()
    assert source == "."
    first, last = (index for index, step in enumerate(steps) if step[0] == "WORKDIR")
    (run,) = (index for index, step in enumerate(steps) if step[0] == "RUN")
    assert steps[first][1] == folder
    assert first < run < last
    assert only("RUN").split(" && ")[0] == "tools/setup"
    assert only("ENV") == f"PATH={folder}/.venv/bin:$PATH"


def test_no_package_is_named_beside_the_list():
    assert "apt-get install" not in CONTAINER.read_text()
    assert not re.search(r"\bpip\b", CONTAINER.read_text())


def test_its_entry_point_is_the_command():
    assert json.loads(only("ENTRYPOINT")) == ["adox"]


def test_nothing_that_is_made_goes_into_it():
    patterns = [line for line in IGNORED.read_text().splitlines() if line and not line.startswith("#")]
    made = (line.strip("/") for line in (ROOT / ".gitignore").read_text().splitlines())
    missing = [
        name for name in made if not any(fnmatch(name, pattern.removeprefix("**/")) for pattern in patterns)
    ]
    assert not missing
    for needed in ("tools/setup", "testbed", "scenarios", "README.md", "pyproject.toml"):
        assert (ROOT / needed).exists()
        assert not any(fnmatch(needed, pattern) for pattern in patterns)


def test_no_registry_is_named():
    for file in (CONTAINER, IGNORED):
        assert "://" not in file.read_text()
    assert "/" not in only("FROM")
