"""Authoritative servers that are programs: descriptions and files, and what a scenario can ask of them."""

from pathlib import Path

import dns.name
import dns.zone
import pytest
from hypothesis import given
from hypothesis import strategies as st

from testbed.core.master_file import KNOWN_TO_ALL, master_file
from testbed.core.zone import Zone
from testbed.engines import catalogue, description, serving
from testbed.engines.server import server_files, server_setting
from testbed.record import Verdict
from testbed.run.not_run import refusal
from testbed.scenario import engine as engines
from testbed.scenario.errors import ScenarioError
from testbed.scenario.load import load_text
from testbed.versions import numbers
from testbed.world.build import build

GOOD = """
kind: authoritative
title: Mine
program: my-server
start: [-c, "{{ folder }}/my.conf"]
offers: {dot: "2.1", doq: "3.0"}
"""
ENCRYPTED = (
    "world: {{signal: [svcb-query], secure: {{target: {{transports: [{}]}}}}, servers: {{target: {}}}}}"
)


def cell(text: str):
    (found,) = load_text(f"id: t/t\ntitle: t\n{text}", Path("t.yaml"))
    return found


def server(tmp_path: Path, text: str = GOOD) -> description.Authoritative:
    (tmp_path / "engine.yaml").write_text(text)
    (tmp_path / "my.conf.j2").write_text("{{ listen | join(' ') }} {{ ports.dot }}\n")
    description.load_authoritative.cache_clear()
    return description.load_authoritative(tmp_path)


# -- descriptions --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("old", "new", "complaint"),
    [
        ("dot:", "dto:", "engine.yaml:6:10: unknown transport 'dto'; did you mean 'dot'?"),
        ('"2.1"', "2.1", "engine.yaml:6:15: the number 2.1 is no version; write it in quotes"),
        ("kind: authoritative\n", "", "engine.yaml:1:1: this is a resolver; write `kind: authoritative`"),
        ("title: Mine", "title: Mine\nfollows: []", "engine.yaml:4:1: unknown key 'follows'"),
    ],
)
def test_what_is_wrong_is_said_with_line_and_column(
    tmp_path: Path, old: str, new: str, complaint: str
) -> None:
    assert old in GOOD
    with pytest.raises(ScenarioError) as caught:
        server(tmp_path, GOOD.replace(old, new))
    assert complaint in str(caught.value)


def test_a_server_is_no_resolver(tmp_path: Path) -> None:
    server(tmp_path)
    with pytest.raises(ScenarioError, match=r"engine\.yaml:2:7: this is an authoritative server"):
        description.load(tmp_path)


@pytest.mark.parametrize("name", catalogue.authoritatives())
@pytest.mark.parametrize(
    "world",
    [
        "world: {signal: [ds-glue], signed: [root, target-parent], secure: [target]}",
        "world: {secure: {target: {transports: [dot, doq, doh], path: '/q{?dns}'}}}",
        "topology: ipv6-only\nworld: {secure: {target: {port: 8853}}}",
        "world: {signal: [root-mirror], signed: [root]}",
    ],
)
@pytest.mark.parametrize("role", ["root", "target"])
def test_the_templates_of_every_server_fit_every_kind_of_world(
    name: str, world: str, role: str, tmp_path: Path
) -> None:
    of = cell(world)
    built, engine = build(of.topology, of.scenario.world), catalogue.authoritative(name)
    names = server_setting(engine, tmp_path, built, role)
    (text,) = engine.files(names).values()
    for address in built.topology.by_role[role].addresses:
        assert address in text
    for file in server_files(built, role):
        assert f"{tmp_path}/{file}" in text
    assert engine.words(engine.description.start, names)


def test_packages_of_a_name_are_the_same_for_resolver_and_server() -> None:
    for name in set(catalogue.names()) & set(catalogue.authoritatives()):
        assert catalogue.load(name).description.package == catalogue.authoritative(name).description.package


# -- files ---------------------------------------------------------------------------------------------


def test_a_zone_survives_being_written_and_read() -> None:
    of = cell(
        "world: {signal: [ds-glue, svcb-query, tlsa-query, root-mirror], secure: [root, target],"
        " signed: {root: {}, target-parent: {denial: nsec3, opt_out: true}, ns-parent: {}, ns-zone: {}}}"
    )
    for origin, zone in build(of.topology, of.scenario.world).zones.items():
        text = master_file(zone)
        read = dns.zone.from_text(text, origin, relativize=False, check_origin=False)
        assert Zone(origin, (rrset for rrset in _rrsets(read))) == zone


