"""A resolver that is a program: a process in the resolver's host, with a folder of its own.

Programs run in real time. What day it is in the world they are told by a library in front of the system's
clock, where their description says so: it reads the distance from a file, and time travel writes that file.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import dns.message
import dns.rdataclass

from testbed.core.resolver.state import Configuration, TraceEvent
from testbed.core.transport import TransportError
from testbed.engines import catalogue
from testbed.engines.description import Engine, Talk
from testbed.engines.setting import common_files, setting
from testbed.network.host import Host
from testbed.network.loop import VirtualLoop
from testbed.transports import udp

PORT = 53

READY_S = 15.0
"""Seconds after its start within which a program must answer."""

PROBE_S, PAUSE_S = 1.0, 0.005
"""Seconds that one question about readiness waits for an answer, and between two."""

COMMAND_S = 5.0
"""Seconds that a command, or the end of a program, may take."""

SETTLED_S = 0.1
"""Seconds without a packet after which a program that answers has done what it does at its start."""

READY = "ready"
"""The kind of what is noted when a program answers for the first time."""

LOG, CLOCK = "log", "clock"
LOG_TAIL = 3


class EngineError(Exception):
    """A program does not start, does not answer, or does not do as it is told. One line says so."""


class ProgramResolver:
    """An engine on a host. ``clock`` tells Unix time in the world; ``policy`` is what it is to follow."""

    def __init__(
        self,
        engine: Engine,
        host: Host,
        addresses: tuple[str, str],
        configuration: Configuration,
        signals: tuple[str, ...],
        clock: Callable[[], float],
    ) -> None:
        self._engine = engine
        self._host = host
        self._addresses = addresses
        self._configuration = configuration
        self._signals = signals
        self._clock = clock
        self._process: subprocess.Popen[bytes] | None = None
        self._folder = Path()
        self.trace: list[TraceEvent] = []

    async def start(self) -> None:
        """Start the program in a fresh folder, and return when it answers. Raises EngineError."""
        self._folder = Path(tempfile.mkdtemp(prefix="engine-"))
        described = self._engine.description
        names = self._setting()
        files = common_files(self._configuration) | self._engine.files(names)
        for name, text in files.items():
            (self._folder / name).write_text(text)
        path = catalogue.program(self._engine)
        if path is None:
            raise EngineError(f"{described.program} is not there")
        argv = [path, *self._engine.words(described.start, names)]
        self.set_clock()
        with (self._folder / LOG).open("wb") as log:
            self._process = self._host.popen(
                argv,
                cwd=self._folder,
                env=self._environment(names),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
            )
        started = time.monotonic()
        await self._ready()
        took = time.monotonic() - started
        self.trace.append(TraceEvent(self._clock(), READY, f"answers {took:.3f} s after its start"))
        await _loop().quiesce(SETTLED_S)

    def stop(self) -> None:
        """End the program at once, and remove its folder."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None
            shutil.rmtree(self._folder, ignore_errors=True)

    async def restart(self) -> None:
        """End the program as its operator would, and start it with nothing kept."""
        process = self._process
        assert process is not None
        process.send_signal(signal.Signals[f"SIG{self._engine.description.stop}"])
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(_ended(process), COMMAND_S)
        self.stop()
        await self.start()

    async def flush(self) -> None:
        """Have the program empty its cache. Raises EngineError when it does not."""
        for order in self._engine.description.flush:
            if isinstance(order, Talk):
                await self._talk(order)
            else:
                await self._command(self._engine.words(order, self._setting()))

    async def wait_idle(self) -> None:
        """Return when nothing has been sent for a while: a program cannot be asked whether it is idle."""
        await _loop().quiesce(self._engine.description.quiet)

    def set_clock(self) -> None:
        """Tell the program what time it is in the world."""
        path = self._folder / CLOCK
        fresh = path.with_suffix(".new")
        fresh.write_text(f"{self._clock() - time.time():+.3f}s\n")
        fresh.replace(path)

    # -- the program -------------------------------------------------------------------------------

    def _setting(self) -> dict[str, Any]:
        return setting(
            self._folder, self._addresses, self._configuration, self._configuration.policy, self._signals
        )

    def _environment(self, names: Mapping[str, Any]) -> dict[str, str]:
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
            "FAKETIME_TIMESTAMP_FILE": str(self._folder / CLOCK),
            "FAKETIME_NO_CACHE": "1",
            "FAKETIME_DONT_FAKE_MONOTONIC": "1",
            "FAKETIME_DONT_RESET": "1",
        }

    async def _ready(self) -> None:
        """Ask for its version, which concerns no other server, until something comes back."""
        assert self._process is not None
        query = dns.message.make_query("version.bind.", "TXT", dns.rdataclass.CH, flags=0, id=1)
        wire = query.to_wire()
        families = self._configuration.families
        index = 0 if 4 in families else 1
        local, server = self._addresses[index], (self._addresses[index], PORT)
        deadline = time.monotonic() + READY_S
        while time.monotonic() < deadline:
            if self._process.poll() is not None:
                raise EngineError(f"it ended with status {self._process.returncode}{self._last_words()}")
            with contextlib.suppress(TransportError):
                await udp.exchange(self._host, (local, 0), server, wire, _answers(wire), PROBE_S)
                return
            await asyncio.sleep(PAUSE_S)
        raise EngineError(f"it did not answer within {READY_S:.0f} s{self._last_words()}")

    def _last_words(self) -> str:
        """The end of what the program wrote, for an error."""
        with contextlib.suppress(OSError):
            lines = (self._folder / LOG).read_text(errors="replace").split("\n")
            said = [line.strip() for line in lines if line.strip()][-LOG_TAIL:]
            return f": {' | '.join(said)}" if said else ""
        return ""

    async def _command(self, argv: list[str]) -> None:
        process = self._host.popen(
            argv,
            env=self._environment(self._setting()),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )
        assert process.stdout is not None
        try:
            await asyncio.wait_for(_ended(process), COMMAND_S)
        except TimeoutError:
            process.kill()
            process.wait()
            raise EngineError(f"{argv[0]} did not end") from None
        finally:
            said = process.stdout.read().decode(errors="replace").strip()
            process.stdout.close()
        if process.returncode:
            raise EngineError(f"{argv[0]} ended with status {process.returncode}: {said}")

    async def _talk(self, order: Talk) -> None:
        loop = asyncio.get_running_loop()
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
            connection.setblocking(False)
            try:
                async with asyncio.timeout(COMMAND_S):
                    await loop.sock_connect(connection, str(self._folder / order.socket))
                    await loop.sock_sendall(connection, order.say.encode())
                    await loop.sock_recv(connection, 65536)
            except (OSError, TimeoutError) as error:
                raise EngineError(f"it does not answer at {order.socket}: {error}") from error


def _answers(wire: bytes) -> Callable[[bytes], bool]:
    """Whether octets answer a query in any way, by ID and QR: some refuse without repeating the question."""
    return lambda data: data[:2] == wire[:2] and len(data) > 2 and bool(data[2] & 0x80)


def _loop() -> VirtualLoop:
    loop = asyncio.get_running_loop()
    assert isinstance(loop, VirtualLoop)
    return loop


async def _ended(process: subprocess.Popen[bytes]) -> None:
    """Return when a process has ended, and take its status."""
    loop = asyncio.get_running_loop()
    ended: asyncio.Future[None] = loop.create_future()
    descriptor = os.pidfd_open(process.pid)

    def notice() -> None:
        if not ended.done():
            ended.set_result(None)

    loop.add_reader(descriptor, notice)
    try:
        await ended
    finally:
        loop.remove_reader(descriptor)
        os.close(descriptor)
    process.wait()
