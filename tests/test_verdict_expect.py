import pytest

from testbed.record import Outcome, Run, Verdict
from testbed.verdict.expect import mismatches

LEAKED = Outcome(verdict=Verdict.LEAK, leak="name", downgrade=True, fired=True)
AT_REST = Outcome(verdict=Verdict.LEAK, leak="zone")


@pytest.mark.parametrize(
    ("expectation", "texts"),
    [
        ({}, ()),
        ({"verdict": "leak", "leak": "name", "downgrade": True, "hijack": False}, ()),
        ({"verdict": "safe"}, ("verdict: expected safe, got leak",)),
        ({"verdict": ["leak", "denial"]}, ()),
        ({"verdict": ["safe", "denial"]}, ("verdict: expected safe or denial, got leak",)),
        (
            {"downgrade": False, "leak": ["none", "zone"]},
            ("downgrade: expected false, got true", "leak: expected none or zone, got name"),
        ),
        ({"denial": True}, ("denial: expected true, got false",)),
        ({"baseline": {"leak": "zone", "verdict": ["safe", "leak"]}}, ()),
        ({"baseline": {"leak": "none"}}, ("baseline leak: expected none, got zone",)),
    ],
)
def test_mismatches(expectation, texts):
    assert mismatches(expectation, LEAKED, AT_REST) == texts


def test_the_baseline_of_a_run():
    run = Run(id="a", scenario="a", title="a", engine="reference", policy="strict", verdict="safe")
    assert mismatches({"baseline": {"leak": "none"}}, run) == ("baseline: expected one, got none",)
    run = run.model_copy(update={"baseline": AT_REST})
    assert mismatches({"baseline": {"leak": "none"}}, run) == ("baseline leak: expected none, got zone",)


@pytest.mark.parametrize("verdict", [Verdict.INCONCLUSIVE, Verdict.SKIPPED])
def test_what_is_inconclusive_never_passes_by_silence(verdict):
    outcome = Outcome(verdict=verdict, reason="lost packets")
    assert mismatches({"leak": "none"}, outcome) == (f"verdict: expected any, got {verdict}",)
    assert mismatches({"verdict": str(verdict), "leak": "none"}, outcome) == ()
    assert mismatches({"baseline": {"leak": "none"}}, LEAKED, outcome) == (
        f"baseline verdict: expected any, got {verdict}",
    )


@pytest.mark.parametrize("expectation", [{"answer": "x"}, {"baseline": {"baseline": {}}}])
def test_fields_that_nothing_has(expectation):
    with pytest.raises(ValueError, match="nothing that an outcome has"):
        mismatches(expectation, LEAKED, AT_REST)
