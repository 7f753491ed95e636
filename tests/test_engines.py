"""Engines: what their descriptions say, what is wrong with bad ones, and what an engine can be asked."""

from pathlib import Path

import pytest

from testbed.core.resolver.state import Configuration, RootServer
from testbed.engines import applicable, catalogue, description
from testbed.engines.setting import HINTS, common_files, setting
from testbed.record import Verdict
from testbed.run.cast import configuration
from testbed.run.not_run import refusal
from testbed.scenario.errors import ScenarioError
from testbed.scenario.load import load_text
from testbed.topology import load
from testbed.world.build import build
from testbed.world.epoch import DAY, EPOCH

GOOD = """
title: Mine
program: my-resolver
start: [-c, "{{ folder }}/my.conf"]
follows:
  - encryption: [never]
"""


def engine(
    tmp_path: Path, text: str = GOOD, template: str = "listen {{ listen[0] }}\n"
) -> description.Engine:
    (tmp_path / "engine.yaml").write_text(text)
    (tmp_path / "my.conf.j2").write_text(template)
    description.load.cache_clear()
    return description.load(tmp_path)


def cell(text: str):
    (found,) = load_text(f"id: t/t\ntitle: t\n{text}", Path("t.yaml"))
    return found


PLAIN = cell("world: {signal: [none], signed: [root]}")


def names(folder: Path, of=PLAIN):
    world = build(of.topology, of.scenario.world)
    configured = configuration(of, world)
    return setting(
        folder,
        of.topology.resolver_addresses,
        configured,
        applicable.effective(of),
        applicable.signals_that_matter(of),
    )


def test_files_are_made_from_templates(tmp_path: Path) -> None:
    assert engine(tmp_path).files(names(tmp_path)) == {"my.conf": "listen 192.0.2.53\n"}
    assert engine(tmp_path).words(("-c", "{{ folder }}/my.conf"), names(tmp_path)) == [
        "-c",
        f"{tmp_path}/my.conf",
    ]


@pytest.mark.parametrize(
    ("old", "new", "complaint"),
    [
        (
            "program: my-resolver",
            "programme: x",
            "engine.yaml:3:1: unknown key 'programme'; did you mean 'program'?",
        ),
        ("title: Mine", "title: [Mine]", "engine.yaml:2:8: a list does not fit `title`; it must be text"),
        (
            "[never]",
            "[nevr]",
            "engine.yaml:6:17: unknown value 'nevr' for `encryption`; did you mean 'never'?",
        ),
        ("encryption:", "encrypton:", "engine.yaml:6:5: unknown field 'encrypton' of policies; did you mean"),
        ("encryption: [never]", "signals: [prob]", "unknown signal 'prob'; did you mean 'probing'?"),
        ("follows:", "stop: NOW\nfollows:", "engine.yaml:5:7: unknown value 'NOW' for `stop`"),
    ],
)
def test_what_is_wrong_is_said_with_line_and_column(
    tmp_path: Path, old: str, new: str, complaint: str
) -> None:
    assert old in GOOD
    with pytest.raises(ScenarioError) as caught:
        engine(tmp_path, GOOD.replace(old, new))
    assert complaint in str(caught.value)


def test_a_folder_without_a_description_is_no_engine(tmp_path: Path) -> None:
    with pytest.raises(ScenarioError, match=r"put a file engine\.yaml into the folder"):
        description.load(tmp_path)


@pytest.mark.parametrize(
    ("template", "line"), [("a\n{{ nobody }}\n", 2), ("a\nb\n{% if %}\n", 3), ("{{ listen.nothing }}", 1)]
)
def test_a_bad_template_is_named_with_its_line(tmp_path: Path, template: str, line: int) -> None:
    with pytest.raises(ScenarioError) as caught:
        engine(tmp_path, template=template).files(names(tmp_path))
    assert f"my.conf.j2:{line}:1: " in str(caught.value)


@pytest.mark.parametrize("name", catalogue.names())
@pytest.mark.parametrize(
    "world",
    [
        "world: {signal: [none], signed: [root, target-parent]}",
        "world: {signal: [none]}\nresolver: {policy: {base: opportunistic, dnssec: false}}",
        "world: {signal: [none], secure: [root]}",
        "world: {signal: [root-mirror], signed: [root]}\nresolver: {policy: {mirror: require}}",
        "topology: ipv6-only\nworld: {signal: [none]}",
    ],
)
def test_the_templates_of_every_engine_fit_every_kind_of_world(name: str, world: str, tmp_path: Path) -> None:
    found = catalogue.load(name)
    filled = names(tmp_path, cell(world))
    assert any(found.files(filled).values())
    assert found.words(found.description.start, filled)


