"""The CA of a world: before it issues a certificate, it looks in DNS who controls the name."""

from __future__ import annotations

import random

import dns.flags
import dns.message
import dns.name
import dns.rcode
import dns.rdatatype
import dns.rrset

from testbed.core import acme, message
from testbed.core.acme import Challenge
from testbed.engines.reference import ReferenceResolver

NAME = dns.name.from_text("ca.example.")
"""What the CA goes by in CAA records."""


class RefusalError(Exception):
    """The CA issues no certificate; the text says why."""


class Authority:
    """Validates control of names with a resolver on its own link, from one perspective only."""

    def __init__(self, resolver: ReferenceResolver, rng: random.Random) -> None:
        self._resolver = resolver
        self._rng = rng

    def close(self) -> None:
        """End whatever its resolver has under way."""
        self._resolver.stop()

    async def check(self, challenge: Challenge) -> None:
        """Look for the answer to a challenge, and for CAA records. Raises RefusalError."""
        found = await self._look(challenge.owner, dns.rdatatype.TXT)
        if not challenge.met(found):
            raise RefusalError(f"{challenge.owner} TXT does not answer the challenge")
        for place in acme.places_of_caa(challenge.domain):
            records = await self._look(place, dns.rdatatype.CAA)
            if records is not None:
                if not acme.may_issue(records, NAME):
                    raise RefusalError(f"{place} CAA allows others only")
                return

    async def _look(self, name: dns.name.Name, rdtype: dns.rdatatype.RdataType) -> dns.rrset.RRset | None:
        """The records of a name and type, aliases followed. Raises RefusalError when the lookup fails."""
        query = message.query(name, rdtype, id=self._rng.getrandbits(16), dnssec_ok=False)
        query.flags |= dns.flags.RD
        response = await self._resolver.resolve(query)
        if response.rcode() not in (dns.rcode.NOERROR, dns.rcode.NXDOMAIN):
            reasons = "; ".join(text for _, text in message.ede(response))
            raise RefusalError(f"{name} {dns.rdatatype.to_text(rdtype)} cannot be looked up: {reasons}")
        return next((rrset for rrset in response.answer if rrset.rdtype == rdtype), None)
