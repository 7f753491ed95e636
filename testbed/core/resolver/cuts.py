"""Zone cuts: followed in referrals, or found where a server is authoritative on both sides of one."""

from __future__ import annotations

from collections.abc import Callable

import dns.name
import dns.rdatatype
import dns.rrset

from testbed.core.deleg import DELEG
from testbed.core.delegation import Delegation, Referral, address_of
from testbed.core.lookup import parents_own
from testbed.core.message import find
from testbed.core.resolver import responses
from testbed.core.resolver.cache import Known, Rank, Security, Standing, lifetime, way_lifetime
from testbed.core.resolver.contact import Contact, Received
from testbed.core.resolver.requests import sni_text
from testbed.core.resolver.responses import Kind
from testbed.core.resolver.state import Memory, Path, ResolutionError, ZoneKeys
from testbed.core.resolver.tasks import Task
from testbed.core.resolver.trust import BOGUS, Trust
from testbed.core.resolver.wire import Question
from testbed.core.signal import Looked, Lookup

_ADDRESS_TYPES = (dns.rdatatype.A, dns.rdatatype.AAAA)
_STANDING_IN_WORDS = {
    Standing.NONE: "neither signed nor from an authenticated server",
    Standing.LINK: "from an authenticated server whose own name is not",
    Standing.PATH: "from servers authenticated back to the root",
    Standing.VALIDATED: "validated",
}


