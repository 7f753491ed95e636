"""Each attacker has an accepted run in which it matters, and one in which it meets its like and does not."""

from __future__ import annotations

from collections import defaultdict

import pytest
from all_cells import all_cells

from testbed.attack import catalogue
from testbed.attack.api import Capability
from testbed.compare import reference
from testbed.compare.findings import visible

POWERLESS = {"blind-reset"}
"""Those that never matter here: the kernel takes no reset but with the very number (RFC 5961 section 3.2)."""


def matters(entry, passive):
    """Whether an attacker learned something or did harm. Of what lies open at rest only those who read do."""
    return entry.get("leak", "none") != "none" if passive else entry["verdict"] != "safe"


@pytest.fixture(scope="module")
def met():
    """Attackers with whether they mattered, in every accepted run in which one is alone and met its like.

    Who only listens does not count, where there is somebody who does more.
    """
    accepted, found = reference.load(reference.SCENARIOS_FILE), defaultdict(set)
    for cell in all_cells():
        types = {attack.attacker: attack.attacker_type for attack in cell.scenario.attack}
        active = {name for name, kind in types.items() if kind.capability is not Capability.PASSIVE}
        alone = active or set(types)
        entry = accepted.get(visible(cell.id).replace(" ", "_"), {})
        if len(alone) == 1 and "fired" in entry:
            (name,) = alone
            found[name].add(matters(entry, catalogue.load(name).capability is Capability.PASSIVE))
    return found


@pytest.mark.parametrize("name", catalogue.names())
def test_it_matters_and_it_does_not(met, name):
    assert met[name] == ({False} if name in POWERLESS else {True, False})
