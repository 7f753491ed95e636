"""Proofs of absence: the RFCs' examples, and random zones against a plain model of what exists in them."""

from __future__ import annotations

import functools

import dns.flags
import dns.message
import dns.name
import dns.rcode
import dns.rrset
import pytest
from dns.rdatatype import RdataType
from example_zones import DENIALS, EPOCH, RFC4035, RFC5155, WINDOW, keys, name, rdtype, rrset, signed, zone
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from testbed.core import denial, message, prover, validation
from testbed.core.authoritative import Authoritative
from testbed.core.denial import Proof
from testbed.core.rdata import bitmap, make
from testbed.core.signer import ds_for, sign_zone
from testbed.core.transport import Transport
from testbed.core.zone import Zone

PROVEN, INSECURE, NOT_PROVEN = Proof.PROVEN, Proof.INSECURE, Proof.NOT_PROVEN
EXAMPLE = name("example.")
WITH_NSEC = signed(zone("example.", RFC4035))
WITH_NSEC3 = sign_zone(
    zone("example.", RFC5155),
    keys("example."),
    **WINDOW,
    denial="nsec3",
    opt_out=True,
    iterations=12,
    salt=bytes.fromhex("aabbccdd"),
)


def nsecs(*owners):
    """NSEC RRsets of RFC 4035 appendix A by owner."""
    return [WITH_NSEC.rrset(name(owner), RdataType.NSEC) for owner in owners]


def nsec3s(*hashes):
    """NSEC3 RRsets of RFC 5155 appendix A by the beginning of their hash."""
    found = [i for begin in hashes for i in WITH_NSEC3.nsec3.rrsets if str(i.name).startswith(begin)]
    assert len(found) == len(hashes)
    return found


def all_proofs(text, records, origin=EXAMPLE, kind="A", source="*.w.example."):
    return {
        "nodata": denial.proves_nodata(name(text), rdtype(kind), records, origin),
        "nxdomain": denial.proves_nxdomain(name(text), records, origin),
        "delegation": denial.proves_unsigned_delegation(name(text), records, origin),
        "wildcard": denial.proves_wildcard(name(text), name(source), records, origin),
    }


# -- RFC 4035 appendix B ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "kind", "owners", "what"),
    [
        ("ml.example.", "A", ["b.example.", "example."], "nxdomain"),
        ("ns1.example.", "MX", ["ns1.example."], "nodata"),
        ("b.example.", "DS", ["b.example."], "delegation"),
        ("b.example.", "DS", ["b.example."], "nodata"),
        ("a.z.w.example.", "MX", ["x.y.w.example."], "wildcard"),
        ("a.z.w.example.", "AAAA", ["x.y.w.example.", "*.w.example."], "nodata"),
        ("y.w.example.", "A", ["x.w.example."], "nodata"),
    ],
)
def test_proofs_of_rfc_4035_appendix_b(text, kind, owners, what):
    assert all_proofs(text, nsecs(*owners), kind=kind)[what] is PROVEN
    for left_out in range(len(owners)):
        rest = nsecs(*owners[:left_out], *owners[left_out + 1 :])
        assert all_proofs(text, rest, kind=kind)[what] is NOT_PROVEN
    assert all_proofs(text, nsecs(*owners), name("org."), kind)[what] is NOT_PROVEN


@pytest.mark.parametrize(
    ("text", "kind", "owners", "proof"),
    [
        ("ml.example.", "A", ["b.example.", "example."], prover.nxdomain),
        ("ns1.example.", "MX", ["ns1.example."], prover.nodata),
        ("b.example.", "DS", ["b.example."], prover.nodata),
        ("a.z.w.example.", "MX", ["x.y.w.example."], prover.wildcard_answer),
        ("a.z.w.example.", "AAAA", ["x.y.w.example.", "*.w.example."], prover.wildcard_nodata),
        ("y.w.example.", "A", ["x.w.example."], prover.nodata),
        ("zz.example.", "A", ["xx.example.", "example."], prover.nxdomain),
        ("0.example.", "A", ["example."], prover.nxdomain),
    ],
)
def test_a_server_gives_the_proofs_of_rfc_4035_appendix_b(text, kind, owners, proof):
    assert [str(item.name) for item in proof(WITH_NSEC, name(text))] == owners


