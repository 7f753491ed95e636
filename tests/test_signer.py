import dns.dnssec
import pytest
from dns.dnssectypes import DSDigest
from dns.rdatatype import RdataType
from example_zones import DENIALS, EVERYTHING, RFC4035, RFC5155, WINDOW, keys, name, rrset, signed, zone

from testbed.core import signer
from testbed.core.canonical import signature_labels
from testbed.core.rdata import bitmap, key_digest, key_tag, make, types_in
from testbed.core.signer import KeySet, ds_for, sign_zone
from testbed.core.zone import Zone

RFC4035_NSEC = """
example. a.example. NS SOA MX RRSIG NSEC DNSKEY
a.example. ai.example. NS DS RRSIG NSEC
ai.example. b.example. A HINFO AAAA RRSIG NSEC
b.example. ns1.example. NS RRSIG NSEC
ns1.example. ns2.example. A RRSIG NSEC
ns2.example. *.w.example. A RRSIG NSEC
*.w.example. x.w.example. MX RRSIG NSEC
x.w.example. x.y.w.example. MX RRSIG NSEC
x.y.w.example. xx.example. MX RRSIG NSEC
xx.example. example. A HINFO AAAA RRSIG NSEC
"""

RFC5155_NSEC3 = """
0p9mhaveqvm6t7vbl5lop2u3t2rp3tom 2t7b4g4vsa5smi47k61mv5bv1a22bojr NS SOA MX RRSIG DNSKEY NSEC3PARAM
2t7b4g4vsa5smi47k61mv5bv1a22bojr 2vptu5timamqttgl4luu9kg21e0aor3s A RRSIG
2vptu5timamqttgl4luu9kg21e0aor3s 35mthgpgcu1qg68fab165klnsnk3dpvl MX RRSIG
35mthgpgcu1qg68fab165klnsnk3dpvl b4um86eghhds6nea196smvmlo4ors995 NS DS RRSIG
b4um86eghhds6nea196smvmlo4ors995 gjeqe526plbf1g8mklp59enfd789njgi MX RRSIG
gjeqe526plbf1g8mklp59enfd789njgi ji6neoaepv8b5o6k4ev33abha8ht9fgc A HINFO AAAA RRSIG
ji6neoaepv8b5o6k4ev33abha8ht9fgc k8udemvp1j2f7eg6jebps17vp3n8i58h
k8udemvp1j2f7eg6jebps17vp3n8i58h kohar7mbb8dc2ce8a9qvl8hon4k53uhi
kohar7mbb8dc2ce8a9qvl8hon4k53uhi q04jkcevqvmu85r014c7dkba38o0ji5r A RRSIG
q04jkcevqvmu85r014c7dkba38o0ji5r r53bq7cc2uvmubfu5ocmm6pers9tk9en A RRSIG
r53bq7cc2uvmubfu5ocmm6pers9tk9en t644ebqk9bibcna874givr6joj62mlhv MX RRSIG
t644ebqk9bibcna874givr6joj62mlhv 0p9mhaveqvm6t7vbl5lop2u3t2rp3tom A HINFO AAAA RRSIG
"""


def check_with_dnspython(example: Zone, keyset: KeySet) -> int:
    """Verify each signature with dnspython's own validator; count them."""
    dnskeys = {example.origin: example.rrset(example.origin, RdataType.DNSKEY)}
    count = 0
    for item in example:
        if item.rdtype != RdataType.RRSIG:
            continue
        covered = example.rrset(item.name, item.covers)
        dns.dnssec.validate(covered, item, dnskeys, now=WINDOW["inception"] + 10)
        ours = keyset.ksk if item.covers == RdataType.DNSKEY else keyset.zsk
        assert item[0].key_tag == ours.tag
        assert item[0].labels == signature_labels(item.name)
        assert item.ttl == covered.ttl == item[0].original_ttl
        count += 1
    return count


def test_the_nsec_chain_of_rfc_4035_appendix_a():
    example = signed(zone("example.", RFC4035))
    chain = [item.to_text().split(" IN NSEC ") for item in example if item.rdtype == RdataType.NSEC]
    assert [f"{head.split()[0]} {rest}" for head, rest in chain] == RFC4035_NSEC.strip().splitlines()
    assert all(item.ttl == 3600 for item in example if item.rdtype == RdataType.NSEC)


