"""Claims: what their runs make of them, and the pages that say so."""

from __future__ import annotations

import json
import re

import pytest
import records

from testbed.cli import main as cli
from testbed.cli.accept import DOCS, documents
from testbed.compare import reference
from testbed.compare.reference import entries
from testbed.reports import claims as report
from testbed.reports import jsonfile
from testbed.tables import claims
from testbed.tables.claims import Status, assess, conditions
from testbed.tables.measures import MEASURES

LATER = {3, 17, 24, 48, 49, 50}


def test_there_are_55_and_49_can_be_tested():
    numbers = [claim.number for claim in claims.load()]
    assert numbers == list(range(1, 56))
    assert {claim.number for claim in claims.load() if claim.later} == LATER
    assert {claim.measured for claim in claims.load() if claim.measured} == set(MEASURES)


def test_headings_stand_together():
    headings = [claim.heading for claim in claims.load()]
    changes = [now for before, now in zip([None, *headings], headings, strict=False) if before != now]
    assert len(changes) == len(set(changes))


def run(id, holds, **fields):
    return records.record(id, claim=20, as_claimed=holds, **fields)


def status(*runs):
    return {item.claim.number: item.status for item in assess(entries(runs))}[20]


def test_all_some_or_none_of_the_runs_are_as_claimed():
    assert status(run("a/1", True), run("a/2", True)) is Status.CONFIRMED
    assert status(run("a/1", True), run("a/2", False)) is Status.REFINED
    assert status(run("a/1", False), run("a/2", False)) is Status.REFUTED
    assert status() is Status.NOT_RUN


def test_what_came_to_nothing_confirms_nothing():
    inconclusive = records.inconclusive(claim=20)
    assert status(inconclusive) is Status.NOT_RUN
    assert status(run("a/1", True), inconclusive) is Status.CONFIRMED
    (item,) = [item for item in assess(entries([inconclusive])) if item.open]
    assert item.open == (inconclusive.id,)


def test_conditions_name_the_axes_that_matter():
    runs = [
        run(f"a/x[how={how},policy={policy}]", how != "drop")
        for how in ("drop", "reset", "alert")
        for policy in ("strict", "always")
    ]
    evidence = next(item for item in assess(entries(runs)) if item.evidence).evidence
    held = [item for item in evidence if item.holds]
    assert conditions(held, evidence) == "how=alert or reset"
    assert conditions(evidence, evidence) == ""
    corner = [item for item in evidence if ("drop" in item.id) == ("strict" in item.id)]
    assert conditions(corner, evidence) == "; ".join(
        ", ".join(f"{axis}={value}" for axis, value in item.labels.items()) for item in corner
    )


def test_outcomes_are_told_with_their_packet():
    leaking = run("a/x[how=drop]", True, verdict="leak", leak="name", downgrade=True)
    leaking = leaking.model_copy(update={"exposures": records.downgrade().exposures})
    denied = run("a/x[how=reset]", False, verdict="denial", denial=True)
    item = next(item for item in assess(entries([leaking, denied])) if item.evidence)
    packet = records.downgrade().exposures[0].packet
    assert list(report.lines(item.evidence)) == [
        f"as claimed: leak of the name, downgrade (how=drop); attack/target.pcapng, packet {packet}",
        "otherwise: denial (how=reset)",
    ]
    *_, last = report.lines(item.evidence, {id: f"Because of {id}." for id in (leaking.id, denied.id)})
    assert last == f"otherwise: denial (how=reset). Because of {denied.id}."
    assert "Because" not in next(report.lines(item.evidence, {leaking.id: "Because."}))


def test_what_is_exposed_at_rest_is_not_called_a_leak():
    assert claims.outcome({"verdict": "denial", "leak": "zone", "at-rest": "zone"}) == (
        "denial, the zone exposed at rest"
    )
    assert claims.outcome({"verdict": "leak", "leak": "zone", "at-rest": "zone"}) == "leak of the zone"
    assert claims.outcome({"verdict": "hijack", "leak": "name"}) == "hijack, leak of the name"


def test_the_command_reads_results_and_says_whether_all_was_tested(tmp_path, capsys):
    kept = [run("a/1", True), run("a/2", False)]
    (tmp_path / "found.json").write_text(jsonfile.dump(kept))
    with pytest.raises(SystemExit) as ended:
        cli.main(["claims", str(tmp_path / "found.json"), "--json", "-"])
    assert ended.value.code == 1
    printed = json.loads(capsys.readouterr().out)
    (claim,) = [claim for claim in printed["claims"] if claim["runs"]]
    assert (claim["number"], claim["status"]) == (20, "refined")
    assert [one["as_claimed"] for one in claim["runs"]] == [True, False]


def test_the_command_refuses_what_are_no_results(tmp_path, capsys):
    (tmp_path / "empty.json").write_text("{}")
    with pytest.raises(SystemExit) as ended:
        cli.main(["claims", str(tmp_path / "empty.json")])
    assert ended.value.code == 2
    assert "schema" in capsys.readouterr().err


@pytest.fixture(scope="module")
def pages():
    return documents()


@pytest.mark.parametrize("name", ["claims.md", "costs.md"])
def test_pages_are_those_that_the_accepted_results_make(pages, name):
    assert (DOCS / name).read_text(encoding="utf-8") == pages[name], "run `adox accept docs`"


def test_every_claim_has_a_section(pages):
    numbers = re.findall(r"^### .*Claim (\d+):", pages["claims.md"], re.MULTILINE)
    assert numbers == [str(claim.number) for claim in claims.load()]


def test_nothing_accepted_came_to_nothing():
    kept = reference.load(reference.SCENARIOS_FILE)
    unexpected = [id for id, entry in kept.items() if entry["verdict"] == "skipped"]
    assert kept
    assert not unexpected
