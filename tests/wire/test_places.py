"""Scenarios run wherever they lie, also where a worker has a directory of its own: in ``/tmp``."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path

import pytest

from testbed.network.sandbox import SandboxError
from testbed.run.pool import Pool
from testbed.scenario.load import load_file

SCENARIO = """\
id: mine/{name}
title: An attacker of one's own
world: {{secure: [target]}}
attack:
  - attacker: own-{name}
    on: target
expect:
  fired: true
"""

ATTACKER = """\
from testbed.attack.api import Attacker, Capability, Delay, MessageAction, Query


class Own(Attacker):
    \"\"\"Delays queries.\"\"\"

    capability = Capability.ON_PATH
    source = "folklore"

    def query(self, query: Query) -> MessageAction:
        \"\"\"Delay it.\"\"\"
        self.matched()
        return Delay(0.1)
"""


@pytest.fixture
def private_place():
    """A new folder in a directory that workers have for themselves."""
    folder = Path(tempfile.mkdtemp(dir="/tmp"))
    yield folder
    shutil.rmtree(folder)


def write_scenario(folder: Path, name: str, attackers: Path) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    attackers.mkdir(parents=True, exist_ok=True)
    (attackers / f"own_{name}.py").write_text(ATTACKER)
    path = folder / f"{name}.yaml"
    path.write_text(SCENARIO.format(name=name))
    return path


def verdicts(*paths: Path) -> list[tuple[str, bool | None]]:
    """What comes of the scenarios in files, one after the other by the same worker."""
    try:
        with Pool(1) as pool:
            return [(run.reason, run.expected) for path in paths for run in pool.run(load_file(path))]
    except SandboxError as error:
        pytest.skip(str(error))


def test_a_scenario_and_its_attackers_may_lie_in_tmp(private_place):
    path = write_scenario(private_place, "beside", private_place / "attackers")
    assert verdicts(path) == [("", True)]


def test_attackers_may_lie_above_it(private_place):
    path = write_scenario(private_place / "suites" / "mine", "above", private_place / "attackers")
    assert verdicts(path) == [("", True)]


def test_a_worker_that_is_there_already_sees_the_next_folder_too(private_place):
    first = write_scenario(private_place / "one", "first", private_place / "one" / "attackers")
    second = write_scenario(private_place / "two", "second", private_place / "two" / "attackers")
    assert verdicts(first, second, first) == [("", True)] * 3


def test_a_scenario_may_lie_in_tmp_itself():
    with tempfile.NamedTemporaryFile("w", suffix=".yaml", dir="/tmp") as file:
        file.write(SCENARIO.format(name="alone").replace("own-alone", "observe"))
        file.flush()
        assert verdicts(Path(file.name)) == [("", True)]
