"""Unusable scenario files: one clear line for every mistake, and nothing else."""

from pathlib import Path

import pytest
from scenario_files import GOOD, MISTAKES, PLACE, changed, complaints

from testbed.core.transport import Transport
from testbed.scenario import source, world
from testbed.scenario.errors import ScenarioError
from testbed.scenario.load import load_file


def test_the_good_file_is_good():
    assert complaints(GOOD) == []


@pytest.mark.parametrize("title", MISTAKES)
def test_says_what_is_wrong(title):
    mistake = MISTAKES[title]
    assert complaints(mistake.text) == mistake.said


@pytest.mark.parametrize("title", MISTAKES)
def test_says_what_would_be_right(title):
    """Each message has two halves: what is wrong, and what would be right."""
    for line in MISTAKES[title].said:
        wrong, _, right = line.partition("; ")
        assert wrong
        assert right


def test_all_mistakes_of_a_file_are_reported_in_their_order():
    text = changed(
        ("title: A title", "titel: A title"),
        ("ds-glue", "ds-gluu"),
        ("policy: strict", "policy: strct"),
        ("on: ns-parent", "on: nsparent"),
        ("query: secret", "qury: secret"),
        ("verdict: leak", "verdict: leek"),
    )
    assert complaints(text) == [
        "1:1: `title` is missing; add it",
        "2:1: unknown key 'titel'; did you mean 'title'?",
        "4:12: unknown signal 'ds-gluu'; did you mean 'ds-glue'?",
        "8:11: unknown policy 'strct'; did you mean 'strict'?",
        "11:9: unknown link 'nsparent' in topology hosted; did you mean 'ns-parent'?",
        "13:5: unknown step 'qury'; did you mean 'query'?",
        "15:12: unknown value 'leek' for `verdict`; did you mean 'leak'?",
    ]


def test_a_transport_that_no_server_offers(monkeypatch):
    monkeypatch.setattr(world, "SERVED", (Transport.DOT,))
    text = changed(("secure: [root, target-parent, target]", "secure: {target: {transports: [dot, doq]}}"))
    assert complaints(text) == [
        "6:39: unknown transport 'doq' among those that servers of the testbed offer; did you mean 'dot'?"
    ]


def test_two_transports_cannot_share_a_port(monkeypatch):
    monkeypatch.setattr(world, "SERVED", (Transport.DOT, Transport.DOH, Transport.DOQ))
    secure = "secure: [root, target-parent, target]"
    shared = changed((secure, "secure: {target: {transports: [dot, doh], port: 443}}"))
    assert complaints(shared) == ["6:51: dot and doh cannot share tcp port 443; drop one"]
    apart = changed((secure, "secure: {target: {transports: [dot, doq], port: 853}}"))
    assert complaints(apart) == []


def test_a_matrix_that_is_too_large():
    axis = ", ".join(map(str, range(1, 101)))
    matrix = f"matrix:\n  world.hosted_zones: [{axis}]\n  world.secure.target.port: [{axis}]\nexpect:\n"
    assert complaints(changed(("expect:\n", matrix))) == [
        "15:3: 10000 combinations are too many; at most 4096 are run"
    ]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "1:1: the file is empty; a scenario has at least `id` and `title`"),
        ("# nothing\n---\n", "1:1: the file is empty; a scenario has at least `id` and `title`"),
        ("- a\n", "1:1: this is no scenario; write a mapping with at least `id` and `title`"),
        (
            "id: x\n---\nid: y\n",
            "2:1: malformed YAML: but found another document; one file holds one scenario",
        ),
        (
            "id: [a\n",
            "2:1: malformed YAML: expected ',' or ']', but got '<stream end>'; "
            "check indentation and quotes here",
        ),
        ("id: a\x00b", "1:6: character U+0000 is not allowed in YAML; delete it"),
        (
            'id: a\ntitle: "\\UFFFFFFFF"',
            "2:9: malformed YAML: an escape that stands for no character; check the text in double quotes",
        ),
        ("? [a]\n: b", "1:3: a key must be text, not a list or a mapping"),
        ("a: &a [*a]", "1:4: the alias contains itself; write the value out"),
        ("[" * 50 + "]" * 50, "1:41: nested too deeply; 40 levels are plenty"),
    ],
)
def test_what_is_no_scenario_at_all(text, said):
    assert complaints(text) == [said]


def test_nesting_that_is_too_deep_even_to_be_looked_at():
    (said,) = complaints("[" * 1200)
    assert said.endswith(": nested too deeply; 40 levels are plenty")


def test_aliases_cannot_blow_a_file_up():
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 9)]
    (said,) = complaints("\n".join(lines))
    assert said.endswith("more than 20000 values; use fewer aliases")


def test_not_utf_8(tmp_path):
    path = tmp_path / "latin.yaml"
    path.write_bytes("id: a\ntitle: é".encode("latin-1"))
    with pytest.raises(ScenarioError) as caught:
        load_file(path)
    assert str(caught.value) == f"{path}:2:8: octet 0xe9 is not UTF-8; save the file in UTF-8"


def test_a_byte_order_mark_is_harmless(tmp_path):
    path = tmp_path / "bom.yaml"
    path.write_bytes(b"\xef\xbb\xbfid: a\ntitle: b\n")
    assert [cell.id for cell in load_file(path)] == ["a"]


def test_a_file_that_cannot_be_read(tmp_path):
    with pytest.raises(ScenarioError, match=r"cannot be read \(Is a directory\); give a readable file$"):
        source.read(tmp_path)


def test_a_file_that_is_too_large(tmp_path):
    path = tmp_path / "large.yaml"
    path.write_text("#" * (source.MAX_BYTES + 1))
    with pytest.raises(ScenarioError, match=":1:1: 262145 octets are no scenario"):
        load_file(path)


def test_an_engine_s_path_is_relative_to_the_file(tmp_path):
    (tmp_path / "mine").mkdir()
    path = tmp_path / "own.yaml"
    path.write_text("id: a\ntitle: b\nresolver: {engine: ./mine}\n")
    (cell,) = load_file(path)
    assert Path(cell.scenario.resolver.engine) == tmp_path / "mine"


def test_an_attacker_that_cannot_be_loaded_is_reported_where_it_is_named(tmp_path):
    (tmp_path / "attackers").mkdir()
    (tmp_path / "attackers" / "broken.py").write_text("import nothing_of_this_name\n")
    path = tmp_path / "a.yaml"
    path.write_text("id: a\ntitle: b\nattack: [{attacker: broken, on: root}]\n")
    with pytest.raises(ScenarioError) as caught:
        load_file(path)
    assert str(caught.value) == (
        f"{path}:3:21: the attacker 'broken' cannot be used; {tmp_path}/attackers/broken.py: "
        "line 1: ModuleNotFoundError: No module named 'nothing_of_this_name'"
    )


def test_complaints_about_some_cells_name_one():
    matrix = "matrix:\n  world.signed: [[root], [root, target-parent, ns-zone]]\nexpect:\n"
    assert complaints(changed(("expect:\n", matrix))) == [
        "15:48: ns-zone (dnshost.net.) is signed but its parent ns-parent (net.) is not; sign ns-parent too, "
        "or set `island: true` for ns-zone (in [signed=root+target-parent+ns-zone])"
    ]


def test_errors_name_their_place():
    with pytest.raises(ScenarioError) as caught:
        source.parse("a: b: c", PLACE)
    error = caught.value
    assert (error.path, error.line, error.column) == (PLACE, 1, 5)
    assert error.errors == (error,)
