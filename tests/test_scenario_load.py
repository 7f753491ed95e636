"""Collecting scenarios: files and folders, ids that are unique, selection by words, speed."""

import ast
import pickle
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scenario_files import DATA, GOOD

from testbed.scenario.errors import ScenarioError, ScenarioErrors
from testbed.scenario.load import SCENARIOS, collect, load_file
from testbed.scenario.select import matcher


def write(path: Path, id: str, title: str = "a title", more: str = "") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"id: {id}\ntitle: {title}\n{more}")
    return path


def refusal(*paths: Path, expression: str | None = None) -> str:
    with pytest.raises(ScenarioError) as caught:
        collect(paths, expression)
    return str(caught.value)


def test_a_first_scenario():
    (cell,) = collect([DATA / "ds-glue-stripped.yaml"])
    assert cell.id == "ds-glue/stripped-by-the-parent-link"
    assert cell.scenario.claim == 20
    assert [str(step) for step in cell.scenario.steps] == [
        "the client asks for secret.example.org A",
        "1h later",
        "the client asks for secret.example.org A",
    ]


def test_the_scenarios_that_come_with_the_testbed_are_good():
    cells = collect([SCENARIOS])
    assert len({cell.id for cell in cells}) == len(cells) > 0


def test_folders_are_searched_in_the_order_of_names(tmp_path):
    write(tmp_path / "b" / "z.yaml", "one")
    write(tmp_path / "a" / "deep" / "y.yaml", "two")
    write(tmp_path / "a" / "x.yaml", "three")
    write(tmp_path / "a" / "notes.txt", "not: a scenario")
    assert [cell.id for cell in collect([tmp_path])] == ["two", "three", "one"]


def test_a_file_that_is_named_twice_is_read_once(tmp_path):
    path = write(tmp_path / "a.yaml", "one")
    assert len(collect([path, tmp_path, str(path)])) == 1


def test_a_file_may_have_any_name_when_it_is_named(tmp_path):
    assert [cell.id for cell in collect([write(tmp_path / "a.txt", "one")])] == ["one"]


def test_ids_are_unique_and_both_places_are_named(tmp_path):
    first = write(tmp_path / "a.yaml", "one")
    second = write(tmp_path / "b.yaml", "one")
    assert refusal(tmp_path) == f"{second}:1:1: the id 'one' stands in {first}:1 too; change one"


def test_everything_that_is_wrong_anywhere_is_reported(tmp_path):
    bad = write(tmp_path / "b.yaml", "one", more="claim: x\nworld: {signed: [rot]}\n")
    worse = write(tmp_path / "a.yaml", "ONE")
    missing = tmp_path / "c.yaml"
    assert refusal(bad, missing, worse).split("\n") == [
        f"{worse}:1:5: 'ONE' is no id; write words of a-z, 0-9, '-', '.' and '_' with '/' between them",
        f"{bad}:3:8: the text 'x' does not fit `claim`; it must be a whole number",
        f"{bad}:4:18: unknown role 'rot'; did you mean 'root'?",
        f"{missing}: there is no such file or folder; check the path",
    ]


def test_a_folder_without_scenarios(tmp_path):
    assert refusal(tmp_path) == f"{tmp_path}: there is no scenario here; put a .yaml file into it"


def test_attackers_beside_and_above_a_scenario_are_found(tmp_path):
    (tmp_path / "attackers").mkdir()
    source = (DATA / "attackers" / "tamper.py").read_text()
    (tmp_path / "attackers" / "my_own.py").write_text(source.replace("Tamper", "MyOwn"))
    path = write(
        tmp_path / "deep" / "down" / "a.yaml",
        "one",
        more="attack: [{attacker: my-own, on: root, with: {how: forge}}]",
    )
    (cell,) = load_file(path)
    assert cell.scenario.attack[0].attacker_type.__name__ == "MyOwn"


def test_attackers_in_the_working_directory_are_found(tmp_path, monkeypatch):
    (tmp_path / "work" / "attackers").mkdir(parents=True)
    (tmp_path / "work" / "attackers" / "mine.py").write_text((DATA / "attackers" / "spray.py").read_text())
    path = write(tmp_path / "elsewhere" / "a.yaml", "one", more="attack: [{attacker: mine}]")
    assert "unknown attacker 'mine'" in refusal(path)
    monkeypatch.chdir(tmp_path / "work")
    assert len(load_file(path)) == 1


