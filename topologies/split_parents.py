"""The name server of the target's top-level domain has its own name under another top-level domain.

::

    root ─┬─ org, served by a0.org.nic-host.info (target-parent)
          │    └─ example.org, served by ns1.dnshost.net (target)
          ├─ info (tld-ns-parent) ── nic-host.info (tld-ns-zone), which holds a0.org.nic-host.info
          └─ net (ns-parent) ─┬─ dnshost.net (ns-zone), which holds ns1.dnshost.net
                              └─ evil-dns.net (evil), the attacker's own
"""

import dns.name

from testbed.topology import MIRROR, Topology, server

TOPOLOGY = Topology(
    name="split-parents",
    summary="the name of the top-level domain's own server lies under another top-level domain",
    servers=(
        server("root", ".", "a.root-servers.net.", 1, parent=None),
        server("root-source", ".", "axfr.root-servers.net.", 2, parent=None, link=MIRROR),
        server("target-parent", "org.", "a0.org.nic-host.info.", 3, parent="root"),
        server("tld-ns-parent", "info.", "a.nic.info.", 7, parent="root"),
        server("tld-ns-zone", "nic-host.info.", "ns.nic-host.info.", 8, parent="tld-ns-parent"),
        server("ns-parent", "net.", "a.nic.net.", 4, parent="root"),
        server("ns-zone", "dnshost.net.", "ns0.dnshost.net.", 5, parent="ns-parent"),
        server("target", "example.org.", "ns1.dnshost.net.", 6, parent="target-parent"),
        server("evil", "evil-dns.net.", "ns.evil-dns.net.", 66, parent="ns-parent"),
    ),
    sensitive_name=dns.name.from_text("secret.example.org."),
)
