"""Real authoritative servers as programs in their hosts: they serve what ours serves, and nothing is left."""

import json

import pytest
from sandboxed import run

from testbed.engines import catalogue

SERVERS = [("nsd", "dot"), ("nsd",), ("knot",), ("bind", "dot", "doh"), ("bind",)]


def test_the_servers_of_the_package_list_are_installed():
    assert all(
        catalogue.missing(catalogue.authoritative(name)) is None for name in catalogue.authoritatives()
    )


def check(found):
    assert not found["differences"], "\n\n".join(found["differences"])
    assert not found["processes"]
    assert not found["folders"]
    print(f"ready after {found['ready']:.3f} s, ended after {found['stopped']:.3f} s")


@pytest.mark.parametrize("denial", ["nsec", "nsec3"])
@pytest.mark.parametrize("server", SERVERS, ids="-".join)
def test_it_serves_what_ours_serves_and_leaves_nothing_behind(server, denial):
    name, *transports = server
    found = json.loads(run("server_cases.py", name, denial, *transports))
    check(found)
    told = catalogue.authoritative(name).description.key_log != "none"
    assert bool(found["secrets"]) == (told and bool(transports))


def test_knot_of_a_newer_version_serves_over_tls_and_quic(fetched_knot):
    if isinstance(fetched_knot, str):
        pytest.skip(fetched_knot)
    found = json.loads(run("server_cases.py", "knot", "nsec", "dot", "doq"))
    check(found)
    assert found["secrets"]