def test_a_child_says_nothing_about_its_ds():
    assert denial.proves_nodata(EXAMPLE, RdataType.DS, nsecs("example."), EXAMPLE) is NOT_PROVEN
    assert denial.proves_unsigned_delegation(EXAMPLE, nsecs("example."), EXAMPLE) is NOT_PROVEN


def test_a_parent_says_nothing_about_what_is_at_or_below_a_cut():
    records = nsecs("a.example.", "b.example.", "example.", "ai.example.")
    assert denial.proves_nodata(name("b.example."), RdataType.A, records, EXAMPLE) is NOT_PROVEN
    for text in ("x.b.example.", "x.y.a.example.", "ns1.a.example."):
        assert denial.proves_nxdomain(name(text), records, EXAMPLE) is NOT_PROVEN
        assert denial.proves_nodata(name(text), RdataType.MX, records, EXAMPLE) is NOT_PROVEN
        assert denial.proves_wildcard(name(text), name("*.example."), records, EXAMPLE) is NOT_PROVEN


def test_a_signed_delegation_is_not_an_unsigned_one():
    assert denial.proves_unsigned_delegation(name("a.example."), nsecs("a.example."), EXAMPLE) is NOT_PROVEN
    assert denial.proves_unsigned_delegation(name("a.example."), nsec3s("35m", "0p9"), EXAMPLE) is NOT_PROVEN
    assert denial.proves_nodata(name("a.example."), RdataType.DS, nsecs("a.example."), EXAMPLE) is NOT_PROVEN


def nsec(owner, following, *types):
    record = make(RdataType.NSEC, name(following), bitmap([rdtype(kind) for kind in types]))
    return dns.rrset.from_rdata(name(owner), 300, record)


def test_a_zone_says_nothing_about_what_is_below_a_dname():
    records = [nsec("d.example.", "example.", "DNAME", "RRSIG", "NSEC"), *nsecs("example.")]
    assert denial.proves_nxdomain(name("x.d.example."), records, EXAMPLE) is NOT_PROVEN
    assert denial.proves_nxdomain(name("e.example."), records, EXAMPLE) is PROVEN


def test_a_cname_is_not_the_absence_of_other_types():
    records = [nsec("c.example.", "example.", "CNAME", "RRSIG", "NSEC")]
    assert denial.proves_nodata(name("c.example."), RdataType.A, records, EXAMPLE) is NOT_PROVEN
    assert denial.proves_nodata(name("c.example."), RdataType.CNAME, records, EXAMPLE) is NOT_PROVEN
    assert denial.proves_nodata(name("c.example."), RdataType.DS, records, EXAMPLE) is NOT_PROVEN


def test_an_empty_non_terminal_is_not_nxdomain():
    records = nsecs("x.w.example.", "example.", "*.w.example.")
    assert denial.proves_nxdomain(name("y.w.example."), records, EXAMPLE) is NOT_PROVEN
    assert denial.proves_nodata(name("y.w.example."), RdataType.ANY, records, EXAMPLE) is PROVEN
    assert denial.proves_nodata(name("x.w.example."), RdataType.ANY, records, EXAMPLE) is NOT_PROVEN


def test_a_wildcard_that_exists_is_not_nxdomain():
    records = nsecs("x.y.w.example.", "x.w.example.", "ns2.example.", "*.w.example.", "example.")
    assert denial.proves_nxdomain(name("a.z.w.example."), records, EXAMPLE) is NOT_PROVEN


def test_a_wildcard_must_be_that_of_the_closest_encloser():
    above = [nsec("x.y.w.example.", "xx.example.", "MX", "RRSIG", "NSEC")]
    name_below = name("a.y.w.example.")
    assert (
        denial.proves_wildcard(name_below, name("*.y.w.example."), nsecs("x.w.example."), EXAMPLE) is PROVEN
    )
    assert (
        denial.proves_wildcard(name_below, name("*.w.example."), nsecs("x.w.example."), EXAMPLE) is NOT_PROVEN
    )
    assert denial.proves_wildcard(name_below, name("*.w.example."), above, EXAMPLE) is NOT_PROVEN
    assert denial.proves_wildcard(name("w.example."), name("*.w.example."), above, EXAMPLE) is NOT_PROVEN
    assert denial.proves_wildcard(name("a.example."), name("*.w.example."), above, EXAMPLE) is NOT_PROVEN


