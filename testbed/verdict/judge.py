"""From the evidence of two phases to a verdict."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

from testbed.evidence import PhaseEvidence
from testbed.record import Crossing, Exposure, Outcome, Verdict
from testbed.verdict import answers, crosscheck, exposures, queries
from testbed.verdict.counts import count
from testbed.verdict.dissect import dissect
from testbed.verdict.exposures import Eyes
from testbed.verdict.facts import Facts
from testbed.verdict.ladder import ladder
from testbed.verdict.messages import question_text
from testbed.verdict.queries import Asked, Downgrade, Trust
from testbed.verdict.secret import SecretNames, word
from testbed.verdict.views import PhaseView


@dataclass(frozen=True)
class Judgement:
    """What two phases came to. ``ladder`` and ``comments`` are those of the last one.

    ``comments`` go into the capture files: texts by link and packet number.
    """

    baseline: Outcome
    outcome: Outcome
    ladder: tuple[Crossing, ...]
    comments: dict[str, dict[int, str]]


@dataclass(frozen=True)
class _Phase:
    """A phase, and what was found in it."""

    view: PhaseView
    trust: Trust
    asked: list[Asked]
    exposures: tuple[Exposure, ...]
    doubts: list[str]

    @property
    def evidence(self) -> PhaseEvidence:
        return self.view.evidence


def judge(
    facts: Facts, baseline: PhaseEvidence | PhaseView, attack: PhaseEvidence | PhaseView | None
) -> Judgement:
    """Judge a run, by comparison with its baseline: the same world and steps without the attacker.

    Both phases are looked at with the eyes of the same attacker, so that what is exposed at rest shows in
    both. The baseline's own verdict counts that as a leak. The run's verdict is the worst of

    - hijack: the client accepted an answer that is not true;
    - leak: the attacker learned more than in the baseline, or anything at all if it only listens;
    - downgrade: see ``queries.downgrades``;
    - denial: what the baseline answered was not answered;
    - safe: none of these;

    and inconclusive, with a reason and all else as it was observed, when the evidence of either phase cannot
    be relied on (``crosscheck.doubts``), when the baseline did not give the client true answers, or when an
    active attack never acted.

    A phase that is judged more than once can be given as what ``dissect.dissect`` makes of it.

    Without an ``attack`` nobody is there to learn or to alter anything: the baseline itself is the outcome,
    and comes to safe, denial or, with untrue answers, hijack.
    """
    if attack is None:
        facts = replace(facts, attacked_links=frozenset(), attacker_roles=frozenset())
    names = SecretNames(facts.target_zone, facts.sensitive_name)
    eyes = Eyes(facts, names)
    views = [
        phase if isinstance(phase, PhaseView) else dissect(phase)
        for phase in (baseline, attack)
        if phase is not None
    ]
    decisions = [decision for view in views for decision in view.evidence.decisions]
    reports = any(queries.says_identity(decision) for decision in decisions)
    before = _examine(facts, views[0], names, eyes, reports, None)
    at_rest = _baseline_outcome(facts, before)
    if attack is None:
        crossings = ladder(facts, before.view, names, eyes, before.trust)
        return Judgement(at_rest, at_rest, crossings, {})
    now = _examine(facts, views[1], names, eyes, reports, before.exposures)
    downgrades = queries.downgrades(facts, before.asked, now.asked)
    outcome = _attack_outcome(facts, before, now, bool(downgrades))
    crossings = ladder(facts, now.view, names, eyes, now.trust)
    return Judgement(at_rest, outcome, crossings, _comments(facts, now, downgrades, crossings))


def _examine(
    facts: Facts,
    view: PhaseView,
    names: SecretNames,
    eyes: Eyes,
    reports: bool,
    at_rest: Iterable[Exposure] | None,
) -> _Phase:
    trust = Trust(view, reports)
    return _Phase(
        view,
        trust,
        queries.asked(facts, view, names, trust),
        exposures.find(facts, view, names, eyes, at_rest),
        list(crosscheck.doubts(facts, view, names, eyes)),
    )


def _baseline_outcome(facts: Facts, phase: _Phase) -> Outcome:
    results = phase.evidence.client
    hijack = any(answers.untrue(result) for result in results)
    denial = not all(answers.answered(result) for result in results)
    leak = exposures.leak(phase.exposures)
    reason = phase.doubts[0] if phase.doubts else ""
    return Outcome(
        verdict=_headline(reason=reason, hijack=hijack, leak=bool(leak), downgrade=False, denial=denial),
        leak=word(leak),
        hijack=hijack,
        denial=denial,
        detected=answers.detected((), results, (), answers.alarms(phase.evidence.decisions)),
        encrypting_share=queries.encrypting_share(facts, phase.asked),
        exposures=phase.exposures,
        counts=count(phase.view),
        answer=tuple(answers.text(result) for result in results),
        reason=reason,
    )


def _attack_outcome(facts: Facts, before: _Phase, now: _Phase, downgrade: bool) -> Outcome:
    baseline, attack = before.evidence, now.evidence
    hijack = any(answers.untrue(result) for result in attack.client)
    denial = answers.denied(baseline.client, attack.client)
    leak = exposures.leak(now.exposures)
    counts_as_leak = leak > (0 if facts.passive else exposures.leak(before.exposures))
    fired = any((report.matched if facts.passive else report.acted) > 0 for report in attack.attackers)
    reason = next(_reasons(facts, before, now, fired), "")
    return Outcome(
        verdict=_headline(
            reason=reason, hijack=hijack, leak=counts_as_leak, downgrade=downgrade, denial=denial
        ),
        leak=word(leak),
        downgrade=downgrade,
        hijack=hijack,
        denial=denial,
        detected=answers.detected(
            baseline.client,
            attack.client,
            answers.alarms(baseline.decisions),
            answers.alarms(attack.decisions),
        ),
        fired=fired,
        acted=sum(report.acted for report in attack.attackers),
        injected=sum(report.spent.injected for report in attack.attackers),
        encrypting_share=queries.encrypting_share(facts, now.asked),
        exposures=now.exposures,
        counts=count(now.view),
        answer=tuple(answers.text(result) for result in attack.client),
        reason=reason,
    )


def _reasons(facts: Facts, before: _Phase, now: _Phase, fired: bool) -> Iterator[str]:
    """Why a run is inconclusive, if it is."""
    yield from (f"baseline: {doubt}" for doubt in before.doubts)
    for result in before.evidence.client:
        failure = answers.unexpected(result)
        if failure is not None:
            yield f"the baseline failed: {failure}"
    if answers.other_questions(before.evidence.client, now.evidence.client):
        yield "the client did not ask the same as in the baseline"
    yield from now.doubts
    if not facts.passive and not fired:
        reports = now.evidence.attackers
        idle = "; ".join(
            f"{report.attacker}{f' on {report.link}' if report.link else ''} matched {report.matched}"
            " and did nothing"
            for report in reports
        )
        yield f"the attack never fired: {idle or 'no attacker reported'}"


def _headline(*, reason: str, hijack: bool, leak: bool, downgrade: bool, denial: bool) -> Verdict:
    if reason:
        return Verdict.INCONCLUSIVE
    flags = {
        Verdict.HIJACK: hijack,
        Verdict.LEAK: leak,
        Verdict.DOWNGRADE: downgrade,
        Verdict.DENIAL: denial,
    }
    return next((verdict for verdict, raised in flags.items() if raised), Verdict.SAFE)


def _comments(
    facts: Facts, phase: _Phase, downgrades: Iterable[Downgrade], crossings: Iterable[Crossing]
) -> dict[str, dict[int, str]]:
    """Comments for the packets that decided: exposed, downgraded, altered, or not understood."""
    texts: dict[str, dict[int, list[str]]] = {}

    def add(link: str, packet: int, comment: str) -> None:
        comments = texts.setdefault(link, {}).setdefault(packet, [])
        if comment not in comments:
            comments.append(comment)

    for exposure in phase.exposures:
        rest = ", as it would without the attack" if exposure.at_rest else ""
        add(
            exposure.link,
            exposure.packet,
            f"the attacker learns the {exposure.secret}{rest}: {exposure.text}",
        )
    for downgrade in downgrades:
        message = downgrade.asked.message
        add(
            message.link,
            message.frame.number,
            f"downgrade: {question_text(downgrade.asked.question)} to {downgrade.asked.role} is "
            f"{downgrade.asked.protection.label}; it was {downgrade.before.label} in the baseline",
        )
    for crossing in crossings:
        if crossing.altered:
            deed = "made or changed" if crossing.towards == "resolver" else "stopped"
            add(crossing.link, crossing.packet, f"{deed} by the attacker: {crossing.text}")
    for link in sorted(facts.attacked_links):
        for number in sorted(number for side in phase.view.sides(link) for number in side.opaque):
            add(link, number, "not understood by the verdict, which has searched it for the name only")
    return {
        link: {packet: "; ".join(comments) for packet, comments in sorted(packets.items())}
        for link, packets in texts.items()
    }
