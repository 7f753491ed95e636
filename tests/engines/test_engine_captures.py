"""Captures of real engines open decrypted in tshark, those of sessions with the attacker included."""

import shutil
import subprocess
from pathlib import Path

import pytest
from probes import PROBES
from running import run_cells

from testbed.engines import catalogue
from testbed.scenario.load import load_file

KNOWN = """
id: captures/known
title: A root server is known to speak TLS
world: {signal: [none], secure: [root]}
resolver: {policy: {base: strict, signals: [none], minimisation: "off"}}
"""
IMPERSONATED = "attack: [{{attacker: impersonate, on: {link}, with: {{certificate: own-name}}}}]"


QUERIES = ("-Y", "tls && dns.flags.response == 0", "-T", "fields", "-e", "dns.qry.name")


def decrypted(run, link):
    """The names that were asked for in TLS sessions on a link, as tshark reads them."""
    (capture,) = Path(run.evidence).rglob(f"{link}.pcapng")
    command = ["tshark", "-n", "-r", str(capture), *QUERIES]
    return set(subprocess.run(command, capture_output=True, text=True, check=True).stdout.split())


def played(text, engine, folder):
    file = folder / "t.yaml"
    file.write_text(text)
    (cell,) = load_file(file)
    (run,) = run_cells([cell.with_engine(engine)], folder / "evidence")
    assert run.verdict in ("safe", "leak"), run.reason
    return run


@pytest.mark.parametrize("attacked", [False, True])
def test_of_one_that_probes(attacked, tmp_path):
    attack = IMPERSONATED.format(link="target") if attacked else ""
    run = played(PROBES + attack, "powerdns", tmp_path)
    assert "secret.example.org" in decrypted(run, "target")


def test_of_one_that_knows(tmp_path):
    run = played(KNOWN, "unbound", tmp_path)
    assert "secret.example.org" in decrypted(run, "root")


def test_of_a_session_with_the_attacker(tmp_path):
    folder = tmp_path / "trusting"
    shutil.copytree(catalogue.load("unbound").folder, folder)
    template = folder / "unbound.conf.j2"
    named = "stub-addr: {{ address }}@{{ server.dot }}#{{ server.name }}"
    template.write_text(template.read_text().replace(named, named.partition("#")[0]))
    run = played(KNOWN + IMPERSONATED.format(link="root"), str(folder), tmp_path)
    assert run.leak == "name"
    assert "terminated" in {exposure.how for exposure in run.exposures}
    assert "secret.example.org" in decrypted(run, "root")
