"""Our servers with clients that are not ours, and our clients with real servers: see transport_cases.py.

No package of Debian 12 or Ubuntu 24.04 has a server that speaks DoQ on ordinary sockets.
"""

import pytest
from sandboxed import run

pytestmark = pytest.mark.wire


@pytest.mark.parametrize("client", ["kdig", "dnspython", "delv"])
def test_our_servers_are_understood_by(client):
    run("transport_cases.py", client)


@pytest.mark.parametrize("server", ["named", "unbound"])
def test_our_clients_understand(server):
    run("transport_cases.py", server)