@pytest.mark.parametrize(
    ("owner", "following"),
    [("a.org.", "example."), ("a.example.", "z.org."), ("z.example.", "b.example."), ("org.", "zz.example.")],
)
def test_spans_that_leave_the_zone_or_run_backwards_cover_nothing(owner, following):
    records = [nsec(owner, following, "A", "RRSIG", "NSEC"), *nsecs("example.")]
    assert denial.proves_nxdomain(name("q.example."), records, EXAMPLE) is NOT_PROVEN


def test_a_zone_of_one_name_covers_all_others():
    records = [nsec("example.", "example.", "SOA", "NS", "RRSIG", "NSEC", "DNSKEY")]
    assert denial.proves_nxdomain(name("a.b.example."), records, EXAMPLE) is PROVEN
    assert denial.proves_nxdomain(EXAMPLE, records, EXAMPLE) is NOT_PROVEN


# -- RFC 5155 appendix B ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "kind", "hashes", "what", "proof"),
    [
        ("a.c.x.w.example.", "A", ["0p9", "b4u", "35m"], "nxdomain", INSECURE),
        ("ns1.example.", "MX", ["2t7"], "nodata", PROVEN),
        ("y.w.example.", "A", ["ji6"], "nodata", PROVEN),
        ("c.example.", "MX", ["35m", "0p9"], "delegation", PROVEN),
        ("c.example.", "DS", ["35m", "0p9"], "nodata", INSECURE),
        ("a.z.w.example.", "MX", ["q04"], "wildcard", INSECURE),
        ("a.z.w.example.", "AAAA", ["k8u", "q04", "r53"], "nodata", INSECURE),
    ],
)
def test_proofs_of_rfc_5155_appendix_b(text, kind, hashes, what, proof):
    assert all_proofs(text, nsec3s(*hashes), kind=kind)[what] is proof
    for left_out in range(len(hashes)):
        rest = nsec3s(*hashes[:left_out], *hashes[left_out + 1 :])
        # Without the wildcard's record it is what a name shows that only leads to unsigned delegations.
        remains = INSECURE if (kind, hashes[left_out]) == ("AAAA", "r53") else NOT_PROVEN
        assert all_proofs(text, rest, kind=kind)[what] is remains
    assert all_proofs(text, nsec3s(*hashes), name("org."), kind)[what] is NOT_PROVEN


@pytest.mark.parametrize(
    ("text", "hashes", "proof"),
    [
        ("a.c.x.w.example.", {"0p9", "b4u", "35m"}, prover.nxdomain),
        ("ns1.example.", {"2t7"}, prover.nodata),
        ("y.w.example.", {"ji6"}, prover.nodata),
        ("c.example.", {"35m", "0p9"}, prover.nodata),
        ("a.z.w.example.", {"q04"}, prover.wildcard_answer),
        ("a.z.w.example.", {"k8u", "q04", "r53"}, prover.wildcard_nodata),
        ("example.", {"0p9"}, prover.nodata),
    ],
)
def test_a_server_gives_the_proofs_of_rfc_5155_appendix_b(text, hashes, proof):
    given_proof = proof(WITH_NSEC3, name(text))
    assert {str(item.name)[:3] for item in given_proof} == hashes
    assert len(given_proof) == len(hashes)


def test_without_opt_out_the_same_proofs_are_secure():
    example = signed(zone("example.", RFC5155), "nsec3")
    everything = example.nsec3.rrsets
    assert all_proofs("a.c.x.w.example.", everything)["nxdomain"] is PROVEN
    assert all_proofs("a.z.w.example.", everything)["wildcard"] is PROVEN
    assert all_proofs("a.z.w.example.", everything, kind="AAAA")["nodata"] is PROVEN
    assert all_proofs("c.example.", everything)["delegation"] is PROVEN
    assert all_proofs("nothing.example.", everything)["delegation"] is NOT_PROVEN


def test_a_child_says_nothing_about_its_ds_with_nsec3_either():
    assert denial.proves_nodata(EXAMPLE, RdataType.DS, nsec3s("0p9"), EXAMPLE) is NOT_PROVEN
    assert denial.proves_nodata(EXAMPLE, RdataType.A, nsec3s("0p9"), EXAMPLE) is PROVEN


def test_a_cut_is_no_closest_encloser():
    example = signed(zone("example.", RFC5155), "nsec3")
    proofs = all_proofs("x.a.example.", example.nsec3.rrsets, source="*.a.example.")
    assert proofs["nxdomain"] is proofs["nodata"] is proofs["delegation"] is NOT_PROVEN