class Cuts:
    """Turns what servers say about zone cuts into delegations."""

    def __init__(
        self, memory: Memory, contact: Contact, trust: Trust, lookup: Callable[[Path], Lookup]
    ) -> None:
        self._memory = memory
        self._contact = contact
        self._trust = trust
        self._lookup = lookup

    def follow(
        self,
        parent: Delegation,
        keys: ZoneKeys,
        received: Received,
        reading: responses.Reading,
        path: Path,
    ) -> Task[Delegation]:
        """Take in a referral: its security, its servers, its signals. Raises ResolutionError."""
        memory = self._memory
        child = reading.zone
        assert child is not None
        held = memory.delegations.get(child)
        if held is not None and held.source is received.message and held.until > memory.clock():
            return held
        given = reading.rrsets[0]
        deleg = given if given.rdtype == DELEG else None
        ds = find(received.message.authority, child, dns.rdatatype.DS)
        security = Security.INSECURE
        ds_standing = received.standing
        if keys.keys is not None:
            try:
                ds, security = yield from self._secured(parent, keys, received, child, path)
                self._check_extension(deleg, parent, keys, received, child)
            except ResolutionError as error:
                memory.note(
                    "validation",
                    f"referral to {child} from {received.address} is bogus: {error.text}",
                    server=received.address,
                    transport=received.transport,
                )
                raise
            ds_standing = Standing.VALIDATED
        now = memory.clock()
        referral = Referral(
            parent=parent.zone,
            zone=child,
            servers=() if deleg is not None else tuple(rdata.target for rdata in given),
            servers_standing=received.standing if deleg is None else ds_standing,
            addresses={} if deleg is not None else _glue(received, given, parent.zone),
            ds=ds,
            ds_standing=ds_standing,
            standing=received.standing,
            message=received.message,
            until=min(way_lifetime(rrset, now) for rrset in (given, ds) if rrset is not None),
            deleg=deleg,
        )
        yield from self._complete(referral, path)
        return self._settle(referral, security, received)

    def _complete(self, referral: Referral, path: Path) -> Task[None]:
        """Have signals fetch what a referral needs to be followed."""
        now = self._memory.clock()
        for signal in self._memory.configuration.signals:
            yield from signal.complete_referral(referral, self._looking_from(referral.zone, path), now)

    def _check_extension(
        self,
        deleg: dns.rrset.RRset | None,
        parent: Delegation,
        keys: ZoneKeys,
        received: Received,
        child: dns.name.Name,
    ) -> None:
        """Check what a signed parent must sign and prove where delegations are not made of NS alone."""
        if deleg is not None:
            verified = self._trust.verify(deleg, received.message.authority, parent.zone, keys)
            if verified.wildcard_source is not None:
                raise ResolutionError(BOGUS, f"DELEG records of {child} come from a wildcard")
        if keys.adt:
            self._trust.check_delegation_types(received.message, child, parent.zone, keys)

    def _looking_from(self, child: dns.name.Name, path: Path) -> Lookup:
        """How signals ask for what a referral to a zone needs; that they need it to ask is a circle."""

        def look(name: dns.name.Name, rdtype: dns.rdatatype.RdataType) -> Task[Looked]:
            return (yield from self._lookup(path.enter(("referral", child)))(name, rdtype))

        return look

    def _secured(
        self,
        parent: Delegation,
        keys: ZoneKeys,
        received: Received,
        child: dns.name.Name,
        path: Path,
    ) -> Task[tuple[dns.rrset.RRset | None, Security]]:
        """Whether a signed parent says that the child is signed; asked where the referral does not."""
        said = self._trust.delegation_security(received.message, child, parent.zone, keys)
        if said is None:
            said = yield from self._ask_ds(parent, keys, child, path)
        if said is None:
            raise ResolutionError(BOGUS, f"no DS records for {child}, and no proof that there are none")
        return said

    def _ask_ds(
        self, parent: Delegation, keys: ZoneKeys, child: dns.name.Name, path: Path
    ) -> Task[tuple[dns.rrset.RRset | None, Security] | None]:
        question = Question(child, dns.rdatatype.DS)
        received = yield from self._contact.ask(
            parent, question, path, responses.useless(question, parent.zone)
        )
        return self._trust.delegation_security(received.message, child, parent.zone, keys)

    def _ask_deleg(
        self, parent: Delegation, keys: ZoneKeys, child: dns.name.Name, path: Path
    ) -> Task[dns.rrset.RRset | None]:
        """The DELEG records of a cut to which nobody referred; None when the parent proves that it has none.

        No referral in a zone with the ADT flag is without them (draft-ietf-dnsop-delext section 6.2), so
        nobody gets around them by not referring. Raises ResolutionError.
        """
        question = Question(child, DELEG)
        received = yield from self._contact.ask(
            parent, question, path, responses.useless(question, parent.zone)
        )
        deleg = find(received.message.answer, child, DELEG)
        if deleg is None:
            self._trust.check_delegation_types(received.message, child, parent.zone, keys)
            return None
        verified = self._trust.verify(deleg, received.message.answer, parent.zone, keys)
        if verified.wildcard_source is not None:
            raise ResolutionError(BOGUS, f"DELEG records of {child} come from a wildcard")
        return deleg

    def _settle(self, referral: Referral, security: Security, received: Received) -> Delegation:
        memory = self._memory
        now = memory.clock()
        for signal in memory.configuration.signals:
            signal.read_referral(referral, now)
        for rrset, standing in referral.addresses.values():
            memory.cache.put(
                Known(rrset, None, Rank.ADDITIONAL, Security.UNCHECKED, standing, lifetime(rrset, now)),
                now,
            )
        for server, offer in referral.offers:
            memory.offers.learn(server, offer, now)
        for offer in referral.zone_offers:
            memory.offers.learn_of_zone(referral.zone, offer, now)
        for server in referral.servers:
            if server.is_subdomain(referral.zone):
                memory.offers.see(server, referral.until)
        signed = referral.ds is not None and security is Security.SECURE
        delegation = Delegation(
            zone=referral.zone,
            servers=referral.servers,
            ds=referral.ds if signed else None,
            security=security,
            standing=referral.servers_standing,
            until=referral.until,
            source=referral.message,
            confirmed=referral.deleg is not None,
            endpoints=referral.endpoints,
            offers=tuple(referral.zone_offers),
        )
        memory.delegations[referral.zone] = delegation
        named = (address_of(server) or sni_text(server) for server in referral.servers)
        names = ", ".join(named) or "no usable server"
        notes = "".join(f"; {note}" for note in referral.notes)
        memory.note(
            "referral",
            f"{referral.zone} is at {names}, says {received.address} over {received.transport} "
            f"({_STANDING_IN_WORDS[referral.servers_standing]}); zone is {security.name.lower()}{notes}",
            server=received.address,
            transport=received.transport,
        )
        return delegation

    def confirm(self, delegation: Delegation, path: Path) -> Task[bool]:
        """Ask a zone for its own NS RRset, and go by that; whether it names other servers altogether.

        What the parent said stands when there is no answer, unless the zone is signed and its servers must
        be known before anything else is asked (then ResolutionError).
        """
        delegation.confirmed = True
        question = Question(delegation.zone, dns.rdatatype.NS)
        try:
            received = yield from self._contact.ask(
                delegation, question, path, responses.useless(question, delegation.zone)
            )
            keys = yield from self._trust.keys(delegation, path)
            own = find(received.message.answer, delegation.zone, dns.rdatatype.NS)
            if own is None:
                raise ResolutionError(BOGUS, f"{delegation.zone} has no NS records of its own")
            if keys.keys is not None:
                self._trust.verify(own, received.message.answer, delegation.zone, keys)
        except ResolutionError as error:
            self._memory.note("revalidation", f"servers of {delegation.zone} not confirmed: {error.text}")
            if delegation.security is Security.SECURE and self._memory.policy.revalidation == "serialised":
                raise
            return False
        said = set(delegation.servers)
        delegation.servers = tuple(rdata.target for rdata in own)
        delegation.standing = Standing.VALIDATED if keys.keys is not None else received.standing
        others = said.isdisjoint(delegation.servers)
        names = ", ".join(sni_text(server) for server in delegation.servers)
        self._memory.note(
            "alarm" if others else "revalidation",
            f"{delegation.zone} itself says it is at {names}"
            + (", none of which its parent named" if others else ""),
        )
        return others

    def hidden(
        self,
        delegation: Delegation,
        keys: ZoneKeys,
        received: Received,
        reading: responses.Reading,
        question: Question,
        path: Path,
    ) -> Task[Delegation | None]:
        """The zone cut that a response stems from below, if its server holds both sides and did not refer.

        In a signed zone that must be found out: the child's data is signed with other keys, or not at all,
        and its DS records may say more than that.
        """
        if keys.keys is None or parents_own(question.rdtype, self._memory.extended):
            return None
        if not _from_below(received, reading, question, delegation.zone):
            return None
        for depth in range(len(delegation.zone) + 1, len(question.name) + 1):
            child = question.name.split(depth)[1]
            said = yield from self._ask_ds(delegation, keys, child, path)
            if said is None:
                continue
            ds, security = said
            deleg = (yield from self._ask_deleg(delegation, keys, child, path)) if keys.adt else None
            now = self._memory.clock()
            until = delegation.until if deleg is None else way_lifetime(deleg, now)
            referral = Referral(
                parent=delegation.zone,
                zone=child,
                servers=delegation.servers if deleg is None else (),
                servers_standing=delegation.standing if deleg is None else Standing.VALIDATED,
                addresses={},
                ds=ds,
                ds_standing=Standing.VALIDATED,
                standing=received.standing,
                message=received.message,
                until=until,
                deleg=deleg,
                notes=["nobody referred to it, it came to light"],
            )
            if deleg is not None:
                yield from self._complete(referral, path)
            return self._settle(referral, security, received)
        return None


def _from_below(
    received: Received, reading: responses.Reading, question: Question, zone: dns.name.Name
) -> bool:
    """Whether a response seems to come from a zone below this one: by its signer, or its lack of one."""
    message = received.message
    if reading.kind in (Kind.NODATA, Kind.NXDOMAIN):
        return reading.zone is not None and reading.zone != zone
    if reading.kind not in (Kind.ANSWER, Kind.ALIAS) or question.name == zone:
        return False
    signers = {
        rdata.signer
        for rrset in message.answer
        if rrset.rdtype == dns.rdatatype.RRSIG and rrset.name == reading.rrsets[0].name
        for rdata in rrset
    }
    return zone not in signers


def _glue(
    received: Received, servers: dns.rrset.RRset, parent: dns.name.Name
) -> dict[tuple[dns.name.Name, dns.rdatatype.RdataType], tuple[dns.rrset.RRset, Standing]]:
    """Addresses of the servers that came along and are the parent's to give (RFC 9471)."""
    names = {rdata.target for rdata in servers}
    return {
        (rrset.name, rrset.rdtype): (rrset, received.standing)
        for rrset in received.message.additional
        if rrset.rdtype in _ADDRESS_TYPES and rrset.name in names and rrset.name.is_subdomain(parent)
    }
