"""The questions of a report card: experiments, as scenarios, and how their records are read."""

from __future__ import annotations

import re
from typing import Any

from testbed.grading import reach
from testbed.grading.asking import WARM_UP, Experiments, Question, last, warm, world
from testbed.grading.reading import CLEAR, ENCRYPTED, Finding, Packet, Runs, packet, queries
from testbed.grading.subject import Subject
from testbed.record import Run, Verdict

HOWS = ("reset", "drop", "icmp", "alert")
CERTIFICATES = ("valid", "self-signed", "expired", "wrong-name")
NO_ANSWER = "no answer"
ADDRESS = "address"
"""A certificate that is valid, and has the server's addresses in the place of its name."""

TIMES = ("1h", "1d", "4d")
ERRORS = ("SERVFAIL", "REFUSED", "NXDOMAIN")
SECRET = "secret.example.org A"  # noqa: S105 - the sensitive name
FORGED = "secret.example.org. 300 A 203.0.113.66"
UNKNOWN_DS = "example.org. 3600 DS 4711 200 2 " + "ab" * 32
CHAIN = ["root", "target-parent", "target"]
_EDE = re.compile(r"EDE ([\d, ]+)")


# -- whether, when and over what -----------------------------------------------------------------------


def _encrypts(subject: Subject) -> Experiments:
    return {"asked-repeatedly": {"world": world(subject), "steps": [*warm(subject), subject.ask(WARM_UP)]}}


def _read_encrypts(subject: Subject, runs: Runs) -> Finding:
    run = runs["asked-repeatedly"]
    asked = queries(run, subject.role)
    encrypted = [crossing for crossing in asked if crossing.protection in ENCRYPTED]
    if not encrypted:
        return Finding("bad", "no, not as far as it can be configured here")
    before = asked.index(encrypted[0])
    hellos = [
        crossing.text for crossing in run.ladder if crossing.link == subject.role and "Hello" in crossing.text
    ]
    how = f"over {encrypted[0].transport}" + (f" ({hellos[0]})" if hellos else "")
    if before == 0:
        return Finding("good", f"yes, {how}, from the first query on", (packet(run, encrypted[0]),))
    text = f"yes, {how}, after {before} in clear to the server"
    return Finding("weak", text, (packet(run, asked[0]), packet(run, encrypted[0])))


def _first(subject: Subject) -> Experiments:
    attack = [{"attacker": "observe", "on": "target"}]
    return {"first-contact": {"world": world(subject), "attack": attack, "steps": [{"query": SECRET}]}}


def _read_first(_subject: Subject, runs: Runs) -> Finding:
    run = runs["first-contact"]
    shown = tuple(
        Packet(f"{run.evidence}/{exposure.capture}:{exposure.packet}", f"{exposure.link}: {exposure.text}")
        for exposure in run.exposures[:1]
    )
    if run.leak == "none":
        return Finding("good", "nothing is to be read on the link to the server")
    return Finding("bad", f"the first query shows the {run.leak} to whoever listens", shown)


# -- certificates --------------------------------------------------------------------------------------


def _certificates(subject: Subject) -> Experiments:
    steps = [*warm(subject), subject.ask(WARM_UP)]
    return {
        kind: {"world": world(subject, certificate=kind), "steps": steps} for kind in (*CERTIFICATES, ADDRESS)
    }


def _read_certificates(subject: Subject, runs: Runs) -> Finding:
    found = {kind: last(subject, runs, kind, WARM_UP) for kind in (*CERTIFICATES, ADDRESS)}
    if found["valid"][0] != "encrypted":
        return Finding("open", "it does not encrypt with a valid certificate either")
    taken = [kind for kind in CERTIFICATES[1:] if "encrypted" in found[kind][0]]
    packets = tuple(shown for kind in CERTIFICATES[1:] for shown in found[kind][1][:1])
    if taken:
        return Finding("weak", f"no: queries go to servers whose certificate is {', '.join(taken)}", packets)
    clear = [kind for kind in CERTIFICATES[1:] if CLEAR in found[kind][0]]
    if clear:
        return Finding("weak", f"yes, but it goes on in clear after: {', '.join(clear)}", packets)
    by = "name or address" if found[ADDRESS][0] == "encrypted" else "name"
    return Finding("good", f"yes, by {by}: it sends nothing where the certificate does not prove it")


# -- failures ------------------------------------------------------------------------------------------


def _failures(subject: Subject) -> Experiments:
    """TLS worked; when the sessions have ended, an attacker comes, and the next question is asked."""
    idle = [{"advance": "1h"}] if subject.time_travel else []
    steps = [*warm(subject), *idle, {"attack": "on"}, subject.ask(WARM_UP)]
    attacks: dict[str, dict[str, Any]] = {
        how: {"attacker": "block-tls", "with": {"how": how}} for how in HOWS
    }
    attacks["bad certificate"] = {"attacker": "impersonate", "with": {"certificate": "self-signed"}}
    return {
        name: {
            "world": world(subject),
            "attack": [{**attack, "on": subject.role, "active": False}],
            "steps": steps,
        }
        for name, attack in attacks.items()
    }