def changed(record, **changes):
    return dns.rrset.from_rdata(record.name, record.ttl, record[0].replace(**changes))


def test_nsec3_of_unknown_kinds_prove_nothing():
    for changes in ({"algorithm": 2}, {"flags": 2}, {"flags": 3}):
        records = [changed(item, **changes) for item in nsec3s("2t7")]
        assert all_proofs("ns1.example.", records, kind="MX")["nodata"] is NOT_PROVEN
    moved = dns.rrset.from_rdata(name("2t7b4g4vsa5smi47k61mv5bv1a22bojr.w.example."), 300, *nsec3s("2t7")[0])
    assert all_proofs("ns1.example.", [moved], kind="MX")["nodata"] is NOT_PROVEN
    apex = dns.rrset.from_rdata(EXAMPLE, 300, *nsec3s("2t7")[0])
    assert all_proofs("ns1.example.", [apex], kind="MX")["nodata"] is NOT_PROVEN


@pytest.mark.parametrize(("iterations", "proof"), [(100, PROVEN), (101, INSECURE), (2500, INSECURE)])
def test_too_many_iterations_are_insecure(iterations, proof):
    example = sign_zone(
        zone("example.", RFC5155), keys("example."), **WINDOW, denial="nsec3", iterations=iterations
    )
    absent = name("absent.example.")
    assert denial.proves_nxdomain(absent, prover.nxdomain(example, absent), EXAMPLE) is proof
    ns1 = name("ns1.example.")
    assert denial.proves_nodata(ns1, RdataType.MX, prover.nodata(example, ns1), EXAMPLE) is proof


def test_nothing_proves_nothing_and_other_types_neither():
    for records in ([], [rrset("example.", "A", "192.0.2.1"), rrset("ns1.example.", "TXT", "x")]):
        assert set(all_proofs("ns1.example.", records).values()) == {NOT_PROVEN}


# -- random zones ----------------------------------------------------------------------------------

ORIGIN = name("z.")
KINDS = ("A", "TXT", "CNAME", "DNAME", "NS", "NS+DS")
TEXTS = {"A": "192.0.2.1", "TXT": "x", "CNAME": "a.b.z.", "DNAME": "elsewhere.", "NS": "ns.elsewhere."}
LABELS = st.sampled_from(["a", "b", "c", "*"])
NAMES = st.lists(LABELS, min_size=1, max_size=4).map(lambda labels: name(".".join([*labels, "z."])))
QUERIES = st.tuples(NAMES, st.sampled_from([RdataType.A, RdataType.TXT, RdataType.DS, RdataType.AAAA]))


@st.composite
def zones(draw):
    """The types at each name of a random zone."""
    content = {}
    for owner in draw(st.lists(NAMES, min_size=1, max_size=9, unique=True)):
        kinds = draw(st.sets(st.sampled_from(KINDS), min_size=1, max_size=2))
        if "CNAME" in kinds:
            kinds = {"CNAME"}
        if owner.is_wild():
            kinds -= {"NS", "NS+DS", "DNAME"}
        types = {kind for both in kinds for kind in both.split("+")}
        if types:
            content[owner] = frozenset(types)
    return content


@functools.lru_cache(maxsize=256)
def built(content, kind):
    """The zone with that content, signed, or None when a signer refuses it."""
    rrsets = [
        rrset("z.", "SOA", "ns.elsewhere. h. 1 1800 900 604800 300"),
        rrset("z.", "NS", "ns.elsewhere."),
    ]
    for owner, types in content:
        for each in types:
            text = TEXTS.get(each, f"1 13 2 {'00' * 32}")
            rrsets.append(rrset(str(owner), each, text))
    return signed(Zone(ORIGIN, rrsets), kind)


def built_from(content, kind):
    return built(tuple(sorted(content.items())), kind)


