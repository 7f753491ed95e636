"""A zone on a name server with a name in it, on a network without IPv6.

::

    root ─┬─ org (target-parent) ── example.org, served by ns1.example.org (target)
          └─ net (evil-parent) ── evil-dns.net (evil), the attacker's own
"""

import dataclasses

from topologies import in_bailiwick

TOPOLOGY = dataclasses.replace(
    in_bailiwick.TOPOLOGY,
    name="ipv4-only",
    summary="a zone on a name server whose name lies in it, on a network without IPv6",
    servers=tuple(dataclasses.replace(server, families=(4,)) for server in in_bailiwick.TOPOLOGY.servers),
)
