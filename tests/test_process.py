"""Programs as processes: what they start ends with them, and nothing is left of them."""

import subprocess
import time
from pathlib import Path

import pytest

from testbed.engines import description
from testbed.engines.process import EngineError, Program

PATIENCE = 10


class Here:
    """A host that is this machine."""

    def popen(self, argv, **options):
        return subprocess.Popen(argv, **options)


def program(tmp_path, script):
    (tmp_path / "engine.yaml").write_text(
        "title: Mine\nprogram: ./run\nstart: [x]\ntime_travel: none\nfollows: [{}]\n"
    )
    (tmp_path / "run").write_text(f"#!/bin/sh\n{script}\n")
    (tmp_path / "run").chmod(0o755)
    description.load.cache_clear()
    one = Program(description.load(tmp_path), Here(), time.time)
    one.prepare()
    one.launch({})
    return one


def eventually(holds):
    deadline = time.monotonic() + PATIENCE
    while not (found := holds()):
        assert time.monotonic() < deadline
    return found


def test_what_it_has_started_ends_with_it(tmp_path):
    one = program(tmp_path, "sleep 60 & echo $! >child; wait")
    file = one.folder / "child"
    child = int(eventually(lambda: file.exists() and file.read_text()))
    eventually(lambda: not one.busy)
    one.stop()
    state = Path(f"/proc/{child}/stat")
    assert not state.exists() or state.read_text().rpartition(")")[2].split()[0] == "Z"
    assert not one.folder.exists()


def test_one_that_computes_is_busy(tmp_path):
    one = program(tmp_path, "while :; do :; done")
    assert eventually(lambda: one.busy)
    one.stop()
    assert not one.busy


def test_one_that_ends_says_why(tmp_path):
    one = program(tmp_path, "echo first; echo it cannot go on; echo last; exit 3")
    with pytest.raises(EngineError, match="it ended with status 3: it cannot go on"):
        eventually(one.check)
    one.stop()
