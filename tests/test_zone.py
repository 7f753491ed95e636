import dns.rdataclass
import dns.rrset
import pytest
from dns.rdatatype import RdataType
from example_zones import EVERYTHING, RFC4035, RFC5155, name, rrset, signed, zone

from testbed.core.canonical import name_key
from testbed.core.nsec3 import hash_owner, nsec3_hash, owner_hash
from testbed.core.zone import Zone, ZoneError

SOA = rrset("example.org.", "SOA", "ns1 h 1 1800 900 604800 300")


def make(*rrsets, soa=SOA):
    return Zone(name("example.org."), [*([soa] if soa else []), *rrsets])


def test_canonical_order_is_that_of_rfc_4034():
    ordered = [
        b"example.",
        b"a.example.",
        b"yljkjljk.a.example.",
        b"Z.a.example.",
        b"zABC.a.EXAMPLE.",
        b"z.example.",
        b"\\001.z.example.",
        b"*.z.example.",
        b"\\200.z.example.",
    ]
    names = [name(text.decode()) for text in ordered]
    shuffled = [*names[5:], *names[:5]]
    assert sorted(shuffled, key=name_key) == names


@pytest.mark.parametrize(
    ("rrsets", "problem"),
    [
        ([rrset("example.net.", "A", "192.0.2.1")], "not in zone"),
        ([rrset("a.example.org.", "A", "192.0.2.1")] * 2, "given twice"),
        (
            [rrset("A.example.org.", "A", "192.0.2.1"), rrset("a.EXAMPLE.org.", "A", "192.0.2.2")],
            "given twice",
        ),
        ([dns.rrset.from_text("a.example.org.", 1, "CH", "TXT", "x")], "class IN"),
        ([dns.rrset.RRset(name("a.example.org."), dns.rdataclass.IN, RdataType.A)], "no records"),
        ([rrset("a.example.org.", "CNAME", "b"), rrset("a.example.org.", "A", "192.0.2.1")], "other data"),
        ([rrset("*.example.org.", "NS", "b")], "wildcard"),
    ],
)
def test_records_that_make_no_zone(rrsets, problem):
    with pytest.raises(ZoneError, match=problem):
        make(*rrsets)


def test_a_zone_needs_its_soa():
    with pytest.raises(ZoneError, match="SOA"):
        make(rrset("example.org.", "NS", "ns1"), soa=None)
    with pytest.raises(ZoneError, match="SOA"):
        Zone(name("example.org."), [])


def test_rrsets_and_signatures_are_found_whatever_the_case():
    plain = zone("example.org.", EVERYTHING)
    found = plain.rrset(name("SECRET.Example.org."), RdataType.A)
    assert found is not None
    assert found[0].address == "192.0.2.80"
    assert plain.signatures(found.name, RdataType.A) is None
    assert plain.rrset(found.name, RdataType.AAAA) is None
    assert plain.rrset(name("other.test."), RdataType.A) is None
    signatures = signed(plain).signatures(name("SECRET.example.org."), RdataType.A)
    assert signatures is not None
    assert signatures[0].type_covered == RdataType.A


@pytest.mark.parametrize(
    ("text", "exists"),
    [
        ("example.org.", True),
        ("er.name.example.org.", True),
        ("name.example.org.", True),
        ("wild.example.org.", True),
        ("some.ent.example.org.", True),
        ("x.wild.example.org.", False),
        ("nothing.example.org.", False),
        ("org.", False),
        (".", False),
    ],
)
def test_empty_non_terminals_exist(text, exists):
    assert zone("example.org.", EVERYTHING).has_name(name(text)) is exists


def test_closest_encloser():
    plain = zone("example.org.", EVERYTHING)
    for text, encloser in {
        "a.b.c.er.name.example.org.": "er.name.example.org.",
        "secret.example.org.": "secret.example.org.",
        "x.example.org.": "example.org.",
        "example.org.": "example.org.",
    }.items():
        assert plain.closest_encloser(name(text)) == name(encloser)


def test_the_uppermost_cut_counts_and_the_apex_is_none():
    deep = make(
        rrset("example.org.", "NS", "ns1"),
        rrset("sub.example.org.", "NS", "ns1"),
        rrset("deep.sub.example.org.", "NS", "ns1"),
    )
    assert deep.cut(name("example.org.")) is None
    assert deep.cut(name("other.example.org.")) is None
    for text in ("sub.example.org.", "x.sub.example.org.", "x.deep.sub.example.org."):
        assert deep.cut(name(text)) == name("sub.example.org.")
    assert not deep.occluded(name("sub.example.org."))
    assert deep.occluded(name("deep.sub.example.org."))


def test_a_dname_redirects_what_is_below_it_cuts_included():
    redirected = make(rrset("old.example.org.", "DNAME", "new"), rrset("cut.old.example.org.", "NS", "ns1"))
    assert redirected.dname(name("old.example.org.")) is None
    assert redirected.dname(name("a.b.old.example.org.")).name == name("old.example.org.")
    assert redirected.cut(name("x.cut.old.example.org.")) is None
    assert redirected.occluded(name("cut.old.example.org."))
    assert not redirected.occluded(name("old.example.org."))


