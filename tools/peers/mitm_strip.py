"""An addon of mitmproxy that strips DS records from DNS responses."""

import sys

from mitmproxy import dns

DS = 43


def running() -> None:
    """It listens."""
    sys.stdout.write("ready\n")
    sys.stdout.flush()


def dns_response(flow: dns.DNSFlow) -> None:
    """Strip a response."""
    if flow.response is not None:
        kept = [record for record in flow.response.authorities if record.type != DS]
        flow.response.authorities = kept
