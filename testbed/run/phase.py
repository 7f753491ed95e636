"""One phase of a scenario, baseline or attack: everything is started, the steps are played, all is kept."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Sequence
from dataclasses import replace

import dns.exception
import dns.message

from testbed.attack.resources import Resources
from testbed.attack.wall_clock import WallClock
from testbed.core import acme, message
from testbed.core.notation import Question
from testbed.core.pki import private_key
from testbed.core.resolver.requests import Datagram
from testbed.core.resolver.state import TraceEvent
from testbed.core.transport import TransportError
from testbed.engines import catalogue, serving
from testbed.engines.applicable import effective, signals_that_matter
from testbed.evidence import (
    AttackerReport,
    ClientResult,
    Decision,
    LinkCapture,
    PhaseEvidence,
    TlsSecret,
)
from testbed.offpath.sender import OffPath
from testbed.onpath.link import AttackedLink
from testbed.run.authority import Authority, RefusalError
from testbed.run.cast import Placed, active_among, attackers, by_link, configuration, configuration_of_ca
from testbed.run.occupation import Occupation
from testbed.run.operators import Operators
from testbed.run.programs import Programs
from testbed.run.services import Services
from testbed.run.stage import Stage, UnderTest
from testbed.scenario.cell import Cell
from testbed.scenario.engine import REFERENCE
from testbed.scenario.steps import (
    AdvanceStep,
    BreakStep,
    ChangeStep,
    FlushStep,
    MendStep,
    OrderStep,
    QueryStep,
    RestartStep,
    WaitIdleStep,
)
from testbed.transports import tcp, udp
from testbed.world.build import World
from testbed.world.epoch import EPOCH

CLIENT_TIMEOUT = 60.0
"""Seconds that the client waits for the reference resolver; longer than that takes to give up."""

CLIENT_PATIENCE = 10.0
"""Seconds of real time that it waits for a program: two attempts of a stub resolver (resolv.conf(5))."""


class Phase:
    """Plays the steps of a scenario, with or without its attackers."""

    def __init__(self, stage: Stage, cell: Cell, world: World, seed: int, *, attacked: bool) -> None:
        self._stage = stage
        self._cell = cell
        self._world = world
        self._seed = seed
        self._obtained: set[str] = set()
        self._placed = attackers(cell, world, seed, self._obtained) if attacked else []
        self._off_path = [one for one in self._placed if one.attacker.overrides("off_path")]
        self._sender: OffPath | None = None
        self._occupying = [one for one in self._placed if one.attacker.overrides("occupy")]
        self._occupation: Occupation | None = None
        self._timing = [one for one in self._placed if one.attacker.overrides("clock")]
        self._wall_clock = WallClock(stage.clock, EPOCH, [one.attacker for one in self._timing])
        self._operators = Operators(self._placed, stage.topology, lambda: stage.clock() - EPOCH)
        self._ca: Authority | None = None
        self._rng = random.Random(f"{seed} client")
        self._secrets: list[TlsSecret] = []
        self._client: list[ClientResult] = []
        self._decisions: list[Decision] = []
        self._seen_events = 0

    async def play(self) -> PhaseEvidence:
        """Play it, and return the evidence. Whatever happens, nothing is left running."""
        stage, world = self._stage, self._world
        engines = {part.role: part.engine for part in serving.parts(self._cell)}
        stage.loop.realtime = bool(engines) or self._cell.scenario.resolver.engine != REFERENCE
        stage.begin()
        serves = [zone for one in self._placed for zone in one.attacker.serves()]
        services = stage.servers(world, serves, self._secrets, engines, self._operators)
        programs = stage.programs(world, engines, self._secrets)
        stage.loop.others_busy = lambda: programs.busy
        resolver = self._resolver()
        links = by_link(self._placed)
        attacked = stage.attacked_links(world, links, self._secrets)
        try:
            if self._occupying:
                self._occupation = stage.occupation(world, self._occupying, self._secrets)
            if self._off_path:
                self._sender = stage.off_path(self._off_path)
            await programs.start()
            self._switch(attacked, links, 0)
            self._set_clock(0)
            await resolver.start()
            for number in range(len(self._cell.scenario.steps)):
                if number:
                    self._switch(attacked, links, number)
                    if self._set_clock(number):
                        resolver.set_clock()
                await self._step(resolver, services, programs, number)
                await stage.loop.quiesce()
                stage.recorder.mark(number)
                self._note(resolver, number)
            lasted = stage.clock() - EPOCH
            captures = stage.recorder.finish(len(self._cell.scenario.steps) - 1)
        finally:
            for attacked_link in attacked.values():
                attacked_link.close()
            if self._occupation is not None:
                self._occupation.close()
            self._wall_clock.begin_step(len(self._cell.scenario.steps), ())
            if self._sender is not None:
                self._sender.close()
                stage.spoiled = stage.spoiled or self._sender.remembered
            resolver.stop()
            if self._ca is not None:
                self._ca.close()
            services.close()
            programs.close()
            stage.loop.others_busy = None
            await stage.loop.quiesce()
            stage.loop.realtime = False
        return PhaseEvidence(
            captures=captures,
            secrets=self._secrets,
            client=self._client,
            decisions=self._decisions,
            attackers=[_report(one, captures, lasted) for one in self._placed],
            trouble=self._sender.trouble if self._sender is not None else [],
        )

    def _resolver(self) -> UnderTest:
        """The system under test, not yet started."""
        configured = configuration(self._cell, self._world)
        engine = self._cell.scenario.resolver.engine
        if engine != REFERENCE:
            configured = replace(configured, policy=effective(self._cell))
            signals = signals_that_matter(self._cell)
            return self._stage.program(catalogue.load(engine), configured, signals, self._wall_clock)
        rng = random.Random(f"{self._seed} resolver")
        return self._stage.resolver(configured, rng, self._secrets, self._wall_clock)

    def _switch(self, attacked: dict[str, AttackedLink], links: dict[str, list[Placed]], step: int) -> None:
        """Let those attackers act that are active in a step."""
        active = set(self._cell.scenario.attackers_at(step))
        for link, attacked_link in attacked.items():
            attacked_link.begin_step(step)
            attacked_link.switch(active_among(links[link], active))
        self._operators.begin_step(step, active)
        if self._occupation is not None:
            self._occupation.begin_step(step, active_among(self._occupying, active))
        if self._sender is not None:
            self._sender.begin_step(step)
            self._sender.switch(active_among(self._off_path, active))

    def _set_clock(self, step: int) -> bool:
        """Have the resolver's host take the time for what it is told in a step; whether that is a jump."""
        active = self._cell.scenario.attackers_at(step)
        return self._wall_clock.begin_step(step, active_among(self._timing, active))

    async def _step(self, resolver: UnderTest, services: Services, programs: Programs, number: int) -> None:
        match self._cell.scenario.steps[number]:
            case QueryStep() as step:
                await self._query(step.question, number)
            case AdvanceStep() as step:
                await self._advance(resolver, programs, step.seconds)
            case RestartStep():
                await resolver.restart()
            case FlushStep():
                await resolver.flush()
            case WaitIdleStep():
                await resolver.wait_idle()
            case BreakStep() as step:
                services.interrupt(step.role)
            case MendStep() as step:
                services.resume(step.role)
            case OrderStep() as step:
                await self._order(step.role, number)
            case ChangeStep() as step:
                self._change(services, step)

    async def _advance(self, resolver: UnderTest, programs: Programs, seconds: float) -> None:
        """Let time pass; programs are told that it has."""
        loop = self._stage.loop
        if not loop.realtime:
            await asyncio.sleep(seconds)
            return
        loop.skip(seconds)
        resolver.set_clock()
        await programs.advance(seconds)

    def _change(self, services: Services, step: ChangeStep) -> None:
        """Change zones; attackers know, as whoever asks for what is in them does."""
        self._world = self._world.changed(step.records, round(self._stage.clock() - EPOCH))
        services.publish(self._world)
        for one in self._placed:
            one.attacker.scene = replace(one.attacker.scene, zones=self._world.zones)

    async def _query(self, question: Question, step: int) -> None:
        """Ask the resolver as a stub does: over UDP, and over TCP when that was truncated."""
        topology = self._stage.topology
        query = message.query(question.name, question.rdtype, id=self._rng.getrandbits(16), dnssec_ok=False)
        query.flags |= dns.flags.RD | dns.flags.AD
        client, resolver = topology.client_addresses[0], topology.resolver_addresses[0]
        wire = query.to_wire()
        host = self._stage.network.client
        program = self._cell.scenario.resolver.engine != REFERENCE
        timeout = CLIENT_PATIENCE if program else CLIENT_TIMEOUT
        response: dns.message.Message | None = None
        if self._occupation is not None:
            await self._occupation.renew()
        if self._sender is not None:
            self._sender.cause(question)
        try:
            request = Datagram(resolver, 53, 0, wire, timeout)
            octets = await udp.exchange(host, (client, 0), (resolver, 53), wire, request.accepts, timeout)
            response = dns.message.from_wire(octets)
            if response.flags & dns.flags.TC:
                session = await tcp.connect(host, client, (resolver, 53), timeout=timeout)
                response = dns.message.from_wire(await session.exchange(wire, timeout))
                session.close()
        except (TransportError, dns.exception.DNSException):
            response = None
        truth = self._world.truth(question.name, question.rdtype)
        self._client.append(ClientResult(step, question.name, question.rdtype, response, truth))

    async def _order(self, role: str, step: int) -> None:
        """Order a certificate for the name of a role's server, with the attackers' account if any."""
        rng = random.Random(f"{self._seed} order {step}")
        if self._ca is None:
            configured = configuration_of_ca(self._cell, self._world)
            self._ca = self._stage.authority(configured, random.Random(f"{self._seed} ca"), self._secrets)
        account = private_key(self._seed, "account of whoever orders").public_key()
        domain = self._world.topology.by_role[role].name
        challenge = acme.challenge(domain, account, rng)
        active = self._cell.scenario.attackers_at(step)
        for one in self._placed:
            if one.number in active:
                one.attacker.challenged(challenge)
        try:
            await self._ca.check(challenge)
        except RefusalError as reason:
            outcome = f"the CA issues no certificate for {domain}: {reason}"
        else:
            self._obtained.add(role)
            outcome = f"the CA issues a certificate for {domain} to whoever ordered it"
        self._decisions.append(Decision(self._stage.clock(), step, "certificate", outcome))

    def _note(self, resolver: UnderTest, step: int) -> None:
        """Take over what the resolver decided in a step."""
        trace = resolver.trace
        self._decisions += [_decision(event, step) for event in trace[self._seen_events :]]
        self._seen_events = len(trace)


def _decision(event: TraceEvent, step: int) -> Decision:
    return Decision(
        event.time, step, event.kind, event.text, event.server, event.transport, event.authenticated
    )


def _report(placed: Placed, captures: dict[str, LinkCapture], lasted: float) -> AttackerReport:
    """What an attacker counted; one that only reads has seen every packet of its link, all the time."""
    if placed.passive:
        seen = len(captures[placed.link].frames)
        return AttackerReport(placed.name, placed.link, seen, 0, spent=Resources(presence=lasted))
    attacker = placed.attacker
    acted: Sequence[int] = list(attacker.actions.values())
    return AttackerReport(
        placed.name, placed.link, attacker.matches, sum(acted), dict(attacker.actions), attacker.spent
    )
