"""A resolver that is a program: a process in the resolver's host, with a folder of its own."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import subprocess
import time
from collections.abc import Callable
from typing import Any

import dns.message
import dns.rdataclass

from testbed.core.resolver.state import Configuration, TraceEvent
from testbed.core.transport import TransportError
from testbed.engines.description import Engine, Talk
from testbed.engines.process import COMMAND_S, EngineError, Program, ended
from testbed.engines.setting import common_files, setting
from testbed.network.host import Host
from testbed.network.loop import VirtualLoop
from testbed.transports import udp

PORT = 53

READY_S = 15.0
"""Seconds after its start within which a program must answer."""

PROBE_S, PAUSE_S = 1.0, 0.005
"""Seconds that one question about readiness waits for an answer, and between two."""

SETTLED_S = 0.1
"""Seconds without a packet after which a program that answers has done what it does at its start."""

READY = "ready"
"""The kind of what is noted when a program answers for the first time."""


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
        self._program = Program(engine, host, clock)
        self.trace: list[TraceEvent] = []

    async def start(self) -> None:
        """Start the program in a fresh folder, and return when it answers. Raises EngineError."""
        self._program.prepare()
        names = self._setting()
        files = common_files(self._configuration) | self._engine.files(names)
        for name, text in files.items():
            (self._program.folder / name).write_text(text)
        self._program.launch(names)
        started = time.monotonic()
        await self._ready()
        took = time.monotonic() - started
        self.trace.append(TraceEvent(self._clock(), READY, f"answers {took:.3f} s after its start"))
        await _loop().quiesce(SETTLED_S)

    def stop(self) -> None:
        """End the program at once, and remove its folder."""
        self._program.stop()

    async def restart(self) -> None:
        """End the program as its operator would, and start it with nothing kept."""
        await self._program.end()
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
        self._program.set_clock()

    # -- the program -------------------------------------------------------------------------------

    def _setting(self) -> dict[str, Any]:
        configured = self._configuration
        return setting(self._program.folder, self._addresses, configured, configured.policy, self._signals)

    async def _ready(self) -> None:
        """Ask for its version, which concerns no other server, until something comes back."""
        query = dns.message.make_query("version.bind.", "TXT", dns.rdataclass.CH, flags=0, id=1)
        wire = query.to_wire()
        families = self._configuration.families
        index = 0 if 4 in families else 1
        local, server = self._addresses[index], (self._addresses[index], PORT)
        deadline = time.monotonic() + READY_S
        while time.monotonic() < deadline:
            self._program.check()
            with contextlib.suppress(TransportError):
                await udp.exchange(self._host, (local, 0), server, wire, _answers(wire), PROBE_S)
                return
            await asyncio.sleep(PAUSE_S)
        raise EngineError(f"it did not answer within {READY_S:.0f} s{self._program.last_words()}")

    async def _command(self, argv: list[str]) -> None:
        process = self._host.popen(
            argv,
            env=self._program.environment(self._setting()),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )
        assert process.stdout is not None
        try:
            await asyncio.wait_for(ended(process), COMMAND_S)
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
                    await loop.sock_connect(connection, str(self._program.folder / order.socket))
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
