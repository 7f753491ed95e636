"""All scenarios that come with the testbed, read once for all tests of a process."""

import functools

from testbed.scenario.cell import Cell
from testbed.scenario.load import SCENARIOS, collect


@functools.cache
def all_cells() -> tuple[Cell, ...]:
    """The cells, which nobody alters."""
    return tuple(collect([SCENARIOS]))