def expected(content, owner, kind):
    """What a zone says to a query: a plain reading of RFC 1034 section 4.3.2, RFC 4592 and RFC 6672."""
    kind = RdataType.to_text(kind)
    path = [owner]
    while path[-1] != ORIGIN:
        path.append(path[-1].parent())
    for above in path[-2::-1]:
        types = content.get(above, frozenset())
        if "NS" in types and not (above == owner and kind == "DS"):
            return ("secure referral" if "DS" in types else "insecure referral"), above
        if "DNAME" in types and above != owner:
            return "redirected", above

    def exists(it):
        return it == ORIGIN or any(other.is_subdomain(it) for other in content)

    if exists(owner):
        return kind_at(content, owner, kind), owner
    encloser = next(above for above in path if exists(above))
    wildcard = dns.name.Name((b"*", *encloser.labels))
    return (kind_at(content, wildcard, kind) if exists(wildcard) else "nxdomain"), wildcard


def kind_at(content, owner, kind):
    types = content.get(owner, {"SOA", "NS"} if owner == ORIGIN else frozenset())
    return "answer" if kind in types else "alias" if "CNAME" in types else "nodata"


SERVED = {}


def respond(example, owner, kind):
    if len(SERVED) > 64:
        SERVED.clear()
    server = SERVED.setdefault(example, Authoritative([example]))
    query = message.query(owner, kind, id=1)
    (wire,) = server.respond_wire(message.encode(query), Transport.TCP)
    return dns.message.from_wire(wire)


def conclusion(response, owner, kind, records):
    """What a validator makes of a response with good signatures, with the name of the wildcard or cut."""
    if response.authority and not response.flags & dns.flags.AA:
        cut = response.authority[0].name
        if any(item.rdtype == RdataType.DS for item in response.authority):
            return "secure referral", cut, PROVEN
        return "insecure referral", cut, denial.proves_unsigned_delegation(cut, records, ORIGIN)
    if response.rcode() == dns.rcode.NXDOMAIN and not response.answer:
        return "nxdomain", None, denial.proves_nxdomain(owner, records, ORIGIN)
    if not response.answer:
        return "nodata", None, denial.proves_nodata(owner, kind, records, ORIGIN)
    first = response.answer[0]
    what = {kind: "answer", RdataType.CNAME: "alias", RdataType.DNAME: "redirected"}[first.rdtype]
    return what, first.name, PROVEN


def verified(response, trusted):
    """Verify all that has to be signed; give the denials, and the wildcard that the first answer is from."""
    everything = [*response.answer, *response.authority]
    rrsigs = {(item.name, item.covers): item for item in everything if item.rdtype == RdataType.RRSIG}
    synthesised = {item.name for item in response.answer if item.rdtype == RdataType.DNAME}
    denials, source = [], None
    for item in everything:
        if item.rdtype in (RdataType.RRSIG, RdataType.NS):
            continue
        if item.rdtype == RdataType.CNAME and any(item.name.is_subdomain(above) for above in synthesised):
            continue
        result = validation.verify(item, rrsigs.get((item.name, item.rdtype)), trusted, ORIGIN, EPOCH)
        if item.rdtype in (RdataType.NSEC, RdataType.NSEC3):
            assert result.wildcard_source is None
            denials.append(item)
        elif item is response.answer[0] if response.answer else False:
            source = result.wildcard_source
    return denials, source


def too_little(kind_of_denial):
    """What may follow from part of a proof: in an opt-out span, a delegation without DS may be anywhere."""
    return {NOT_PROVEN, INSECURE} if kind_of_denial == "opt-out" else {NOT_PROVEN}


@settings(max_examples=60, deadline=None)
@given(zones(), st.lists(QUERIES, min_size=1, max_size=8), st.sampled_from(list(DENIALS)))
def test_every_response_validates_and_says_what_the_zone_says(content, queries, kind_of_denial):
    example = built_from(content, kind_of_denial)
    dnskeys = example.rrset(ORIGIN, RdataType.DNSKEY)
    anchor = ds_for(ORIGIN, keys("z."))
    trusted = validation.verify_dnskeys(dnskeys, example.signatures(ORIGIN, RdataType.DNSKEY), anchor, EPOCH)
    fine = {PROVEN, INSECURE} if kind_of_denial == "opt-out" else {PROVEN}
    for owner, kind in queries:
        response = respond(example, owner, kind)
        denials, source = verified(response, trusted)
        what, where, proof = conclusion(response, owner, kind, denials)
        truth, at = expected(content, owner, kind)
        assert what == truth
        assert proof in fine or (what == "nxdomain" and not shown(example, example.closest_encloser(owner)))
        if what in ("secure referral", "insecure referral", "redirected"):
            assert where == at
        if what in ("answer", "alias"):
            assert source == (at if at != owner else None)
            if source is not None:
                assert denial.proves_wildcard(owner, source, denials, ORIGIN) in fine
        if what in ("alias", "redirected"):
            continue
        for i in range(len(denials)):
            rest = [*denials[:i], *denials[i + 1 :]]
            if source is not None:
                assert denial.proves_wildcard(owner, source, rest, ORIGIN) is NOT_PROVEN
                continue
            lesser = conclusion(response, owner, kind, rest)[2]
            assert lesser in too_little(kind_of_denial)