def test_selection_is_by_words_of_ids_and_titles(tmp_path):
    write(tmp_path / "a.yaml", "ds-glue/stripped", "DS Glue is taken away")
    write(tmp_path / "b.yaml", "ds-glue/kept", "It stays")
    write(
        tmp_path / "c.yaml", "probing/blocked", "more", "matrix: {resolver.policy: [strict, opportunistic]}"
    )

    def selected(expression: str) -> list[str]:
        return [cell.id for cell in collect([tmp_path], expression)]

    assert selected("ds-glue") == ["ds-glue/stripped", "ds-glue/kept"]
    assert selected("TAKEN or stays") == ["ds-glue/stripped", "ds-glue/kept"]
    assert selected("ds-glue and not taken") == ["ds-glue/kept"]
    assert selected("not ds-glue and policy=strict") == ["probing/blocked[policy=strict]"]
    assert selected("(stripped or kept) and not (kept or blocked)") == ["ds-glue/stripped"]
    assert refusal(tmp_path, expression="nothing") == (
        "-k 'nothing': selects none of the 4 scenarios; use words of their ids or titles"
    )


@pytest.mark.parametrize(
    ("expression", "said"),
    [
        ("", "at the end: a word is missing there; write a part of an id or a title"),
        ("a and", "at the end: a word is missing there; write a part of an id or a title"),
        ("or a", "at 'or': a word is missing there; write a part of an id or a title"),
        ("(a or b", "at the end: a parenthesis is not closed; add ')'"),
        ("a b", "at 'b': there is an operator missing before it; write and, or"),
        ("a)", "at ')': there is an operator missing before it; write and, or"),
        ("not", "at the end: a word is missing there; write a part of an id or a title"),
    ],
)
def test_malformed_selections(expression, said):
    with pytest.raises(ScenarioError) as caught:
        matcher(expression)
    assert str(caught.value) == f"-k {expression!r}: {said}"


@given(
    st.lists(st.sampled_from(["aa", "bb", "(", ")", "and", "or", "not"]), min_size=1, max_size=8), st.text()
)
def test_selections_mean_what_the_same_words_mean_in_python(words, text):
    """Python's own grammar has the same operators with the same precedence."""
    python = " ".join(f"({word!r} in text)" if word in ("aa", "bb") else word for word in words)
    try:
        tree = ast.parse(python, mode="eval")
    except SyntaxError:
        tree = None
    if tree is None or any(isinstance(node, ast.Call | ast.Tuple) for node in ast.walk(tree)):
        with pytest.raises(ScenarioError):
            matcher(" ".join(words))
    else:
        expected = eval(compile(tree, "<test>", "eval"), {"text": text.lower()})
        assert matcher(" ".join(words))(text) == expected


@pytest.mark.parametrize("expression", ["(" * 5000, "not " * 5000, "(" * 5000 + "a" + ")" * 5000])
def test_selections_are_not_nested_without_end(expression):
    with pytest.raises(ScenarioError, match="nested too deeply"):
        matcher(expression)


def test_selections_may_be_long():
    assert matcher(" or ".join(["x"] * 5000) + " or a")("a")
    assert matcher(" and ".join(["a"] * 5000))("a")


def test_errors_travel_between_processes():
    single = ScenarioError("a.yaml", 1, 2, "wrong; right")
    several = ScenarioErrors([single, ScenarioError("b.yaml", 0, 0, "wrong; right")])
    for error in (single, several):
        copy = pickle.loads(pickle.dumps(error))
        assert str(copy) == str(error)
        assert len(copy.errors) == len(error.errors)


def test_a_hundred_files_are_loaded_quickly(tmp_path):
    for number in range(100):
        matrix = "matrix: {resolver.policy: [strict, opportunistic]}\n"
        text = GOOD.replace("section/name", f"section/name-{number}").replace("tamper", "observe") + matrix
        (tmp_path / f"{number}.yaml").write_text(text)
    started = time.process_time()
    assert len(collect([tmp_path])) == 200
    assert time.process_time() - started < 3, "1.5 s is the aim, on a machine with nothing else to do"
