"""A worker: runs scenarios in a sandbox of its own, as the pool tells it to.

Orders come as lines of JSON, ``{"path": FILE, "ids": [...], "engine": NAME}``; for each id a line with the
record of the run goes back, in the same order.
"""

from __future__ import annotations

import functools
import json
import os
import sys
from pathlib import Path

from testbed.network import sandbox
from testbed.network.loop import VirtualLoop
from testbed.run.execute import Runner
from testbed.run.keep import Keeper
from testbed.run.stage import Stage
from testbed.scenario.cell import Cell
from testbed.scenario.load import load_file
from testbed.topology import Topology


class Worker:
    """Keeps a stage for as long as the topology stays the same and nothing has spoiled it."""

    def __init__(self, loop: VirtualLoop, seed: int, keeper: Keeper | None) -> None:
        self._loop = loop
        self._seed = seed
        self._keeper = keeper
        self._stage: Stage | None = None
        self._runner: Runner | None = None

    def run(self, path: str, identifier: str, engine: str) -> str:
        """Run one cell of a scenario file with an engine; returns the record as JSON."""
        cell = _cells(path)[identifier].with_engine(engine)
        runner = self._runner_on(cell.topology)
        return self._loop.run_until_complete(runner.run(cell)).model_dump_json()

    def _runner_on(self, topology: Topology) -> Runner:
        if self._stage is None or self._stage.topology != topology:
            if self._stage is not None:
                self._stage.close()
            self._stage = Stage(topology, self._loop)
            self._runner = None
        elif self._stage.spoiled:
            self._stage.close()
            self._stage = Stage(topology, self._loop)
            if self._runner is not None:
                self._runner.stage = self._stage
        if self._runner is None:
            self._runner = Runner(self._stage, self._seed, self._keeper)
        return self._runner


@functools.lru_cache(maxsize=256)
def _cells(path: str) -> dict[str, Cell]:
    return {cell.id: cell for cell in load_file(Path(path))}


def main(argv: list[str]) -> None:
    """Take orders until there are no more: SEED CPU RESULTS, the last empty to keep nothing."""
    seed, cpu, results = argv
    reader, writer = sandbox.take_control()
    loop = VirtualLoop(cpu=int(cpu))
    worker = Worker(loop, int(seed), Keeper(Path(results)) if results else None)
    with os.fdopen(reader, encoding="utf-8") as orders, os.fdopen(writer, "w", encoding="utf-8") as answers:
        for line in orders:
            order = json.loads(line)
            for identifier in order["ids"]:
                answers.write(worker.run(order["path"], identifier, order["engine"]) + "\n")
                answers.flush()
    os._exit(0)  # the sandbox ends with this process; there is nothing to tidy up


if __name__ == "__main__":
    main(sys.argv[1:])
