"""Zones with DELEG records, responses from them, and proofs: draft-ietf-deleg, draft-ietf-dnsop-delext."""

from __future__ import annotations

import dns.flags
import dns.message
import dns.name
import dns.rcode
import dns.rrset
import pytest
from dns.rdatatype import RdataType
from example_zones import DENIALS, EPOCH, WINDOW, keys, name, rdtype, signed, zone

from testbed.core import denial, message, validation
from testbed.core.authoritative import Authoritative
from testbed.core.deleg import DE_FLAG, DELEG, Record, read
from testbed.core.denial import Proof
from testbed.core.rdata import ADT_FLAG, types_in
from testbed.core.signer import KeySet, ds_for, sign_zone
from testbed.core.transport import Transport
from testbed.core.zone import Zone, ZoneError

ORIGIN = name("org.")
DIGEST = "00" * 32
TYPE = "TYPE61440"
PLAIN = rf"""
@ 3600 SOA a.nic hostmaster 1 1800 900 604800 300
@ NS a.nic.test.
both NS ns.both
both DS 1 13 2 {DIGEST}
both TYPE61440 \# 9 0003 0005 036e733100
ns.both A 192.0.2.1
plain NS ns.plain
ns.plain A 192.0.2.2
only TYPE61440 \# 9 0003 0005 036e733100
forgotten.only A 192.0.2.3
deep.forgotten.only NS ns.deep.forgotten.only
secure TYPE61440 \# 9 0003 0005 036e733100
secure DS 1 13 2 {DIGEST}
www A 192.0.2.4
*.wild A 192.0.2.5
toonly CNAME www.only
"""


def org(kind="nsec"):
    return signed(zone("org.", PLAIN), kind)


def ask(server, owner, kind="A", *, de=True, do=True):
    query = message.query(name(owner), rdtype(kind), id=7, dnssec_ok=do)
    query.ednsflags |= DE_FLAG if de else 0
    (wire,) = server.respond_wire(message.encode(query), Transport.UDP)
    return dns.message.from_wire(wire)


def types(section):
    return {
        (item.name.to_text(), "RRSIG " + RdataType.to_text(item.covers))
        if item.rdtype == RdataType.RRSIG
        else (item.name.to_text(), RdataType.to_text(item.rdtype))
        for item in section
    }


def denials(response, origin=ORIGIN):
    """The NSEC and NSEC3 RRsets of a response, all of whose signatures hold."""
    trusted = dns.rrset.from_rdata(origin, 60, keys(str(origin)).ksk.dnskey, keys(str(origin)).zsk.dnskey)
    found = []
    sections = [*response.answer, *response.authority]
    rrsigs = {(item.name, item.covers): item for item in sections if item.rdtype == RdataType.RRSIG}
    for item in sections:
        if item.rdtype in (RdataType.RRSIG, RdataType.NS, RdataType.CNAME):
            continue
        validation.verify(item, rrsigs.get((item.name, item.rdtype)), trusted, origin, EPOCH)
        if item.rdtype in (RdataType.NSEC, RdataType.NSEC3):
            found.append(item)
    return found


# -- zones -----------------------------------------------------------------------------------------


def test_deleg_makes_a_cut_and_hides_what_is_below():
    plain = zone("org.", PLAIN)
    for owner in ("both.org.", "only.org.", "secure.org."):
        assert plain.cut(name(f"x.{owner}")) == name(owner)
    assert plain.occluded(name("forgotten.only.org."))
    assert plain.closest_encloser(name("x.forgotten.only.org.")) == name("only.org.")


@pytest.mark.parametrize(("owner", "problem"), [("@", "parent"), ("*.w", "wildcard")])
def test_where_deleg_cannot_be(owner, problem):
    text = PLAIN + owner + r" TYPE61440 \# 9 0003 0005 036e733100" + "\n"
    with pytest.raises(ZoneError, match=problem):
        Zone.from_text("org.", text)


def test_the_bitmap_is_octet_for_octet_that_of_a_cut_with_deleg():
    nsec = org().nsec(name("both.org."))[0]
    assert nsec.windows == ((0, bytes.fromhex("200000000013")), (0xF0, b"\x80"))
    assert nsec.to_wire().endswith(bytes.fromhex("0006200000000013f00180"))


@pytest.mark.parametrize(
    ("owner", "expected"),
    [
        ("both", {"NS", "DS", "RRSIG", "NSEC", TYPE}),
        ("plain", {"NS", "RRSIG", "NSEC"}),
        ("only", {"RRSIG", "NSEC", TYPE}),
        ("secure", {"DS", "RRSIG", "NSEC", TYPE}),
    ],
)
def test_bitmaps(owner, expected):
    nsec = org().nsec(name(f"{owner}.org."))[0]
    assert types_in(nsec.windows) == {rdtype(each) for each in expected}


@pytest.mark.parametrize("kind", DENIALS)
def test_deleg_is_signed_and_ns_and_what_is_below_are_not(kind):
    example = org(kind)
    assert example.signatures(name("both.org."), DELEG) is not None
    assert example.signatures(name("both.org."), RdataType.NS) is None
    assert example.signatures(name("forgotten.only.org."), RdataType.A) is None