def _read_failures(subject: Subject, runs: Runs) -> Finding:
    found = {name: last(subject, runs, name, WARM_UP) for name in runs}
    idle = [name for name, run in runs.items() if not run.fired]
    if len(idle) == len(runs):
        return Finding("open", "there was no TLS to attack")
    text = "; ".join(f"{name}: {words} ({_rcode(runs[name])})" for name, (words, _) in found.items())
    packets = tuple(shown for words, where in found.values() if CLEAR in words for shown in where[-1:])
    clear = any(CLEAR in words for words, _ in found.values())
    given = found["bad certificate"][0] == "encrypted" and runs["bad certificate"].fired
    return Finding("bad" if clear else "weak" if given else "good", text, packets)


def _rcode(run: Run) -> str:
    """How the last question was answered."""
    answer = run.answer[-1]
    return answer if answer == NO_ANSWER else answer.split()[0]


LAST_OCCASION = WARM_UP + 5
"""The name by whose query a resolver should have noticed that nobody attacks any more. PowerDNS Recursor
begins the probe that follows a damping period up to seven seconds after it has met the server again.
"""


def _switch_off(subject: Subject) -> Experiments:
    """One connection fails, then nobody attacks any more; the server is asked again some time later."""
    if not subject.time_travel:
        return {}
    before = [*warm(subject), {"advance": "1h"}, {"attack": "on"}, subject.ask(WARM_UP), {"attack": "off"}]
    return {
        after: {
            "world": world(subject),
            "attack": [{"attacker": "block-tls", "on": subject.role, "active": False}],
            "steps": [
                *before,
                {"advance": after},
                *(
                    step
                    for number in range(WARM_UP + 1, LAST_OCCASION)
                    for step in (subject.ask(number), "wait-idle")
                ),
                subject.ask(LAST_OCCASION),
            ],
        }
        for after in ("1s", *TIMES)
    }


def _read_switch_off(subject: Subject, runs: Runs) -> Finding:
    if not any(run.fired for run in runs.values()):
        return Finding("open", "there was no TLS to attack")
    found = {after: last(subject, runs, after, LAST_OCCASION) for after in runs}
    clear = [after for after, (words, _) in found.items() if CLEAR in words]
    acted = "one connection" if max(run.acted for run in runs.values()) == 1 else "several connections"
    packets = tuple(shown for after in clear for shown in found[after][1][:1])
    if not clear:
        return Finding("good", "no: as soon as the attack ends it encrypts again")
    mended = [after for after, (words, _) in found.items() if words == "encrypted"]
    until = f"; encrypted again after {mended[0]}" if mended else "; not encrypted again within 4d"
    return Finding("bad", f"yes, {acted} interfered with; in clear after {', '.join(clear)}{until}", packets)


def _memory(subject: Subject) -> Experiments:
    if not subject.time_travel:
        return {}
    return {
        after: {
            "world": world(subject),
            "steps": [*warm(subject), subject.ask(WARM_UP), {"advance": after}, subject.ask(WARM_UP + 1)],
        }
        for after in TIMES
    }


def _read_memory(subject: Subject, runs: Runs) -> Finding:
    if any("encrypted" not in last(subject, runs, after, WARM_UP)[0] for after in runs):
        return Finding("open", "it does not encrypt")
    found = {after: last(subject, runs, after, WARM_UP + 1) for after in runs}
    kept = [after for after, (words, _) in found.items() if words == "encrypted"]
    packets = tuple(shown for _, where in found.values() for shown in where[:1])
    if len(kept) == len(found):
        return Finding("good", "longer than 4d, or it needs no memory", packets)
    mark = "weak" if kept else "bad"
    return Finding(
        mark, f"still encrypted after: {', '.join(kept) or 'none of ' + ', '.join(TIMES)}", packets
    )


# -- QNAME minimisation --------------------------------------------------------------------------------


def _minimises(_subject: Subject) -> Experiments:
    plain = {"world": {"signal": ["none"]}, "steps": [{"query": SECRET}]}
    errors = {
        rcode: {
            "world": {"signal": ["none"]},
            "attack": [{"attacker": "answer", "on": "target-parent", "with": {"rcode": rcode}}],
            "steps": [{"query": SECRET}],
        }
        for rcode in ERRORS
    }
    return {"undisturbed": plain, **errors}


def _read_minimises(_subject: Subject, runs: Runs) -> Finding:
    shown = {
        name: [
            crossing
            for link in ("root", "target-parent")
            for crossing in queries(run, link)
            if crossing.text.lower().startswith("secret.")
        ]
        for name, run in runs.items()
    }
    packets = tuple(packet(runs[name], found[0]) for name, found in shown.items() if found)
    if shown["undisturbed"]:
        return Finding("bad", "no: the parents' servers see the whole name", packets)
    told = [name for name in ERRORS if shown[name]]
    if told:
        return Finding(
            "weak", f"yes, but an error shows the whole name to the parent: {', '.join(told)}", packets
        )
    return Finding("good", f"yes, and keeps to it at {', '.join(ERRORS)}")


