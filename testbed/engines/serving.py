"""Whether authoritative servers that are programs can do what a scenario asks of the roles that they play."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from testbed import signals
from testbed.attack.api import Attacker
from testbed.core.deleg import DELEGATION_TYPES
from testbed.core.signal import Signal
from testbed.engines import catalogue
from testbed.engines.description import Authoritative
from testbed.scenario.cell import Cell
from testbed.scenario.engine import REFERENCE
from testbed.scenario.errors import listed
from testbed.scenario.steps import (
    AdvanceStep,
    AttackStep,
    BreakStep,
    FlushStep,
    MendStep,
    OrderStep,
    QueryStep,
    RestartStep,
    WaitIdleStep,
)
from testbed.topology import BOTH, EVIL, Server
from testbed.world.build import World, build

ELSEWHERE = (QueryStep, AttackStep, FlushStep, RestartStep, WaitIdleStep, OrderStep)
"""Steps in which nothing is asked of a server that it would not do by itself."""


@dataclass(frozen=True)
class Part:
    """A role, and the program that plays it, of the version that does."""

    role: str
    engine: Authoritative


def parts(cell: Cell) -> tuple[Part, ...]:
    """The roles in a scenario that programs play. Raises ScenarioError for what is wrong with one."""
    # A world is only made where there is a program: this is asked of every scenario before any is run.
    return tuple(
        Part(role, catalogue.able(name, _transports(_world(cell), role)))
        for role, name in cell.scenario.world.programs.items()
    )


def obstacle(cell: Cell, part: Part) -> str | None:
    """Why a program cannot do what its role is to do, whatever its version; None if it can."""
    title = f"{part.engine.description.title} at {part.role}"
    return next((f"{title} {reason}" for reason in _obstacles(cell, part, _world(cell))), None)


def missing(cell: Cell, part: Part) -> str | None:
    """What a program lacks on this machine and how to get it; None if it can be started."""
    engine, described = part.engine, part.engine.description
    lacking = catalogue.missing(engine)
    if lacking is not None:
        return lacking
    absent = catalogue.lacks(engine, _transports(_world(cell), part.role))
    if not absent:
        return None
    since = listed(f"{name} from {described.offers[name]} on" for name in absent)
    how = f"adox engines fetch {engine.name}" if engine.name in catalogue.authoritatives() else described.how
    here = catalogue.version(engine) or "of unknown version"
    return f"{described.title} {here} is there, which has {since}" + (f"; {how}" if how else "")


def _world(cell: Cell) -> World:
    return build(cell.topology, cell.scenario.world)


def _transports(world: World, role: str) -> list[str]:
    return [str(transport) for transport, _ in world.offers(role)]


def _obstacles(cell: Cell, part: Part, world: World) -> Iterator[str]:
    described, role = part.engine.description, part.role
    wanted = _transports(world, role)
    unknown = [name for name in wanted if name not in described.offers]
    if unknown:
        yield f"has no {listed(unknown)}"
    yield from _manners(cell, role)
    yield from _additions(cell, world, world.topology.by_role[role])
    if any(rrset.rdtype in DELEGATION_TYPES for zone in world.hosting[role] for rrset in zone):
        yield "does not delegate by DELEG"
    yield from _steps(cell, part, bool(wanted))
    if role == EVIL and any(
        attack.attacker_type.serves is not Attacker.serves for attack in cell.scenario.attack
    ):
        yield "does not get the zones that an attacker makes up"
    if wanted and described.key_log == "none":
        # Sessions count as read by the attacker when it holds their secrets.
        if role == EVIL:
            yield "does not tell the secrets of its sessions, which the attacker would have"
        if cell.scenario.resolver.engine != REFERENCE:
            yield f"does not tell the secrets of its sessions, nor does {cell.scenario.resolver.engine}"


def _steps(cell: Cell, part: Part, encrypts: bool) -> Iterator[str]:
    """What steps ask of a server that it cannot do."""
    for step in cell.scenario.steps:
        if isinstance(step, AdvanceStep):
            if part.engine.description.time_travel == "none":
                yield "cannot be told that time has passed"
            if encrypts and cell.scenario.resolver.policy.resumption != "off":
                yield "forgets the keys of its tickets when time is made to pass"
        elif isinstance(step, BreakStep | MendStep):
            if step.role == part.role:
                yield "cannot be told to interrupt its encrypted service"
        elif not isinstance(step, ELSEWHERE):
            yield f"cannot take part where {step}"


def _manners(cell: Cell, role: str) -> Iterator[str]:
    """What only a server of ours can be told to do."""
    world = cell.scenario.world
    if world.latency.get(role):
        yield "cannot be told to take its time"
    if role in world.fragments:
        yield "cannot be told to cut its responses into fragments"
    if role in world.connections:
        yield "cannot be told how many connections to keep"
    link = cell.topology.by_role[role].link
    if any(attack.operator and link in attack.on for attack in cell.scenario.attack):
        yield "lets no attacker have a hand in what it says"
    offer = world.secure.get(role)
    if offer is not None and offer.tls12:
        yield "cannot be told to speak TLS 1.2"
    if offer is not None and set(offer.families) != set(BOTH):
        yield "encrypts over both IP versions"


def _additions(cell: Cell, world: World, server: Server) -> Iterator[str]:
    """What signals, and error reporting, have the server put into responses beside what is in its zones."""
    described = cell.scenario.world
    published = {name: signals.load(name) for name in described.signal}
    delegates = any(other.parent == server.role for other in world.topology.servers)
    if delegates and world.extensions:
        names = [name for name, signal in published.items() if type(signal).extend is not Signal.extend]
        yield f"does not add to referrals what {listed(names)} would have it add"
    if world.statements.get(server.role):
        names = [name for name, signal in published.items() if type(signal).speak is not Signal.speak]
        if server.role in described.report_channel:
            names.append("report_channel")
        yield f"does not say of itself what {listed(names)} would have it say"
