"""Every attacker on a bare link: it does what it says, and leaves everything else as it is."""

from __future__ import annotations

import json

import pytest
from bare_link import ENTRIES
from sandboxed import run

from testbed.attack import catalogue

pytestmark = pytest.mark.wire


@pytest.fixture(scope="module")
def found():
    return json.loads(run("bare_link_cases.py"))


def test_there_is_an_entry_for_every_attacker():
    assert {entry.attacker for entry in ENTRIES} == set(catalogue.names())


@pytest.mark.parametrize("entry", ENTRIES, ids=lambda entry: entry.id)
def test_it_does_what_it_says_and_nothing_else(found, entry):
    assert not found[entry.id]
