"""A little of what ``tests/fuzz.py`` does at length."""

import pytest
from fuzz import targets

TARGETS = dict(targets())


@pytest.mark.parametrize("target", TARGETS)
def test_survives(target):
    TARGETS[target](1500)