def test_the_nsec3_chain_of_rfc_5155_appendix_a():
    salt = bytes.fromhex("aabbccdd")
    example = sign_zone(
        zone("example.", RFC5155),
        keys("example."),
        **WINDOW,
        denial="nsec3",
        opt_out=True,
        iterations=12,
        salt=salt,
    )
    lines = []
    for item in example.nsec3.rrsets:
        head, rest = item.to_text().split(" IN NSEC3 1 1 12 aabbccdd ")
        lines.append(f"{head.split('.')[0]} {rest}")
    assert lines == RFC5155_NSEC3.strip().splitlines()
    param = example.rrset(name("example."), RdataType.NSEC3PARAM)
    assert param[0].to_text() == "1 0 12 aabbccdd"


def test_without_opt_out_unsigned_delegations_are_in_the_chain():
    example = signed(zone("example.", RFC5155), "nsec3")
    assert len(example.nsec3.rrsets) == 13
    match = example.nsec3.matching(name("c.example."))
    assert types_in(match[0].windows) == {RdataType.NS}
    assert match[0].flags == 0


@pytest.mark.parametrize("denial", DENIALS)
def test_what_is_signed_and_what_is_not(denial):
    example = signed(zone("example.org.", EVERYTHING), denial)
    unsigned = {
        f"{item.name.relativize(example.origin)} {RdataType.to_text(item.rdtype)}"
        for item in example
        if item.rdtype != RdataType.RRSIG and example.signatures(item.name, item.rdtype) is None
    }
    assert unsigned == {
        "signed NS",
        "ns.signed A",
        "unsigned NS",
        "ns.unsigned A",
        "ns.unsigned AAAA",
        "below.some.ent NS",
    }
    assert check_with_dnspython(example, keys("example.org.")) > 20


def test_occluded_names_get_no_denial():
    example = signed(zone("example.org.", EVERYTHING))
    assert example.rrset(name("ns.unsigned.example.org."), RdataType.NSEC) is None
    assert example.rrset(name("unsigned.example.org."), RdataType.NSEC) is not None


@pytest.mark.parametrize("denial", ["nsec", "nsec3"])
def test_data_beside_a_delegation_is_neither_signed_nor_shown(denial):
    example = signed(zone("example.org.", EVERYTHING + 'signed TXT "not the parent\'s"\n'), denial)
    cut = name("signed.example.org.")
    assert example.signatures(cut, RdataType.TXT) is None
    record = example.nsec(cut) if denial == "nsec" else example.nsec3.matching(cut)
    own = {RdataType.NSEC} if denial == "nsec" else set()
    assert types_in(record[0].windows) == {RdataType.NS, RdataType.DS, RdataType.RRSIG} | own


@pytest.mark.parametrize("algorithm", [10, 13, 14, 15, 16])
def test_each_algorithm_signs_what_dnspython_verifies(algorithm):
    keyset = KeySet.derive(b"tests", name("example."), algorithm)
    example = sign_zone(zone("example.", RFC4035), keyset, **WINDOW)
    assert check_with_dnspython(example, keyset) == 26
    assert {item[0].algorithm for item in example if item.rdtype == RdataType.RRSIG} == {algorithm}


def test_no_keys_for_an_algorithm_that_nobody_has():
    with pytest.raises(KeyError):
        KeySet.derive(b"tests", name("example."), 244)


def test_keys_follow_from_seed_zone_and_role():
    base = KeySet.derive(b"seed", name("example.org."))
    signer.KeySet.derive.cache_clear()
    again = KeySet.derive(b"seed", name("Example.ORG."))
    assert (again.ksk.dnskey, again.zsk.dnskey) == (base.ksk.dnskey, base.zsk.dnskey)
    assert base.ksk.dnskey.flags == 257
    assert base.zsk.dnskey.flags == 256
    others = [KeySet.derive(b"seed2", name("example.org.")), KeySet.derive(b"seed", name("example.net."))]
    materials = {key.dnskey.key for keyset in (base, *others) for key in (keyset.ksk, keyset.zsk)}
    assert len(materials) == 6


def test_signing_again_gives_the_same_octets():
    for denial in DENIALS:
        first = signed(zone("example.org.", EVERYTHING), denial)
        signer._sign_zone.cache_clear()
        signer._signature.cache_clear()
        assert signed(zone("example.org.", EVERYTHING), denial).fingerprint == first.fingerprint


