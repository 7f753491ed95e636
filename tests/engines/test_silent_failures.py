"""Silent failures: real resolvers do not have them; one with a mistake in its configuration is caught."""

import shutil

import pytest
from running import run_cells

from testbed.engines import catalogue
from testbed.scenario.load import SCENARIOS, load_file

FOLDER = SCENARIOS / "silent-failures"
UNBOUND = catalogue.load("unbound").folder
ADDRESS = "stub-addr: {{ address }}@{{ server.dot }}#{{ server.name }}"
MISTAKES = {
    # The hints win, and the stub zone with its TLS is never used.
    "hints": ('{% if "preconfigured" not in signals %}', "{% if true %}"),
    "unauthenticated": (ADDRESS, "stub-addr: {{ address }}@{{ server.dot }}"),
    "port-53": (ADDRESS, "stub-addr: {{ address }}@53#{{ server.name }}"),
}
"""What a line of Unbound's configuration is mistaken for."""


@pytest.fixture
def run_with(tmp_path):
    """Runs the cells of a scenario with Unbound, as it is or with a mistake; their records."""

    def run(scenario, mistake=None):
        engine = "unbound"
        if mistake is not None:
            folder = tmp_path / mistake
            shutil.copytree(UNBOUND, folder)
            template = folder / "unbound.conf.j2"
            right, wrong = MISTAKES[mistake]
            assert right in template.read_text()
            template.write_text(template.read_text().replace(right, wrong))
            engine = str(folder)
        cells = [
            cell
            for cell in load_file(FOLDER / f"{scenario}.yaml")
            if cell.scenario.resolver.policy.encryption == "signalled"
            and cell.scenario.resolver.policy.authentication == "required"
        ]
        return run_cells([cell.with_engine(engine) for cell in cells])

    return run


def test_each_address_is_probed_for_itself():
    cells = load_file(FOLDER / "one-address-family.yaml")
    found = run_cells([cell.with_engine("powerdns") for cell in cells])
    assert len(found) == 6
    assert all(run.expected for run in found), [(run.id, run.leak, run.reason) for run in found]


def test_configured_and_spoken(run_with):
    (found,) = run_with("configured-and-not-spoken")
    assert found.expected, found.reason


def test_configured_and_not_spoken(run_with):
    (found,) = run_with("configured-and-not-spoken", "hints")
    assert (found.verdict, found.leak, found.expected) == ("leak", "name", False)
    assert found.exposures[0].how == "clear"
    # The client notices nothing.
    assert found.answer == ("NOERROR secret.example.org. A 203.0.113.99",)


@pytest.mark.parametrize("scenario", ["fallback-unasked", "certificate-unchecked"])
def test_strict_where_it_was_told_to_be(run_with, scenario):
    found = run_with(scenario)
    assert len(found) == 4
    assert all(run.expected for run in found), [run.reason for run in found]


def test_a_name_that_nobody_looks_at(run_with):
    found = run_with("certificate-unchecked", "unauthenticated")
    (caught,) = (run for run in found if not run.expected)
    # The other certificates are from nobody that is trusted.
    assert "certificate=own-name" in caught.id
    assert (caught.verdict, caught.leak, caught.downgrade) == ("leak", "name", False)


def test_tls_on_the_port_of_do53(run_with):
    (found,) = run_with("configured-and-not-spoken", "port-53")
    assert (found.verdict, found.expected) == ("inconclusive", False)
    hellos = [crossing for crossing in found.ladder if "ClientHello" in crossing.text]
    assert hellos
