"""What a scenario file means: shorthand spelt out, defaults filled in, everything typed and frozen."""

import contextlib

import dns.name
import dns.rdatatype
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError
from scenario_files import GOOD, cell, changed

from testbed.attack.timing import Timing
from testbed.core.notation import duration_text, parse_duration, parse_question, parse_record
from testbed.core.policy import POLICIES
from testbed.core.transport import Transport
from testbed.record import Counts, Outcome, Verdict
from testbed.scenario.expectation import Expectation, PhaseExpectation
from testbed.scenario.model import Scenario
from testbed.scenario.steps import AdvanceStep, AttackStep, FlushStep, QueryStep, RestartStep, WaitIdleStep

SHORT = "id: a\ntitle: b\n"


def test_the_shortest_scenario_is_one_query_in_a_world_without_anything():
    scenario = cell(SHORT).scenario
    assert scenario.topology == "hosted"
    assert (scenario.world.signal, scenario.world.signed, scenario.world.secure) == ({}, {}, {})
    assert scenario.world.hosted_zones == 10
    assert scenario.resolver.engine == "reference"
    assert scenario.resolver.policy == POLICIES["strict"]
    assert scenario.attack == ()
    (step,) = scenario.steps
    assert isinstance(step, QueryStep)
    assert str(step.question) == "secret.example.org A"
    assert cell(SHORT).expectation is None
    assert cell(SHORT).claimed is None


def test_the_example_of_a_human():
    scenario = cell(GOOD).scenario
    assert list(scenario.world.signal) == ["ds-glue"]
    assert list(scenario.world.signed) == ["root", "target-parent"]
    assert scenario.world.secure["target"].offers == ((Transport.DOT, 853),)
    (attack,) = scenario.attack
    assert attack.attacker_type.__name__ == "Tamper"
    assert attack.on == ("ns-parent",)
    assert attack.parameters == attack.attacker_type.Parameters()
    assert str(attack) == "tamper on ns-parent"


def test_shorthand_means_what_it_stands_for():
    long = changed(
        ("[ds-glue]", "{ds-glue: {}}"),
        ("[root, target-parent]\n", "{root: {denial: nsec}, target-parent: }\n"),
        ("[root, target-parent, target]", "{root: {}, target-parent: {transports: [dot]}, target: }"),
        ("policy: strict", "policy: {base: strict}"),
        ("on: ns-parent", "on: [ns-parent]"),
        ("verdict: leak", "- verdict: [leak]"),
    )
    assert cell(long).scenario == cell(GOOD).scenario
    assert cell(long).baseline_key == cell(GOOD).baseline_key
    assert cell(long).expectation == cell(GOOD).expectation


def test_options_of_the_world():
    text = changed(
        ("[ds-glue]", "{ds-glue: {ttl: 60}}"),
        ("[root, target-parent]\n", "{root: {denial: nsec3, opt_out: true, algorithm: ED25519}}\n"),
        ("[root, target-parent, target]", "{target: {certificate: expired, port: 8853}}"),
    )
    world = cell(text).scenario.world
    assert world.signal["ds-glue"].model_dump()["ttl"] == 60
    signing = world.signed["root"]
    assert (signing.denial, signing.opt_out, signing.algorithm) == ("nsec3", True, "ED25519")
    assert world.secure["target"].offers == ((Transport.DOT, 8853),)
    assert world.secure["target"].certificate == "expired"


def test_an_island_needs_no_signed_parent():
    world = cell(SHORT + "world: {signed: {target: {island: true}}}\n").scenario.world
    assert world.signed["target"].island


def test_a_server_may_be_secure_without_any_signal():
    assert "target" in cell(SHORT + "world: {secure: [target]}\n").scenario.world.secure


def test_a_policy_over_a_named_one():
    policy = cell(
        SHORT + "resolver: {policy: {base: opportunistic, minimisation: off}}\n"
    ).scenario.resolver.policy
    assert policy == POLICIES["opportunistic"].model_copy(update={"minimisation": "off"})
    policy = cell(SHORT + "resolver: {policy: {minimisation: off, name: mine}}\n").scenario.resolver.policy
    assert policy == POLICIES["strict"].model_copy(update={"minimisation": "off", "name": "mine"})


def test_parameters_become_the_attacker_s_own():
    attack = cell(
        changed(("on: ns-parent", "on: target\n    with: {how: forge, seconds: 2}"))
    ).scenario.attack[0]
    assert isinstance(attack.parameters, attack.attacker_type.Parameters)
    assert attack.parameters.model_dump()["how"] == "forge"


