"""Report cards of the programs that are installed say what was accepted for their versions."""

from functools import partial

import pytest
from running import run_cells

from testbed.grading import accepted
from testbed.grading.grade import grade
from testbed.reports import card

CARDS = {
    found.engine: (found, path.read_text())
    for found in accepted.subjects()
    if (path := accepted.place(found)).exists()
}
SAME = {
    engine: (found, text)
    for engine, (found, text) in CARDS.items()
    if text.startswith(f"# {found.title} {found.version}".rstrip() + "\n")
}


@pytest.fixture(scope="module")
def cards(tmp_path_factory):
    """What is found out now, by engine."""
    folder = tmp_path_factory.mktemp("cards")
    subjects = [subject for subject, _ in SAME.values()]
    found = grade(subjects, folder, partial(run_cells, measured=False))
    return {subject.engine: (subject, grades) for subject, grades in found}


def test_the_reference_has_a_card():
    assert "reference" in SAME


@pytest.mark.parametrize("engine", SAME)
def test_it_does_as_its_card_says(cards, engine):
    subject, grades = cards[engine]
    _, text = SAME[engine]
    # What was found to vary once is no answer to compare.
    varying = {one.question.name for one in grades if f"## {one.question.asks}\n\n{card.VARIES}" in text}
    assert card.accepted(subject, grades, varying) == text
