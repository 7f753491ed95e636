"""The target zone lives on a hoster's name server, whose name lies under another top-level domain.

::

    root ─┬─ org (target-parent) ── example.org, served by ns1.dnshost.net (target)
          └─ net (ns-parent) ─┬─ dnshost.net (ns-zone), which holds ns1.dnshost.net
                              └─ evil-dns.net (evil), the attacker's own
"""

import dns.name

from testbed.topology import MIRROR, Topology, server

TOPOLOGY = Topology(
    name="hosted",
    summary="a zone on a hoster's name server with an out-of-bailiwick name",
    servers=(
        server("root", ".", "a.root-servers.net.", 1, parent=None),
        server("root-source", ".", "axfr.root-servers.net.", 2, parent=None, link=MIRROR),
        server("target-parent", "org.", "a.nic.org.", 3, parent="root"),
        server("ns-parent", "net.", "a.nic.net.", 4, parent="root"),
        server("ns-zone", "dnshost.net.", "ns0.dnshost.net.", 5, parent="ns-parent"),
        server("target", "example.org.", "ns1.dnshost.net.", 6, parent="target-parent"),
        server("evil", "evil-dns.net.", "ns.evil-dns.net.", 66, parent="ns-parent"),
    ),
    sensitive_name=dns.name.from_text("secret.example.org."),
)
