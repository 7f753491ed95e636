"""From a report card's experiments to what an engine is able to."""

from __future__ import annotations

from collections.abc import Sequence

from testbed.core.resolver.state import PRECONFIGURED
from testbed.engines.measured import Abilities
from testbed.grading.asking import WARM_UP, last
from testbed.grading.grade import Grade
from testbed.grading.questions import CERTIFICATES, QUESTIONS
from testbed.grading.reach import TOGETHER, asked_anew, encrypted_for
from testbed.grading.reading import ENCRYPTED, Runs, queries, unusable
from testbed.grading.subject import Subject
from testbed.record import Verdict

MEASURING = tuple(
    question
    for question in QUESTIONS
    if question.name in ("encrypts", "signals", "certificates", "root-mirror", "clock")
)
"""The questions whose experiments show what an engine is able to."""


def abilities(subject: Subject, grades: Sequence[Grade], digest: str) -> Abilities:
    """What the experiments of a subject show that it is able to; the rest is left open."""
    runs = {one.question.name: one.runs for one in grades if one.runs and unusable(one.runs) is None}
    found: dict[str, object] = {"digest": digest}
    if encrypts := runs.get("encrypts"):
        found |= _encryption(subject, encrypts)
    if found.get("transports"):
        if certificates := runs.get("certificates"):
            found["authentication"] = _authentication(subject, certificates)
        heard = encrypted_for(runs.get("signals", {}))
        own = PRECONFIGURED if subject.role == "root" else "probing"
        found["signals"] = (own, *(name for name in heard if name != TOGETHER))
        found["unheard"] = tuple(name for name in subject.signals if name not in heard)
    elif "transports" in found:
        found["signals"] = ()
    if mirror := runs.get("root-mirror"):
        found["mirror"] = _mirror(mirror)
    if clock := runs.get("clock"):
        found["time_travel"] = asked_anew(clock)
    return Abilities.model_validate(found)


def _encryption(subject: Subject, runs: Runs) -> dict[str, object]:
    (run,) = runs.values()
    asked = queries(run, subject.role)
    encrypted = [crossing for crossing in asked if crossing.protection in ENCRYPTED]
    sessions = any(
        crossing.protection in ENCRYPTED for crossing in run.ladder if crossing.link == subject.role
    )
    return {
        "transports": tuple(dict.fromkeys(crossing.transport for crossing in encrypted)),
        "first_query": bool(asked) and asked[0].protection in ENCRYPTED,
        "decrypts": bool(encrypted) if sessions else None,
    }


def _authentication(subject: Subject, runs: Runs) -> str:
    taken = [kind for kind in CERTIFICATES[1:] if last(subject, runs, kind, WARM_UP)[0] == "encrypted"]
    return "none" if taken else "required"


def _mirror(runs: Runs) -> tuple[str, ...]:
    """The ways to treat ZONEMD that can be relied on: what they should refuse is refused."""
    used = [name for name, run in runs.items() if run.verdict in (Verdict.LEAK, Verdict.HIJACK)]
    ways = ["ignore"]
    if not any("digest kept" in name for name in used):
        ways.append("verify")
        if not used:
            ways.append("require")
    return tuple(ways)
