"""The target zone has three name servers, at two providers and at home, with names under three parents.

::

    root ─┬─ org (target-parent) ── example.org, served by ns1.dnshost.net (target),
          │                         ns1.dnsfarm.info (target-2) and ns.example.org (target-3)
          ├─ net (ns-parent) ─┬─ dnshost.net (ns-zone), which holds ns1.dnshost.net
          │                   └─ evil-dns.net (evil), the attacker's own
          └─ info (ns-parent-2) ── dnsfarm.info (ns-zone-2), which holds ns1.dnsfarm.info
"""

import dns.name

from testbed.topology import MIRROR, Topology, server

TOPOLOGY = Topology(
    name="multi-ns",
    summary="a zone on three name servers of three operators, with names under three parents",
    servers=(
        server("root", ".", "a.root-servers.net.", 1, parent=None),
        server("root-source", ".", "axfr.root-servers.net.", 2, parent=None, link=MIRROR),
        server("target-parent", "org.", "a.nic.org.", 3, parent="root"),
        server("ns-parent", "net.", "a.nic.net.", 4, parent="root"),
        server("ns-zone", "dnshost.net.", "ns0.dnshost.net.", 5, parent="ns-parent"),
        server("ns-parent-2", "info.", "a.nic.info.", 7, parent="root"),
        server("ns-zone-2", "dnsfarm.info.", "ns0.dnsfarm.info.", 8, parent="ns-parent-2"),
        server("target", "example.org.", "ns1.dnshost.net.", 6, parent="target-parent"),
        server("target-2", "example.org.", "ns1.dnsfarm.info.", 9, parent="target-parent"),
        server("target-3", "example.org.", "ns.example.org.", 10, parent="target-parent"),
        server("evil", "evil-dns.net.", "ns.evil-dns.net.", 66, parent="ns-parent"),
    ),
    sensitive_name=dns.name.from_text("secret.example.org."),
)
