"""Runs a scenario on a stage: baseline, attack, verdict, record, evidence."""

from __future__ import annotations

import time
from collections import OrderedDict
from dataclasses import dataclass

from testbed.engines import catalogue
from testbed.engines.program import EngineError
from testbed.evidence import PhaseEvidence
from testbed.record import AttackLine, Outcome, Run, Spent, TraceLine, Verdict
from testbed.run.cast import facts
from testbed.run.identity import identity
from testbed.run.keep import Keeper
from testbed.run.not_run import record
from testbed.run.phase import Phase
from testbed.run.stage import Stage
from testbed.scenario.cell import Cell
from testbed.verdict.dissect import dissect
from testbed.verdict.judge import judge
from testbed.verdict.views import PhaseView
from testbed.world.build import World, build
from testbed.world.changes import changes

REMEMBERED_BASELINES = 64


@dataclass(frozen=True)
class _Baseline:
    """The baseline of all cells that differ in nothing but their attackers, and where its evidence lies."""

    view: PhaseView
    folder: str | None

    @property
    def evidence(self) -> PhaseEvidence:
        """What the phase left behind."""
        return self.view.evidence


class Runner:
    """Runs scenarios, one after the other, on one stage at a time. Baselines are played once."""

    def __init__(self, stage: Stage, seed: int, keeper: Keeper | None) -> None:
        self.stage = stage
        self._seed = seed
        self._keeper = keeper
        self._baselines: OrderedDict[str, _Baseline] = OrderedDict()

    async def run(self, cell: Cell) -> Run:
        """Run a scenario, or a cell of its matrix. A program that fails leaves it inconclusive."""
        try:
            return await self._run(cell)
        except EngineError as error:
            return record(cell, Verdict.INCONCLUSIVE, f"{cell.scenario.resolver.engine}: {error}", False)

    async def _run(self, cell: Cell) -> Run:
        began = time.perf_counter()
        lasting = not catalogue.keeps_time(cell.scenario.resolver.engine)
        world = build(cell.topology, cell.scenario.world, self._seed, lasting=lasting)
        baseline = await self._baseline(cell, world)
        attack: PhaseEvidence | None = None
        if cell.scenario.attack:
            attack = await Phase(self.stage, cell, world, self._seed, attacked=True).play()
        judgement = judge(facts(cell, world), baseline.view, attack)
        last = attack if attack is not None else baseline.evidence
        folder = baseline.folder
        if attack is not None and self._keeper is not None:
            folder = self._keeper.keep(cell.id, attack, judgement.comments)
        outcome = judgement.outcome.model_copy(update=_changes(cell, self._seed))
        run = _record(cell, last, outcome, judgement.baseline, folder)
        run = run.model_copy(
            update={
                "ladder": judgement.ladder,
                "seed": self._seed,
                "duration_s": round(time.perf_counter() - began, 4),
                "baseline": judgement.baseline.model_copy(update={"evidence": baseline.folder}),
            }
        )
        if self._keeper is not None:
            self._keeper.record(run)
        return run

    async def _baseline(self, cell: Cell, world: World) -> _Baseline:
        key = cell.baseline_key
        held = self._baselines.get(key)
        if held is None:
            evidence = await Phase(self.stage, cell, world, self._seed, attacked=False).play()
            folder = None
            if self._keeper is not None:
                folder = self._keeper.keep(f"baselines/{key[:16]}", evidence, {})
            held = self._baselines[key] = _Baseline(dissect(evidence), folder)
            if len(self._baselines) > REMEMBERED_BASELINES:
                self._baselines.popitem(last=False)
        return held


def _changes(cell: Cell, seed: int) -> dict[str, int]:
    """What operators had to change for the rollout that a scenario is about, as fields of its outcome."""
    scenario = cell.scenario
    if not scenario.rollout:
        return {}
    made = changes(cell.topology, scenario.world, scenario.rollout, seed)
    return {"changed_rrsets": made.rrsets, "changed_zones": made.zones}


def _record(cell: Cell, last: PhaseEvidence, outcome: Outcome, baseline: Outcome, folder: str | None) -> Run:
    scenario = cell.scenario
    expectation = cell.expectation
    mismatches = expectation.mismatches(outcome, baseline) if expectation is not None else ()
    return Run(
        **{name: getattr(outcome, name) for name in Outcome.model_fields if name != "evidence"},
        evidence=folder,
        **identity(cell),
        says=scenario.says,
        why=cell.why,
        expected=None if expectation is None else not mismatches,
        mismatches=mismatches,
        as_claimed=_as_claimed(cell, outcome, baseline),
        attackers=tuple(
            AttackLine(
                attacker=report.attacker,
                link=report.link,
                matched=report.matched,
                acted=report.acted,
                actions=report.actions,
                spent=Spent(
                    injected=report.spent.injected,
                    altered=report.spent.altered,
                    held=report.spent.held,
                    presence_s=round(report.spent.presence, 3),
                ),
            )
            for report in last.attackers
        ),
        trace=tuple(
            TraceLine(
                step=decision.step,
                time=decision.time,
                kind=decision.kind,
                text=decision.text,
            )
            for decision in last.decisions
        ),
        links=cell.topology.links,
        attacked_links=tuple(dict.fromkeys(link for attack in scenario.attack for link in attack.on)),
    )


def _as_claimed(cell: Cell, outcome: Outcome, baseline: Outcome) -> bool | None:
    if cell.scenario.claim is None or cell.claimed is None or outcome.verdict is Verdict.INCONCLUSIVE:
        return None
    return not cell.claimed.mismatches(outcome, baseline)
