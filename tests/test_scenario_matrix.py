"""Matrices: every combination once, told apart by id, judged by the first rule that fits."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scenario_files import cell, cells, changed, complaints

from testbed.scenario.source import Node, Position


def with_matrix(*axes: str, expect: str = "expect:\n  verdict: leak\n") -> str:
    lines = "".join(f"  {axis}\n" for axis in axes)
    return changed(("expect:\n  verdict: leak\n", f"matrix:\n{lines}{expect}"))


def suffixes(text: str) -> list[str]:
    return [each.id.removeprefix(each.scenario.id) for each in cells(text)]


def test_every_combination_in_the_order_of_the_file():
    text = with_matrix("resolver.policy: [strict, opportunistic]", "attack.0.with.how: [drop, forge]")
    assert suffixes(text) == [
        "[policy=strict,how=drop]",
        "[policy=strict,how=forge]",
        "[policy=opportunistic,how=drop]",
        "[policy=opportunistic,how=forge]",
    ]
    last = cells(text)[-1]
    assert last.scenario.resolver.policy.name == "opportunistic"
    assert last.scenario.attack[0].parameters.model_dump()["how"] == "forge"
    assert last.cell == {"resolver.policy": "opportunistic", "attack.0.with.how": "forge"}
    assert last.labels == {"policy": "opportunistic", "how": "forge"}
    assert (last.scenario.id, last.line) == ("section/name", 1)


def test_a_cell_knows_the_line_of_its_rule():
    rules = "expect:\n  - when: {attack.0.with.how: drop}\n    verdict: denial\n  - verdict: leak\n"
    text = with_matrix("attack.0.with.how: [drop, forge]", expect=rules)
    lines = text.splitlines()
    assert [lines[each.expected_at - 1].split()[1] for each in cells(text)] == ["when:", "verdict:"]
    (single,) = cells(changed())
    assert changed().splitlines()[single.expected_at - 1] == "  verdict: leak"
    (open_end,) = cells(changed(("expect:\n  verdict: leak\n", "")))
    assert open_end.expected_at == 1


@pytest.mark.parametrize(
    ("axis", "expected"),
    [
        (
            "world.signed: [[], [root], [root, ns-parent]]",
            ["signed=none", "signed=root", "signed=root+ns-parent"],
        ),
        ("world.hosted_zones: [1, 1000]", ["hosted_zones=1", "hosted_zones=1000"]),
        ("resolver.policy.dnssec: [true, false]", ["dnssec=true", "dnssec=false"]),
        ("attack.0.on: [target, [root, target]]", ["on=target", "on=root+target"]),
        (
            "attack.0: [{attacker: spray}, {attacker: tamper, on: root}]",
            ["attack.0=spray", "attack.0=tamper"],
        ),
        ("attack: [[], [{attacker: spray}]]", ["attack=none", "attack=spray"]),
        (
            "steps.0: [query: a.org A, query: a.org AAAA]",
            ["steps.0=query:a.org-A", "steps.0=query:a.org-AAAA"],
        ),
        (
            "world.signed: [{root: {denial: nsec3}}, {root: }]",
            ["signed=root:denial:nsec3", "signed=root"],
        ),
        (f"steps.0: [query: {'x' * 60}.org, query: y.org]", ["steps.0=#0", "steps.0=query:y.org"]),
        (
            "world.records: [['a.org TXT \"?\"'], ['a.org TXT \"!\"']]",
            ["records=a.org-TXT", "records=a.org-TXT#1"],
        ),
    ],
)
def test_labels_are_short_and_unambiguous(axis, expected):
    assert suffixes(with_matrix(axis)) == [f"[{label}]" for label in expected]


def test_names_of_axes_are_as_long_as_they_must_be():
    second = ("    on: ns-parent\n", "    on: ns-parent\n  - attacker: tamper\n    on: target\n")
    text = with_matrix("attack.0.on: [root]", "attack.1.on: [root]", "world.secure.root.port: [1]").replace(
        *second
    )
    assert suffixes(text) == ["[attack.0.on=root,attack.1.on=root,port=1]"]


def test_axes_make_what_the_file_left_out():
    axes = "{world.signed.root.denial: [nsec, nsec3], resolver.engine: [reference]}"
    text = f"id: a\ntitle: b\nmatrix: {axes}\n"
    assert [each.scenario.world.signed["root"].denial for each in cells(text)] == ["nsec", "nsec3"]


def test_axes_enter_lists_and_named_policies():
    text = with_matrix(
        "world.signed.root.denial: [nsec3]",
        "world.secure.target.certificate: [expired]",
        "world.signal.ds-glue.ttl: [5]",
        "resolver.policy.minimisation: [off]",
    )
    scenario = cell(text).scenario
    assert list(scenario.world.signed) == ["root", "target-parent"]
    assert scenario.world.signed["root"].denial == "nsec3"
    assert scenario.world.secure["target"].certificate == "expired"
    assert scenario.world.signal["ds-glue"].model_dump()["ttl"] == 5
    assert (scenario.resolver.policy.name, scenario.resolver.policy.minimisation) == ("strict", "off")


def test_an_axis_over_the_policy_and_one_inside_it():
    text = with_matrix("resolver.policy: [strict, opportunistic]", "resolver.policy.dnssec: [false]")
    policies = [each.scenario.resolver.policy for each in cells(text)]
    assert [(policy.name, policy.dnssec) for policy in policies] == [
        ("strict", False),
        ("opportunistic", False),
    ]


RULES = """\
expect:
  - when: {resolver.policy: strict, attack.0.on: [root, target]}
    verdict: denial
    why: strict
  - when: {attack.0.on: ns-zone}
    verdict: safe
  - verdict: downgrade
