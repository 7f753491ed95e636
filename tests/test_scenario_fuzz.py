"""Whatever stands in a file, loading it gives cells or a ScenarioError with a place in the file."""

import json

from hypothesis import given
from hypothesis import strategies as st
from scenario_files import GOOD, PLACE, cells, error_of

from testbed.scenario import source

WITH_MATRIX = (
    GOOD
    + """\
matrix:
  resolver.policy: [strict, opportunistic]
  attack.0.with.how: [drop, forge]
  world.signed: [[], [root, target-parent]]
"""
)

FRAGMENTS = st.sampled_from(
    [
        *"*&{}[]:,-#!%@`'\"|>?\\~=\n\t\r\x00\x85\u2028\ufeff\ud800",
        *(
            "&a ",
            "*a",
            ": ",
            "- ",
            "\n  ",
            "\n\n",
            "---\n",
            "...\n",
            "%YAML 1.1\n---\n",
            "<<: ",
            "? ",
            "!!int ",
        ),
        *("null", "true", "on", "1", "-1", "1e999", "0x", ".nan", "9" * 5000, "2026-01-01", "12:30:45"),
        *(
            "x" * 70,
            "a." * 200,
            "\\UFFFFFFFF",
            "matrix:\n",
            "when: ",
            "base: ",
            "steps.0",
            "attack.7.on: [a]\n",
        ),
    ]
)
EDITS = st.lists(
    st.tuples(st.integers(0, 600), st.integers(0, 30), FRAGMENTS | st.text(max_size=4)), max_size=5
)


@given(st.sampled_from([GOOD, WITH_MATRIX]), EDITS)
def test_edited_text(text, edits):
    for start, length, put in edits:
        text = text[:start] + put + text[start + length :]
    check(text)


@given(st.text(max_size=200))
def test_any_text(text):
    check(text)


KEYS = st.text(max_size=8) | st.sampled_from(
    [
        "id",
        "attacker",
        "on",
        "with",
        "when",
        "query",
        "attack",
        "base",
        "denial",
        "verdict",
        "0",
        "resolver.policy",
    ]
)
WORDS = st.text(max_size=8) | st.sampled_from(
    [
        "root",
        "target",
        "tamper",
        "spray",
        "ds-glue",
        "strict",
        "leak",
        "safe",
        "1h",
        "on",
        "secret.example.org A",
    ]
)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | WORDS,
    lambda inside: st.lists(inside, max_size=3) | st.dictionaries(KEYS, inside, max_size=3),
    max_leaves=6,
)


@given(st.data())
def test_another_value_anywhere(data):
    """JSON is YAML: the good file with one value exchanged for any other."""
    plain = source.parse(WITH_MATRIX, PLACE).plain()
    holder, key = {"": plain}, ""
    while isinstance(holder[key], dict | list) and holder[key] and data.draw(st.booleans()):
        holder = holder[key]
        key = data.draw(
            st.sampled_from(list(holder) if isinstance(holder, dict) else list(range(len(holder))))
        )
    holder[key] = data.draw(VALUES)
    check(json.dumps(plain if key != "" else holder[key]))


def check(text: str) -> None:
    error = error_of(text)
    if error is None:
        assert cells(text)
        return
    lines = text.splitlines() or [""]
    for single in error.errors:
        assert single.message
        assert "\n" not in str(single)
        assert 1 <= single.line <= len(lines) + 1
        assert single.column >= 1
