"""Breakages of denials: proofs that are missing, stretched, replayed or in a form that nobody knows."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import dns.flags
import dns.message
import dns.name
import dns.rcode
import dns.rrset
from breakages import BREAKAGES, DENIALS, WITH_EACH_SETUP, breakage, with_variants
from broken_zones import Broken, signature
from dns.rdatatype import RdataType

from testbed.core import prover, rdata
from testbed.core.canonical import parent_of, wildcard_at
from testbed.core.nsec3 import owner_hash
from testbed.core.zone import Zone

BEFORE = frozenset(BREAKAGES)
ABSENT = ("nothing", "a.b.nothing")
SIGNED_BY_US = (("secret", "A"), ("secret", "MX"), ("nothing", "A"), ("x.wild", "A"), ("www.plain", "A"))


def _is_denial(rrset: dns.rrset.RRset) -> bool:
    return not {rrset.rdtype, rrset.covers}.isdisjoint(DENIALS)


def _strip(response: dns.message.Message) -> None:
    response.authority[:] = [each for each in response.authority if not _is_denial(each)]


def _proof(zone: Zone, records: Iterable[dns.rrset.RRset]) -> list[dns.rrset.RRset]:
    found = []
    for record in records:
        signatures = zone.signatures(record.name, record.rdtype)
        found += [record] if signatures is None else [record, signatures]
    return found


def _instead(
    broken: Broken, proof: Callable[[Zone, dns.name.Name], Iterable[dns.rrset.RRset]], *relative: str
) -> None:
    """Give another proof from the same zone than the one that belongs there."""
    zone = broken.zone()

    def swap(response: dns.message.Message) -> None:
        _strip(response)
        response.authority.extend(_proof(zone, proof(zone, response.question[0].name)))

    broken.edit(swap, *relative)


# -- stripped --------------------------------------------------------------------------------------


@breakage
def proofs_stripped(broken: Broken) -> None:
    broken.edit(_strip)


@breakage
def proof_of_unsigned_delegation_stripped(broken: Broken) -> None:
    broken.edit(_strip, "www.plain", "plain")


@breakage
def one_of_the_proofs_stripped(broken: Broken) -> None:
    """The last record of each proof, and its signature."""

    def strip(response: dns.message.Message) -> None:
        last = [each for each in response.authority if each.rdtype in DENIALS][-1:]
        response.authority[:] = [
            each for each in response.authority if not (_is_denial(each) and each.name == last[0].name)
        ]

    broken.edit(strip)


@breakage
def signed_delegation_shown_without_ds(broken: Broken) -> None:
    """A referral, and an answer about DS, with the proof that is left once the DS has been taken away."""
    kid = broken.name("kid")
    zone = broken.zone()

    def strip(response: dns.message.Message) -> None:
        for section in (response.answer, response.authority):
            section[:] = [each for each in section if RdataType.DS not in (each.rdtype, each.covers)]
        response.authority.extend(_proof(zone, prover.nodata(zone, kid)))

    broken.edit(strip, "www.kid", "nothing.kid", "kid")


@breakage
def negative_answers_without_soa(broken: Broken) -> None:
    def strip(response: dns.message.Message) -> None:
        response.authority[:] = [
            each for each in response.authority if RdataType.SOA not in (each.rdtype, each.covers)
        ]

    broken.edit(strip)


# -- replayed --------------------------------------------------------------------------------------


@with_variants(nxdomain=dns.rcode.NXDOMAIN, noerror=dns.rcode.NOERROR)
def rcode_always(broken: Broken, rcode: dns.rcode.Rcode) -> None:
    broken.edit(lambda response: response.set_rcode(rcode))


@breakage
def existing_name_denied(broken: Broken) -> None:
    """An answer becomes NXDOMAIN, with the proof for a name nearby."""

    def deny(response: dns.message.Message) -> None:
        zone = broken.zone()
        response.set_rcode(dns.rcode.NXDOMAIN)
        response.answer.clear()
        response.authority[:] = [
            *zone.negative_soa,
            *_proof(zone, prover.nxdomain(zone, broken.name("nothing"))),
        ]

    broken.edit(deny, "secret", "er.name", "alias", "x.wild")


@with_variants(
    secret="secret", apex="@", delegation="plain", signed_delegation="kid", alias="alias", dname="old"
)
def type_denied_with_the_record_of(broken: Broken, relative: str) -> None:
    """An answer becomes NODATA, with the record of some name."""
    at = broken.name(relative)

    def deny(response: dns.message.Message) -> None:
        zone = broken.zone()
        response.set_rcode(dns.rcode.NOERROR)
        response.flags |= dns.flags.AA
        response.answer.clear()
        proof = (
            [zone.nsec(at)] if zone.denial == "nsec" else [zone.nsec3.matching(at) or zone.nsec3.covering(at)]
        )
        response.authority[:] = [*zone.negative_soa, *_proof(zone, proof)]

    broken.edit(deny, "secret", "alias", "x.old", "www.kid", "www.plain")


@breakage
def name_below_a_delegation_denied(broken: Broken) -> None:
    """RFC 6840 section 4.1: the parent's record at a cut says nothing about what is below it."""

    def deny(response: dns.message.Message) -> None:
        zone = broken.zone()
        name = response.question[0].name
        above = zone.cut(name) or zone.dname(name).name
        response.set_rcode(dns.rcode.NXDOMAIN)
        response.flags |= dns.flags.AA
        response.answer.clear()
        if zone.denial == "nsec":
            proof = [zone.nsec(above)]
        else:
            chain = zone.nsec3
            proof = [each for each in (chain.matching(above),) if each is not None]
            for each in (parent_of(name, len(above) + 1), wildcard_at(above)):
                proof += [chain.matching(each) or chain.covering(each)]
        distinct = list({id(each): each for each in proof}.values())
        response.authority[:] = [*zone.negative_soa, *_proof(zone, distinct)]

    broken.edit(deny, "www.kid", "www.plain", "x.old")


