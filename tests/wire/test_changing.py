"""A worker changes its network between scenarios, and nothing of the old one stays behind."""

from __future__ import annotations

import json

import pytest
from sandboxed import run

from testbed import topology


@pytest.fixture(scope="module")
def records():
    names = [name for name in topology.names() if name != "hosted"]
    order = ["hosted", *(name for other in names for name in (other, "hosted"))]
    lines = run("changing.py", *order).splitlines()
    found = [json.loads(line) for line in lines]
    assert [record["topology"] for record in found] == order
    return found


def test_every_topology_answers_each_time(records):
    assert {record["verdict"] for record in records} <= {"safe", "leak"}
    assert all(record["answer"][0].startswith("NOERROR") for record in records)


def test_a_network_that_was_left_leaves_nothing_behind(records):
    """The same network again: as many open files and processes as the first time."""
    hosted = [record for record in records if record["topology"] == "hosted"]
    assert len({record["processes"] for record in hosted}) == 1
    assert len({record["descriptors"] for record in hosted}) == 1
