"""An authoritative server that is a program: a process in the host of its role, with files of its own."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import time
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import dns.exception
import dns.flags
import dns.message
import dns.name
import dns.rdatatype
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from testbed import transports
from testbed.core import pki
from testbed.core.master_file import master_file
from testbed.core.transport import Transport, TransportError
from testbed.engines import catalogue
from testbed.engines.description import ENCRYPTED, Authoritative
from testbed.engines.process import EngineError, Program
from testbed.engines.program import PAUSE_S, PORT, PROBE_S, READY_S
from testbed.network.host import Host
from testbed.transports import udp
from testbed.versions import numbers
from testbed.world.build import World

Check = Callable[[], Awaitable[bool]]

ZONES, CHAIN, KEY, SECRETS = "zones", "chain.pem", "key.pem", "secrets"


class ServerError(EngineError):
    """A program that plays a role fails. It says which one that is."""


class ProgramServer:
    """The server of a role, not yet started. ``clock`` tells Unix time in the world."""

    def __init__(
        self, engine: Authoritative, host: Host, world: World, role: str, clock: Callable[[], float]
    ) -> None:
        self._engine = engine
        self._world = world
        self._role = role
        self._addresses = world.topology.by_role[role].addresses
        self._offers = world.offers(role)
        self._program = Program(engine, host, clock)

    async def start(self) -> None:
        """Start it in a fresh folder, and return when it serves its zones over all that it offers.

        Raises ServerError.
        """
        try:
            self._write()
            await self._ready()
        except EngineError as error:
            raise ServerError(f"{self._engine.name} at {self._role}: {error}") from error

    def stop(self) -> list[str]:
        """End it at once, and remove its folder. Returns the lines of the TLS key log that it wrote."""
        log = self._program.folder / SECRETS
        lines = log.read_text(errors="replace").splitlines() if log.is_file() else []
        self._program.stop()
        return [line for line in lines if line and not line.startswith("#")]

    @property
    def encrypts(self) -> bool:
        """Whether it offers any encrypted transport."""
        return bool(self._offers)

    @property
    def busy(self) -> bool:
        """Whether it does something, or would if it were its turn."""
        return self._program.busy

    def set_clock(self) -> None:
        """Tell it what time it is in the world."""
        self._program.set_clock()

    def _write(self) -> None:
        """Write its files, and start it."""
        program, engine = self._program, self._engine
        program.prepare()
        names = server_setting(engine, program.folder, self._world, self._role)
        for name, text in (server_files(self._world, self._role) | engine.files(names)).items():
            path = program.folder / name
            path.parent.mkdir(exist_ok=True)
            path.write_text(text)
        program.launch(names)

    async def _ready(self) -> None:
        """Ask for each zone's SOA, and look at the certificate that each encrypted transport shows."""
        deadline = time.monotonic() + READY_S
        for what, check in [*self._zones(), *self._sessions()]:
            while not await check():
                self._program.check()
                if time.monotonic() > deadline:
                    late = f"it did not serve {what} within {READY_S:.0f} s"
                    raise EngineError(f"{late}{self._program.last_words()}")
                await asyncio.sleep(PAUSE_S)

    def _zones(self) -> Iterator[tuple[str, Check]]:
        for zone in self._world.hosting[self._role]:
            yield f"the zone {zone.origin}", functools.partial(self._serves, zone.origin)

    def _sessions(self) -> Iterator[tuple[str, Check]]:
        for address in self._addresses:
            for transport, port in self._offers:
                proves = functools.partial(self._proves, transport, (address, port))
                yield f"over {transport} at {address}", proves

    async def _serves(self, origin: dns.name.Name) -> bool:
        query = dns.message.make_query(origin, dns.rdatatype.SOA, flags=0, id=1)
        wire, (local, *_) = query.to_wire(), self._addresses
        with contextlib.suppress(TransportError, dns.exception.DNSException):
            octets = await udp.exchange(
                self._program.host, (local, 0), (local, PORT), wire, lambda got: got[:2] == wire[:2], PROBE_S
            )
            return bool(dns.message.from_wire(octets).flags & dns.flags.AA)
        return False

    async def _proves(self, transport: Transport, remote: tuple[str, int]) -> bool:
        path = {"path": self._world.paths[self._role]} if transport.http else {}
        with contextlib.suppress(TransportError):
            session = await transports.load(transport).connect(
                self._program.host,
                remote[0],
                remote,
                sni=pki.host_name(self._world.topology.by_role[self._role].name),
                timeout=PROBE_S,
                **path,
            )
            shown = session.chain
            session.close()
            if shown[:1] != self._world.services[self._role][1].chain[:1]:
                raise EngineError(f"it shows another certificate over {transport}")
            return True
        return False


def server_setting(engine: Authoritative, folder: Path, world: World, role: str) -> dict[str, Any]:
    """The names that templates of an authoritative server may use, and what they stand for.

    ``folder`` is the program's own, ``version`` the numbers of its version, ``listen`` the addresses to serve
    at; ``zones`` have ``name`` and ``file``. ``encrypts`` says whether it offers any encrypted transport,
    ``ports`` has the port of each, or None. ``chain`` and ``key`` are files, PEM, leaf first; ``doh_path`` is
    where DoH is to be had. ``secrets`` is the file for a TLS key log.
    """
    offers = world.offers(role)
    return {
        "folder": str(folder),
        "version": numbers(catalogue.version(engine)),
        "listen": world.topology.by_role[role].addresses,
        "zones": [
            {"name": zone.origin.to_text(), "file": str(folder / file)}
            for zone, file in zip(world.hosting[role], _zone_files(world, role), strict=True)
        ],
        "encrypts": bool(offers),
        "ports": dict.fromkeys(ENCRYPTED) | {str(transport): port for transport, port in offers},
        "chain": str(folder / CHAIN),
        "key": str(folder / KEY),
        "doh_path": world.paths[role].partition("{")[0] if role in world.paths else "",
        "secrets": str(folder / SECRETS),
    }


def server_files(world: World, role: str) -> dict[str, str]:
    """The files that the server of a role gets: zones, and where it encrypts, its certificates and key."""
    files = dict(zip(_zone_files(world, role), map(master_file, world.hosting[role]), strict=True))
    if role in world.services:
        credential = world.services[role][1]
        files[CHAIN] = "".join(each.public_bytes(Encoding.PEM).decode() for each in credential.chain)
        key = credential.key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        files[KEY] = key.decode()
    return files


def _zone_files(world: World, role: str) -> list[str]:
    return [f"{ZONES}/{number}" for number, _ in enumerate(world.hosting[role])]
