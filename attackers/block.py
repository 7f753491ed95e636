"""Keeps connections from coming about, chosen by transport, port, size of the first flight, SNI or ALPN."""

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
from testbed.attack.selecting import NamePattern, endpoint, meets
from testbed.core.notation import parse_name
from testbed.core.tls_messages import AlertDescription
from testbed.core.transport import Transport


class BlockParameters(Parameters):
    """What is blocked, and how."""

    how: Literal["reset", "drop", "icmp", "alert"] = Field(
        "reset",
        description="reset: RST, or ICMP port unreachable. drop: swallow it. icmp: administratively "
        "prohibited, before a handshake. alert: a fatal TLS alert.",
    )
    transports: tuple[Transport, ...] = Field(
        (Transport.DOT, Transport.DOH, Transport.DOH3, Transport.DOQ),
        description="Transports that it blocks on their ports.",
    )
    sni: tuple[NamePattern, ...] = Field(
        (), description="Names that a ClientHello asks for, or `*.` and a name for all below it; empty: any."
    )
    alpn: tuple[str, ...] = Field((), description="Protocols of which a ClientHello offers one; empty: any.")
    offers: Literal["anything", "a-ticket", "early-data"] = Field(
        "anything",
        description="a-ticket: only handshakes that try to resume a session. early-data: only those that "
        "come with data.",
    )
    larger_than: int | None = Field(
        None, ge=0, description="Octets of the first flight: the ClientHello, or the first datagram."
    )
    smaller_than: int | None = Field(None, ge=1, description="The same, from above.")


class Block(Attacker):
    """Blocks by what can be read of a connection before anything is encrypted."""

    capability = Capability.ON_PATH
    source = "RFC 9505 section 4; RFC 8744 section 2"
    Parameters = BlockParameters

    @property
    def ports(self) -> frozenset[int]:
        """The ports of the transports that are blocked."""
        return frozenset(port for _, port in self._endpoints)

    @property
    def _endpoints(self) -> set[tuple[str, int]]:
        return {endpoint(transport) for transport in self.parameters.transports}

    @property
    def _reads_hellos(self) -> bool:
        chosen = self.parameters
        sizes = chosen.larger_than is not None or chosen.smaller_than is not None
        return sizes or self._of_hellos_alone or chosen.how == "alert"

    @property
    def _of_hellos_alone(self) -> bool:
        """Whether it takes more than the size to know what is meant."""
        chosen = self.parameters
        return bool(chosen.sni or chosen.alpn) or chosen.offers != "anything"

    def connect(self, connect: Connect) -> ConnectAction:
        """Refuse a connection, unless that depends on its ClientHello."""
        if (connect.protocol, connect.port) not in self._endpoints:
            return None
        if self._reads_hellos and (connect.protocol == "tcp" or not self._of_size(connect.size)):
            return None
        if connect.protocol == "udp" and self._of_hellos_alone:
            return None
        self.matched()
        match self.parameters.how:
            case "drop":
                return Drop()
            case "icmp":
                return Unreachable()
            case _:
                return Reset()

    def handshake(self, handshake: Handshake) -> HandshakeAction:
        """Break a handshake off."""
        if not self._reads_hellos or not self._meant(handshake):
            return None
        self.matched()
        match self.parameters.how:
            case "drop":
                return Drop()
            case "alert":
                return Alert(AlertDescription.HANDSHAKE_FAILURE)
            case _:
                return Reset()

    def _meant(self, handshake: Handshake) -> bool:
        chosen = self.parameters
        if (handshake.protocol, handshake.port) not in self._endpoints or not self._of_size(handshake.size):
            return False
        if handshake.protocol == "udp" and not self._of_hellos_alone:
            return False  # that was decided when the datagram came
        if chosen.alpn and not set(chosen.alpn).intersection(handshake.alpn):
            return False
        offered = {"anything": True, "early-data": handshake.early_data}
        if not offered.get(chosen.offers, handshake.resuming):
            return False
        if not chosen.sni:
            return True
        return handshake.sni is not None and meets(self.scene, chosen.sni, parse_name(handshake.sni))

    def _of_size(self, size: int) -> bool:
        low, high = self.parameters.larger_than, self.parameters.smaller_than
        return (low is None or size > low) and (high is None or size < high)
