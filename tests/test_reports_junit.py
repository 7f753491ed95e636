from __future__ import annotations

from xml.etree import ElementTree as ET

import records
from hypothesis import given
from hypothesis import strategies as st

from testbed.compare.findings import visible
from testbed.record import TraceLine
from testbed.reports import junit


def parse(runs):
    return ET.fromstring(junit.dump(runs).encode())


def case(run):
    return parse([run]).find("testsuite/testcase")


def test_a_suite_for_each_section_and_a_case_for_each_run():
    root = parse(records.sample())
    assert root.tag == "testsuites"
    suites = {suite.get("name"): suite for suite in root}
    assert list(suites) == ["basic", "ds-glue", "svcb-query", "probing"]
    assert sum(len(suite.findall("testcase")) for suite in root) == 12
    names = [found.get("name") for found in root.iter("testcase")]
    assert sorted(names) == sorted(run.id for run in records.sample())


def test_the_counts_are_those_of_the_elements():
    root = parse(records.many(80))
    for element in (root, *root):
        cases = list(element.iter("testcase"))
        assert int(element.get("tests")) == len(cases)
        for attribute, tag in (("failures", "failure"), ("errors", "error"), ("skipped", "skipped")):
            assert int(element.get(attribute)) == sum(found.find(tag) is not None for found in cases)
    assert (root.get("tests"), root.get("failures"), root.get("errors")) == ("80", "1", "7")


def test_a_failure_says_what_differs_and_where_to_look():
    failure = case(records.unexpected()).find("failure")
    assert failure.get("message") == "verdict: expected denial, got leak; leak: expected none, got name"
    assert failure.get("type") == "leak"
    assert "name read in clear text: link target, packet 6: secret.example.org. A" in failure.text
    assert "tls-blocked[policy=strict]/attack/target.pcapng' -Y 'frame.number == 6' -V" in failure.text
    assert "fallback: clear text" in failure.text


def test_the_trace_is_cut_to_its_tail():
    trace = tuple(TraceLine(step=0, time=0.0, kind="k", text=f"line-{n}.") for n in range(100))
    text = case(records.unexpected(trace=trace)).find("failure").text
    assert "line-99." in text
    assert "line-79." not in text


def test_inconclusive_is_an_error_and_skipped_is_skipped_with_its_reason():
    assert "never fired" in case(records.inconclusive(expected=True)).find("error").get("message")
    assert case(records.skipped()).find("skipped").get("message") == "unbound is not installed"


def test_what_was_expected_or_not_judged_is_a_pass():
    for run in (records.forged_ns(), records.forged_ns(expected=None)):
        assert [child.tag for child in case(run)] == ["properties"]


def test_properties_carry_the_verdict():
    found = {item.get("name"): item.get("value") for item in case(records.forged_ns()).iter("property")}
    assert found["verdict"] == "leak"
    assert found["leak"] == "name"
    assert found["exposed_at_rest"] == "zone"
    assert found["claim"] == "22"
    assert found["denial"] == "true"
    assert found["downgrade"] == "false"


def test_hostile_text_is_kept_as_text():
    root = parse([records.hostile()])
    assert root.find("testsuite/testcase/failure").get("message") == visible(records.HOSTILE)
    assert not list(root.iter("script"))


@given(st.text())
def test_any_text_gives_valid_xml(text):
    run = records.unexpected(title=text, mismatches=(text,), answer=(text,), reason=text)
    failure = case(run).find("failure")
    assert failure.get("message") == visible(text)


def test_no_runs_give_an_empty_report():
    root = parse([])
    assert (root.get("tests"), len(root)) == ("0", 0)


def test_it_goes_to_a_file(tmp_path):
    junit.write(records.sample(), str(tmp_path / "junit.xml"))
    assert ET.parse(tmp_path / "junit.xml").getroot().get("tests") == "12"
