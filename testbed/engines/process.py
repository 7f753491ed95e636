"""Programs in hosts: each in a folder and a process group of its own, and told what time it is in the world.

Programs run in real time. What day it is in the world they are told by a library in front of the system's
clock, where their description says so: it reads the distance from a file, and time travel writes that file.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import re
import select
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from testbed.engines import catalogue
from testbed.engines.description import Described
from testbed.network.host import Host

COMMAND_S = 5.0
"""Seconds that a command, or the end of a program, may take."""

LOG, CLOCK = "log", "clock"
LOG_TAIL = 3

BUSY = frozenset("RD")
"""States of threads (proc(5)) that do something, or would if it were their turn."""


class EngineError(Exception):
    """A program does not start, does not answer, or does not do as it is told. One line says so."""


class Program:
    """A program of an engine on a host. ``clock`` tells Unix time in the world."""

    def __init__(self, engine: Described, host: Host, clock: Callable[[], float]) -> None:
        self._engine = engine
        self._clock = clock
        self._process: subprocess.Popen[bytes] | None = None
        self.host = host
        self.folder = Path()

    def prepare(self) -> None:
        """Give it a fresh folder."""
        self.folder = Path(tempfile.mkdtemp(prefix="engine-"))

    def launch(self, names: Mapping[str, Any]) -> None:
        """Start it, with its words filled in. Raises EngineError where it is not there."""
        described = self._engine.description
        path = catalogue.program(self._engine)
        if path is None:
            raise EngineError(f"{described.program} is not there")
        argv = [path, *self._engine.words(described.start, names)]
        self.set_clock()
        with (self.folder / LOG).open("wb") as log:
            self._process = self.host.popen(
                argv,
                cwd=self.folder,
                env=self.environment(names),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                process_group=0,
            )

    def stop(self) -> None:
        """End it and all processes that it has started at once, wait for that, and remove its folder."""
        process, self._process = self._process, None
        if process is not None:
            others = [os.pidfd_open(pid) for pid in _group(process.pid) if pid != process.pid]
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
            for descriptor in others:
                select.select([descriptor], [], [], COMMAND_S)
                os.close(descriptor)
        if self.folder != Path():
            shutil.rmtree(self.folder, ignore_errors=True)

    async def end(self) -> None:
        """End it as its operator would, and wait for that for some time."""
        process = self._process
        assert process is not None
        process.send_signal(signal.Signals[f"SIG{self._engine.description.stop}"])
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(ended(process), COMMAND_S)

    def check(self) -> None:
        """Raises EngineError where it has ended."""
        if self._process is not None and self._process.poll() is not None:
            raise EngineError(f"it ended with status {self._process.returncode}{self.last_words()}")

    @property
    def busy(self) -> bool:
        """Whether any of its threads does something, or waits for its turn on a CPU."""
        return self._process is not None and any(
            _state(task) in BUSY
            for pid in _group(self._process.pid)
            for task in Path(f"/proc/{pid}/task").glob("*/stat")
        )

    def set_clock(self) -> None:
        """Tell it what time it is in the world."""
        path = self.folder / CLOCK
        fresh = path.with_suffix(".new")
        fresh.write_text(f"{self._clock() - time.time():+.3f}s\n")
        fresh.replace(path)

    def environment(self, names: Mapping[str, Any]) -> dict[str, str]:
        """The variables that it, and what controls it, are started with."""
        described = self._engine.description
        keys, values = tuple(described.environment), tuple(described.environment.values())
        own = dict(zip(keys, self._engine.words(values, names), strict=True))
        # What comes with a program, such as what controls it, is of its version.
        beside = str(Path(catalogue.program(self._engine) or "").parent)
        path = os.pathsep.join([beside, catalogue.search_path()])
        return {"PATH": path, "LANG": "C", "TZ": "UTC", **self._time(), **own}

    def _time(self) -> dict[str, str]:
        library = catalogue.faketime()
        if self._engine.description.time_travel == "none" or library is None:
            return {}
        return {
            "LD_PRELOAD": library,
            "FAKETIME_TIMESTAMP_FILE": str(self.folder / CLOCK),
            "FAKETIME_NO_CACHE": "1",
            "FAKETIME_DONT_FAKE_MONOTONIC": "1",
            "FAKETIME_DONT_RESET": "1",
        }

    def last_words(self) -> str:
        """What the program wrote of errors, or else the end of what it wrote."""
        with contextlib.suppress(OSError):
            lines = (self.folder / LOG).read_text(errors="replace").split("\n")
            written = [line.strip() for line in lines if line.strip()]
            errors = [line for line in written if re.search("error|fail|cannot", line, re.IGNORECASE)]
            said = (errors or written)[-LOG_TAIL:]
            return f": {' | '.join(said)}" if said else ""
        return ""


def _group(leader: int) -> list[int]:
    """The processes of a process group that have not ended."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            fields = _fields(entry / "stat")
            if fields is not None and fields[0] != "Z" and int(fields[2]) == leader:
                found.append(int(entry.name))
    return found


def _state(stat: Path) -> str:
    fields = _fields(stat)
    return fields[0] if fields is not None else ""


def _fields(stat: Path) -> list[str] | None:
    """The fields of a stat file after the name, in which anything may stand; None where that has ended."""
    try:
        return stat.read_text(errors="replace").rpartition(")")[2].split()
    except OSError:
        return None


async def ended(process: subprocess.Popen[bytes]) -> None:
    """Return when a process has ended, and take its status."""
    loop = asyncio.get_running_loop()
    waiting: asyncio.Future[None] = loop.create_future()
    descriptor = os.pidfd_open(process.pid)

    def notice() -> None:
        if not waiting.done():
            waiting.set_result(None)

    loop.add_reader(descriptor, notice)
    try:
        await waiting
    finally:
        loop.remove_reader(descriptor)
        os.close(descriptor)
    process.wait()