def _rrsets(zone: dns.zone.Zone):
    for name, node in zone.items():
        for rdataset in node:
            yield dns.rrset.from_rdata_list(name, rdataset.ttl, list(rdataset))


def test_types_that_a_server_may_not_know_are_written_as_unknown_ones() -> None:
    of = cell("world: {signal: [svcb-query], secure: [target], signed: [root]}")
    zones = build(of.topology, of.scenario.world).zones
    lines = master_file(zones[dns.name.from_text("dnshost.net.")]).splitlines()
    (svcb,) = (line for line in lines if line.startswith("_dns.ns1."))
    assert svcb.split()[3:5] == ["TYPE64", r"\#"]
    kinds = {line.split()[3] for line in lines}
    known = {rdtype.name for rdtype in KNOWN_TO_ALL}
    assert all(kind.startswith("TYPE") or kind in known for kind in kinds)


def test_types_are_listed_by_names_that_all_servers_know() -> None:
    of = cell("world: {signal: [root-mirror], signed: [root]}")
    zones = build(of.topology, of.scenario.world).zones
    lines = master_file(zones[dns.name.root]).splitlines()
    (apex,) = (line for line in lines if line.startswith(". ") and " NSEC " in line)
    assert apex.endswith("NS SOA RRSIG NSEC DNSKEY TYPE63")


# -- versions ------------------------------------------------------------------------------------------


@given(st.lists(st.integers(0, 99), min_size=2, max_size=4))
def test_versions_compare_by_their_numbers(parts: list[int]) -> None:
    text = ".".join(map(str, parts))
    assert numbers(f"{text}-1~deb12u3-Debian") == numbers(text) == tuple(parts)
    assert numbers(text) < numbers(f"{parts[0]}.{parts[1] + 1}")
    assert numbers(None) == numbers("unknown") == ()


def fetched(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, *versions: str) -> None:
    """Have Knot DNS 3.2 installed and some versions fetched."""
    monkeypatch.setattr(engines, "FETCHED", tmp_path)
    for each in versions:
        folder = tmp_path / f"knot-{each}" / engines.AUTHORITATIVE
        folder.mkdir(parents=True)
        packaged = catalogue.authoritative("knot").folder / "engine.yaml"
        (folder / "engine.yaml").write_text(packaged.read_text())
    shown = {f"knot-{each}": each for each in versions} | {"knot": "3.2.6", "nsd": "4.6.1", "bind": "9.18.1"}
    monkeypatch.setattr(catalogue, "version", lambda engine: shown.get(engine.name))
    monkeypatch.setattr(catalogue, "missing", lambda engine: None)


