"""What a resolver knows about a zone's name servers: who they are, and how they can be reached."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import dns.exception
import dns.message
import dns.name
import dns.rdatatype
import dns.reversename
import dns.rrset

from testbed.core.dohpath import DEFAULT_PATH
from testbed.core.policy import Credential
from testbed.core.resolver.cache import Security, Standing
from testbed.core.transport import Transport

if TYPE_CHECKING:  # it brings cryptography, which scenario files are read without
    from dns.rdtypes.ANY.TLSA import TLSA

    from testbed.core.identity import Identity


@dataclass(frozen=True, slots=True)
class Offer:
    """That a name server offers encryption, over these transports and ports, in the order of preference.

    ``signal`` names the signal that said so, ``standing`` why it may be believed, ``until`` when it expires.
    An offer without transports says that the server is known to offer none. ``identities`` are what came
    along to recognise the server by, any one of them, and ``tlsa`` are TLSA records that did;
    ``credentials`` are those that the server has, if that was said.
    ``zone`` is the one zone for which it holds, None where it holds whatever the server is asked for. A
    ``hint`` obliges to nothing: clear text stays allowed. One that is ``final`` leaves a resolver no choice,
    whatever its policy: encrypted and recognised, or not at all. ``path`` is where it has DoH.
    """

    signal: str
    transports: tuple[tuple[Transport, int], ...]
    standing: Standing
    until: float
    identities: tuple[Identity, ...] = ()
    tlsa: tuple[TLSA, ...] = ()
    credentials: tuple[Credential, ...] | None = None
    zone: dns.name.Name | None = None
    hint: bool = False
    final: bool = False
    path: str = DEFAULT_PATH

    def __str__(self) -> str:
        offered = ", ".join(transport for transport, _ in self.transports) or "no encryption"
        pinned = ", pinned" if self.identities or self.tlsa else ""
        hint = ", a hint" if self.hint else ""
        return f"{offered}{pinned} ({self.standing.name.lower()}{hint})"


@dataclass(frozen=True, slots=True)
class Endpoint:
    """A name server as a delegation describes it, where that does more than to name it.

    ``addresses`` are those that it gives; without any the name has to be resolved. ``clear`` says whether
    Do53 is among the transports that it lists.
    """

    addresses: tuple[str, ...] = ()
    offer: Offer | None = None
    clear: bool = True


def named_by(address: str) -> dns.name.Name:
    """The name that stands for a server of which the address is all that is known (RFC 1035 section 3.5)."""
    return dns.reversename.from_address(address)


def address_of(server: dns.name.Name) -> str | None:
    """The address that such a name stands for; None for a name as servers have it."""
    try:
        return dns.reversename.to_address(server)
    except (dns.exception.DNSException, ValueError):
        return None


class Offers:
    """Offers by name server and signal, and the name servers whose own delegation was seen.

    Signals that ride in referrals stand in the delegation of the zone that holds the server's name; only
    when that was seen does the lack of an offer mean something.
    """

    def __init__(self) -> None:
        self._offers: dict[tuple[dns.name.Name, str, dns.name.Name | None], Offer] = {}
        self._of_zones: dict[tuple[dns.name.Name, str], Offer] = {}
        self._seen: dict[dns.name.Name, float] = {}

    def learn(self, server: dns.name.Name, offer: Offer, now: float) -> None:
        """Keep an offer; one by the same signal that is better founded and still valid stays."""
        key = (server, offer.signal, offer.zone)
        old = self._offers.get(key)
        if old is None or old.until <= now or old.standing <= offer.standing:
            self._offers[key] = offer

    def get(
        self, server: dns.name.Name, signal: str, now: float, zone: dns.name.Name | None = None
    ) -> Offer | None:
        """What a signal said about a name server, and not about other zones, if that has not expired."""
        for key in dict.fromkeys(((server, signal, zone), (server, signal, None))):
            offer = self._offers.get(key)
            if offer is not None and offer.until > now:
                return offer
        return None

    def learn_of_zone(self, zone: dns.name.Name, offer: Offer, now: float) -> None:
        """Keep an offer that holds for all servers of a zone."""
        old = self._of_zones.get((zone, offer.signal))
        if old is None or old.until <= now or old.standing <= offer.standing:
            self._of_zones[(zone, offer.signal)] = offer

    def of_zone(self, zone: dns.name.Name, signal: str, now: float) -> Offer | None:
        """What a signal said about all servers of a zone, if that has not expired."""
        offer = self._of_zones.get((zone, signal))
        return offer if offer is not None and offer.until > now else None

    def see(self, server: dns.name.Name, until: float) -> None:
        """Remember that the delegation of the zone that holds this server's name was seen."""
        self._seen[server] = until

    def seen(self, server: dns.name.Name, now: float) -> bool:
        """Whether it was, not too long ago."""
        return self._seen.get(server, 0.0) > now


@dataclass(slots=True)
class Delegation:
    """A zone cut: the zone, its name servers, and how far that can be believed.

    ``standing`` is that of the NS RRset, or of the DELEG RRset in its place; ``endpoints`` is what the
    latter says about servers. ``ds`` is validated, or None. ``security`` says whether the zone is signed with
    a chain of trust to it, or not.
    """

    zone: dns.name.Name
    servers: tuple[dns.name.Name, ...]
    ds: dns.rrset.RRset | None
    security: Security
    standing: Standing
    until: float
    source: dns.message.Message | None = None
    """The response that it was taken from."""
    confirmed: bool = False
    """Whether the zone itself was asked for its NS RRset, or need not be."""
    endpoints: dict[dns.name.Name, Endpoint] = field(default_factory=dict)
    offers: tuple[Offer, ...] = ()
    """What came with it about all of its servers. It holds for as long as the delegation is used: a TTL of
    zero, which nothing keeps an attacker from setting, does not make a resolver forget it."""


@dataclass(slots=True)
class Referral:
    """A referral as it is being taken apart: signals read it, replace its parts and note what they offer.

    ``ds`` holds the DS records of the response, and ``ds_standing`` is VALIDATED where their signature was
    verified. ``addresses`` has what glue there is in bailiwick. ``standing`` is that of whatever is unsigned
    in the response. ``until`` is when the whole expires, in the core's time. Where there is a ``deleg``
    RRset, there are no ``servers`` but those that are found in it, with ``endpoints`` for each.
    """

    parent: dns.name.Name
    zone: dns.name.Name
    servers: tuple[dns.name.Name, ...]
    servers_standing: Standing
    addresses: dict[tuple[dns.name.Name, dns.rdatatype.RdataType], tuple[dns.rrset.RRset, Standing]]
    ds: dns.rrset.RRset | None
    ds_standing: Standing
    standing: Standing
    message: dns.message.Message
    until: float
    deleg: dns.rrset.RRset | None = None
    offers: list[tuple[dns.name.Name, Offer]] = field(default_factory=list)
    endpoints: dict[dns.name.Name, Endpoint] = field(default_factory=dict)
    zone_offers: list[Offer] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
