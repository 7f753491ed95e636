"""The hosted zone, and a CA that looks at DNS over a link of its own before it issues a certificate.

::

    ca ──── all of the servers of the topology "hosted"
"""

import dataclasses

from topologies import hosted

TOPOLOGY = dataclasses.replace(
    hosted.TOPOLOGY,
    name="hosted-ca",
    summary="the hosted zone, with a CA that validates control of names by DNS",
    ca_addresses=("192.0.2.80", "2001:db8:2::80"),
)
