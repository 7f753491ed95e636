"""What an attacker knows of the world, and the words by which scenario files refer to it."""

from __future__ import annotations

import random
import re
from collections.abc import Callable, Iterator, Mapping, Set
from dataclasses import dataclass, field

import dns.name
import dns.rdatatype
import dns.rrset

from testbed.core.zone import Zone

NEGATIVE_TTL = 3600
"""TTL of forged denials, in seconds, where nobody says otherwise."""

_WORD = re.compile(r"\{([^{}?&][^{}]*|)\}")
"""Not so {?dns} and {&dns}, which are for URI templates in records (RFC 9461 section 5)."""

_SERVER = "server:"


@dataclass(frozen=True)
class Scene:
    """What an attacker knows of the world: names and addresses, never a verdict.

    ``own_name``, ``own_zone`` and ``own_addresses`` are those of the server that the attacker runs.
    """

    target_zone: dns.name.Name
    sensitive_name: dns.name.Name
    own_name: dns.name.Name
    own_zone: dns.name.Name
    own_addresses: tuple[str, str]
    server_names: Mapping[str, dns.name.Name]
    """Name of each server by role."""
    zones: Mapping[dns.name.Name, Zone]
    """Every zone as its operator serves it; whoever can ask for it can copy it."""
    link: str
    """The link that it sits on; empty for one that sits on none."""
    rng: random.Random
    past: Mapping[dns.name.Name, Zone] = field(default_factory=dict)
    """Zones as they once were, signed and genuine; whoever kept a copy has it."""
    obtained: Set[str] = frozenset()
    """Roles for whose servers' names the CA has issued a certificate to the attacker so far."""
    server_addresses: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """Addresses of each server by role, the IPv4 address first."""
    server_zones: Mapping[str, dns.name.Name] = field(default_factory=dict)
    """The zone of each server by role."""
    ask: Callable[[str, bytes], bytes] = lambda _role, _wire: b""
    """What the server of a role answers to a query over UDP; nothing keeps anybody from asking."""
    resolver_addresses: tuple[str, str] = ("", "")
    """The resolver's own, IPv4 and IPv6, from which it asks."""

    def own_address(self, rdtype: dns.rdatatype.RdataType) -> str | None:
        """The address of the attacker's server in records of a type; None for types without addresses."""
        ipv4, ipv6 = self.own_addresses
        return {dns.rdatatype.A: ipv4, dns.rdatatype.AAAA: ipv6}.get(rdtype)

    def led_away(self, rrset: dns.rrset.RRset) -> dns.rrset.RRset:
        """An RRset of addresses with the attacker's in their place; any other as it is."""
        address = self.own_address(rrset.rdtype)
        if address is None:
            return rrset
        return dns.rrset.from_text(rrset.name, rrset.ttl, "IN", rrset.rdtype, address)

    def target_led_away(self) -> Zone:
        """The target zone with the attacker's addresses for the sensitive name, and all else as it is."""
        zone, name = self.zones[self.target_zone], self.sensitive_name
        return Zone(zone.origin, (self.led_away(rrset) if rrset.name == name else rrset for rrset in zone))

    def closest_zone(self, name: dns.name.Name) -> dns.name.Name:
        """The zone that a name lies in, as far down as there are zones."""
        return max((zone for zone in self.zones if name.is_subdomain(zone)), key=len)

    def negative_soa(self, name: dns.name.Name, ttl: int = NEGATIVE_TTL) -> dns.rrset.RRset:
        """A made-up SOA record, as a denial about a name needs it (RFC 2308 section 3)."""
        zone = self.closest_zone(name)
        text = f"{zone} hostmaster.{zone} 1 1800 900 604800 {ttl}"
        return dns.rrset.from_text(zone, ttl, "IN", dns.rdatatype.SOA, text)

    def fill(self, text: str) -> str:
        """A text with the world's names and addresses in place of words in braces: see ``WORDS``.

        Raises KeyError for a word that stands for nothing here.
        """
        return _WORD.sub(lambda match: self._word(match[1]), text)

    def name(self, text: str) -> dns.name.Name:
        """A name from a text that may hold such words."""
        return dns.name.from_text(self.fill(text))

    def _word(self, word: str) -> str:
        if word.startswith(_SERVER):
            return str(self.server_names[word.removeprefix(_SERVER)])
        return WORDS[word][0](self)


WORDS: Mapping[str, tuple[Callable[[Scene], str], str]] = {
    "target-zone": (lambda scene: str(scene.target_zone), "the zone that the user is interested in"),
    "sensitive-name": (lambda scene: str(scene.sensitive_name), "the name that the user is interested in"),
    "own-name": (lambda scene: str(scene.own_name), "the name of the attacker's server"),
    "own-zone": (lambda scene: str(scene.own_zone), "the zone of the attacker's server"),
    "own-ipv4": (lambda scene: scene.own_addresses[0], "the IPv4 address of the attacker's server"),
    "own-ipv6": (lambda scene: scene.own_addresses[1], "the IPv6 address of the attacker's server"),
}
"""What may stand in braces in parameters, and what it stands for; ``server:ROLE`` besides, for the name of a
role's server."""

_STAND_INS = {"own-ipv4": "192.0.2.1", "own-ipv6": "2001:db8::1"}


def stand_in(text: str) -> str:
    """A text with something of the right kind in place of words in braces, to be checked without a world.

    Raises ValueError for an unknown word.
    """
    for word in words_in(text):
        if word not in WORDS and not (word.startswith(_SERVER) and word != _SERVER):
            known = ", ".join(f"{{{known}}}" for known in (*WORDS, f"{_SERVER}ROLE"))
            raise ValueError(f"{{{word}}} stands for nothing; known are {known}")
    return _WORD.sub(lambda match: _STAND_INS.get(match[1], "stand-in.example."), text)


def words_in(text: str) -> Iterator[str]:
    """The words in braces in a text."""
    return (match[1] for match in _WORD.finditer(text))