def test_the_root_zone():
    root = Zone.from_text(
        ".", "@ 60 SOA a. b. 1 2 3 4 5\n@ NS a.root.\norg NS a.nic.org.\na.nic.org A 192.0.2.1"
    )
    assert root.cut(name("secret.example.org.")) == name("org.")
    assert root.encloses(name("anything."))
    assert root.closest_encloser(name("a.b.c.")) == name(".")
    assert root.has_name(name("nic.org."))
    assert root.negative_ttl == 5


def test_nsec_lookup_wraps_at_the_end_only():
    example = signed(zone("example.", RFC4035))
    assert example.signed
    assert example.denial == "nsec"
    for asked, owner in {
        "example.": "example.",
        "ns1.example.": "ns1.example.",
        "ml.example.": "b.example.",
        "zz.example.": "xx.example.",
        "0.example.": "example.",
    }.items():
        assert example.nsec(name(asked)).name == name(owner)


def test_nsec3_lookup():
    example = signed(zone("example.", RFC5155), "nsec3")
    chain = example.nsec3
    assert example.denial == "nsec3"
    assert chain is not None
    assert list(chain.hashes) == sorted(chain.hashes)
    for text in ("example.", "ns1.example.", "y.w.example."):
        match = chain.matching(name(text))
        assert owner_hash(match.name) == nsec3_hash(name(text), 0, b"")
    for i in range(50):
        absent = name(f"absent{i}.example.")
        assert chain.matching(absent) is None
        digest, covering = nsec3_hash(absent, 0, b""), chain.covering(absent)
        low, high = owner_hash(covering.name), covering[0].next
        assert low < digest < high if low < high else (digest > low or digest < high)


def test_nsec3_owners_are_no_names_of_the_zone():
    example = signed(zone("example.", RFC5155), "nsec3")
    owner = example.nsec3.rrsets[3].name
    assert not example.has_name(owner)
    assert example.types(owner) == ()
    assert example.rrset(owner, RdataType.NSEC3) is not None
    assert example.signatures(owner, RdataType.NSEC3) is not None
    assert owner not in list(example.names())


def test_an_unsigned_zone_denies_nothing():
    plain = zone("example.", RFC4035)
    assert not plain.signed
    assert plain.denial is None
    assert plain.nsec3 is None


def test_hashes_of_rfc_5155_appendix_a():
    hashes = {
        "example.": "0p9mhaveqvm6t7vbl5lop2u3t2rp3tom",
        "a.example.": "35mthgpgcu1qg68fab165klnsnk3dpvl",
        "ai.example.": "gjeqe526plbf1g8mklp59enfd789njgi",
        "ns1.example.": "2t7b4g4vsa5smi47k61mv5bv1a22bojr",
        "ns2.example.": "q04jkcevqvmu85r014c7dkba38o0ji5r",
        "w.example.": "k8udemvp1j2f7eg6jebps17vp3n8i58h",
        "*.w.example.": "r53bq7cc2uvmubfu5ocmm6pers9tk9en",
        "x.w.example.": "b4um86eghhds6nea196smvmlo4ors995",
        "y.w.example.": "ji6neoaepv8b5o6k4ev33abha8ht9fgc",
        "x.y.w.example.": "2vptu5timamqttgl4luu9kg21e0aor3s",
        "XX.example.": "t644ebqk9bibcna874givr6joj62mlhv",
        "2t7b4g4vsa5smi47k61mv5bv1a22bojr.example.": "kohar7mbb8dc2ce8a9qvl8hon4k53uhi",
    }
    for text, label in hashes.items():
        digest = nsec3_hash(name(text), 12, bytes.fromhex("aabbccdd"))
        assert hash_owner(digest, name("example.")) == name(f"{label}.example.")
        assert owner_hash(name(f"{label.upper()}.example.")) == digest
    assert owner_hash(name("not-a-hash!.example.")) is None


def test_a_transfer_has_everything_and_the_soa_at_both_ends():
    example = signed(zone("example.org.", EVERYTHING))
    series = list(example.transfer())
    assert series[0] is example.soa
    assert series[-1] is example.soa
    assert {id(item) for item in series} == {id(item) for item in example}
    assert len(series) == len(list(example)) + 1


def test_fingerprints_tell_zones_apart_and_equal_ones_not():
    text = "@ 60 SOA a b 1 2 3 4 5\n@ NS a\na A 192.0.2.1\n"
    base = Zone.from_text("example.org.", text)
    assert base == Zone.from_text("example.org.", text)
    assert hash(base) == hash(Zone.from_text("example.org.", text))
    others = [
        Zone.from_text("example.org.", text.replace("192.0.2.1", "192.0.2.2")),
        Zone.from_text("example.org.", text.replace("a A", "A A")),
        Zone.from_text("example.org.", text.replace("NS a", "NS A")),
        Zone.from_text("example.org.", text.replace("60", "61")),
        Zone.from_text("example.org.", text + "b A 192.0.2.1\n"),
        Zone.from_text("example.net.", text),
        signed(base),
        signed(base, "nsec3"),
    ]
    assert len({base, *others}) == 1 + len(others)
