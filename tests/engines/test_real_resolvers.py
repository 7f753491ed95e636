"""Real resolvers as programs in their hosts: they answer, are told the time, forget, and encrypt if able."""

import shutil

import pytest
from probes import PROBES
from running import run_cells
from unpacked import unpack

from testbed.engines import catalogue, measured
from testbed.engines.fetch import ROOT, describe, programs_in, write_commands
from testbed.grading import measure
from testbed.grading.abilities import MEASURING
from testbed.grading.grade import grade
from testbed.grading.subject import subject
from testbed.scenario.load import load_file

FORGETS = """
id: engines/forgets
title: A name is asked for twice, then the cache is flushed, then the program is restarted
world:
  signal: [none]
  signed: [root, target-parent, target]
resolver:
  policy: {base: opportunistic, signals: [none]}
steps:
  - query: www.example.org A
  - query: www.example.org A
  - flush: resolver
  - query: www.example.org A
  - restart: resolver
  - query: www.example.org A
"""
AGES = """
id: engines/ages
title: An answer is asked for again when two days have passed
world: {signal: [none]}
resolver:
  policy: {base: opportunistic, signals: [none]}
steps:
  - query: www.example.org A
  - advance: 2d
  - query: www.example.org A
"""
PINNED = """
id: engines/pinned
title: Servers have their keys in their names, and the names come with glue
topology: in-bailiwick
world:
  signal: [name-pin]
  secure: [target-parent, target]
resolver:
  policy: {base: strict, minimisation: relaxed}
steps:
  - query: www.example.org A
  - query: secret.example.org A
"""
DOT_AUTH = """
local adapted = ADAPTED
local tls_client = net.tls_client
net.tls_client = function(address, pins)
    if adapted then
        tls_client({ address, pin_sha256 = pins })
    else
        tls_client(address, pins)
    end
end
modules.load("experimental_dot_auth")
"""
BASEXX = """
local function bits(text, alphabet, width)
    return (text:gsub("=", ""):gsub(".", function(letter)
        local value, found = alphabet:find(letter, 1, true) - 1, ""
        for place = width - 1, 0, -1 do
            found = found .. math.floor(value / 2 ^ place) % 2
        end
        return found
    end))
end
local function letters(text, alphabet, width)
    return (text:gsub(("."):rep(width), function(found)
        return alphabet:sub(tonumber(found, 2) + 1, tonumber(found, 2) + 1)
    end))
end
local octets = ""
for number = 0, 255 do
    octets = octets .. string.char(number)
end
local base64 = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
return {
    from_base32 = function(text)
        local found = bits(text, "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567", 5)
        return letters(found:sub(1, #found - #found % 8), octets, 8)
    end,
    to_base64 = function(text)
        return letters(bits(text, octets, 8) .. "00", base64, 6) .. "="
    end,
}
"""
"""What the module needs of lua-basexx, which Debian's package only recommends: pins in another base."""

INSTALLED = [name for name in catalogue.names() if catalogue.missing(catalogue.load(name)) is None]
TRAVELLERS = [name for name in INSTALLED if catalogue.keeps_time(name)]


@pytest.fixture(scope="module")
def records(tmp_path_factory):
    """The record of each scenario with each engine, by engine and id; the first one run twice."""
    folder = tmp_path_factory.mktemp("engines")
    cells = []
    for number, text in enumerate((FORGETS, AGES, PROBES)):
        file = folder / f"{number}.yaml"
        file.write_text(text)
        (cell,) = load_file(file)
        cells += [cell.with_engine(name) for name in INSTALLED]
    found = {}
    for run in [*run_cells(cells), *run_cells(cells[: len(INSTALLED)])]:
        found.setdefault((run.engine, run.id), []).append(run)
    return found


def asked(run, step):
    """What the resolver asked the target's server in a step."""
    return [
        crossing.text
        for crossing in run.ladder
        if crossing.link == "target" and crossing.towards == "far" and crossing.step == step
    ]


def test_the_resolvers_of_the_package_list_are_installed():
    assert set(INSTALLED) == set(catalogue.names())


@pytest.mark.parametrize("engine", INSTALLED)
def test_it_answers_and_forgets_when_it_is_told_to(records, engine):
    for run in records[engine, "engines/forgets"]:
        assert run.verdict == "safe", run.reason
        assert set(run.answer) == {"NOERROR www.example.org. A 203.0.113.80"}
        first = asked(run, 0)
        assert "www.example.org. A" in first
        assert asked(run, 1) == []
        assert asked(run, 3).count("www.example.org. A") >= 1
        # A restarted one has forgotten everything, and does what one does that has just been started.
        assert set(asked(run, 5)) == set(first)


@pytest.mark.parametrize("engine", INSTALLED)
def test_nothing_is_left_of_one_run_in_the_next(records, engine):
    first, second = (run for run in records[engine, "engines/forgets"])
    assert set(asked(second, 0)) == set(asked(first, 0))


def test_what_one_keeps_where_it_should_not_is_noticed(tmp_path):
    folder = tmp_path / "keeps"
    shutil.copytree(catalogue.load("knot-resolver").folder, folder)
    template = folder / "kresd.conf.j2"
    planted = f'cache.open(10 * MB, "lmdb://{tmp_path}/planted")'
    template.write_text(template.read_text().replace("cache.size = 10 * MB", planted))
    (tmp_path / "t.yaml").write_text(FORGETS)
    (cell,) = load_file(tmp_path / "t.yaml")
    (first,), (second,) = (run_cells([cell.with_engine(str(folder))]) for _ in range(2))
    assert (first.verdict, second.verdict) == ("safe", "safe"), (first.reason, second.reason)
    assert asked(first, 0)
    # It is asked after a restart, and in the next scenario, and knows the answer.
    assert asked(first, 5) == []
    assert asked(second, 0) == []