def test_off_path_attackers_sit_on_no_link():
    attack = cell(SHORT + "attack: [{attacker: spray}]\n").scenario.attack[0]
    assert attack.on == ()
    assert str(attack) == "spray"


def test_a_change_is_one_record_or_several():
    steps = "steps: [{change: www.example.org A 192.0.2.1}, {change: [a. TXT b, b. 60 TXT c]}, {query: a.}]\n"
    one, two, _ = cell(SHORT + steps).scenario.steps
    assert str(one) == "zones are changed and signed anew: www.example.org. 3600 A 192.0.2.1"
    assert [(record.name.to_text(), record.ttl) for record in two.records] == [("a.", 3600), ("b.", 60)]


def test_steps_are_typed():
    steps = """\
steps:
  - query: mail.example.org MX
  - query: secret.example.org
  - advance: 1d12h
  - attack: off
  - attack: {0: on, tamper: off}
  - restart: resolver
  - flush: resolver
  - wait-idle
  - wait-idle: true
"""
    text = SHORT + "attack: [{attacker: tamper, on: root}]\n" + steps
    mail, secret, advance, off, each, restart, flush, wait, wait_too = cell(text).scenario.steps
    assert isinstance(mail, QueryStep)
    assert mail.question.name == dns.name.from_text("mail.example.org.")
    assert mail.question.rdtype == dns.rdatatype.MX
    assert isinstance(secret, QueryStep)
    assert secret.question.rdtype == dns.rdatatype.A
    assert isinstance(advance, AdvanceStep)
    assert advance.seconds == 129600
    assert isinstance(off, AttackStep)
    assert off.switch is False
    assert isinstance(each, AttackStep)
    assert each.switch == {0: True, "tamper": False}
    assert (each.switch_of(0, "tamper"), each.switch_of(1, "tamper"), each.switch_of(2, "x")) == (
        True,
        False,
        None,
    )
    assert isinstance(restart, RestartStep)
    assert isinstance(flush, FlushStep)
    assert wait == wait_too
    assert isinstance(wait, WaitIdleStep)
    assert [str(step) for step in (mail, advance, off, each)] == [
        "the client asks for mail.example.org MX",
        "1d12h later",
        "all attackers are switched off",
        "attacker 0 is switched on and attacker tamper is switched off",
    ]


@pytest.mark.parametrize(
    ("attack", "steps", "active"),
    [
        ("", "[query: a.org, query: b.org]", [(0,), (0,)]),
        (", from_step: 1", "[query: a.org, query: b.org, query: c.org]", [(), (0,), (0,)]),
        (", active: false", "[query: a.org, attack: on, query: b.org]", [(), (0,), (0,)]),
        ("", "[query: a.org, attack: off, query: b.org, attack: {tamper: on}]", [(0,), (), (), (0,)]),
        (", from_step: 1", "[query: a.org, query: b.org, attack: {0: off}]", [(), (0,), ()]),
        (", from_step: 1", "[attack: on, query: b.org]", [(0,), (0,)]),
    ],
)
def test_which_attackers_are_active_when(attack, steps, active):
    scenario = cell(f"{SHORT}attack: [{{attacker: tamper, on: root{attack}}}]\nsteps: {steps}\n").scenario
    assert [scenario.attackers_at(number) for number in range(len(scenario.steps))] == active


@pytest.mark.parametrize(
    ("attack", "timing"),
    [
        ("", Timing()),
        (", during: {from: 1h}", Timing(start=3600)),
        (", during: {until: 90s}, at_most: 2", Timing(end=90, at_most=2)),
        (", when: first-contact, from_event: 3", Timing(when="first-contact", from_event=3)),
    ],
)
def test_when_an_attacker_acts(attack, timing):
    scenario = cell(f"{SHORT}attack: [{{attacker: tamper, on: root{attack}}}]\n").scenario
    assert scenario.attack[0].timing == timing


def test_scenarios_are_frozen():
    scenario = cell(GOOD).scenario
    with pytest.raises(ValidationError):
        scenario.title = "another"
    with pytest.raises(ValidationError):
        scenario.world.hosted_zones = 1


def test_a_scenario_can_be_made_without_a_file():
    scenario = Scenario.model_validate({"id": "a", "title": "b", "world": {"signed": ["root"]}})
    assert list(scenario.world.signed) == ["root"]
    with pytest.raises(ValidationError, match="unknown role 'rot'; did you mean 'root'"):
        Scenario.model_validate({"id": "a", "title": "b", "world": {"signed": ["rot"]}})


