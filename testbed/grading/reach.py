"""Questions about what leads to encryption, whom a failure concerns, and whether time can be told."""

from __future__ import annotations

from testbed.grading.asking import WARM_UP, Experiments, Question, last, warm
from testbed.grading.reading import CLEAR, ENCRYPTED, Finding, Runs, packet, queries
from testbed.grading.subject import PUBLISHED, Subject

SIGNED = ["root", "target-parent", "ns-parent", "ns-zone"]
TOGETHER = "all at once"
"""The experiment in which everything is published and the resolver is told of no signal."""

NEIGHBOUR = "ns-zone"
"""Another server that encrypts, and whose zone is dnshost.net."""

AGED = "www.example.org"


def _signals(subject: Subject) -> Experiments:
    def experiment(published: tuple[str, ...], policy: dict[str, object]) -> dict[str, object]:
        return {
            "world": {"signal": list(published), "signed": SIGNED, "secure": ["target"]},
            "steps": [subject.at_target(0), "wait-idle", subject.at_target(1)],
            "policy": policy,
        }

    found = {name: experiment((name,), {"signals": [name]}) for name in subject.signals}
    if subject.unasked is not None:
        found[TOGETHER] = experiment(PUBLISHED, subject.unasked)
    return found


def encrypted_for(runs: Runs) -> tuple[str, ...]:
    """The experiments in which a query was encrypted."""
    return tuple(
        name
        for name, run in runs.items()
        if any(crossing.protection in ENCRYPTED for crossing in queries(run, "target"))
    )


def _read_signals(_subject: Subject, runs: Runs) -> Finding:
    found = encrypted_for(runs)
    lost = [name for name in runs if name not in found and name != TOGETHER]
    if not found:
        return Finding("bad", f"none of {', '.join(PUBLISHED)}")
    shown = tuple(
        packet(runs[name], next(one for one in queries(runs[name], "target") if one.protection in ENCRYPTED))
        for name in found[:1]
    )
    text = ", ".join(found) + (f"; not {', '.join(lost)}" if lost else "")
    return Finding("weak" if lost else "good", text, shown)


def _for_whom(subject: Subject) -> Experiments:
    """TLS with one server fails; then nobody attacks any more, and it and another server are asked."""
    if subject.role != "target":
        return {}
    neighbours = [{"query": f"n{number}.dnshost.net A"} for number in range(WARM_UP)]
    return {
        "one of two servers": {
            "world": {"signal": ["none"], "secure": [subject.role, NEIGHBOUR]},
            "attack": [{"attacker": "block-tls", "on": subject.role, "active": False}],
            "steps": [
                *warm(subject),
                *neighbours,
                "wait-idle",
                *([{"advance": "1h"}] if subject.time_travel else []),
                {"attack": "on"},
                subject.ask(WARM_UP),
                {"attack": "off"},
                subject.ask(WARM_UP + 1),
                {"query": f"n{WARM_UP + 1}.dnshost.net A"},
            ],
        }
    }


def _read_for_whom(subject: Subject, runs: Runs) -> Finding:
    ((name, run),) = runs.items()
    if not run.fired:
        return Finding("open", "there was no TLS to attack")
    words, shown = last(subject, runs, name, WARM_UP + 1)
    others = [one for one in queries(run, NEIGHBOUR) if f"n{WARM_UP + 1}." in one.text]
    if not any(one.protection in ENCRYPTED for one in queries(run, NEIGHBOUR)):
        return Finding("open", "the other server was never asked encrypted")
    if any(one.protection == CLEAR for one in others):
        return Finding("bad", "other servers are asked in clear, too", (packet(run, others[0]),))
    if CLEAR in words:
        return Finding("weak", "only the server itself is asked in clear", shown[:1])
    return Finding("good", "nobody: the server itself is asked encrypted again", shown[:1])


def _clock(subject: Subject) -> Experiments:
    if not subject.time_travel:
        return {}
    steps = [{"query": f"{AGED} A"}, {"advance": "2d"}, {"query": f"{AGED} A"}]
    return {"two days later": {"world": {"signal": ["none"]}, "steps": steps}}


def asked_anew(runs: Runs) -> bool:
    """Whether the server was asked again when the answer had expired."""
    (run,) = runs.values()
    return any(one.text.startswith(AGED) for one in queries(run, "target", 2))


def _read_clock(_subject: Subject, runs: Runs) -> Finding:
    if asked_anew(runs):
        return Finding(
            "good", "yes: two days later an answer with a TTL of one day or less is asked for anew"
        )
    return Finding("bad", "no: it answers from its cache as if no time had passed")


SIGNALS = Question("signals", "Which published signals lead to encryption?", _signals, _read_signals)
FOR_WHOM = Question("for-whom", "Whom does a failure of TLS concern?", _for_whom, _read_for_whom)
CLOCK = Question("clock", "Can it be told that time has passed?", _clock, _read_clock)
