"""Tells one end, by ICMP and in another's name, that what it sent did not get through."""

from collections.abc import Iterable
from typing import Literal

from pydantic import Field

from testbed.attack.api import Moment, Spoofed, SpoofedDatagram, SpoofedError, SpoofedSegment
from testbed.attack.guessing import Guessing, GuessingParameters
from testbed.attack.spoofed import ErrorKind


class SpoofIcmpParameters(GuessingParameters):
    """What it says, to whom, and about which traffic."""

    kind: ErrorKind = Field(
        "no-port",
        description="no-port: port unreachable. no-host: host unreachable. prohibited: administratively "
        "prohibited. need-to-fragment: the packet was too big, for IPv6 as well.",
    )
    tells: Literal["resolver", "server"] = Field("resolver", description="Who is told.")
    about: Literal["do53", "dot"] = Field(
        "do53", description="What is said not to have got through: DNS over UDP, or over TLS."
    )
    mtu: int = Field(552, ge=68, le=65535, description="The MTU that goes with need-to-fragment, in octets.")


class SpoofIcmp(Guessing):
    """Sends ICMP errors that quote a packet of the flow that it means, as well as it can guess that.

    Of a UDP flow the port must be right; of a TCP connection the sequence number, too (RFC 5927 section 4.1).
    """

    source = "RFC 5927 sections 2 and 7; RFC 4443 section 5.2; RFC 9715 section 3"
    Parameters = SpoofIcmpParameters
    parameters: SpoofIcmpParameters

    def off_path(self, moment: Moment) -> Iterable[Spoofed]:
        """Complain about one flow after the other."""
        chosen = self.parameters
        port, protocol = (53, "udp") if chosen.about == "do53" else (853, "tcp")
        for guess in self.guesses(moment, port, protocol):
            told, other = guess.ends(chosen.tells)
            quoted: SpoofedDatagram | SpoofedSegment = SpoofedDatagram(told, other, b"")
            if protocol == "tcp":
                quoted = SpoofedSegment(told, other, self.scene.rng.getrandbits(32), "A")
            mtu = chosen.mtu if chosen.kind == "need-to-fragment" else 0
            yield SpoofedError(other[0], told[0], chosen.kind, quoted, mtu, guess.after)
