"""Takes all the connections that a server keeps, so that it has none left for resolvers."""

from __future__ import annotations

from pydantic import Field

from testbed.attack.api import Attacker, Capability, Occupy, OccupyAction, Parameters
from testbed.core.transport import Transport


class ExhaustConnectionsParameters(Parameters):
    """Whose connections, of which kind, and how many."""

    server: str = Field("target", description="The role whose server has its connections taken.")
    transport: Transport = Field(
        Transport.TCP, description="What they are opened for. A server counts all kinds together."
    )
    connections: int = Field(
        100, ge=1, le=1000, description="How many it wants; it stops at the first that is refused."
    )


class ExhaustConnections(Attacker):
    """Opens connections from its own host, and keeps them, until the server refuses further ones.

    It is on nobody's path, and forges nothing. Before each query it opens those that are missing.
    """

    capability = Capability.OFF_PATH
    source = "RFC 7766 sections 6.2.2 and 10; RFC 9103 section 12; RFC 9250 section 7"
    position = "on no link"
    Parameters = ExhaustConnectionsParameters

    def occupy(self) -> OccupyAction:
        """As many as it wants."""
        chosen = self.parameters
        self.matched()
        return Occupy(chosen.server, chosen.transport, chosen.connections)
