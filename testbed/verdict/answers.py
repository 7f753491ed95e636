"""What the client got: whether it is an answer, whether it is true, and whether it tells of trouble."""

from __future__ import annotations

from collections.abc import Sequence

import dns.message
import dns.name
import dns.rcode
import dns.rdata
import dns.rdataclass
import dns.rdatatype

from testbed.core.message import ede
from testbed.evidence import ClientResult, Decision

ALIASES = 16
"""CNAME records that are followed in a response."""

_ANSWERS = (dns.rcode.NOERROR, dns.rcode.NXDOMAIN)


def answered(result: ClientResult) -> bool:
    """Whether the client got an answer: data, or that there are none."""
    return result.response is not None and result.response.rcode() in _ANSWERS


def untrue(result: ClientResult) -> bool:
    """Whether the client got an answer that differs from the truth: in RCODE, or in the data themselves.

    CNAME records are followed; TTLs, the order of records, and all that is not asked for do not matter.
    """
    if not answered(result):
        return False
    assert result.response is not None
    if result.response.rcode() != result.truth.rcode():
        return True
    return _data(result.response, result)[1] != _data(result.truth, result)[1]


def unexpected(result: ClientResult) -> str | None:
    """Why a result cannot serve as a baseline, None if it can."""
    if not answered(result):
        return f"{_question(result)}: {text(result)}"
    return f"{_question(result)}: untrue answer {text(result)}" if untrue(result) else None


def denied(baseline: Sequence[ClientResult], attack: Sequence[ClientResult]) -> bool:
    """Whether some query was answered in the baseline and not under attack."""
    return any(answered(before) and not answered(now) for before, now in zip(baseline, attack, strict=False))


def detected(
    baseline: Sequence[ClientResult],
    attack: Sequence[ClientResult],
    alarms_before: Sequence[Decision],
    alarms: Sequence[Decision],
) -> bool:
    """Whether the resolver told somebody of the attack, by an extended DNS error or an alarm.

    What it says without the attack as well tells nothing of it.
    """
    known = {(alarm.step, alarm.text) for alarm in alarms_before}
    if any((alarm.step, alarm.text) not in known for alarm in alarms):
        return True
    return any(
        not _codes(now.response) <= _codes(baseline[index].response if index < len(baseline) else None)
        for index, now in enumerate(attack)
    )


def alarms(decisions: Sequence[Decision]) -> list[Decision]:
    """The alarms among decisions."""
    return [decision for decision in decisions if decision.kind == "alarm"]


def other_questions(baseline: Sequence[ClientResult], attack: Sequence[ClientResult]) -> bool:
    """Whether the client did not ask the same in both phases, so that they cannot be compared."""
    return [_key(result) for result in baseline] != [_key(result) for result in attack]


def text(result: ClientResult) -> str:
    """One line: "NOERROR secret.example.org. A 192.0.2.80", "SERVFAIL (EDE 22)", "no answer"."""
    response = result.response
    if response is None:
        return "no answer"
    parts = [dns.rcode.to_text(response.rcode())]
    if response.rcode() == dns.rcode.NOERROR:
        owner, data = _data(response, result)
        texts = " ".join(sorted(rdata.to_text() for rdata in data))
        parts.append(f"{owner} {dns.rdatatype.to_text(result.qtype)} {texts}" if data else "(no data)")
    codes = ", ".join(str(code) for code in sorted(_codes(response)))
    if codes:
        parts.append(f"(EDE {codes})")
    return " ".join(parts)


def _data(
    message: dns.message.Message, result: ClientResult
) -> tuple[dns.name.Name, frozenset[dns.rdata.Rdata]]:
    """The records of the type asked for at the end of the chain of aliases, and where that is."""
    if result.qtype == dns.rdatatype.ANY:
        every = [rrset for rrset in message.answer if rrset.rdtype != dns.rdatatype.RRSIG]
        return result.qname, frozenset(rdata for rrset in every for rdata in rrset)
    sets = {(rrset.name, rrset.rdtype): rrset for rrset in message.answer}
    name = result.qname
    for _ in range(ALIASES):
        found = sets.get((name, result.qtype))
        if found is not None:
            return name, frozenset(found)
        alias = sets.get((name, dns.rdatatype.CNAME))
        if alias is None:
            break
        name = alias[0].target
    return name, frozenset()


def _codes(response: dns.message.Message | None) -> frozenset[int]:
    return frozenset(code for code, _ in ede(response)) if response is not None else frozenset()


def _question(result: ClientResult) -> str:
    return f"{result.qname} {dns.rdatatype.to_text(result.qtype)}"


def _key(result: ClientResult) -> tuple[int, dns.name.Name, int]:
    return result.step, result.qname, result.qtype
