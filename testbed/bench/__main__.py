"""``make bench``: how fast the testbed is, and where the time goes. Prints a table; judges nothing.

Figures of one run on one machine compare with each other, not with those of another day.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import Any

from rich.console import Console
from rich.table import Table

from testbed import topology
from testbed.bench import hop
from testbed.network import sandbox
from testbed.network.loop import VirtualLoop
from testbed.run import execute
from testbed.run.execute import Runner
from testbed.run.keep import Keeper
from testbed.run.phase import Phase
from testbed.run.pool import Pool
from testbed.run.stage import Stage
from testbed.scenario.cell import Cell
from testbed.scenario.load import SCENARIOS, collect

NETWORK = "hosted"
"""The topology on which the scenarios inside one worker are timed: that of most of them."""

SAMPLE = 6
"""Every how many-th of them is timed."""

ROUNDS = 3
HOP_SECONDS = 5.0


class Stopwatch:
    """Adds up the time that goes into named parts."""

    def __init__(self) -> None:
        self.spent: dict[str, float] = defaultdict(float)

    @contextmanager
    def part(self, name: str) -> Iterator[None]:
        """Count a block towards a part."""
        began = time.perf_counter()
        try:
            yield
        finally:
            self.spent[name] += time.perf_counter() - began


def measure_inside() -> dict[str, object]:
    """What can only be measured in a sandbox: the network, and single scenarios on one stage."""
    cells = [cell for cell in collect([SCENARIOS]) if cell.scenario.topology == NETWORK][::SAMPLE]
    loop = VirtualLoop()
    began = time.perf_counter()
    stage = Stage(topology.load(NETWORK), loop)
    network_up = time.perf_counter() - began
    watch = Stopwatch()
    _watch(watch)
    with TemporaryDirectory() as folder:
        rounds = [
            loop.run_until_complete(_round(Runner(stage, 0, Keeper(Path(folder))), cells))
            for _ in range(ROUNDS)
        ]
    cold = [seconds for seconds, fresh in rounds[-1] if fresh]
    every = [seconds for seconds, _ in rounds[-1]]
    return {
        "network_up": network_up,
        "with_baseline": median(cold),
        "scenario": median(every),
        "one_worker": len(every) / sum(every),
        "parts": {name: spent / (ROUNDS * len(cells)) for name, spent in watch.spent.items()},
    }


async def _round(runner: Runner, cells: list[Cell]) -> list[tuple[float, bool]]:
    """Run every cell; the seconds that each took, and whether its baseline had to be played."""
    known: set[str] = set()
    taken = []
    for cell in cells:
        began = time.perf_counter()
        await runner.run(cell)
        taken.append((time.perf_counter() - began, cell.baseline_key not in known))
        known.add(cell.baseline_key)
    return taken


def _watch(watch: Stopwatch) -> None:
    """Have the parts of a run timed."""
    play = Phase.play

    async def timed_play(self: Phase) -> object:
        with watch.part("phases (resolver, servers, attackers)"):
            return await play(self)

    def timed(name: str, function: Callable[..., object]) -> Callable[..., object]:
        def wrapper(*arguments: object, **options: object) -> object:
            with watch.part(name):
                return function(*arguments, **options)

        return wrapper

    Phase.play = timed_play  # type: ignore[method-assign, assignment]
    execute.judge = timed("verdict", execute.judge)  # type: ignore[assignment, attr-defined]
    execute.build = timed("worlds", execute.build)  # type: ignore[assignment, attr-defined]
    Keeper.keep = timed("captures", Keeper.keep)  # type: ignore[method-assign, assignment]
    Keeper.record = timed("record", Keeper.record)  # type: ignore[method-assign, assignment]


def measure_suite(jobs: int) -> tuple[int, float, float]:
    """Number of runs, seconds for the whole suite with so many workers, and seconds until the first."""
    cells = collect([SCENARIOS])
    with TemporaryDirectory() as folder:
        began = time.perf_counter()
        first = 0.0
        with Pool(jobs, 0, Path(folder)) as pool:
            for _ in pool.run(cells):
                first = first or time.perf_counter() - began
        return len(cells), time.perf_counter() - began, first


MEASURED_INSIDE: dict[str, Callable[[], dict[str, Any]]] = {
    "scenarios": measure_inside,
    "hop": lambda: hop.measure(HOP_SECONDS),
}
"""What is measured in a sandbox of its own, by the argument that asks for it."""


def _inside(what: str) -> dict[str, Any]:
    """Have something measured in a sandbox."""
    with sandbox.launch(["-m", "testbed.bench", what], stdin=subprocess.DEVNULL) as worker:
        worker.wait_ready()
        output, _ = worker.process.communicate()
    found: dict[str, Any] = json.loads(output)
    return found


def main() -> None:
    """Measure and print."""
    if sys.argv[1:]:
        print(json.dumps(MEASURED_INSIDE[sys.argv[1]]()))  # noqa: T201 - to the one that launched it
        return
    jobs = len(os.sched_getaffinity(0))
    inside, hop = _inside("scenarios"), _inside("hop")
    count, seconds, first = measure_suite(jobs)
    table = Table("what", "measured", "aim", box=None, header_style="bold")
    table.add_row("network up (hosted, 17 hosts)", f"{inside['network_up'] * 1e3:.0f} ms", "< 2000 ms")
    table.add_row(
        "scenario in a running network, its baseline included (median)",
        f"{inside['with_baseline'] * 1e3:.0f} ms",
        "<= 150 ms",
    )
    table.add_row(
        "scenario in a running network, baselines shared (median)", f"{inside['scenario'] * 1e3:.0f} ms", ""
    )
    table.add_row("one worker, running", f"{inside['one_worker']:.1f} scenarios/s", "")
    table.add_row(
        f"suite of {count}, {jobs} workers, starting them included",
        f"{count / seconds:.1f} scenarios/s ({seconds:.1f} s)",
        ">= 10/s",
    )
    table.add_row("until the first record", f"{first:.1f} s", "")
    parts = Table("where a scenario's time goes", "ms", "share", box=None, header_style="bold")
    total = sum(inside["parts"].values())
    for name, spent in sorted(inside["parts"].items(), key=lambda item: -item[1]):
        parts.add_row(name, f"{spent * 1e3:.1f}", f"{spent / total:.0%}")
    hops = Table("UDP messages over the hop", "a second", "lost at 1000/s", box=None, header_style="bold")
    for name, speed in hop.items():
        if "missing" in speed:
            hops.add_row(name, "", speed["missing"])
            continue
        per_second = "" if speed["per_second"] is None else f"{speed['per_second']:.0f}"
        hops.add_row(name, per_second, f"{speed['lost']} of {speed['sent']}")
    console = Console(highlight=False)
    console.print(table)
    console.print()
    console.print(parts)
    console.print()
    console.print(hops)


if __name__ == "__main__":
    main()