def test_hints_name_every_root_server() -> None:
    world = build(PLAIN.topology, PLAIN.scenario.world)
    configured = configuration(PLAIN, world)
    assert isinstance(configured, Configuration)
    assert all(isinstance(root, RootServer) for root in configured.roots)
    hints = common_files(configured)[HINTS]
    for root in configured.roots:
        assert f". 3600000 IN NS {root.name}\n" in hints
        assert all(address in hints for address in root.addresses)


# -- what an engine can be asked -----------------------------------------------------------------------


def obstacle(name: str, text: str) -> str | None:
    return applicable.obstacle(catalogue.load(name).description, cell(text))


@pytest.mark.parametrize(
    ("name", "scenario"),
    [
        ("unbound", "world: {signal: [none], signed: [root]}"),
        ("unbound", "world: {signal: [none], secure: [root]}"),  # by its configuration
        ("unbound", "world: {signal: [root-mirror]}\nresolver: {policy: {mirror: require}}"),
        ("bind", "world: {signal: [none], secure: [target]}"),  # strict about signals, and there are none
        (
            "powerdns",
            "world: {secure: [target]}\nresolver: {policy: {base: opportunistic, signals: [probing]}}",
        ),
        ("knot-resolver", "world: {signal: [none]}\nresolver: {policy: opportunistic}"),
    ],
)
def test_what_has_a_counterpart_can_be_run(name: str, scenario: str) -> None:
    assert obstacle(name, scenario) is None


@pytest.mark.parametrize(
    ("name", "scenario", "reason"),
    [
        ("unbound", "world: {signal: [ds-glue], secure: [target]}", "the signal ds-glue"),
        ("powerdns", "world: {signal: [none]}", "minimisation: strict"),
        ("bind", "resolver: {policy: always}", "encryption: always"),
        ("bind", "world: {signal: [none], secure: [root]}", "the signal preconfigured"),
        ("powerdns", "resolver: {policy: {base: committed, signals: [probing]}}", "commitment: name-server"),
        ("bind", "world: {signal: [root-mirror]}\nresolver: {policy: {mirror: require}}", "mirror: require"),
        (
            "knot-resolver",
            "world: {signal: [none]}\nresolver: {policy: opportunistic}\nsteps: [query: a.org, advance: 1h]",
            "cannot be told that time has passed",
        ),
    ],
)
def test_what_has_none_is_not_applicable_and_the_reason_is_said(
    name: str, scenario: str, reason: str
) -> None:
    assert reason in (obstacle(name, scenario) or "")
    run = refusal(cell(scenario).with_engine(name))
    assert run is not None
    assert run.verdict is Verdict.NOT_APPLICABLE
    assert reason in run.reason
    assert run.expected is None


def test_a_program_that_is_not_there_is_skipped_and_the_way_to_get_it_is_said(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(catalogue, "search_path", lambda: "/nowhere")
    run = refusal(PLAIN.with_engine("unbound"))
    assert run is not None
    assert run.verdict is Verdict.SKIPPED
    assert run.reason == "unbound is not there; apt-get install unbound"


def test_a_program_may_lie_in_the_folder_of_its_engine(tmp_path: Path) -> None:
    found = engine(tmp_path, GOOD.replace("my-resolver", "./my-resolver\nversion: [say]"))
    assert catalogue.program(found) is None
    assert catalogue.version(found) is None
    program = tmp_path / "my-resolver"
    program.write_text("#!/bin/sh\necho my-resolver 1.2.3-$1\n")
    program.chmod(0o755)
    catalogue.version.cache_clear()
    assert catalogue.program(found) == str(program)
    assert catalogue.version(found) == "1.2.3-say"


def test_worlds_for_programs_without_time_travel_last_for_years() -> None:
    hosted = load("hosted")
    described = cell("world: {signed: [root], secure: [target]}").scenario.world
    lasting, ordinary = build(hosted, described, lasting=True), build(hosted, described)
    until = {
        world: world.services["target"][1].leaf.not_valid_after_utc.timestamp()
        for world in (lasting, ordinary)
    }
    assert until[lasting] == EPOCH + 3650 * DAY
    assert until[ordinary] < EPOCH + 100 * DAY
    expires = min(
        rdata.expiration
        for zone in lasting.zones.values()
        for rrset in zone
        if rrset.rdtype == 46
        for rdata in rrset
    )
    assert expires == EPOCH + 3650 * DAY
    assert not catalogue.keeps_time("knot-resolver")
    assert catalogue.keeps_time("reference")