@breakage
def proofs_for_another_name(broken: Broken) -> None:
    _instead(broken, lambda zone, name: prover.nodata(zone, broken.name("ns")), *ABSENT)


@breakage
def no_proof_about_the_wildcard(broken: Broken) -> None:
    _instead(
        broken,
        lambda zone, name: [zone.nsec(name)] if zone.denial == "nsec" else prover.nodata(zone, name),
        *ABSENT,
    )


@breakage
def wildcard_although_the_name_exists(broken: Broken) -> None:
    """The expansion of the wildcard at the apex, for a name that is there."""
    wild = dns.rrset.from_text(broken.name("*"), 3600, "IN", "A", "192.0.2.66")
    broken.plain = Zone(broken.origin, [*broken.plain, wild])
    broken.sign()

    def expand(response: dns.message.Message) -> None:
        zone = broken.zone()
        name = response.question[0].name
        records = [wild, zone.signatures(wild.name, RdataType.A)]
        response.set_rcode(dns.rcode.NOERROR)
        response.answer[:] = [dns.rrset.from_rdata_list(name, each.ttl, list(each)) for each in records]
        response.authority[:] = _proof(zone, prover.wildcard_answer(zone, broken.name("nothing")))

    broken.edit(expand, "secret", "er.name", rdtype="A")


@breakage
def wildcard_at_the_apex(broken: Broken) -> None:
    """All is well, but for names that were absent."""
    wild = dns.rrset.from_text(broken.name("*"), 3600, "IN", "A", "192.0.2.66")
    broken.plain = Zone(broken.origin, [*broken.plain, wild])
    broken.sign()


@breakage
def wildcard_denied_with_its_own_expansion(broken: Broken) -> None:
    """NODATA at a name that a wildcard stands in for, with an NSEC that is expanded from it."""

    def expand(response: dns.message.Message) -> None:
        name = response.question[0].name
        wild = broken.name("*.wild")
        response.authority[:] = [
            dns.rrset.from_rdata_list(name if each.name == wild else each.name, each.ttl, list(each))
            for each in response.authority
        ]

    broken.edit(expand, "x.wild")


@with_variants(target="x.new", other="nothing")
def dname_followed_to(broken: Broken, relative: str) -> None:
    """The CNAME beside a DNAME, which nobody signs, says something else."""

    def follow(response: dns.message.Message) -> None:
        target = broken.name(relative)
        response.answer[:] = [
            dns.rrset.from_rdata(each.name, each.ttl, rdata.make(RdataType.CNAME, target))
            if each.rdtype == RdataType.CNAME
            else each
            for each in response.answer
        ]

    broken.edit(follow, "x.old")


# -- altered and signed again ----------------------------------------------------------------------


