"""The target zone lies five delegations deep, each zone on the way on a name server of its own.

::

    root ─┬─ org (target-parent-4)
          │    └─ example.org (target-parent-3)
          │         └─ research.example.org (target-parent-2)
          │              └─ lab.research.example.org (target-parent)
          │                   └─ cell.lab.research.example.org, served by ns1.dnshost.net (target)
          └─ net (ns-parent) ─┬─ dnshost.net (ns-zone), which holds ns1.dnshost.net
                              └─ evil-dns.net (evil), the attacker's own
"""

import dns.name

from testbed.topology import MIRROR, Topology, server

TOPOLOGY = Topology(
    name="deep",
    summary="a zone five delegations deep, on a hoster's name server",
    servers=(
        server("root", ".", "a.root-servers.net.", 1, parent=None),
        server("root-source", ".", "axfr.root-servers.net.", 2, parent=None, link=MIRROR),
        server("target-parent-4", "org.", "a.nic.org.", 3, parent="root"),
        server("target-parent-3", "example.org.", "ns.example.org.", 11, parent="target-parent-4"),
        server(
            "target-parent-2",
            "research.example.org.",
            "ns.research.example.org.",
            12,
            parent="target-parent-3",
        ),
        server(
            "target-parent",
            "lab.research.example.org.",
            "ns.lab.research.example.org.",
            13,
            parent="target-parent-2",
        ),
        server("ns-parent", "net.", "a.nic.net.", 4, parent="root"),
        server("ns-zone", "dnshost.net.", "ns0.dnshost.net.", 5, parent="ns-parent"),
        server("target", "cell.lab.research.example.org.", "ns1.dnshost.net.", 6, parent="target-parent"),
        server("evil", "evil-dns.net.", "ns.evil-dns.net.", 66, parent="ns-parent"),
    ),
    sensitive_name=dns.name.from_text("secret.cell.lab.research.example.org."),
)
