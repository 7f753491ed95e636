"""The hosted zone on a network without IPv4: the resolver and all servers reach each other over IPv6 only.

::

    root ─┬─ org (target-parent) ── example.org, served by ns1.dnshost.net (target)
          └─ net (ns-parent) ─┬─ dnshost.net (ns-zone), which holds ns1.dnshost.net
                              └─ evil-dns.net (evil), the attacker's own
"""

import dataclasses

from topologies import hosted

TOPOLOGY = dataclasses.replace(
    hosted.TOPOLOGY,
    name="ipv6-only",
    summary="the hosted zone on a network without IPv4",
    servers=tuple(dataclasses.replace(server, families=(6,)) for server in hosted.TOPOLOGY.servers),
)
