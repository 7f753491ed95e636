"""Runs many scenarios on several workers, each in a sandbox of its own."""

from __future__ import annotations

import json
import os
import selectors
import time
from collections import Counter, deque
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from testbed.attack import catalogue
from testbed.network import sandbox
from testbed.record import Run, Verdict
from testbed.run.not_run import record, refusal
from testbed.scenario.cell import Cell

PATIENCE = 120.0
"""Seconds of real time after which a worker that says nothing is given up."""

Batch = list[Cell]
"""Cells of one file that share a baseline."""


@dataclass
class _Seat:
    """A place for a worker: the worker, what it was told to run, and what it has said of it so far.

    ``topology`` is the one whose network it has; ``kept`` is what it sees of the directories that it has
    for itself.
    """

    number: int
    worker: sandbox.Worker
    kept: list[str]
    topology: str = ""
    waiting: deque[Cell] = field(default_factory=deque)
    unread: bytes = b""
    heard: float = 0.0


class Pool:
    """A number of workers. Use it as a context manager; ``run`` may be called several times.

    ``results`` is the folder for evidence, None to keep none. ``measured`` says whether what was measured of
    engines counts before what they declare. Raises SandboxError when no sandbox can be made.
    """

    def __init__(
        self, jobs: int, seed: int = 0, results: Path | None = None, *, measured: bool = True
    ) -> None:
        self._measured = measured
        self._jobs = jobs
        self._seed = seed
        self._results = results
        self._seats: list[_Seat] = []
        self._visible: set[Path] = set()
        self._selector = selectors.DefaultSelector()

    def __enter__(self) -> Pool:
        return self

    def __exit__(self, *exception: object) -> None:
        for seat in self._seats:
            seat.worker.kill()
        self._selector.close()

    def run(self, cells: Sequence[Cell]) -> Iterator[Run]:
        """Run cells; records come as they are finished, those of one file and baseline in order."""
        runnable = []
        for cell in cells:
            refused = refusal(cell, measured=self._measured)
            if refused is None:
                runnable.append(cell)
            else:
                yield refused
        self._visible |= set(_read(runnable))
        batches = _batches(runnable)
        self._staff(min(self._jobs, len(batches)))
        for seat in self._seats:
            self._give(seat, batches)
        while any(seat.waiting for seat in self._seats):
            for seat in self._ready():
                yield from self._hear(seat)
                if not seat.waiting:
                    self._give(seat, batches)

    def _staff(self, count: int) -> None:
        """See to it that there are so many workers, and that they see what they read.

        They start up side by side.
        """
        kept = sandbox.kept(map(str, self._visible))
        for seat in [seat for seat in self._seats if seat.kept != kept]:
            self._replace_worker(seat)
        fresh = [self._seat(number) for number in range(len(self._seats), count)]
        for seat in fresh:
            seat.worker.wait_ready()
            self._watch(seat)
        self._seats += fresh

    def _seat(self, number: int) -> _Seat:
        cpus = sorted(os.sched_getaffinity(0))
        results = str(self._results.resolve()) if self._results is not None else ""
        argv = ["-m", "testbed.run.worker", str(self._seed), str(cpus[number % len(cpus)]), results]
        visible = [Path.cwd(), *sorted(self._visible)]
        if self._results is not None:
            self._results.mkdir(parents=True, exist_ok=True)
            visible.append(self._results.resolve())
        kept = sandbox.kept(map(str, self._visible))
        return _Seat(number, sandbox.launch(argv, visible=visible), kept)

    def _watch(self, seat: _Seat) -> None:
        assert seat.worker.stdout is not None
        self._selector.register(seat.worker.stdout, selectors.EVENT_READ, seat)

    def _give(self, seat: _Seat, batches: list[Batch]) -> None:
        """Give a worker the next batch, if there is one."""
        if not batches:
            return
        taken = {other.topology for other in self._seats if other is not seat}
        batch = batches.pop(following(batches, seat.topology, taken))
        seat.topology = batch[0].scenario.topology
        seat.waiting.extend(batch)
        order = {"path": str(batch[0].path.resolve()), "ids": [cell.id for cell in batch]}
        order["engine"] = batch[0].scenario.resolver.engine
        assert seat.worker.stdin is not None
        seat.worker.stdin.write(json.dumps(order).encode() + b"\n")
        seat.worker.stdin.flush()
        seat.heard = time.monotonic()

    def _ready(self) -> list[_Seat]:
        """Workers that have said something, or should have."""
        ready = [key.data for key, _ in self._selector.select(timeout=1.0)]
        now = time.monotonic()
        overdue = [seat for seat in self._seats if seat.waiting and now - seat.heard > PATIENCE]
        for seat in overdue:
            seat.worker.process.kill()
        return ready

    def _hear(self, seat: _Seat) -> Iterator[Run]:
        assert seat.worker.stdout is not None
        data = os.read(seat.worker.stdout.fileno(), 1 << 20)
        if not data:
            yield from self._replace(seat)
            return
        seat.heard = time.monotonic()
        *lines, seat.unread = (seat.unread + data).split(b"\n")
        for line in lines:
            seat.waiting.popleft()
            yield Run.model_validate_json(line)

    def _replace(self, seat: _Seat) -> Iterator[Run]:
        """Put another worker in the place of one that has ended; what it was at is inconclusive."""
        status = self._replace_worker(seat)
        unfinished = list(seat.waiting)
        seat.waiting.clear()
        if unfinished:
            reason = f"the worker ended with status {status}"
            yield record(unfinished[0], Verdict.INCONCLUSIVE, reason, False)
            self._give(seat, [unfinished[1:]] if unfinished[1:] else [])

    def _replace_worker(self, seat: _Seat) -> int:
        """Put another worker in the place of one; the exit status of the one that was there."""
        assert seat.worker.stdout is not None
        self._selector.unregister(seat.worker.stdout)
        status = seat.worker.kill()
        successor = self._seat(seat.number)
        seat.worker, seat.kept = successor.worker, successor.kept
        seat.topology, seat.unread = "", b""
        seat.worker.wait_ready()
        self._watch(seat)
        return status


def _read(cells: Sequence[Cell]) -> Iterator[Path]:
    """The files and folders that workers read: scenarios, attackers near them, programs given as paths."""
    for path in {cell.path.resolve() for cell in cells}:
        yield path
        yield path.parent  # passed over where it is one that workers have for themselves
        yield from catalogue.folders_near(path.parent)
    for cell in cells:
        named = {cell.scenario.resolver.engine, *cell.scenario.world.servers.values()}
        yield from (Path(name) for name in named if "/" in name)


def _batches(cells: Iterable[Cell]) -> list[Batch]:
    """Cells by file and baseline, the largest batches first, so that no worker is left alone at the end."""
    batches: dict[tuple[Path, str], Batch] = {}
    for cell in cells:
        batches.setdefault((cell.path, cell.baseline_key), []).append(cell)
    return sorted(batches.values(), key=len, reverse=True)


def following(batches: Sequence[Batch], topology: str, taken: Collection[str]) -> int:
    """Which batch a worker gets next: the first of the topology that it has the network of.

    If there is none, the first of the topology with the most work left among those that no other worker
    has taken; only in the end do several work on the same.
    """
    work: Counter[str] = Counter()
    for batch in batches:
        work[batch[0].scenario.topology] += len(batch)
    if topology not in work:
        free = [name for name in work if name not in taken]
        topology = max(free or work, key=work.__getitem__)
    return next(index for index, batch in enumerate(batches) if batch[0].scenario.topology == topology)