def test_records():
    text = SHORT + 'world: {records: [a.example.org 60 IN TXT "x y", "b.example.org AAAA 2001:db8::1"]}\n'
    first, second = cell(text).scenario.world.records
    assert str(first) == 'a.example.org. 60 TXT "x y"'
    assert str(second) == "b.example.org. 3600 AAAA 2001:db8::1"
    assert parse_record(str(first)) == first


def test_expectations_compare_outcomes():
    expectation = Expectation.model_validate(
        {"verdict": ["leak", "downgrade"], "leak": "none", "downgrade": True, "baseline": {"denial": False}}
    )
    good = Outcome(verdict=Verdict.DOWNGRADE, downgrade=True)
    baseline = Outcome(verdict=Verdict.SAFE)
    assert expectation.mismatches(good, baseline) == ()
    bad = Outcome(verdict=Verdict.SAFE, leak="name")
    assert expectation.mismatches(bad, Outcome(verdict=Verdict.DENIAL, denial=True)) == (
        "verdict: expected leak or downgrade, got safe",
        "leak: expected none, got name",
        "downgrade: expected true, got false",
        "baseline denial: expected false, got true",
    )
    assert expectation.mismatches(good) == ("baseline: expected one, got none",)


def test_an_inconclusive_run_is_only_as_expected_if_that_is_expected():
    outcome = Outcome(verdict=Verdict.INCONCLUSIVE)
    assert PhaseExpectation.model_validate({"leak": "none"}).mismatches(outcome) == (
        "verdict: expected hijack, leak, downgrade, denial or safe, got inconclusive",
    )
    assert PhaseExpectation.model_validate({"verdict": "inconclusive"}).mismatches(outcome) == ()


def test_costs_can_be_expected():
    expectation = PhaseExpectation.model_validate({"queries": [4, 5], "round_trips": 3, "handshakes": 0})
    as_wanted = Counts(queries=5, round_trips=3, packets=10, bytes=999)
    assert expectation.mismatches(Outcome(verdict=Verdict.SAFE, counts=as_wanted)) == ()
    dearer = Counts(queries=6, round_trips=4, handshakes=1)
    assert expectation.mismatches(Outcome(verdict=Verdict.SAFE, counts=dearer)) == (
        "queries: expected 4 or 5, got 6",
        "round_trips: expected 3, got 4",
        "handshakes: expected 0, got 1",
    )


FLAGS = st.fixed_dictionaries(
    {
        "leak": st.sampled_from(["none", "zone", "name"]),
        "hijack": st.booleans(),
        "downgrade": st.booleans(),
        "denial": st.booleans(),
    }
)


@given(FLAGS)
def test_the_headline_of_every_outcome_can_be_expected(flags):
    worst = ("hijack", flags["hijack"]), ("leak", flags["leak"] != "none")
    worst = *worst, ("downgrade", flags["downgrade"]), ("denial", flags["denial"])
    headline = next((verdict for verdict, happened in worst if happened), "safe")
    PhaseExpectation.model_validate({"verdict": headline, **flags})


@given(FLAGS)
def test_what_is_worse_than_a_verdict_contradicts_it(flags):
    """A leak that the deployment has at rest does not make the headline; the flags all do."""
    impossible = {
        "safe": flags["hijack"] or flags["downgrade"] or flags["denial"],
        "denial": flags["hijack"] or flags["downgrade"] or not flags["denial"],
        "downgrade": flags["hijack"] or not flags["downgrade"],
        "leak": flags["hijack"] or flags["leak"] == "none",
        "hijack": not flags["hijack"],
    }
    for verdict, contradiction in impossible.items():
        if contradiction:
            with pytest.raises(ValidationError):
                PhaseExpectation.model_validate({"verdict": verdict, **flags})
        else:
            PhaseExpectation.model_validate({"verdict": verdict, **flags})


@given(st.integers(min_value=1, max_value=3650 * 86400))
def test_durations_survive_being_written(seconds):
    assert parse_duration(duration_text(seconds)) == seconds


LABEL = st.binary(min_size=1, max_size=63)


@given(st.lists(LABEL, max_size=3))
def test_questions_survive_being_written(labels):
    name = dns.name.Name([*labels, b""])
    question = parse_question(f"{name} TXT")
    assert question.name == name
    assert parse_question(str(question)) == question


@given(st.text(), st.sampled_from([parse_question, parse_record, parse_duration]))
def test_small_languages_refuse_with_value_errors_only(text, parse):
    with contextlib.suppress(ValueError):
        parse(text)
