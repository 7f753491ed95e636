"""The pytest plugin: scenario files are collected, selected, run, and explain what differs."""

from __future__ import annotations

import pytest

pytest_plugins = ["pytester"]

SCENARIO = """
id: mine/first
title: somebody listens
world: {{signal: [none]}}
attack: [{{attacker: observe, on: target}}]
matrix:
  resolver.policy: [opportunistic, strict]
expect: {{leak: {leak}}}
"""


@pytest.fixture
def folder(pytester):
    pytester.makeini("[pytest]\naddopts = -p no:cacheprovider\n")
    made = pytester.mkdir("scenarios")
    (made / "first.yaml").write_text(SCENARIO.format(leak="name"))
    return made


def collected(pytester, *arguments):
    result = pytester.runpytest_subprocess("--collect-only", "-q", *arguments)
    return [line for line in result.outlines if "::" in line]


def test_each_cell_is_a_test(pytester, folder):
    assert len(collected(pytester, "scenarios")) == 2


def test_k_selects(pytester, folder):
    (line,) = collected(pytester, "scenarios", "-k", "strict")
    assert line.endswith("mine/first[policy=strict]")


def test_runners_share_what_is_selected(pytester, folder):
    (folder / "second.yaml").write_text(SCENARIO.format(leak="name").replace("mine/first", "mine/second"))
    parts = [collected(pytester, "scenarios", "--adox-shard", f"{part}/2", "-k", "strict") for part in (1, 2)]
    assert [len(part) for part in parts] == [1, 1]
    assert len({line for part in parts for line in part}) == 2
    assert len(collected(pytester, "scenarios", "--adox-shard", "1/1")) == 4
    result = pytester.runpytest_subprocess("scenarios", "--adox-shard", "3/2", "--collect-only")
    result.stderr.fnmatch_lines(["*--adox-shard: '3/2' is no part of a whole*"])
    assert result.ret == pytest.ExitCode.USAGE_ERROR


def test_yaml_files_elsewhere_are_left_alone(pytester, folder):
    other = pytester.mkdir("other")
    (other / "first.yaml").write_text("anything: goes\n")
    assert collected(pytester, "other") == []


def test_other_folders_can_be_named(pytester, folder):
    pytester.makeini("[pytest]\nadox_scenarios = suites\n")
    suites = pytester.mkdir("suites")
    (suites / "first.yaml").write_text(SCENARIO.format(leak="name"))
    assert len(collected(pytester, "suites")) == 2
    assert collected(pytester, "scenarios") == []


def test_a_mistake_is_reported_with_its_place(pytester, folder):
    (folder / "wrong.yaml").write_text("id: mine/wrong\ntitle: t\nworld:\n  secur: [root]\n")
    result = pytester.runpytest_subprocess("scenarios", "--collect-only")
    result.stdout.fnmatch_lines(["*wrong.yaml:4:3: unknown key 'secur'; did you mean 'secure'?*"])
    assert result.ret != 0


@pytest.mark.parametrize("workers", [(), ("-n", "2")], ids=["alone", "spread"])
def test_scenarios_run(pytester, folder, workers):
    result = pytester.runpytest_subprocess("scenarios", "--adox-results", "evidence", *workers)
    outcomes = result.parseoutcomes()
    if "skipped" in outcomes:
        pytest.skip("no sandbox can be made here")
    assert outcomes == {"passed": 2}
    assert list((pytester.path / "evidence").rglob("target.pcapng"))


def test_what_differs_is_explained(pytester, folder):
    (folder / "first.yaml").write_text(SCENARIO.format(leak="none"))
    result = pytester.runpytest_subprocess("scenarios", "-k", "strict")
    if "skipped" in result.parseoutcomes():
        pytest.skip("no sandbox can be made here")
    result.stdout.fnmatch_lines(
        ["*leak: expected none, got name", "*packet * of target.pcapng: *secret.example.org*"]
    )
    assert result.parseoutcomes()["failed"] == 1
