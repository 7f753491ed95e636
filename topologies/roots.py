"""The hosted zone below a root with all of its thirteen letters, each a host, all of them on one link.

::

    root, root-b … root-m ─┬─ org (target-parent) ── example.org, served by ns1.dnshost.net (target)
                           └─ net (ns-parent) ─┬─ dnshost.net (ns-zone), which holds ns1.dnshost.net
                                               └─ evil-dns.net (evil), the attacker's own
"""

import dataclasses

from testbed.topology import server
from topologies import hosted

_LETTERS = "bcdefghijklm"
_LINK = "root"

TOPOLOGY = dataclasses.replace(
    hosted.TOPOLOGY,
    name="roots",
    summary="the hosted zone below thirteen root servers on one link",
    servers=(
        *hosted.TOPOLOGY.servers,
        *(
            server(f"root-{letter}", ".", f"{letter}.root-servers.net.", 100 + number, None, link=_LINK)
            for number, letter in enumerate(_LETTERS, start=1)
        ),
    ),
)