def shown(example, name_):
    """Whether a record shows that a name exists. With opt-out what leads to unsigned delegations has none."""
    return example.nsec3 is None or example.nsec3.matching(name_) is not None


def chain_of(example):
    if example.nsec3 is not None:
        return list(example.nsec3.rrsets)
    return [item for item in example if item.rdtype == RdataType.NSEC]


@settings(max_examples=150, deadline=None)
@given(zones(), QUERIES, st.sampled_from(list(DENIALS)), st.data())
def test_no_choice_of_denials_proves_what_is_not_so(content, query, kind_of_denial, data):
    """An attacker can put any records of the zone together, and leave out any."""
    owner, kind = query
    owner = data.draw(st.sampled_from([owner, *content]))
    built = built_from(content, kind_of_denial)
    chain = chain_of(built)
    every = data.draw(st.booleans())
    records = chain if every else data.draw(st.lists(st.sampled_from(chain), max_size=4))
    truth, at = expected(content, owner, kind)
    opt_out = kind_of_denial == "opt-out"
    proofs = {
        "nodata": denial.proves_nodata(owner, kind, records, ORIGIN),
        "nxdomain": denial.proves_nxdomain(owner, records, ORIGIN),
    }
    for what, proof in proofs.items():
        if proof is PROVEN:
            assert truth == what
        if proof is INSECURE:
            assert opt_out
            assert truth != "secure referral"
            if not shown(built, owner) and truth == "nodata":
                continue
            expanded = at != owner  # from a wildcard, as nobody can tell from an unsigned delegation there
            assert truth in (what, "insecure referral", "nxdomain") or kind == RdataType.DS or expanded
        if every and truth == what:
            assert proof in ((PROVEN, INSECURE) if opt_out else (PROVEN,))
    types = content.get(owner, frozenset())
    unsigned = denial.proves_unsigned_delegation(owner, records, ORIGIN)
    in_zone = expected(content, owner, RdataType.DS)[0] not in ("secure referral", "insecure referral")
    below_a_cut = expected(content, owner, RdataType.A)[0] == "insecure referral"
    if unsigned is PROVEN:
        assert in_zone or opt_out
        assert "DS" not in types or below_a_cut
        assert ("NS" in types and in_zone) or (opt_out and (below_a_cut or not types))
    if every and in_zone and "NS" in types and "DS" not in types and below_a_cut:
        assert unsigned is PROVEN
    for labels in range(2, len(owner)):
        source = dns.name.Name((b"*", *owner.labels[-labels:]))
        if owner == source or source not in content or expected(content, source, RdataType.A)[1] != source:
            continue  # without a signed wildcard there is no answer from it to begin with
        proof = denial.proves_wildcard(owner, source, records, ORIGIN)
        rightly = truth in ("answer", "alias", "nodata", "nxdomain") and at == source
        if proof is PROVEN:
            assert rightly
        if every and rightly:
            assert proof is not NOT_PROVEN


@settings(max_examples=60, deadline=None)
@given(zones(), QUERIES, st.sampled_from(list(DENIALS)), st.data())
def test_a_record_from_elsewhere_in_the_chain_does_not_do(content, query, kind_of_denial, data):
    owner, kind = query
    example = built_from(content, kind_of_denial)
    truth, _ = expected(content, owner, kind)
    assume(truth in ("nodata", "nxdomain"))
    response = respond(example, owner, kind)
    proof = [item for item in response.authority if item.rdtype in (RdataType.NSEC, RdataType.NSEC3)]
    others = [item for item in chain_of(example) if item.name not in {used.name for used in proof}]
    assume(others)
    swapped = list(proof)
    swapped[data.draw(st.integers(0, len(proof) - 1))] = data.draw(st.sampled_from(others))
    assert conclusion(response, owner, kind, swapped)[2] in too_little(kind_of_denial)