def test_opt_out_leaves_out_no_delegation_with_deleg():
    chain = org("opt-out").nsec3
    assert chain.matching(name("only.org.")) is not None
    assert chain.matching(name("plain.org.")) is None


def test_adt_is_a_flag_of_both_keys_and_changes_their_tags():
    usual, flagged = (KeySet.derive(b"tests", ORIGIN, flags=flags) for flags in (0, ADT_FLAG))
    assert (usual.ksk.dnskey.flags, usual.zsk.dnskey.flags) == (257, 256)
    assert (flagged.ksk.dnskey.flags, flagged.zsk.dnskey.flags) == (259, 258)
    assert {usual.ksk.tag, usual.zsk.tag}.isdisjoint({flagged.ksk.tag, flagged.zsk.tag})
    example = sign_zone(zone("org.", PLAIN), flagged, **WINDOW)
    rrsigs = example.signatures(ORIGIN, RdataType.DNSKEY)
    anchor = ds_for(ORIGIN, flagged)
    usable = validation.verify_dnskeys(example.rrset(ORIGIN, RdataType.DNSKEY), rrsigs, anchor, EPOCH)
    assert len(usable) == 2


# -- referrals -------------------------------------------------------------------------------------


def test_who_sets_de_gets_deleg_in_place_of_ns_with_all_proofs():
    response = ask(Authoritative([org()]), "x.both.org.")
    assert response.ednsflags == dns.flags.DO | DE_FLAG
    assert not response.flags & dns.flags.AA
    assert types(response.authority) == {
        ("both.org.", each) for each in (TYPE, f"RRSIG {TYPE}", "DS", "RRSIG DS", "NSEC", "RRSIG NSEC")
    }
    assert not response.answer
    assert not response.additional
    assert read(response.authority[0][0].to_wire(), name("both.org.")) == Record(names=(name("ns1."),))


def test_who_does_not_gets_what_there_always_was():
    response = ask(Authoritative([org()]), "x.both.org.", de=False)
    assert response.ednsflags == dns.flags.DO
    assert types(response.authority) == {("both.org.", each) for each in ("NS", "DS", "RRSIG DS")}
    assert types(response.additional) == {("ns.both.org.", "A")}


def test_without_deleg_there_are_ns_records_and_the_proof_that_there_is_none():
    response = ask(Authoritative([org()]), "x.plain.org.")
    assert types(response.authority) == {("plain.org.", each) for each in ("NS", "NSEC", "RRSIG NSEC")}
    assert types(response.additional) == {("ns.plain.org.", "A")}


def test_a_signed_delegation_without_deleg_comes_with_the_proof_too():
    text = PLAIN + f"plain DS 1 13 2 {DIGEST}\n"
    response = ask(Authoritative([signed(zone("org.", text))]), "x.plain.org.")
    assert ("plain.org.", "NSEC") in types(response.authority)
    assert ("plain.org.", "DS") in types(response.authority)


@pytest.mark.parametrize("example", [org(), zone("org.", PLAIN)], ids=["signed", "unsigned"])
def test_without_do_nothing_but_deleg(example):
    response = ask(Authoritative([example]), "x.both.org.", do=False)
    assert types(response.authority) == {("both.org.", TYPE)}


@pytest.mark.parametrize("kind", DENIALS)
@pytest.mark.parametrize("owner", ["both", "plain", "only", "secure"])
def test_referrals_prove_which_delegation_types_there_are(kind, owner):
    response = ask(Authoritative([org(kind)]), f"x.{owner}.org.")
    present = {item.rdtype for item in response.authority if item.rdtype == DELEG}
    assert present == (set() if owner == "plain" else {DELEG})
    records = denials(response)
    child = name(f"{owner}.org.")
    hidden = (owner, kind) == ("plain", "opt-out")
    assert denial.proves_delegation_types(child, present, records, ORIGIN) is (
        Proof.INSECURE if hidden else Proof.PROVEN
    )
    other = {DELEG} - present
    assert denial.proves_delegation_types(child, other, records, ORIGIN) is Proof.NOT_PROVEN
    assert denial.proves_delegation_types(child, present, [], ORIGIN) is Proof.NOT_PROVEN


def test_an_ordinary_name_is_no_delegation_without_deleg():
    records = denials(ask(Authoritative([org()]), "www.org.", "TXT"))
    assert denial.proves_delegation_types(name("www.org."), (), records, ORIGIN) is Proof.NOT_PROVEN


# -- delegations that are made of DELEG only -------------------------------------------------------


@pytest.mark.parametrize("kind", DENIALS)
@pytest.mark.parametrize("owner", ["x.only.org.", "forgotten.only.org.", "x.deep.forgotten.only.org."])
def test_without_de_nothing_is_below_them(kind, owner):
    response = ask(Authoritative([org(kind)]), owner, de=False)
    assert response.rcode() == dns.rcode.NXDOMAIN
    assert response.flags & dns.flags.AA
    assert message.ede(response) == ((34, ""),)
    records = denials(response)
    ordinary = Proof.INSECURE if kind == "opt-out" else Proof.PROVEN
    assert denial.proves_nxdomain(name(owner), records, ORIGIN) is ordinary
    assert denial.proves_nxdomain(name(owner), records, ORIGIN, extended=True) is Proof.NOT_PROVEN


