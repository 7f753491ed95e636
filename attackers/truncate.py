"""Says of every response over UDP that it is truncated, and takes away TCP, to which resolvers then turn."""

from typing import Literal

import dns.flags
import dns.message
from pydantic import Field

from testbed.attack.api import (
    Attacker,
    Capability,
    Connect,
    ConnectAction,
    Drop,
    MessageAction,
    Parameters,
    Query,
    Reply,
    Reset,
)
from testbed.core.transport import Transport

_DNS = 53


class TruncateParameters(Parameters):
    """What becomes of TCP."""

    tcp: Literal["reset", "drop", "passed"] = Field(
        "reset", description="reset: connections are refused. drop: SYNs are swallowed. passed: it works."
    )


class Truncate(Attacker):
    """Drives resolvers from UDP to TCP, and blocks that: no answer arrives in clear, whole or not."""

    capability = Capability.ON_PATH
    source = "RFC 7766 section 5"
    Parameters = TruncateParameters

    @property
    def ports(self) -> frozenset[int]:
        """That of DNS over TCP."""
        return frozenset((_DNS,)) if self.parameters.tcp != "passed" else frozenset()

    def connect(self, connect: Connect) -> ConnectAction:
        """Refuse TCP, or swallow its SYN."""
        if connect.protocol != "tcp":
            return None
        return Reset() if self.parameters.tcp == "reset" else Drop()

    def query(self, query: Query) -> MessageAction:
        """Answer queries over UDP with an empty response that is truncated."""
        if query.transport is not Transport.UDP:
            return None
        self.matched()
        response = query.respond()
        response.flags |= dns.flags.TC
        return Reply(response)
