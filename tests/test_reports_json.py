from __future__ import annotations

import json
import math

import pytest
import records
from hypothesis import given
from hypothesis import strategies as st

from testbed.reports import jsonfile


def test_what_is_written_is_read_back_exactly():
    runs = (*records.sample(), records.hostile())
    assert jsonfile.load(jsonfile.dump(runs)) == runs


@given(st.text(), st.dictionaries(st.text(), st.none() | st.booleans() | st.integers() | st.text()))
def test_any_text_is_read_back_exactly(text, cell):
    run = records.safe(title=text, why=text, cell=cell)
    assert jsonfile.load(jsonfile.dump([run])) == (run,)


def test_the_fields_of_the_contract():
    report = json.loads(jsonfile.dump([records.forged_ns()]))
    assert report["schema"] == 1
    (run,) = report["runs"]
    same = {
        "verdict",
        "leak",
        "downgrade",
        "hijack",
        "denial",
        "detected",
        "fired",
        "exposures",
        "counts",
        "answer",
    }
    assert same | {"id", "engine", "expected", "baseline", "duration_s", "evidence"} <= run.keys()
    assert same <= run["baseline"].keys()
    assert {"link", "secret", "how", "capture", "packet"} <= run["exposures"][0].keys()
    assert run["counts"].keys() == {"queries", "packets", "bytes", "round_trips", "handshakes"}
    assert run["expected"] is True
    assert [found["packet"] for found in run["exposures"]] == [2, 8]


def test_it_is_ascii_so_that_no_terminal_obeys_it():
    text = jsonfile.dump([records.hostile()])
    assert text.isascii()
    assert "\x1b" not in text


@pytest.mark.parametrize(
    "text", ["", "[]", "{}", '{"schema": 2, "runs": []}', '{"schema": 1, "runs": [{"id": 1}]}']
)
def test_what_is_no_report_is_refused(text):
    with pytest.raises(ValueError):  # noqa: PT011 - json and pydantic each raise a subclass
        jsonfile.load(text)


def test_a_number_that_json_cannot_write_is_refused():
    with pytest.raises(ValueError, match="JSON compliant"):
        jsonfile.dump([records.safe(duration_s=math.inf)])


def test_it_goes_to_a_file_or_to_standard_output(tmp_path, capfdbinary):
    jsonfile.write(records.sample(), str(tmp_path / "report.json"))
    jsonfile.write(records.sample(), "-")
    assert capfdbinary.readouterr().out == (tmp_path / "report.json").read_bytes()
    assert len(jsonfile.load((tmp_path / "report.json").read_text())) == 12
