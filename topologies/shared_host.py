"""The target zone is one of a thousand on a hoster's name server; a scenario can say how many.

::

    root ─┬─ org (target-parent) ── example.org and many more, served by ns1.dnshost.net (target)
          └─ net (ns-parent) ─┬─ dnshost.net (ns-zone), which holds ns1.dnshost.net
                              └─ evil-dns.net (evil), the attacker's own
"""

import dataclasses

from topologies import hosted

TOPOLOGY = dataclasses.replace(
    hosted.TOPOLOGY,
    name="shared-host",
    summary="a zone among a thousand on a hoster's name server",
    hosted_zones=1000,
)
