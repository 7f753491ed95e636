"""The chain of trust: keys of zones, and what signatures and denials say about a response (RFC 4035)."""

from __future__ import annotations

import dns.message
import dns.name
import dns.rdatatype
import dns.rrset

from testbed.core import denial, validation
from testbed.core.deleg import DELEGATION_TYPES
from testbed.core.delegation import Delegation
from testbed.core.message import find, find_signatures
from testbed.core.rdata import ADT_FLAG
from testbed.core.resolver.cache import Security, way_lifetime
from testbed.core.resolver.contact import Contact
from testbed.core.resolver.state import Memory, Path, ResolutionError, ZoneKeys
from testbed.core.resolver.tasks import Once, Task
from testbed.core.resolver.wire import Question

BOGUS, DNSKEY_MISSING, NSEC_MISSING = 6, 9, 12
"""Extended DNS errors (RFC 8914)."""

KEY_TTL = 86400.0
"""Seconds; the longest that a validated DNSKEY RRset is used before it is asked for again."""


class Trust:
    """Validates. Whatever does not hold raises ResolutionError with the extended DNS error for it."""

    def __init__(self, memory: Memory, contact: Contact) -> None:
        self._memory = memory
        self._contact = contact

    def keys(self, delegation: Delegation, path: Path) -> Task[ZoneKeys]:
        """The validated keys of a zone, asked for where they are not at hand."""
        memory = self._memory
        if delegation.security is not Security.SECURE:
            return ZoneKeys(None, delegation.until)
        held = memory.keys.get(delegation.zone)
        if held is not None and held.until > memory.clock():
            return held
        work = ("keys", delegation.zone)
        nested = path.enter(work)
        keys: ZoneKeys = yield Once(work, lambda: self._fetch_keys(delegation, nested))
        return keys

    def _fetch_keys(self, delegation: Delegation, path: Path) -> Task[ZoneKeys]:
        memory = self._memory
        zone = delegation.zone
        assert delegation.ds is not None
        question = Question(zone, dns.rdatatype.DNSKEY)
        lacking: list[dns.message.Message] = []

        def useless(response: dns.message.Message) -> str | None:
            if find(response.answer, zone, dns.rdatatype.DNSKEY) is not None:
                return None
            lacking.append(response)
            return "no DNSKEY records"

        try:
            received = yield from self._contact.ask(delegation, question, path, useless)
        except ResolutionError as error:
            # Servers that answer, and have no keys for the DS, are there; what they say is bogus.
            if not lacking:
                raise
            raise ResolutionError(DNSKEY_MISSING, f"keys of {zone}: {error.text}") from error
        dnskeys = find(received.message.answer, zone, dns.rdatatype.DNSKEY)
        assert dnskeys is not None
        signatures = find_signatures(received.message.answer, zone, dns.rdatatype.DNSKEY)
        now = memory.clock()
        try:
            usable = validation.verify_dnskeys(dnskeys, signatures, delegation.ds, now)
        except validation.Bogus as bogus:
            memory.note("validation", f"keys of {zone} are bogus: {bogus.text}")
            raise ResolutionError(bogus.code, f"keys of {zone}: {bogus.text}") from bogus
        adt = memory.extended and memory.policy.adt and any(key.flags & ADT_FLAG for key in dnskeys)
        keys = ZoneKeys(usable, way_lifetime(usable, now, KEY_TTL), adt)
        memory.keys[zone] = keys
        memory.note("validation", f"keys of {zone} are secure")
        return keys

    # -- RRsets ------------------------------------------------------------------------------------

    def verify(
        self, rrset: dns.rrset.RRset, section: list[dns.rrset.RRset], zone: dns.name.Name, keys: ZoneKeys
    ) -> validation.Verified:
        """Verify an RRset with its signatures in a section. Raises ResolutionError."""
        assert keys.keys is not None
        signatures = find_signatures(section, rrset.name, rrset.rdtype)
        try:
            return validation.verify(rrset, signatures, keys.keys, zone, self._memory.clock())
        except validation.Bogus as bogus:
            raise ResolutionError(bogus.code, bogus.text) from bogus

    def denials(
        self, message: dns.message.Message, zone: dns.name.Name, keys: ZoneKeys
    ) -> list[dns.rrset.RRset]:
        """The NSEC and NSEC3 RRsets of a response whose signatures hold, and that belong to the zone."""
        records = []
        for rrset in message.authority:
            if rrset.rdtype in (dns.rdatatype.NSEC, dns.rdatatype.NSEC3):
                verified = self.verify(rrset, message.authority, zone, keys)
                if verified.wildcard_source is None:
                    records.append(rrset)
        return records

    # -- denials -----------------------------------------------------------------------------------

    def check_absent(
        self,
        message: dns.message.Message,
        question: Question,
        zone: dns.name.Name,
        keys: ZoneKeys,
        *,
        nxdomain: bool,
    ) -> Security:
        """What the proofs in a negative response come to."""
        records = self.denials(message, zone, keys)
        extended = self._memory.extended
        if nxdomain:
            proof = denial.proves_nxdomain(question.name, records, zone, extended=extended)
        else:
            proof = denial.proves_nodata(question.name, question.rdtype, records, zone, extended=extended)
        return self._conclude(proof, f"absence of {question.name} {question.rdtype.name}")

    def check_wildcard(
        self,
        message: dns.message.Message,
        name: dns.name.Name,
        wildcard: dns.name.Name,
        zone: dns.name.Name,
        keys: ZoneKeys,
    ) -> Security:
        """What the proofs come to that no closer match than the wildcard exists."""
        records = self.denials(message, zone, keys)
        proof = denial.proves_wildcard(name, wildcard, records, zone, extended=self._memory.extended)
        return self._conclude(proof, f"expansion of {wildcard} to {name}")

    def check_delegation_types(
        self, message: dns.message.Message, child: dns.name.Name, zone: dns.name.Name, keys: ZoneKeys
    ) -> None:
        """Hold a zone to its ADT flag: its referrals prove that they lack no Delegation Type (delext 6.2)."""
        present = {
            rrset.rdtype
            for rrset in message.authority
            if rrset.name == child and rrset.rdtype in DELEGATION_TYPES
        }
        proof = denial.proves_delegation_types(child, present, self.denials(message, zone, keys), zone)
        named = "DELEG" if present else "NS alone"
        self._conclude(proof, f"that {child} is delegated with {named}")

    def delegation_security(
        self,
        message: dns.message.Message,
        child: dns.name.Name,
        zone: dns.name.Name,
        keys: ZoneKeys,
    ) -> tuple[dns.rrset.RRset | None, Security] | None:
        """What a response from a signed parent says about a delegation.

        A usable, validated DS RRset and SECURE; the DS RRset if any and INSECURE, when the child is provably
        not signed in a way that we support; None, when the response says nothing about it.
        """
        for section in (message.answer, message.authority):
            ds = find(section, child, dns.rdatatype.DS)
            if ds is not None:
                verified = self.verify(ds, section, zone, keys)
                usable = validation.supported(ds)
                kept = dns.rrset.from_rdata_list(ds.name, min(ds.ttl, verified.ttl), list(ds))
                return kept, Security.SECURE if usable else Security.INSECURE
        records = self.denials(message, zone, keys)
        proof = denial.proves_unsigned_delegation(child, records, zone, extended=self._memory.extended)
        if proof is denial.Proof.NOT_PROVEN:
            return None
        return None, Security.INSECURE

    def _conclude(self, proof: denial.Proof, what: str) -> Security:
        if proof is denial.Proof.NOT_PROVEN:
            raise ResolutionError(NSEC_MISSING, f"{what} is not proven")
        return Security.SECURE if proof is denial.Proof.PROVEN else Security.INSECURE
