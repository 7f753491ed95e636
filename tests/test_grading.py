"""Report cards: experiments are scenarios that load, and records are read for what they are."""

import pytest
from records import record as made

from testbed.engines import catalogue
from testbed.engines.applicable import obstacle
from testbed.grading import questions, subject
from testbed.grading.grade import grade
from testbed.grading.questions import QUESTIONS
from testbed.record import Crossing, Verdict
from testbed.reports import card
from testbed.run.not_run import record


def run(ladder):
    return made("grade/x").model_copy(update={"ladder": tuple(ladder)})


def crossing(**fields):
    return Crossing(**{"step": 0, "time": 0.0, **fields})


ENGINES = [*catalogue.names(), "reference"]


def question(name):
    return next(one for one in QUESTIONS if one.name == name)


def not_run(cells):
    return [record(cell, Verdict.SKIPPED, "no such <program>", None) for cell in cells]


@pytest.mark.parametrize("engine", ENGINES)
def test_every_experiment_is_a_scenario_that_its_engine_can_run(engine, tmp_path):
    cells = []

    def run_all(found):
        cells.extend(found)
        return not_run(found)

    ((_, grades),) = grade([subject.subject(engine)], tmp_path, run_all)
    assert len(grades) == len(QUESTIONS)
    assert cells
    if engine != "reference":
        described = catalogue.load(engine).description
        obstacles = {cell.id: obstacle(described, cell) for cell in cells}
        assert not any(obstacles.values()), obstacles
    assert all(cell.path.exists() for cell in cells)


def test_what_was_not_run_is_open_and_never_good(tmp_path):
    cards = grade([subject.subject("unbound"), subject.subject("reference")], tmp_path, not_run)
    assert {one.finding.mark for _, grades in cards for one in grades} == {"open"}
    assert "no such <program>" in card.markdown(cards)
    assert "no such &lt;program&gt;" in card.page(cards)
    assert "<program>" not in card.page(cards)


PROBER = subject.Subject("x", "X", "1", {}, "target", True)


def sent(step, number, protection, packet):
    return crossing(
        step=step,
        link="target",
        towards="far",
        transport="udp" if protection == "clear" else "dot",
        protection=protection,
        text=f"n{number}.example.org. A",
        packet=packet,
    )


def test_queries_in_clear_before_the_first_encrypted_one_are_counted():
    ladder = (sent(0, 0, "clear", 1), sent(1, 1, "clear", 3), sent(2, 2, "secure", 9))
    finding = question("encrypts").answer(PROBER, {"asked-repeatedly": run(ladder=ladder)})
    assert (finding.mark, finding.text) == ("weak", "yes, over dot, after 2 queries in clear to the server")
    assert [place.rpartition(":")[2] for place in finding.packets] == ["1", "9"]
    always = question("encrypts").answer(PROBER, {"asked-repeatedly": run(ladder=ladder[2:])})
    assert always.mark == "good"
    never = question("encrypts").answer(PROBER, {"asked-repeatedly": run(ladder=ladder[:1])})
    assert never.mark == "bad"


@pytest.mark.parametrize(("taken", "mark"), [("encrypted", "weak"), ("clear", "weak"), (None, "good")])
def test_certificates_that_are_taken_are_named(taken, mark):
    number = questions.WARM_UP
    valid = run(ladder=(sent(6, number, "secure", 5),))
    other = run(ladder=(sent(6, number, taken, 5),) if taken else (sent(0, 0, "clear", 1),))
    runs = {kind: valid if kind == "valid" else other for kind in questions.CERTIFICATES}
    finding = question("certificates").answer(PROBER, runs)
    assert finding.mark == mark
    assert ("self-signed, expired, wrong-name" in finding.text) == (taken is not None)


def test_one_that_never_encrypts_gets_no_grade_for_its_certificates():
    plain = run(ladder=(sent(6, questions.WARM_UP, "clear", 5),))
    runs = dict.fromkeys(questions.CERTIFICATES, plain)
    assert question("certificates").answer(PROBER, runs).mark == "open"


def test_the_whole_name_at_a_parent_is_no_minimisation():
    minimised = crossing(
        link="target-parent",
        towards="far",
        transport="udp",
        protection="clear",
        text="example.org. A",
        packet=1,
    )
    whole = crossing(
        link="target-parent",
        towards="far",
        transport="udp",
        protection="clear",
        text="secret.example.org. A",
        packet=3,
    )
    good, bad = run(ladder=(minimised,)), run(ladder=(minimised, whole))
    names = ("undisturbed", *questions.ERRORS)
    asks = question("minimisation")
    assert asks.answer(PROBER, dict.fromkeys(names, good)).mark == "good"
    assert asks.answer(PROBER, dict.fromkeys(names, bad)).mark == "bad"
    weak = asks.answer(PROBER, {**dict.fromkeys(names, good), "REFUSED": bad})
    assert (weak.mark, weak.text) == ("weak", "yes, but an error shows the whole name to the parent: REFUSED")