def test_a_fetched_version_steps_in_where_the_installed_one_lacks_something(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    fetched(monkeypatch, tmp_path, "3.3.9", "3.4.6", "3.4.10")
    assert catalogue.able("knot", []).name == "knot"
    assert catalogue.able("knot", ["dot", "doq"]).name == "knot-3.4.10"
    assert catalogue.able("knot-3.4.6", ["dot"]).name == "knot-3.4.6"
    assert catalogue.able("nsd", ["doq"]).name == "nsd"


# -- what a server can be asked ------------------------------------------------------------------------


def test_no_world_is_made_to_see_that_no_program_is_wanted(monkeypatch):
    monkeypatch.setattr(serving, "build", lambda *_: pytest.fail("a world is made"))
    assert refusal(cell("world: {secure: [target]}")) is None


def test_one_that_is_too_old_is_skipped_and_the_way_to_a_newer_one_is_said(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    fetched(monkeypatch, tmp_path)
    run = refusal(cell(ENCRYPTED.format("doq", "knot")))
    assert run is not None
    assert run.verdict is Verdict.SKIPPED
    assert run.reason == "Knot DNS 3.2.6 is there, which has doq from 3.4 on; adox engines fetch knot"


def test_one_that_is_not_there_is_skipped_and_the_way_to_get_it_is_said(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(catalogue, "search_path", lambda: "/nowhere")
    run = refusal(cell("world: {servers: {root: nsd}}"))
    assert run is not None
    assert (run.verdict, run.reason) == (Verdict.SKIPPED, "nsd is not there; apt-get install nsd")


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (ENCRYPTED.format("doq", "nsd"), "NSD at target has no doq"),
        (ENCRYPTED.format("doh", "knot"), "Knot DNS at target has no doh"),
        (
            "world: {signal: [commitment], secure: [target], servers: {target: bind}}",
            "BIND at target does not say of itself what commitment would have it say",
        ),
        (
            "world: {servers: {target: knot}, report_channel: {target: er.dnshost.net}}",
            "Knot DNS at target does not say of itself what report_channel would have it say",
        ),
        (
            "world: {signal: [svcb-glue], secure: [target], servers: {target-parent: knot}}",
            "Knot DNS at target-parent does not add to referrals what svcb-glue would have it add",
        ),
        (
            "world: {signal: [deleg], secure: [target], servers: {target-parent: knot}}",
            "Knot DNS at target-parent does not delegate by DELEG",
        ),
        (
            "world: {secure: [target], servers: {target: nsd}}\n"
            "steps: [break: target, query: secret.example.org A]",
            "NSD at target cannot be told to interrupt its encrypted service",
        ),
        (
            "world: {servers: {evil: knot}}\n"
            "attack: [{attacker: forge-ns, on: target-parent, with: {answers: forged}}]",
            "Knot DNS at evil does not get the zones that an attacker makes up",
        ),
        (
            "world: {secure: [target], servers: {target: nsd}}\nresolver: {policy: {resumption: tickets}}\n"
            "steps: [query: www.example.org A, advance: 10m, query: secret.example.org A]",
            "NSD at target forgets the keys of its tickets when time is made to pass",
        ),
        (
            "world: {servers: {evil: nsd}}",
            "NSD at evil does not tell the secrets of its sessions, which the attacker would have",
        ),
        (
            "world: {signal: [none], secure: [root], servers: {root: nsd}}\nresolver: {engine: unbound}",
            "NSD at root does not tell the secrets of its sessions, nor does unbound",
        ),
    ],
)
def test_what_it_cannot_do_is_not_applicable_and_the_reason_is_said(text: str, reason: str) -> None:
    run = refusal(cell(text))
    assert run is not None
    assert (run.verdict, run.reason, run.expected) == (Verdict.NOT_APPLICABLE, reason, None)


@pytest.mark.parametrize(
    "text",
    [
        "world: {servers: {target: reference}}",
        ENCRYPTED.format("dot", "nsd"),
        "world: {signal: [svcb-glue], secure: [target], servers: {target: nsd}}",
        "world: {secure: [target, root], servers: {root: bind}}\n"
        "steps: [break: target, advance: 1d, query: secret.example.org A]",
    ],
)
def test_what_it_can_do_is_run(text: str) -> None:
    of = cell(text)
    assert [serving.obstacle(of, part) for part in serving.parts(of)] == [None for _ in serving.parts(of)]


# -- the field -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("servers", "complaint"),
    [
        ("{nobody: nsd}", "t.yaml:3:19: unknown role 'nobody'; "),
        ("{target: nds}", "t.yaml:3:27: unknown engine 'nds'; did you mean 'nsd'?"),
        ("{target: unbound}", "t.yaml:3:27: unknown engine 'unbound'; "),
        ("{target: ./nowhere}", "t.yaml:3:27: there is no engine at './nowhere'; "),
        ("{target: 4}", "t.yaml:3:27: the number 4 does not fit `target`; it must be text"),
    ],
)
def test_a_mistake_is_said_with_line_and_column(servers: str, complaint: str) -> None:
    with pytest.raises(ScenarioError) as caught:
        cell(f"world: {{servers: {servers}}}")
    assert str(caught.value).startswith(complaint)


def test_an_axis_varies_what_plays_a_role() -> None:
    text = (
        "id: t/t\ntitle: t\nworld: {secure: [target]}\nmatrix: {world.servers.target: [reference, nsd, knot]}"
    )
    cells = load_text(text, Path("t.yaml"))
    assert [one.scenario.world.programs for one in cells] == [{}, {"target": "nsd"}, {"target": "knot"}]
    assert len({one.baseline_key for one in cells}) == 3
    worlds = [build(one.topology, one.scenario.world) for one in cells]
    assert worlds[0] is worlds[1] is worlds[2]
