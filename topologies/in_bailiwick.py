"""The target zone holds the name of its own name server, so that one parent has a say and not two.

::

    root ─┬─ org (target-parent) ── example.org, served by ns1.example.org (target)
          └─ net (evil-parent) ── evil-dns.net (evil), the attacker's own
"""

import dns.name

from testbed.topology import MIRROR, Topology, server

TOPOLOGY = Topology(
    name="in-bailiwick",
    summary="a zone on a name server whose name lies in it",
    servers=(
        server("root", ".", "a.root-servers.net.", 1, parent=None),
        server("root-source", ".", "axfr.root-servers.net.", 2, parent=None, link=MIRROR),
        server("target-parent", "org.", "a.nic.org.", 3, parent="root"),
        server("evil-parent", "net.", "a.nic.net.", 4, parent="root"),
        server("target", "example.org.", "ns1.example.org.", 6, parent="target-parent"),
        server("evil", "evil-dns.net.", "ns.evil-dns.net.", 66, parent="evil-parent"),
    ),
    sensitive_name=dns.name.from_text("secret.example.org."),
)