@pytest.mark.parametrize("engine", TRAVELLERS)
def test_it_notices_that_time_has_passed(records, engine):
    (run,) = records[engine, "engines/ages"]
    assert run.verdict == "safe", run.reason
    assert "www.example.org. A" in asked(run, 2)


def test_one_that_cannot_be_told_the_time_does_not_pass(records):
    (run,) = records["knot-resolver", "engines/ages"]
    assert run.verdict == "not-applicable"
    assert run.expected is None


def test_an_engine_of_ones_own_is_a_folder(tmp_path):
    folder = tmp_path / "mine"
    shutil.copytree(catalogue.load("unbound").folder, folder)
    (tmp_path / "t.yaml").write_text(AGES)
    (cell,) = load_file(tmp_path / "t.yaml")
    (run,) = run_cells([cell.with_engine(str(folder))])
    assert run.verdict == "safe", run.reason


def test_one_with_a_loader_and_libraries_of_its_own_forgets_and_is_told_the_time(tmp_path):
    packaged, folder = catalogue.load("unbound"), tmp_path / "unbound-other"
    programs = [shutil.which(name, path=catalogue.search_path()) for name in ("unbound", "unbound-control")]
    unpack(programs, folder / ROOT)
    write_commands(folder, programs_in(folder / ROOT))
    describe(packaged.folder, folder, "")
    cells = []
    for number, text in enumerate((FORGETS, AGES)):
        file = tmp_path / f"{number}.yaml"
        file.write_text(text)
        (cell,) = load_file(file)
        cells.append(cell.with_engine(str(folder)))
    forgets, ages = sorted(run_cells(cells), key=lambda run: run.id, reverse=True)
    assert (forgets.verdict, ages.verdict) == ("safe", "safe"), (forgets.reason, ages.reason)
    assert "www.example.org. A" in asked(forgets, 3)
    assert "www.example.org. A" in asked(ages, 2)


def test_one_that_probes_finds_the_servers_tls(records):
    (run,) = records["powerdns", "engines/probes"]
    last = [
        crossing
        for crossing in run.ladder
        if (crossing.link, crossing.towards, crossing.step) == ("target", "far", 6)
    ]
    assert [(crossing.transport, crossing.text) for crossing in last] == [("dot", "secret.example.org. A")]
    assert {records[name, "engines/probes"][0].verdict for name in INSTALLED if name != "powerdns"} == {
        "not-applicable"
    }


def test_what_is_declared_is_what_is_measured(tmp_path, monkeypatch):
    monkeypatch.setattr(measured, "FOLDER", tmp_path / "measured")
    cards = grade(
        [subject(name) for name in INSTALLED],
        tmp_path / "scenarios",
        run_cells,
        MEASURING,
    )
    measure.keep(cards)
    for name in INSTALLED:
        engine = catalogue.load(name)
        found = measured.load(engine)
        assert found is not None
        assert found.transports is not None
        assert not list(measured.disagreements(engine.description, found))
    powerdns, unbound = (measured.load(catalogue.load(name)) for name in ("powerdns", "unbound"))
    assert (powerdns.transports, powerdns.authentication, powerdns.decrypts) == (("dot",), "none", True)
    assert (unbound.transports, unbound.authentication, unbound.decrypts) == (("dot",), "required", True)
    assert unbound.mirror == ("ignore", "verify", "require")


@pytest.fixture(params=["as-packaged", "adapted"])
def pinning(request, tmp_path):
    """Knot Resolver with the module that takes pins from names; adapted to how it is to set them today."""
    packaged, folder = catalogue.load("knot-resolver"), tmp_path / request.param
    shutil.copytree(packaged.folder, folder)
    configuration = folder / "kresd.conf.j2"
    adapted = "true" if request.param == "adapted" else "false"
    configuration.write_text(configuration.read_text() + DOT_AUTH.replace("ADAPTED", adapted))
    (folder / "basexx.lua.j2").write_text(BASEXX)
    description = folder / "engine.yaml"
    kind = """follows:
  - {encryption: [signalled], authentication: [required], signals: [name-pin], dnssec: [true, false]}
"""
    description.write_text(description.read_text().replace("follows:\n", kind))
    return folder


def test_knot_resolver_does_not_use_the_pins_that_its_module_finds(pinning, tmp_path):
    (tmp_path / "t.yaml").write_text(PINNED)
    (cell,) = load_file(tmp_path / "t.yaml")
    runs = {run.engine: run for run in run_cells([cell.with_engine(str(pinning)), cell])}
    ours = runs.pop("reference")
    (run,) = runs.values()
    assert set(run.answer) == set(ours.answer)
    assert "no answer" not in run.answer
    protected = {crossing.transport for crossing in ours.ladder if crossing.link == "target"}
    assert protected == {"dot"}
    pins = [crossing.text for crossing in run.ladder if "NS dot-" in crossing.text]
    assert pins
    assert {crossing.transport for crossing in run.ladder if crossing.link == "target"} == {"udp"}
    assert run.counts.handshakes == 0
