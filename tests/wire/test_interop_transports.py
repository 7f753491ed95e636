"""Our servers with clients that are not ours, and our clients with real servers: see transport_cases.py.

No package of Debian 12 or Ubuntu 24.04 has a server that speaks DoQ on ordinary sockets. Knot DNS does from
3.4 on, and is fetched: once, into the project's folder.
"""

import pytest
from sandboxed import run

from testbed.engines.fetch import PROGRAMS


@pytest.mark.parametrize("client", ["kdig", "dnspython", "delv"])
def test_our_servers_are_understood_by(client):
    run("transport_cases.py", client)


@pytest.mark.parametrize("server", ["named", "unbound"])
def test_our_clients_understand(server):
    run("transport_cases.py", server)


def test_our_clients_understand_knotd_over_quic(fetched_knot):
    if isinstance(fetched_knot, str):
        pytest.skip(fetched_knot)
    run("transport_cases.py", "knotd", str(fetched_knot / PROGRAMS / "knotd"))
