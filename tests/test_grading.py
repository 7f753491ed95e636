"""Report cards: experiments are scenarios that load, and records are read for what they are."""

import pytest
from records import record as made

from testbed.engines import catalogue
from testbed.engines.applicable import obstacle
from testbed.engines.program import READY
from testbed.grading import accepted, questions, subject
from testbed.grading.abilities import abilities
from testbed.grading.asking import WARM_UP
from testbed.grading.grade import Grade, grade
from testbed.grading.questions import QUESTIONS
from testbed.grading.reading import Finding
from testbed.grading.speed import speed
from testbed.record import Crossing, TraceLine, Verdict
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
    assert (finding.mark, finding.text) == ("weak", "yes, over dot, after 2 in clear to the server")
    assert [shown.place.rpartition(":")[2] for shown in finding.packets] == ["1", "9"]
    always = question("encrypts").answer(PROBER, {"asked-repeatedly": run(ladder=ladder[2:])})
    assert always.mark == "good"
    never = question("encrypts").answer(PROBER, {"asked-repeatedly": run(ladder=ladder[:1])})
    assert never.mark == "bad"


@pytest.mark.parametrize(("taken", "mark"), [("encrypted", "weak"), ("clear", "weak"), (None, "good")])
def test_certificates_that_are_taken_are_named(taken, mark):
    number = WARM_UP
    valid = run(ladder=(sent(6, number, "secure", 5),))
    other = run(ladder=(sent(6, number, taken, 5),) if taken else (sent(0, 0, "clear", 1),))
    runs = {kind: valid if kind == "valid" else other for kind in (*questions.CERTIFICATES, "address")}
    finding = question("certificates").answer(PROBER, runs)
    assert finding.mark == mark
    assert ("self-signed, expired, wrong-name" in finding.text) == (taken is not None)


def test_one_that_never_encrypts_gets_no_grade_for_its_certificates():
    plain = run(ladder=(sent(6, WARM_UP, "clear", 5),))
    runs = dict.fromkeys((*questions.CERTIFICATES, "address"), plain)
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


def graded(name, **runs):
    """A grade with records, as experiments would leave them."""
    asks = question(name)
    runs = {key.replace("asked", "asked-repeatedly"): found for key, found in runs.items()}
    return Grade(asks, asks.answer(PROBER, runs), (), runs)


def test_answers_that_differ_between_rounds_are_no_answers():
    one = graded("encrypts", asked=run(ladder=(sent(0, 0, "clear", 1), sent(1, 1, "secure", 9))))
    other = Grade(one.question, Finding("bad", "no"), (), one.runs)
    assert accepted.varying([[one], [one]]) == set()
    assert accepted.varying([[one], [other]]) == {"encrypts"}
    text = card.accepted(PROBER, [one], {"encrypts"})
    assert card.VARIES in text
    assert "packet" not in text.partition(card.VARIES)[2]


def test_an_accepted_card_says_what_the_packets_were_and_not_where():
    one = graded("encrypts", asked=run(ladder=(sent(0, 0, "secure", 4711),)))
    text = card.accepted(PROBER, [one])
    assert "- packet on link target: n0.example.org. A, encrypted, over dot" in text
    assert "4711" not in text


def test_a_card_is_named_after_the_version_that_was_packaged(tmp_path):
    packaged = subject.Subject("bind", "BIND", "9.18.49-1~deb12u3-Debian", {}, "target", True)
    fetched = subject.Subject("bind-9.20.30", "BIND", "9.20.30-1~deb13u1-Debian", {}, "target", True)
    assert accepted.place(packaged, tmp_path).name == "bind-9.18.49.md"
    assert accepted.place(fetched, tmp_path).name == "bind-9.20.30.md"


def measured_of(*grades):
    return abilities(PROBER, grades, "0")


def certificates(taken):
    number = WARM_UP
    yes, no = run(ladder=(sent(6, number, "secure", 5),)), run(ladder=(sent(0, 0, "clear", 1),))
    kinds = (*questions.CERTIFICATES, "address")
    return graded("certificates", **{kind: yes if kind == "valid" or taken else no for kind in kinds})


ENCRYPTS = graded("encrypts", asked=run(ladder=(sent(0, 0, "clear", 1), sent(1, 1, "encrypted", 9))))
PLAIN = graded("encrypts", asked=run(ladder=(sent(0, 0, "clear", 1),)))


def test_abilities_are_what_packets_show():
    found = measured_of(ENCRYPTS, certificates(taken=True))
    assert (found.transports, found.first_query, found.signals) == (("dot",), False, ("probing",))
    assert (found.authentication, found.decrypts) == ("none", True)
    assert measured_of(ENCRYPTS, certificates(taken=False)).authentication == "required"
    never = measured_of(PLAIN, certificates(taken=False))
    assert (never.transports, never.authentication, never.signals) == ((), None, ())


def test_what_was_not_found_out_is_left_open():
    found = measured_of(graded("encrypts", asked=not_run_record()), graded("clock"))
    assert (found.transports, found.time_travel) == (None, None)


def not_run_record():
    return made("grade/x").model_copy(update={"verdict": Verdict.SKIPPED, "ladder": ()})


def test_how_long_it_takes_is_read_from_records():
    lines = (TraceLine(step=0, time=0.0, kind=READY, text="answers 0.250 s after its start"),)
    runs = {
        "asked": run(ladder=(sent(0, 0, "clear", 1),)).model_copy(update={"trace": lines, "duration_s": 2.0})
    }
    found = speed([graded("encrypts", **runs)])
    assert (found.ready, found.scenario) == (0.25, 2.0)
    assert found.text == "answers 0.25 s after its start, a scenario takes 2.00 s"
    assert speed([graded("encrypts", asked=not_run_record())]).text == "nothing was run"


def test_the_order_in_which_records_come_does_not_matter(tmp_path):
    def cards(arranged):
        def run_all(cells):
            made_of = [
                run(ladder=(sent(0, 0, "clear", 1),)).model_copy(update={"id": cell.id}) for cell in cells
            ]
            return arranged(made_of)

        asked = (question("errors"),)
        ((found, grades),) = grade([subject.subject("bind")], tmp_path, run_all, asked)
        return card.accepted(found, grades)

    assert cards(list) == cards(lambda runs: list(reversed(runs)))