def test_signing_a_signed_zone_replaces_what_the_first_time_made():
    plain = zone("example.org.", EVERYTHING)
    assert signed(signed(plain, "nsec3"), "nsec") == signed(plain, "nsec")
    assert signed(signed(plain, "nsec"), "opt-out") == signed(plain, "opt-out")


def test_one_changed_rrset_costs_one_signature():
    signed(zone("example.org.", EVERYTHING))
    before = signer._signature.cache_info()
    changed = signed(zone("example.org.", EVERYTHING.replace("192.0.2.80", "192.0.2.99")))
    after = signer._signature.cache_info()
    assert after.misses - before.misses == 1
    assert check_with_dnspython(changed, keys("example.org.")) > 20


def test_other_windows_and_keys_do_not_share_signatures():
    plain = zone("example.", RFC4035)
    later = sign_zone(
        plain, keys("example."), inception=WINDOW["inception"] + 1, expiration=WINDOW["expiration"]
    )
    other = sign_zone(plain, KeySet.derive(b"other", name("example.")), **WINDOW)
    assert len({signed(plain), later, other}) == 3


def test_published_keys_stay_beside_ours():
    foreign = rrset("example.", "DNSKEY", "257 3 244 AAAA")
    plain = Zone(name("example."), [*zone("example.", RFC4035), foreign])
    dnskeys = signed(plain).rrset(name("example."), RdataType.DNSKEY)
    assert len(dnskeys) == 3
    assert foreign[0] in dnskeys


def test_ds_with_unknown_algorithms_are_just_data():
    plain = Zone.from_text(
        "org.",
        "@ 60 SOA a b 1 2 3 4 5\n@ NS a\nexample NS a\n"
        f"example DS 13005 244 225 0474657374\nexample DS 1 13 2 {'00' * 32}",
    )
    ds = signed(plain).rrset(name("example.org."), RdataType.DS)
    assert {rdata.algorithm for rdata in ds} == {244, 13}
    assert check_with_dnspython(signed(plain), keys("org.")) == 6


def test_the_ds_of_rfc_4034_and_rfc_4509():
    dnskey = rrset(
        "dskey.example.com.",
        "DNSKEY",
        "256 3 5 AQOeiiR0GOMYkDshWoSKz9XzfwJr1AYtsmx3TGkJaNXVbfi/2pHm822aJ5iI9BMzNXxeYCmZDRD99WYwYqUSdjMm"
        "mAphXdvxegXd/M5+X7OrzKBaMbCVdFLUUh6DhweJBjEVv5f2wwjM9XzcnOf+EPbtG9DMBmADjFDc2w/rljwvFw==",
    )
    assert key_tag(dnskey[0]) == 60485
    assert (
        key_digest(dnskey.name, dnskey[0], DSDigest.SHA1).hex() == "2bb183af5f22588179a53b0a98631fad1a292118"
    )
    assert (
        key_digest(dnskey.name, dnskey[0], DSDigest.SHA256).hex()
        == "d4b7d520e7bb5f0f67674a0cceb1e3e0614b93c4f9e99b8383f6a1e4469da50a"
    )


@pytest.mark.parametrize("digest", [DSDigest.SHA1, DSDigest.SHA256, DSDigest.SHA384])
def test_ds_agree_with_dnspython(digest):
    keyset = keys("example.org.")
    theirs = dns.dnssec.make_ds("example.org.", keyset.ksk.dnskey, digest, policy=dns.dnssec.allow_all_policy)
    ds = ds_for(name("Example.org."), keyset, digest, ttl=77)
    assert list(ds) == [theirs]
    assert ds.ttl == 77
    assert key_tag(keyset.zsk.dnskey) == keyset.zsk.dnskey.key_id()


def test_bitmaps_there_and_back():
    types = {RdataType.A, RdataType.NS, RdataType.CAA, RdataType(61440), RdataType(65432)}
    record = make(RdataType.NSEC, name("b."), bitmap(types))
    assert types_in(record.windows) == types
    assert bitmap([]) == ()
    delegation = make(RdataType.NSEC, name("b."), bitmap([RdataType.NS, RdataType.RRSIG, RdataType.NSEC]))
    assert delegation.to_text() == "b. NS RRSIG NSEC"
