"""The published JSON Schema accepts what loading accepts, and refuses what an editor can see to be wrong."""

import pytest
from jsonschema import Draft202012Validator
from scenario_files import DATA, GOOD, MISTAKES, PLACE, changed, complaints

from testbed.core.policy import Policy
from testbed.scenario import source
from testbed.scenario.errors import ScenarioError
from testbed.scenario.expectation import Rule
from testbed.scenario.load import SCENARIOS, load_file
from testbed.scenario.model import Scenario
from testbed.scenario.parts import keys_of
from testbed.scenario.schema import DIALECT, schema

SCHEMA = schema(DATA)
VALIDATOR = Draft202012Validator(SCHEMA)


def valid(text: str) -> bool:
    """Whether a text is what the schema describes. Texts that are no YAML are not."""
    try:
        tree = source.parse(text, PLACE)
    except ScenarioError:
        return False
    return VALIDATOR.is_valid(tree.plain())


def test_it_is_a_schema():
    Draft202012Validator.check_schema(SCHEMA)
    assert SCHEMA["$schema"] == DIALECT


def test_every_field_is_there_and_described():
    assert list(SCHEMA["properties"]) == keys_of(Scenario)
    assert set(SCHEMA["$defs"]["Rule"]["properties"]) == set(keys_of(Rule))
    assert set(SCHEMA["$defs"]["Policy"]["properties"]) == {*keys_of(Policy), "base"}
    for part in (SCHEMA, *SCHEMA["$defs"].values()):
        for name, field in part.get("properties", {}).items():
            assert field.get("description"), name


def test_every_reference_leads_somewhere():
    def references(value: object):
        if isinstance(value, dict):
            if "$ref" in value:
                yield value["$ref"]
            for item in value.values():
                yield from references(item)
        elif isinstance(value, list):
            for item in value:
                yield from references(item)

    named = {reference.removeprefix("#/$defs/") for reference in references(SCHEMA)}
    assert named <= set(SCHEMA["$defs"])


@pytest.mark.parametrize(
    "path", sorted([*SCENARIOS.rglob("*.yaml"), *DATA.glob("*.yaml")]), ids=lambda path: path.stem
)
def test_scenarios_are_valid(path):
    errors = VALIDATOR.iter_errors(source.parse(path.read_text(), path).plain())
    assert [f"{list(error.path)}: {error.message}" for error in errors] == []


@pytest.mark.parametrize(
    "text",
    [
        GOOD,
        "id: a\ntitle: b\n",
        changed(("[ds-glue]", "{ds-glue: , none: {}}")),
        changed(("[root, target-parent]\n", "{root: {denial: nsec3, opt_out: true}, target-parent: }\n")),
        changed(
            (
                "[root, target-parent, target]",
                "{target: {transports: [dot], certificate: expired, port: 8853}}",
            )
        ),
        changed(("policy: strict", "policy: {base: opportunistic, signals: [probing]}")),
        changed(("on: ns-parent", "on: [root, target]\n    with: {how: forge, seconds: 0.5, ports: [1]}")),
        changed(
            ("steps:\n", "steps: [wait-idle, wait-idle: true, attack: on, attack: {0: off, tamper: on}, ")
        ).replace(
            "  - query: secret.example.org A\n",
            "  query: a.org, flush: resolver, restart: resolver, advance: 1d1h]\n",
        ),
        changed(("  verdict: leak", "  verdict: [leak, safe]\n  leak: none\n  downgrade: [true, false]")),
        changed(
            (
                "  verdict: leak",
                "  - when: {resolver.policy: strict}\n    why: so\n    baseline: {denial: true}",
            )
        ),
        changed(("expect:\n", "matrix: {world.signed: [[], [root]], attack.0.with.how: [drop]}\nexpect:\n")),
    ],
)
def test_what_loads_is_valid(text):
    assert complaints(text) == []
    assert valid(text)


def test_an_axis_may_give_what_an_attacker_must_be_told(tmp_path):
    (tmp_path / "attackers").mkdir()
    source_text = (DATA / "attackers" / "tamper.py").read_text().replace('"drop", description', "description")
    (tmp_path / "attackers" / "must_be_told.py").write_text(source_text)
    text = changed(
        ("tamper", "must-be-told"), ("expect:\n", "matrix: {attack.0.with.how: [drop]}\nexpect:\n")
    )
    path = tmp_path / "told.yaml"
    path.write_text(text)
    assert len(load_file(path)) == 1
    plain = source.parse(text, path).plain()
    plain["attack"][0]["with"] = {}
    assert Draft202012Validator(schema(tmp_path)).is_valid(plain)


@pytest.mark.parametrize("title", MISTAKES)
def test_mistakes_that_a_schema_can_see(title):
    mistake = MISTAKES[title]
    assert valid(mistake.text) == (not mistake.seen)
