"""Planted downgrades, forgeries and denials must raise their flags, and nothing else."""

import pytest
from packets import (
    EPOCH,
    make_query,
    make_response,
)
from phases import ADDRESS, FORGED, LEAK, NAME, SIGNATURE, Walk, control, facts, flags, in_clear, judged

from testbed.evidence import Decision
from testbed.record import Verdict


def test_encrypted_but_no_longer_authenticated():
    walk = Walk()

    def target() -> None:
        walk.authenticates = False
        walk.target()

    judgement = judged(facts("target"), walk.resolve(target).evidence("x@target"))
    assert flags(judgement) == {"verdict": Verdict.DOWNGRADE, "downgrade": True}


def test_a_resolver_that_reports_nothing_gets_the_benefit_of_the_doubt():
    walk = Walk(authenticates=None)
    judgement = judged(facts("target"), walk.resolve().evidence("x@target"), control(authenticates=None))
    assert flags(judgement) == {}
    assert {c.protection for c in judgement.ladder if c.transport == "dot" and "Hello" not in c.text} == {
        "secure"
    }


@pytest.mark.parametrize(
    ("response", "raised"),
    [
        ({"answer": [FORGED]}, {"verdict": Verdict.HIJACK, "hijack": True}),
        ({"answer": [ADDRESS, FORGED]}, {"verdict": Verdict.HIJACK, "hijack": True}),
        ({"rcode": "NXDOMAIN"}, {"verdict": Verdict.HIJACK, "hijack": True}),
        ({}, {}),
        ({"rcode": "SERVFAIL"}, {"verdict": Verdict.DENIAL, "denial": True}),
        ({"rcode": "REFUSED"}, {"verdict": Verdict.DENIAL, "denial": True}),
        ({"rcode": "none"}, {"verdict": Verdict.DENIAL, "denial": True}),
        ({"rcode": "SERVFAIL", "ede": 22}, {"verdict": Verdict.DENIAL, "denial": True, "detected": True}),
        ({"answer": [ADDRESS], "ede": 10}, {"detected": True}),
    ],
)
def test_what_the_client_gets(response, raised):
    evidence = Walk().resolve(**response).evidence("x@target")
    assert flags(judged(facts("target"), evidence)) == raised


def test_no_such_name_instead_of_no_data():
    """There is no data either way; the denial of the name is forged all the same."""
    baseline, walk = Walk().resolve(answer=[ADDRESS]), Walk().resolve(rcode="NXDOMAIN")
    for client in (baseline.tape.client, walk.tape.client):
        client[0].truth.answer.clear()
    baseline.tape.client[0].response.answer.clear()
    judgement = judged(facts("target"), walk.evidence("x@target"), baseline.evidence())
    assert flags(judgement) == {"verdict": Verdict.HIJACK, "hijack": True}
    assert judgement.baseline.answer == ("NOERROR (no data)",)


def test_no_data_instead_of_data():
    walk = Walk().resolve(answer=[ADDRESS])
    walk.tape.client[0].response.answer.clear()
    assert flags(judged(facts("target"), walk.evidence("x@target"))) == {
        "verdict": Verdict.HIJACK,
        "hijack": True,
    }


@pytest.mark.parametrize(
    ("answer", "hijack"),
    [
        ([f"{NAME} 7 IN A 192.0.2.80", SIGNATURE], False),
        ([f"{NAME} 300 IN CNAME x.net.", "x.net. 300 IN A 192.0.2.80"], False),
        ([f"{NAME} 300 IN CNAME x.net.", "x.net. 300 IN A 203.0.113.66", ADDRESS.replace("sec", "x")], True),
        (["x.net. 300 IN A 192.0.2.80"], True),
        ([f"{NAME} 300 IN CNAME {NAME}"], True),
    ],
)
def test_aliases_are_followed_and_ttls_do_not_matter(answer, hijack):
    judgement = judged(facts("target"), Walk().resolve(answer=answer).evidence("x@target"))
    assert judgement.outcome.hijack is hijack


def test_detection():
    evidence = Walk().resolve(rcode="SERVFAIL", ede=22).evidence("x@target")
    alarm = Decision(EPOCH, 0, "alarm", "the certificate is not ours")
    baseline = control()
    assert judged(facts("target"), evidence, baseline).outcome.detected
    loud = Walk().resolve().evidence("x@target")
    loud.decisions.append(alarm)
    assert flags(judged(facts("target"), loud, baseline)) == {"detected": True}
    baseline.decisions.append(alarm)
    assert flags(judged(facts("target"), loud, baseline)) == {}


def test_the_worst_comes_first():
    walk = Walk()
    evidence = walk.resolve(lambda: in_clear(walk), answer=[FORGED]).evidence("x@target")
    judgement = judged(facts("target"), evidence)
    assert flags(judgement) == {
        "verdict": Verdict.HIJACK,
        "hijack": True,
        "leak": "name",
        "downgrade": True,
    }


def test_each_step_is_judged():
    def twice(second) -> Walk:
        walk = Walk().resolve()
        walk.tape.step, walk.tape.time = 1, walk.tape.time + 3600
        query = make_query(NAME)
        answer = make_response(query, answer=[ADDRESS])
        walk.tape.client_asks(NAME, answer, answer, middle=lambda: second(walk))
        return walk

    baseline = twice(Walk.target).evidence()
    quiet = twice(Walk.target).evidence("x@target")
    assert flags(judged(facts("target"), quiet, baseline)) == {}
    loud = twice(in_clear).evidence("x@target")
    judgement = judged(facts("target"), loud, baseline)
    assert flags(judgement) == {**LEAK, "downgrade": True}
    assert [exposure.step for exposure in judgement.outcome.exposures] == [1]
    assert judgement.outcome.answer == ("NOERROR secret.example.org. A 192.0.2.80",) * 2
