"""What attackers guess that see nothing: the resolver's port above all, and when to send what."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

import dns.name
import dns.rdatatype
from pydantic import Field

from testbed.attack.api import Attacker, Capability, Moment, Parameters
from testbed.attack.spoofed import Address

SMALLEST_PORT, EPHEMERAL_PORT, PORTS = 1024, 32768, 65536
"""Where the ports begin that resolvers choose for UDP, those that kernels choose for TCP; where ports end."""


class GuessingParameters(Parameters):
    """What is common to attackers that guess."""

    server: str = Field("target", description="The role of the server whose traffic it meddles with.")
    guesses: int = Field(
        100, ge=1, le=4096, description="How many packets it sends for one question, to all addresses."
    )
    seconds: float = Field(
        0.1, ge=0, description="The time over which it spreads them, beginning with the question."
    )
    port: int = Field(
        0,
        ge=0,
        le=65535,
        description="The resolver's port as it guesses it; 0: the one that the attacker's own server last "
        "saw it use over UDP, or else, or over TCP, any.",
    )


MINIMISED = "Whether it expects the server to be asked for no more of the name than it needs."
"""What a parameter ``minimised`` is for; see ``Guessing.asked``."""


@dataclass(frozen=True, slots=True)
class Guess:
    """One guess: the two ends of the flow that is meant, and the seconds after which it is made."""

    number: int
    server: Address
    resolver: Address
    after: float

    def ends(self, told: Literal["resolver", "server"]) -> tuple[Address, Address]:
        """The end that is to be told something, and the one in whose name."""
        return (self.resolver, self.server) if told == "resolver" else (self.server, self.resolver)


class Guessing(Attacker):
    """Base of attackers that guess. They act on questions about the target zone, which they cause."""

    capability = Capability.OFF_PATH
    position = "no link"
    Parameters = GuessingParameters

    def guesses(self, moment: Moment, port: int, protocol: str = "udp") -> Iterator[Guess]:
        """The guesses for a question, at even intervals, the server's addresses by turns.

        ``port`` and ``protocol`` are those of the server. None for questions that it does not care for.
        """
        if not moment.name.is_subdomain(self.scene.target_zone):
            return
        self.matched()
        chosen = self.parameters
        addresses = self.scene.server_addresses[chosen.server]
        for number in range(chosen.guesses):
            server = addresses[number % len(addresses)]
            own = self.scene.resolver_addresses[":" in server]
            after = chosen.seconds * (number + 1) / (chosen.guesses + 1)
            guessed = self._port(moment, protocol)
            yield Guess(number // len(addresses), (server, port), (own, guessed), after)

    def asked(self, moment: Moment, minimised: bool) -> tuple[dns.name.Name, dns.rdatatype.RdataType]:
        """What the server is asked because of a question; ``minimised``: as RFC 9156 has it."""
        if not minimised:
            return moment.name, moment.rdtype
        served = self.scene.server_zones[self.parameters.server]
        name = moment.name.split(min(len(served) + 1, len(moment.name)))[1]
        return name, moment.rdtype if name == moment.name else dns.rdatatype.A

    def _port(self, moment: Moment, protocol: str) -> int:
        if self.parameters.port:
            port: int = self.parameters.port
            return port
        if moment.arrivals and protocol == "udp":
            return moment.arrivals[-1].source[1]
        return self.scene.rng.randrange(SMALLEST_PORT if protocol == "udp" else EPHEMERAL_PORT, PORTS)
