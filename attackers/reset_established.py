"""Resets TLS sessions once they are up, where blockers that look at handshakes have let them pass."""

from pydantic import Field

from testbed.attack.api import Attacker, Capability, Established, EstablishedAction, Parameters, Reset


class ResetEstablishedParameters(Parameters):
    """How late."""

    after: int = Field(
        0, ge=0, description="Records of data that the resolver may send in a session before it is reset."
    )


class ResetEstablished(Attacker):
    """Resets both ends of a session that is up: after the handshake, or after some queries."""

    capability = Capability.ON_PATH
    source = "RFC 9293 section 3.5.2; RFC 9505 section 5"
    Parameters = ResetEstablishedParameters

    def established(self, session: Established) -> EstablishedAction:
        """Reset it when enough was sent."""
        if session.records <= self.parameters.after:
            return None
        self.matched()
        return Reset()