# -- root mirror, DNSSEC, EDE --------------------------------------------------------------------------


def _mirror(subject: Subject) -> Experiments:
    if not subject.mirror:
        return {}
    return {
        f"{signed}, digest {digest}": {
            "world": {"signal": ["root-mirror"], "signed": CHAIN[:2] if signed == "signed" else []},
            "attack": [
                {"attacker": "tamper-transfer", "on": "mirror", "with": {"forge": "glue", "digest": digest}}
            ],
            "steps": [{"query": SECRET}],
            "policy": {"mirror": subject.mirror, "encryption": "never"},
        }
        for signed in ("signed", "unsigned")
        for digest in ("kept", "removed")
    }


def _read_mirror(subject: Subject, runs: Runs) -> Finding:
    fired = {name: run for name, run in runs.items() if run.fired}
    if not fired:
        return Finding("open", "it fetched no copy")
    used = [name for name, run in fired.items() if run.verdict in (Verdict.LEAK, Verdict.HIJACK)]
    if used:
        return Finding("bad", f"an altered copy is used: {'; '.join(used)} (mirror: {subject.mirror})")
    return Finding("good", f"yes, altered copies are refused: {'; '.join(fired)} (mirror: {subject.mirror})")


def _unknown_ds(_subject: Subject) -> Experiments:
    attack = [
        {"attacker": "answer", "on": "target", "with": {"names": ["secret.example.org"], "records": [FORGED]}}
    ]
    world = {"signal": ["none"], "signed": CHAIN}
    return {
        "known algorithm": {"world": world, "attack": attack, "steps": [{"query": SECRET}]},
        "and an unknown one": {
            "world": {**world, "records": [UNKNOWN_DS]},
            "attack": attack,
            "steps": [{"query": SECRET}],
        },
    }


def _read_unknown_ds(_subject: Subject, runs: Runs) -> Finding:
    taken = [name for name, run in runs.items() if run.hijack]
    unfit = [f"{name}: {run.reason}" for name, run in runs.items() if run.verdict is Verdict.INCONCLUSIVE]
    if taken:
        return Finding("bad", f"a forged answer is accepted: {', '.join(taken)}")
    if unfit:
        return Finding("open", "; ".join(unfit))
    return Finding(
        "good", "yes: forged answers are refused with and without a DS record of an unknown algorithm"
    )


def _errors(subject: Subject) -> Experiments:
    forged = _unknown_ds(subject)["known algorithm"]
    silent = [{"attacker": "hinder", "on": "target", "with": {"how": "drop"}}]
    plain = {"signal": ["none"]}
    return {
        "forged answer": forged,
        "silence": {"world": plain, "attack": silent, "steps": [{"query": SECRET}]},
        "refusal": {
            "world": plain,
            "attack": [{"attacker": "answer", "on": "target", "with": {"rcode": "REFUSED"}}],
            "steps": [{"query": SECRET}],
        },
    }


def _read_errors(_subject: Subject, runs: Runs) -> Finding:
    codes = {
        name: [found[1] for text in run.answer if (found := _EDE.search(text))] for name, run in runs.items()
    }
    silent = {name: f", {NO_ANSWER}" if NO_ANSWER in run.answer else "" for name, run in runs.items()}
    text = "; ".join(f"{name}: {', '.join(found) or 'none'}{silent[name]}" for name, found in codes.items())
    said = sum(bool(found) for found in codes.values())
    return Finding("good" if said == len(codes) else "weak" if said else "bad", text)


QUESTIONS = (
    Question(
        "encrypts", "Does it encrypt to authoritative servers, when, over what?", _encrypts, _read_encrypts
    ),
    reach.SIGNALS,
    Question("first-contact", "What does it show on first contact?", _first, _read_first),
    Question("certificates", "Does it check certificates?", _certificates, _read_certificates),
    Question("failures", "What does it do when TLS that worked fails?", _failures, _read_failures),
    Question(
        "switch-off", "Does one failure switch encryption off, for how long?", _switch_off, _read_switch_off
    ),
    reach.FOR_WHOM,
    Question("memory", "How long does it remember that a server encrypts?", _memory, _read_memory),
    Question("minimisation", "Does it minimise names, under errors too?", _minimises, _read_minimises),
    Question("root-mirror", "Is a copy of the root zone checked?", _mirror, _read_mirror),
    Question(
        "unknown-ds",
        "Is a zone with a DS of an unknown algorithm still secure?",
        _unknown_ds,
        _read_unknown_ds,
    ),
    Question("errors", "Which extended DNS errors does it give?", _errors, _read_errors),
    reach.CLOCK,
)