def _alter(broken: Broken, change: Callable[[dns.rrset.RRset], dict[str, Any]]) -> None:
    for rrset in [each for each in broken.rrsets.values() if each.rdtype in DENIALS]:
        altered = dns.rrset.from_rdata(rrset.name, rrset.ttl, rrset[0].replace(**change(rrset)))
        broken.put(altered, signature(altered, broken.keys.zsk, broken.origin))


@breakage
def spans_that_end_where_they_begin(broken: Broken) -> None:
    """One record that spans the whole zone, as that of a zone with one name does."""
    _alter(
        broken,
        lambda rrset: {"next": rrset.name} if rrset.rdtype == RdataType.NSEC else {"next": _hash_of(rrset)},
    )


def _hash_of(rrset: dns.rrset.RRset) -> bytes:
    digest = owner_hash(rrset.name)
    assert digest is not None
    return digest


@breakage
def spans_that_end_too_early(broken: Broken) -> None:
    def next_name(rrset: dns.rrset.RRset) -> dict[str, Any]:
        if rrset.rdtype == RdataType.NSEC:
            return {"next": dns.name.Name((b"\0", *rrset.name.labels))}
        return {"next": (int.from_bytes(_hash_of(rrset), "big") + 1).to_bytes(20, "big")}

    _alter(broken, next_name)


@with_variants(
    nothing=(),
    everything=("A", "NS", "CNAME", "MX", "DS", "RRSIG", "NSEC"),
    cname=("CNAME", "RRSIG", "NSEC"),
    delegation=("NS",),
    soa=("NS", "SOA", "RRSIG", "NSEC"),
    dname=("DNAME", "RRSIG", "NSEC"),
)
def bitmaps_of(broken: Broken, types: tuple[str, ...]) -> None:
    windows = rdata.bitmap([RdataType.make(each) for each in types])
    _alter(broken, lambda rrset: {"windows": windows})


def _nsec3(broken: Broken, **options: Any) -> None:
    broken.sign(**{"denial": "nsec3", "iterations": 0, "salt": b"", "opt_out": False, **options})
    broken.questions = (*SIGNED_BY_US, ("er.name", "A"), ("x.wild", "MX"), ("www.kid", "A"))


@with_variants(i50=50, i100=100, i101=101, i500=500)
def iterations(broken: Broken, count: int) -> None:
    _nsec3(broken, iterations=count)


@with_variants(i100=100, i101=101)
def iterations_and_opt_out(broken: Broken, count: int) -> None:
    _nsec3(broken, iterations=count, opt_out=True)


@with_variants(
    hash={"algorithm": 2},
    flags={"flags": 2},
    opt_out={"flags": 1},
    salt={"salt": b"x"},
    iterations={"iterations": 7},
)
def hashed_with_another(broken: Broken, changes: dict[str, Any]) -> None:
    """NSEC3 records of a kind that nobody knows, or with other parameters than those that made them."""
    _nsec3(broken)
    _alter(broken, lambda rrset: changes)


@breakage
def both_chains(broken: Broken) -> None:
    """NSEC records of a zone that has NSEC3 as well, in every response."""
    broken.sign(denial="nsec")
    nsecs = broken.zone()
    _nsec3(broken)

    def both(response: dns.message.Message) -> None:
        if any(each.rdtype == RdataType.NSEC3 for each in response.authority):
            response.authority.extend(_proof(nsecs, [nsecs.nsec(response.question[0].name)]))

    broken.edit(both)


@breakage
def hash_of_the_wildcard_matches(broken: Broken) -> None:
    """NXDOMAIN where a wildcard exists: the record that matches its hash is put in the proof."""

    def deny(response: dns.message.Message) -> None:
        zone = broken.zone()
        response.set_rcode(dns.rcode.NXDOMAIN)
        response.answer.clear()
        response.authority[:] = [*zone.negative_soa]
        name = response.question[0].name
        wild = broken.name("*.wild")
        if zone.denial == "nsec":
            proof = [zone.nsec(name), zone.nsec(wild)]
        else:
            proof = prover.wildcard_nodata(zone, name)
        response.authority.extend(_proof(zone, {id(each): each for each in proof}.values()))

    broken.edit(deny, "x.wild", "x.y.wild")


WITH_EACH_SETUP |= {
    label
    for label in BREAKAGES.keys() - BEFORE
    if not label.startswith(("iterations", "hashed", "both"))  # which sign in a way of their own
}
