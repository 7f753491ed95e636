"""Holds TLS handshakes up: encryption works, and takes longer than clients wait."""

from pydantic import Field

from testbed.attack.api import Attacker, Capability, Delay, Handshake, HandshakeAction, Parameters


class SlowHandshakeParameters(Parameters):
    """How slow."""

    seconds: float = Field(10.0, gt=0, le=3600, description="How long a ClientHello is held up, in seconds.")


class SlowHandshake(Attacker):
    """Delays ClientHellos. TCP is up by then, so that nothing tells it from a busy server."""

    capability = Capability.ON_PATH
    source = "RFC 9539 section 4; RFC 9505 section 5"
    Parameters = SlowHandshakeParameters

    def handshake(self, handshake: Handshake) -> HandshakeAction:
        """Hold it up."""
        self.matched()
        return Delay(self.parameters.seconds)
