"""Our servers with clients that are not ours, and our clients with real servers: see transport_cases.py.

No package of Debian 12 or Ubuntu 24.04 has a server that speaks DoQ on ordinary sockets. Knot DNS does from
3.4 on, and is fetched: once, into the project's folder.
"""

import pytest
from sandboxed import run

from testbed.engines.apt import FetchError
from testbed.engines.fetch import PROGRAMS, fetch
from testbed.scenario.engine import FETCHED

pytestmark = pytest.mark.wire


@pytest.mark.parametrize("client", ["kdig", "dnspython", "delv"])
def test_our_servers_are_understood_by(client):
    run("transport_cases.py", client)


@pytest.mark.parametrize("server", ["named", "unbound"])
def test_our_clients_understand(server):
    run("transport_cases.py", server)


@pytest.fixture(scope="module")
def knot():
    """A folder with Knot DNS of a version that speaks DoQ."""
    there = [path for path in FETCHED.glob("knot-[0-9]*") if version(path) >= (3, 4)]
    try:
        found = max(there, key=version) if there else fetch("knot")
    except FetchError as error:
        pytest.skip(f"Knot DNS 3.4 cannot be fetched: {error}")
    if version(found) < (3, 4):
        pytest.skip(f"the newest that can be fetched is {found.name}, which does not speak DoQ")
    return found


def version(folder):
    return tuple(int(part) for part in folder.name.removeprefix("knot-").split(".")[:2])


def test_our_clients_understand_knotd_over_quic(knot):
    run("transport_cases.py", "knotd", str(knot / PROGRAMS / "knotd"))
