"""Report cards of the programs that are installed say what was accepted for their versions."""

import os

import pytest

from testbed.grading import accepted
from testbed.grading.grade import grade
from testbed.network.sandbox import SandboxError
from testbed.reports import card
from testbed.run.pool import Pool

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

    def run_all(cells):
        try:
            with Pool(len(os.sched_getaffinity(0)), measured=False) as pool:
                return list(pool.run(cells))
        except SandboxError as error:
            pytest.skip(str(error))

    found = grade([subject for subject, _ in SAME.values()], folder, run_all)
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
