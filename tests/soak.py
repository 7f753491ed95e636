"""Soak: the suite again and again, half of the time with every CPU kept busy; no verdict may differ.

``python tests/soak.py 20 [PATH...]`` prints what differed, and exits with 1 if anything did.
"""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import time
from collections import defaultdict
from pathlib import Path
from tempfile import TemporaryDirectory

from testbed.record import Run
from testbed.run.pool import Pool
from testbed.scenario.load import SCENARIOS, collect

HOGS_PER_CPU = 2


@contextlib.contextmanager
def busy(wanted: bool):
    """Keep every CPU busy with something else."""
    count = HOGS_PER_CPU * len(os.sched_getaffinity(0)) if wanted else 0
    hogs = [subprocess.Popen(["sh", "-c", "while :; do :; done"]) for _ in range(count)]
    try:
        yield
    finally:
        for hog in hogs:
            hog.kill()
            hog.wait()


def outcome(run: Run) -> tuple[object, ...]:
    """All of a run that must not depend on the machine."""
    exposures = tuple(sorted((e.link, e.secret, e.how, e.step, e.at_rest) for e in run.exposures))
    flags = (run.downgrade, run.hijack, run.denial, run.detected, run.fired, run.acted)
    baseline = run.baseline and (run.baseline.verdict, run.baseline.leak, run.baseline.answer)
    counts = (run.counts.queries, run.counts.handshakes, run.counts.round_trips)
    return (run.verdict, run.leak, *flags, run.answer, exposures, baseline, counts, run.reason)


def main(rounds: int, paths: list[str]) -> int:
    cells = collect(paths or [SCENARIOS])
    seen: dict[str, dict[tuple[object, ...], list[int]]] = defaultdict(lambda: defaultdict(list))
    for number in range(rounds):
        loaded = number % 2 == 1
        began = time.perf_counter()
        with (
            busy(loaded),
            TemporaryDirectory() as folder,
            Pool(len(os.sched_getaffinity(0)), 0, Path(folder)) as pool,
        ):
            for run in pool.run(cells):
                seen[run.id][outcome(run)].append(number)
        seconds = time.perf_counter() - began
        print(f"round {number + 1}: {len(cells)} runs in {seconds:.1f} s{', loaded' * loaded}", flush=True)
    differing = {identifier: outcomes for identifier, outcomes in seen.items() if len(outcomes) > 1}
    for identifier, outcomes in differing.items():
        print(identifier)
        for which, in_rounds in outcomes.items():
            print(f"  rounds {in_rounds}: {which}")
    print(f"{rounds} rounds of {len(cells)}: {len(differing)} differ")
    return 1 if differing else 0


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1]), sys.argv[2:]))
