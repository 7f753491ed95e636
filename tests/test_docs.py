"""What the documentation shows works as it is shown."""

from __future__ import annotations

import importlib
import re
from pathlib import Path

import pytest
import typer
from ruamel.yaml import YAML
from worlds import network, scene_of, world

from testbed.attack import catalogue
from testbed.compare import reference
from testbed.scenario.load import load_text
from testbed.scenario.schema import schema

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]


def blocks(page, language):
    return re.findall(rf"^```{language}\n(.*?)^```", page.read_text(), re.DOTALL | re.MULTILINE)


def examples(language, *marks):
    return [
        pytest.param(text, id=f"{page.name}-{number}")
        for page in PAGES
        for number, text in enumerate(blocks(page, language))
        if all(mark in text for mark in marks)
    ]


FRAGMENTS = [
    pytest.param(text, id=f"{page.name}-{number}")
    for page in PAGES
    for number, text in enumerate(blocks(page, "yaml"))
    if "\nid:" not in f"\n{text}"
]


@pytest.mark.parametrize("page", [*PAGES, ROOT / "DEVELOPERS.md"], ids=lambda page: page.name)
def test_files_that_are_named_are_there(page):
    named = re.findall(
        r"`((?:docs|results/reference|scenarios|testbed|tests|tools)/[\w./-]+)`", page.read_text()
    )
    missing = [name for name in named if not (ROOT / name).exists()]
    assert not missing


@pytest.mark.parametrize("text", examples("yaml", "id:"))
def test_whole_scenarios_load(text):
    assert load_text(text, Path("example.yaml"))


@pytest.mark.parametrize("text", FRAGMENTS)
def test_fragments_fit_into_a_scenario(text):
    attack = "" if "attack:\n  -" in text else "attack: [{attacker: block-tls, on: target}]\n"
    world = "" if "world:" in text else "world: {secure: [target]}\n"
    load_text(f"id: x/y\ntitle: t\n{world}{attack}{text}", Path("example.yaml"))


@pytest.mark.parametrize("text", examples("python", "Attacker", "class "))
def test_attackers_are_found_and_play(text, tmp_path):
    folder = tmp_path / "attackers"
    folder.mkdir()
    (folder / "from_the_docs.py").write_text(text)
    kind = catalogue.load("from-the-docs", (folder,))
    of = world(signed=())
    one = kind(scene_of(of, "target"), kind.Parameters())
    net = network(of, attackers={"target": [one]})
    net.ask("example.org.", "MX")
    assert one.matches


def test_links_between_pages_lead_somewhere():
    for page in PAGES:
        for target in re.findall(r"\]\((?!https?:)([^)#]+)\)", page.read_text()):
            assert (page.parent / target).exists(), f"{page.name}: {target}"


def test_the_course_shows_accepted_results_and_runs_what_there_is():
    page = (ROOT / "docs" / "course.md").read_text()
    shown = re.findall(r"^\| `(.+)` \| (\w+) \| (\w+) \|$", page, re.MULTILINE)
    accepted = reference.load(reference.SCENARIOS_FILE)
    assert len(shown) >= 20
    for id_, verdict, leak in shown:
        assert (accepted[id_]["verdict"], accepted[id_].get("leak", "none")) == (verdict, leak), id_
    for path in re.findall(r"adox run (scenarios/[\w./-]+)", page):
        assert (ROOT / path).exists(), path


CI = ROOT / "docs" / "ci.md"


def options_of(command):
    module = importlib.import_module(f"testbed.cli.{command}")
    made = typer.Typer()
    made.command()(module.command)
    found = typer.main.get_command(made)
    return {option for parameter in found.params for option in (*parameter.opts, *parameter.secondary_opts)}


def test_the_commands_of_the_page_about_ci_take_the_options_that_it_gives_them():
    text = CI.read_text()
    lines = re.findall(r"\badox (run|report) ([^\n`]*(?:\n {10}\S[^\n]*)?)", text)
    assert {command for command, _ in lines} == {"run", "report"}
    for command, rest in lines:
        assert set(re.findall(r"--[a-z-]+", rest)) <= options_of(command), (command, rest)


def test_the_workflow_of_the_page_about_ci_is_one():
    (text,) = blocks(CI, "yml")
    workflow = YAML(typ="safe").load(text)
    jobs = workflow["jobs"]
    assert {job["needs"] for job in jobs.values() if "needs" in job} <= set(jobs)
    parts = jobs["adox"]["strategy"]["matrix"]["part"]
    scripts = [step["run"] for job in jobs.values() for step in job["steps"] if "run" in step]
    (sharded,) = (script for script in scripts if "--shard" in script)
    assert f"--shard ${{{{ matrix.part }}}}/{len(parts)}" in sharded
    (report,) = (script for script in scripts if "adox report" in script)
    assert " ".join(f"{part}.json" for part in parts) in report
    assert all("uses" in step or "run" in step for job in jobs.values() for step in job["steps"])


def test_the_accepted_results_that_the_page_about_ci_shows_are_some():
    kept = (ROOT / "tests" / "engines" / "own-resolver" / "accepted.txt").read_text()
    _, _, shown = kept.partition("\n\n")
    assert "".join(f"    {line}\n" for line in shown.splitlines()) in CI.read_text()


def test_every_attacker_is_in_the_catalogue_page():
    page = (ROOT / "docs" / "attackers.md").read_text()
    for name in catalogue.names():
        assert f"`{name}`" in page


def test_the_page_about_scenarios_names_every_step_and_what_is_counted():
    page = (ROOT / "docs" / "scenarios.md").read_text()
    made = schema()
    steps = [next(iter(part["properties"])) for name, part in made["$defs"].items() if name.endswith("Step")]
    for word in [*steps, *made["properties"], *made["$defs"]["PhaseExpectation"]["properties"]]:
        assert word in page
