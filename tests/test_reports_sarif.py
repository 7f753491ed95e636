"""The SARIF report: what code hosts read of it, in the form that the standard gives it."""

from __future__ import annotations

import json
from pathlib import Path

import jsonschema
import pytest
import records
from hypothesis import given
from hypothesis import strategies as st

from testbed.compare.baseline import result_of
from testbed.compare.standing import judged
from testbed.reports import sarif

TEXT = {"type": "string", "minLength": 1}
MESSAGE = {
    "type": "object",
    "required": ["text"],
    "additionalProperties": False,
    "properties": {"text": TEXT},
}


def closed(required, **optional):
    """The schema of an object that has no other properties."""
    properties = {**required, **optional}
    return {
        "type": "object",
        "required": list(required),
        "properties": properties,
        "additionalProperties": False,
    }


# What is used of SARIF 2.1.0, by the sections of the standard.
REGION = closed({"startLine": {"type": "integer", "minimum": 1}})  # 3.30
PHYSICAL = closed(  # 3.29, 3.4
    {
        "artifactLocation": closed(
            {"uri": {"type": "string", "format": "uri-reference", "pattern": "^[!-~]+$"}}
        )
    },
    region=REGION,
)
SUPPRESSION = closed({"kind": {"const": "external"}, "status": {"const": "accepted"}})  # 3.35
RESULT = closed(  # 3.27
    {
        "ruleId": TEXT,
        "ruleIndex": {"type": "integer", "minimum": 0},
        "level": {"enum": ["none", "note", "warning", "error"]},
        "message": MESSAGE,
        "partialFingerprints": {"type": "object", "additionalProperties": TEXT},
        "properties": {"type": "object"},
    },
    locations={"type": "array", "items": closed({"physicalLocation": PHYSICAL})},
    baselineState={"enum": ["new", "unchanged", "updated", "absent"]},
    suppressions={"type": "array", "items": SUPPRESSION, "uniqueItems": True},
)
RULE = closed(  # 3.49
    {"id": TEXT, "shortDescription": MESSAGE, "properties": {"type": "object"}},
    fullDescription=MESSAGE,
    help=MESSAGE,
)
DRIVER = closed(  # 3.19
    {
        "name": TEXT,
        "semanticVersion": {"type": "string", "pattern": r"^\d+\.\d+\.\d+"},
        "rules": {"type": "array", "items": RULE, "uniqueItems": True},
    }
)
RUN = closed(  # 3.14
    {"tool": closed({"driver": DRIVER}), "results": {"type": "array", "items": RESULT}}
)
LOG = closed(  # 3.13
    {
        "$schema": {"type": "string", "format": "uri"},
        "version": {"const": "2.1.0"},
        "runs": {"type": "array", "items": RUN, "minItems": 1, "maxItems": 1},
    }
)


def report(runs, root=Path("/repository")):
    """The one run in the log, which is as the standard has it."""
    log = json.loads(sarif.dump(runs, root))
    jsonschema.validate(log, LOG)
    (run,) = log["runs"]
    return run


def of(run, rule="ruleId"):
    return {result["properties"]["run"]: result for result in run["results"]}


def test_what_fails_is_there_and_nothing_else():
    found = of(report(records.sample()))
    assert {id: result["level"] for id, result in found.items()} == {
        records.unexpected().id: "error",
        records.inconclusive().id: "warning",
    }
    assert "verdict: expected denial, got leak" in found[records.unexpected().id]["message"]["text"]
    assert "the attack never fired" in found[records.inconclusive().id]["message"]["text"]


def test_a_rule_is_a_scenario():
    runs = [records.unexpected(), records.unexpected(engine="unbound"), records.inconclusive()]
    found = report(runs)
    rules = found["tool"]["driver"]["rules"]
    assert [rule["id"] for rule in rules] == ["basic/tls-blocked", "svcb-query/forged-denial"]
    assert [rules[result["ruleIndex"]]["id"] for result in found["results"]] == [run.scenario for run in runs]


def test_results_are_told_apart_and_found_again():
    runs = [records.unexpected(), records.unexpected(engine="unbound")]

    def fingerprints():
        return [
            result["partialFingerprints"]["primaryLocationLineHash"] for result in report(runs)["results"]
        ]

    assert len(set(fingerprints())) == 2
    assert fingerprints() == fingerprints()


@pytest.mark.parametrize(
    ("file", "uri"),
    [
        ("scenarios/a.yaml", "scenarios/a.yaml"),
        ("my scenarios/ä%.yaml", "my%20scenarios/%C3%A4%25.yaml"),
        ("/opt/adox/a b.yaml", "file:///opt/adox/a%20b.yaml"),
    ],
)
def test_a_result_says_where_the_expectation_stands(tmp_path, monkeypatch, file, uri):
    monkeypatch.chdir(tmp_path)
    (result,) = report([records.unexpected(file=file, line=12)], tmp_path)["results"]
    (location,) = result["locations"]
    assert location["physicalLocation"] == {"artifactLocation": {"uri": uri}, "region": {"startLine": 12}}


def test_paths_are_those_of_the_repository(tmp_path, monkeypatch):
    below = tmp_path / "tests"
    below.mkdir()
    monkeypatch.chdir(below)
    (result,) = report([records.unexpected(file="a.yaml", line=1)], tmp_path)["results"]
    assert result["locations"][0]["physicalLocation"]["artifactLocation"]["uri"] == "tests/a.yaml"


def test_what_is_accepted_is_a_note_and_suppressed():
    known = judged(records.unexpected(), result_of(records.unexpected(), Path()))
    better = judged(records.unexpected(leak="zone"), result_of(records.unexpected(), Path()))
    worse = judged(records.denial(), result_of(records.safe(), Path()))
    found = report([known, better, worse])["results"]
    assert [result["level"] for result in found] == ["note", "note", "error"]
    assert [result["baselineState"] for result in found] == ["unchanged", "updated", "new"]
    assert [len(result["suppressions"]) for result in found] == [1, 1, 0]


def test_without_accepted_results_nothing_is_said_about_them():
    for result in report(records.sample())["results"]:
        assert not {"baselineState", "suppressions"} & set(result)


@given(st.text(), st.text())
def test_whatever_stands_in_a_record_the_report_is_well_formed(text, file):
    hostile = records.unexpected(
        title=text or "x",
        says=text,
        file=file.replace("\0", ""),
        line=1,
        mismatches=(text, records.HOSTILE),
    )
    report([hostile])
