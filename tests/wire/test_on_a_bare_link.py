"""Every attacker on a bare link: it does what it says, and leaves everything else as it is."""

from __future__ import annotations

import json

import pytest
from bare_link import ENTRIES, OVERDONE
from sandboxed import run


@pytest.fixture(scope="module")
def found():
    return json.loads(run("bare_link_cases.py", timeout=400))


@pytest.mark.parametrize("entry", ENTRIES, ids=lambda entry: entry.id)
def test_it_does_what_it_says_and_nothing_else(found, entry):
    assert not found[entry.id]


@pytest.mark.parametrize("entry", OVERDONE, ids=lambda entry: entry.id)
def test_an_attacker_that_does_otherwise_is_found(found, entry):
    assert found[entry.id]
