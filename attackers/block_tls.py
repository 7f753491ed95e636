"""Keeps encrypted connections from coming about, in the ways in which networks do."""

from typing import Literal

from pydantic import Field

from testbed.attack.api import (
    Alert,
    Attacker,
    Capability,
    Connect,
    ConnectAction,
    Drop,
    Handshake,
    HandshakeAction,
    Parameters,
    Reset,
    Unreachable,
)

HANDSHAKE_FAILURE = 40
"""TLS alert description (RFC 8446 section 6)."""


class BlockTlsParameters(Parameters):
    """How, and where."""

    how: Literal["reset", "drop", "icmp", "alert"] = Field(
        "reset",
        description="reset: answer the SYN with RST. drop: swallow it. icmp: administratively prohibited. "
        "alert: let the connection come about, answer the ClientHello with a fatal alert.",
    )
    ports: tuple[int, ...] = Field((853, 443), description="Destination ports that are blocked.")


class BlockTls(Attacker):
    """Blocks connections to the ports of DoT, DoQ and DoH; Do53 passes."""

    capability = Capability.ON_PATH
    source = "RFC 9539 section 7; Huang, Chang and Li, FOCI 2020"
    Parameters = BlockTlsParameters
    parameters: BlockTlsParameters

    @property
    def ports(self) -> frozenset[int]:
        """The ports that are blocked."""
        return frozenset(self.parameters.ports)

    def connect(self, connect: Connect) -> ConnectAction:
        """Refuse the connection, or swallow its first packet."""
        self.matched()
        match self.parameters.how:
            case "reset":
                return Reset()
            case "drop":
                return Drop()
            case "icmp":
                return Unreachable()
            case "alert":
                return Reset() if connect.protocol == "udp" else None

    def handshake(self, handshake: Handshake) -> HandshakeAction:
        """Break the handshake off."""
        if self.parameters.how != "alert":
            return None
        return Alert(HANDSHAKE_FAILURE)