@pytest.mark.parametrize("kind", DENIALS)
def test_without_de_there_is_nothing_else_at_them(kind):
    response = ask(Authoritative([org(kind)]), "only.org.", de=False)
    assert response.rcode() == dns.rcode.NOERROR
    assert not response.answer
    assert message.ede(response) == ((34, ""),)
    records, owner = denials(response), name("only.org.")
    assert denial.proves_nodata(owner, RdataType.A, records, ORIGIN) is Proof.PROVEN
    assert denial.proves_nodata(owner, RdataType.A, records, ORIGIN, extended=True) is Proof.NOT_PROVEN


def test_without_edns_there_is_no_place_for_an_extended_error():
    query = dns.message.make_query("x.only.org.", "A")
    (wire,) = Authoritative([org()]).respond_wire(query.to_wire(), Transport.UDP)
    response = dns.message.from_wire(wire)
    assert response.rcode() == dns.rcode.NXDOMAIN
    assert response.edns < 0


def test_an_alias_into_them_ends_there_without_de():
    response = ask(Authoritative([org()]), "toonly.org.", de=False)
    assert [item.rdtype for item in response.answer if item.rdtype != RdataType.RRSIG] == [RdataType.CNAME]
    assert response.rcode() == dns.rcode.NXDOMAIN
    with_de = ask(Authoritative([org()]), "toonly.org.")
    assert with_de.rcode() == dns.rcode.NOERROR
    assert not with_de.authority


def test_with_de_they_are_delegations_like_any():
    response = ask(Authoritative([org()]), "x.deep.forgotten.only.org.")
    assert response.rcode() == dns.rcode.NOERROR
    assert not message.ede(response)
    assert ("only.org.", TYPE) in types(response.authority)


@pytest.mark.parametrize("kind", DENIALS)
def test_one_without_ds_is_provably_insecure_to_who_knows_deleg(kind):
    records = denials(ask(Authoritative([org(kind)]), "x.only.org."))
    owner = name("only.org.")
    assert denial.proves_unsigned_delegation(owner, records, ORIGIN, extended=True) is Proof.PROVEN
    assert denial.proves_unsigned_delegation(owner, records, ORIGIN) is Proof.NOT_PROVEN


# -- explicit queries ------------------------------------------------------------------------------


@pytest.mark.parametrize("owner", ["both.org.", "only.org."])
def test_deleg_is_answered_at_the_parent(owner):
    child = zone(owner, "@ 3600 SOA ns h 1 1800 900 604800 300\n@ NS ns.test.\n")
    response = ask(Authoritative([org(), signed(child)]), owner, TYPE)
    assert response.flags & dns.flags.AA
    assert types(response.answer) == {(owner, TYPE), (owner, f"RRSIG {TYPE}")}


@pytest.mark.parametrize("kind", DENIALS)
@pytest.mark.parametrize("owner", ["plain.org.", "www.org."])
def test_the_absence_of_deleg_is_the_parents_to_prove(kind, owner):
    response = ask(Authoritative([org(kind)]), owner, TYPE)
    assert response.flags & dns.flags.AA
    assert not response.answer
    proof = denial.proves_nodata(name(owner), DELEG, denials(response), ORIGIN, extended=True)
    assert proof is (Proof.INSECURE if (owner, kind) == ("plain.org.", "opt-out") else Proof.PROVEN)


def test_without_de_ns_records_hide_deleg_and_else_it_is_data_like_any():
    server = Authoritative([org()])
    referred = ask(server, "both.org.", TYPE, de=False)
    assert ("both.org.", "NS") in types(referred.authority)
    assert not referred.answer
    answered = ask(server, "only.org.", TYPE, de=False)
    assert answered.flags & dns.flags.AA
    assert ("only.org.", TYPE) in types(answered.answer)
    assert not message.ede(answered)


def test_a_child_says_nothing_about_its_deleg_but_to_who_does_not_know():
    child = signed(zone("both.org.", "@ 3600 SOA ns h 1 1800 900 604800 300\n@ NS ns.test.\n"))
    origin = child.origin
    records = denials(ask(Authoritative([child]), "both.org.", TYPE, de=False), origin)
    assert denial.proves_nodata(origin, DELEG, records, origin) is Proof.PROVEN
    assert denial.proves_nodata(origin, DELEG, records, origin, extended=True) is Proof.NOT_PROVEN


def test_ds_is_answered_beside_deleg_whether_de_is_set_or_not():
    server = Authoritative([org()])
    for de in (True, False):
        assert ("secure.org.", "DS") in types(ask(server, "secure.org.", "DS", de=de).answer)
        absent = ask(server, "only.org.", "DS", de=de)
        proof = denial.proves_nodata(name("only.org."), RdataType.DS, denials(absent), ORIGIN, extended=de)
        assert proof is Proof.PROVEN