claimed:
  - when: {attack.0.on: root}
    verdict: leak
why: in general
"""
AXES = ("resolver.policy: [strict, opportunistic]", "attack.0.on: [root, target, ns-zone]")


def test_the_first_rule_that_fits_applies():
    found = {}
    for each in cells(with_matrix(*AXES, expect=RULES)):
        assert each.expectation is not None
        assert each.claimed is not None
        found[tuple(each.labels.values())] = (*each.expectation.verdict, *each.claimed.verdict, each.why)
    assert found == {
        ("strict", "root"): ("denial", "leak", "strict"),
        ("strict", "target"): ("denial", "denial", "strict"),
        ("strict", "ns-zone"): ("safe", "safe", "in general"),
        ("opportunistic", "root"): ("downgrade", "leak", "in general"),
        ("opportunistic", "target"): ("downgrade", "downgrade", "in general"),
        ("opportunistic", "ns-zone"): ("safe", "safe", "in general"),
    }


@pytest.mark.parametrize(
    ("when", "holds"),
    [
        ("world.signed: [root]", [False, True, False]),
        ("world.signed: [[], [root]]", [True, True, False]),
        ("world.signed.target-parent: null", [True, True, False]),
        ("world.signed.root.denial: nsec", [False, True, True]),
        ("resolver.policy: strict", [True, True, True]),
        ("resolver.policy.encryption: [signalled, always]", [True, True, True]),
        ("world.secure: [target, root, target-parent]", [True, True, True]),
        ("world.signal.ds-glue.ttl: 3600", [True, True, True]),
        ("attack.0.on: ns-parent", [True, True, True]),
        ("attack.0.with.how: drop", [True, True, True]),
        ("attack.0.active: true", [True, True, True]),
        ("steps.0.query: secret.example.org A", [True, True, True]),
        ("world.hosted_zones: 10", [True, True, True]),
        ("claim: null", [True, True, True]),
    ],
)
def test_conditions_on_axes_and_on_other_fields(when, holds):
    rules = f"expect:\n  - when: {{{when}}}\n    verdict: leak\n" + (
        "  - verdict: safe\n" if not all(holds) else ""
    )
    text = with_matrix("world.signed: [[], [root], [root, target-parent]]", expect=rules)
    assert [each.expectation.verdict == ("leak",) for each in cells(text)] == holds


@pytest.mark.parametrize(
    "when", ["world.hosted_zones: 11", "attack.0.active: 1", "world.secure: [root]", "title: x"]
)
def test_conditions_that_never_hold_are_reported(when):
    rules = f"expect:\n  - when: {{{when}}}\n    verdict: leak\n  - verdict: safe\n"
    assert complaints(changed(("expect:\n  verdict: leak\n", rules))) == [
        "15:5: no cell comes to this rule; correct its `when`, or move it up"
    ]


def test_a_list_of_rules_may_end_without_saying_anything():
    rules = "expect:\n  - when: {resolver.policy: strict}\n    verdict: safe\n  - {}\n"
    expected = [each.expectation for each in cells(with_matrix(AXES[0], expect=rules))]
    assert [None if each is None else each.verdict for each in expected] == [("safe",), None]


def test_cells_share_a_baseline_exactly_if_they_differ_in_their_attackers_only():
    keys = [each.baseline_key for each in cells(with_matrix(*AXES))]
    assert len(set(keys)) == 2
    assert len(set(keys[:3])) == 1
    base = cell(changed()).baseline_key
    same = [
        ("title: A title", "title: Another title\nclaim: 5\nwhy: because"),
        ("    on: ns-parent\n", "    on: target\n    with: {how: forge}\n"),
        ("verdict: leak", "verdict: safe"),
        ("[root, target-parent]\n", "[target-parent, root]\n"),
        ("policy: strict", "policy: {dnssec: true}"),
    ]
    for change in same:
        assert cell(changed(change)).baseline_key == base, change
    different = [
        ("[ds-glue]", "[none, ds-glue]"),
        ("[ds-glue]", "[ds-glue, none]"),
        ("[ds-glue]", "{ds-glue: {ttl: 1}}"),
        ("signed: [root, target-parent]", "signed: [root]"),
        ("secure: [root, target-parent, target]", "hosted_zones: 11"),
        ("secure: [root, target-parent, target]", "records: [a.example.org A 192.0.2.1]"),
        ("policy: strict", "policy: opportunistic"),
        ("policy: strict", "policy: {dnssec: false}"),
        ("secret.example.org A", "secret.example.org AAAA"),
        ("steps:\n", "steps:\n  - advance: 1h\n"),
        ("steps:\n", "steps:\n  - attack: on\n"),
    ]
    keys = [cell(changed(change)).baseline_key for change in different]
    assert len({base, *keys}) == len(different) + 1
    switched = [
        cell(changed(("steps:\n", f"steps:\n  - attack: {switch}\n"))) for switch in ("on", "{0: on}")
    ]
    assert switched[0].baseline_key == switched[1].baseline_key


def test_another_engine():
    original = cell(changed())
    other = original.with_engine("unbound")
    assert (other.id, other.scenario.resolver.engine) == (original.id, "unbound")
    assert other.baseline_key != original.baseline_key
    assert original.scenario.resolver.engine == "reference"


PLAIN = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inside: st.lists(inside, max_size=3) | st.dictionaries(st.text(max_size=3), inside, max_size=3),
    max_leaves=8,
)


def node(value: object, line: int) -> Node:
    here = Position(line, 1)
    if isinstance(value, dict):
        return Node({key: node(item, line) for key, item in value.items()}, here, dict.fromkeys(value, here))
    if isinstance(value, list):
        return Node(tuple(node(item, line) for item in value), here)
    return Node(value, here)  # type: ignore[arg-type]


@given(PLAIN, PLAIN, st.data())
def test_replacing_a_value_changes_nothing_else(value, new, data):
    tree, path = node(value, 1), []
    inside = value
    while isinstance(inside, dict | list) and inside and data.draw(st.booleans()):
        keys = list(inside) if isinstance(inside, dict) else list(range(len(inside)))
        path.append(data.draw(st.sampled_from(keys)))
        inside = inside[path[-1]]
    replaced = tree.replaced(path, node(new, 2), Position(3, 1))
    expected = value
    if path:
        holder = expected = node(value, 1).plain()
        for step in path[:-1]:
            holder = holder[step]
        holder[path[-1]] = new
    else:
        expected = new
    assert replaced.plain() == expected
    assert tree.plain() == value
    assert replaced.locate(path) == (2, 1)
