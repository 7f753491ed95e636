"""What a server has to prove: from what a signal pinned, and from the credentials that a policy accepts."""

from __future__ import annotations

import ipaddress
from collections.abc import Callable
from typing import cast

import dns.name
import dns.rdatatype
from dns.rdtypes.ANY.TLSA import TLSA

from testbed.core import identity
from testbed.core.delegation import Offer
from testbed.core.identity import AnyOf, Dane, Identity, WebPki
from testbed.core.policy import Credential
from testbed.core.resolver.cache import Security
from testbed.core.resolver.state import Memory, Path, ResolutionError
from testbed.core.resolver.tasks import Once, Task
from testbed.core.signal import Lookup
from testbed.core.transport import Transport


class Credentials:
    """Finds out what identity to expect of a server. TLSA records are looked up where they count."""

    def __init__(self, memory: Memory, lookup: Callable[[Path], Lookup]) -> None:
        self._memory = memory
        self._lookup = lookup

    def expected(
        self,
        server: dns.name.Name,
        address: str,
        transport: Transport,
        port: int,
        offer: Offer | None,
        path: Path,
    ) -> Task[Identity]:
        """The identity that a server at an address must prove.

        Pins and TLSA records that come with a signal stand alone: who publishes them wants that. Where a
        signal names the credentials that the server has, only these are tried. Raises ResolutionError when
        TLSA records are withheld.
        """
        roots = self._memory.configuration.authorities
        if offer is not None and (offer.identities or offer.tlsa):
            known: tuple[Identity, ...] = offer.identities
            return AnyOf((*known, Dane(offer.tlsa, server, roots)) if offer.tlsa else known)
        accepted: tuple[Credential, ...] = self._memory.policy.credentials
        if offer is not None and offer.credentials is not None:
            accepted = tuple(item for item in accepted if item in offer.credentials)
        identities: list[Identity] = []
        for credential in accepted:
            match credential:
                case "webpki-name":
                    identities.append(WebPki(roots, server))
                case "webpki-address":
                    identities.append(WebPki(roots, ipaddress.ip_address(address)))
                case "dane":
                    dane = yield from self._dane(server, transport, port, path)
                    if dane is not None:
                        identities.append(dane)
        return AnyOf(tuple(identities))

    def _dane(self, server: dns.name.Name, transport: Transport, port: int, path: Path) -> Task[Dane | None]:
        """What the server's TLSA records stand for; None where there are none that are secure (RFC 7671)."""
        work = ("tlsa", server, port, transport)
        if work in path.pending:
            return None
        nested = path.enter(work)
        owner = identity.tlsa_owner(server, port, transport.carrier)
        dane: Dane | None = yield Once(work, lambda: self._look_up(server, owner, nested))
        return dane

    def _look_up(self, server: dns.name.Name, owner: dns.name.Name, path: Path) -> Task[Dane | None]:
        try:
            looked = yield from self._lookup(path)(owner, dns.rdatatype.TLSA)
        except ResolutionError as error:
            if not self._memory.signed(server):
                return None
            self._memory.note("credential", f"TLSA records at {owner} are withheld: {error.text}")
            raise
        if looked.rrset is None or looked.security is not Security.SECURE:
            return None
        records = tuple(cast(TLSA, rdata) for rdata in looked.rrset)
        return Dane(records, server, self._memory.configuration.authorities)
