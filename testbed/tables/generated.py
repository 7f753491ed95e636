"""Scenarios that are made and not written: one for each mechanism, as many as there are.

They are written as files below ``build``, since workers read their scenarios from files, and since anybody
may want to run one alone and look at its packets. They are JSON, which is YAML, too (YAML 1.2 section 1.3).
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from testbed.scenario.cell import Cell
from testbed.scenario.load import SUFFIX, collect

BUILD = Path("build")
"""Where generated files go, below the working directory."""


def write(folder: str, scenarios: Iterable[Mapping[str, Any]]) -> list[Cell]:
    """Write scenarios into a folder below ``build``, in place of what was there, and read them back."""
    place = BUILD / folder
    shutil.rmtree(place, ignore_errors=True)
    place.mkdir(parents=True)
    for scenario in scenarios:
        name = str(scenario["id"]).replace("/", "-") + SUFFIX
        (place / name).write_text(json.dumps(scenario, indent=1) + "\n", encoding="utf-8")
    return collect([place])
