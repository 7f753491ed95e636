"""Measurements of engines: kept by version, put before what is declared, and of no use for another engine."""

from pathlib import Path

import pytest

from testbed.engines import catalogue, description, measured
from testbed.engines.applicable import obstacle
from testbed.engines.measured import Abilities
from testbed.record import Verdict
from testbed.run.not_run import refusal
from testbed.scenario.load import load_text

DESCRIPTION = """
title: Mine
program: /bin/true
start: [run]
follows:
  - encryption: [opportunistic]
    authentication: [none]
    signals: [probing, svcb-query]
    mirror: ["off", ignore, verify, require]
  - encryption: [never]
"""
PROBES = """
world: {signal: [none], secure: [target]}
resolver: {policy: {base: opportunistic, signals: [probing]}}
"""
AGES = """
world: {signal: [none]}
resolver: {policy: {base: opportunistic, signals: [none]}}
steps: [{advance: 1d}, {query: www.example.org A}]
"""


@pytest.fixture
def mine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> description.Engine:
    monkeypatch.setattr(measured, "FOLDER", tmp_path / "measured")
    folder = tmp_path / "mine"
    folder.mkdir()
    (folder / "engine.yaml").write_text(DESCRIPTION)
    description.load.cache_clear()
    catalogue.version.cache_clear()
    return description.load(folder)


def cell(text: str, engine: description.Engine):
    (found,) = load_text(f"id: t/t\ntitle: t\n{text}", Path("t.yaml"))
    return found.with_engine(str(engine.folder))


def keep(engine: description.Engine, **found: object) -> None:
    measured.keep(engine, Abilities(digest=measured.digest(engine), **found))


def test_what_was_kept_is_found_again_until_the_engine_changes(mine: description.Engine) -> None:
    assert measured.load(mine) is None
    keep(mine, transports=("dot",))
    found = measured.load(mine)
    assert found is not None
    assert found.transports == ("dot",)
    (mine.folder / "mine.conf.j2").write_text("other")
    assert measured.load(mine) is None


def test_what_cannot_be_read_is_no_measurement(mine: description.Engine) -> None:
    keep(mine)
    measured.place(mine).write_text("{")
    assert measured.load(mine) is None


def test_what_it_was_measured_not_to_do_is_not_applicable(mine: description.Engine) -> None:
    probes = cell(PROBES, mine)
    assert obstacle(mine.description, probes) is None
    keep(mine, transports=(), signals=())
    refused = refusal(probes)
    assert refused is not None
    assert refused.verdict is Verdict.NOT_APPLICABLE
    assert "as was measured; its description declares otherwise" in refused.reason


def test_experiments_themselves_go_by_what_is_declared(mine: description.Engine) -> None:
    keep(mine, transports=())
    refused = refusal(cell(PROBES, mine), measured=False)
    assert refused is None or refused.verdict is Verdict.SKIPPED


def test_what_it_was_measured_to_do_counts_too(mine: description.Engine) -> None:
    strict = cell(PROBES.replace("signals: [probing]", "signals: [probing], authentication: required"), mine)
    assert obstacle(mine.description, strict) is not None
    keep(mine, transports=("dot",), authentication="required")
    refused = refusal(strict)
    assert refused is None or refused.verdict is Verdict.SKIPPED


def test_one_that_was_not_told_the_time_cannot_travel(mine: description.Engine) -> None:
    keep(mine, time_travel=False)
    refused = refusal(cell(AGES, mine))
    assert refused is not None
    assert "cannot be told that time has passed, as was measured" in refused.reason


def test_disagreements_are_said(mine: description.Engine) -> None:
    found = Abilities(
        digest="", transports=("dot",), unheard=("svcb-query",), authentication="required", mirror=("ignore",)
    )
    assert list(measured.disagreements(mine.description, found)) == [
        "authentication: declared none; measured required",
        "signals: declared probing, svcb-query; measured probing",
        "mirror: declared ignore, off, require, verify; measured ignore, off",
    ]
    alike = Abilities(digest="", transports=("dot",), authentication="none", time_travel=True)
    assert not list(measured.disagreements(mine.description, alike))
