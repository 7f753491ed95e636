"""Run in a sandbox: one worker plays scenarios on one topology after the other, and back. Prints JSON lines.

Each line has the outcome, how long the change took, and what this process holds afterwards.
"""

from __future__ import annotations

import json
import sys
import tempfile
import time
from pathlib import Path

from testbed.network.loop import VirtualLoop
from testbed.run.worker import Worker
from testbed.scenario.engine import REFERENCE

SCENARIO = """
id: changing/{topology}
title: changing
topology: {topology}
world:
  signal: [ds-glue]
  secure: [root, target]
attack:
  - attacker: observe
    on: target
"""


def count(folder: str) -> int:
    """How many descriptors, or processes, there are: whatever a number is the name of."""
    return sum(entry.name.isdecimal() for entry in Path(folder).iterdir())


def main(*topologies: str) -> None:
    folder = Path(tempfile.mkdtemp())
    worker = Worker(VirtualLoop(), 0, None)
    for topology in topologies:
        path = folder / f"{topology}.yaml"
        path.write_text(SCENARIO.format(topology=topology))
        began = time.perf_counter()
        run = json.loads(worker.run(str(path), f"changing/{topology}", REFERENCE))
        print(
            json.dumps(
                {
                    "topology": topology,
                    "verdict": run["verdict"],
                    "answer": run["answer"],
                    "seconds": time.perf_counter() - began,
                    "descriptors": count("/proc/self/fd"),
                    "processes": count("/proc"),
                }
            )
        )


main(*sys.argv[1:])
