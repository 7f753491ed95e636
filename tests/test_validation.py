import struct

import dns.rrset
import pytest
from dns.dnssectypes import DSDigest
from dns.rdatatype import RdataType
from example_zones import EPOCH, EVERYTHING, WINDOW, keys, name, rrset, signed, zone
from hypothesis import given
from hypothesis import strategies as st

from testbed.core import rdata, validation
from testbed.core.canonical import SignatureFields, signature_labels, signed_data
from testbed.core.signer import KeySet, ZoneKey, ds_for
from testbed.core.validation import Bogus, Ede, supported, verify, verify_dnskeys, why_unsupported

ORIGIN = name("example.org.")
KEYS = keys("example.org.")
ZONE = signed(zone("example.org.", EVERYTHING))
DNSKEYS = ZONE.rrset(ORIGIN, RdataType.DNSKEY)
DNSKEY_RRSIGS = ZONE.signatures(ORIGIN, RdataType.DNSKEY)
DS = ds_for(ORIGIN, KEYS)
SECRET = rrset("secret.example.org.", "A", "192.0.2.80")


def ds(*texts):
    return rrset("example.org.", "DS", *texts, ttl=300)


def dnskey(pair, **changes):
    return pair.dnskey.replace(**changes)


def sign(
    target,
    key=KEYS.zsk,
    *,
    dnskey=None,
    inception=None,
    expiration=None,
    labels=None,
    ttl=None,
    signer=ORIGIN,
):
    """A signature with whatever fields are asked for, good as far as the cryptography goes."""
    dnskey = dnskey or key.dnskey
    fields = SignatureFields(
        target.rdtype,
        dnskey.algorithm,
        signature_labels(target.name) if labels is None else labels,
        target.ttl if ttl is None else ttl,
        (WINDOW["expiration"] if expiration is None else expiration) % 2**32,
        (WINDOW["inception"] if inception is None else inception) % 2**32,
        rdata.key_tag(dnskey),
        signer,
    )
    record = rdata.make(RdataType.RRSIG, *fields, key.sign(signed_data(target, fields)))
    return dns.rrset.from_rdata(target.name, target.ttl, record)


def rrsets_of(*rdatas, owner=ORIGIN, ttl=3600):
    return dns.rrset.from_rdata(owner, ttl, *rdatas)


def reason(target, signatures, keyset=DNSKEYS, origin=ORIGIN, now=EPOCH):
    with pytest.raises(Bogus) as caught:
        verify(target, signatures, keyset, origin, now)
    assert str(target.name) in caught.value.text or str(origin) in caught.value.text
    return caught.value.code


# -- known answers ---------------------------------------------------------------------------------


def test_the_ecdsa_example_of_rfc_6605():
    dnskeys = rrset(
        "example.net.",
        "DNSKEY",
        "257 3 13 GojIhhXUN/u4v54ZQqGSnyhWJwaubCvTmeexv7bR6edbkrSqQpF64cYbcB7wNcP+e+MAnLr+Wi9xMWyQLc8NAA==",
    )
    answer = rrset("www.example.net.", "A", "192.0.2.1")
    signature = rrset(
        "www.example.net.",
        "RRSIG",
        "A 13 3 3600 20100909100439 20100812100439 55648 example.net. qx6wLYqmh+l9oCKTN6qIc+bw6ya+KJ8oMz0YP"
        "107epXAyGmt+3SNruPFKG7tZoLBLlUzGGus7ZwmwWep666VCw==",
    )
    assert verify(answer, signature, dnskeys, name("example.net."), 1282000000).ttl == 3600
    answer = rrset("www.example.net.", "A", "192.0.2.2")
    assert reason(answer, signature, dnskeys, name("example.net."), 1282000000) == Ede.BOGUS


def test_the_ed25519_example_of_rfc_8080():
    dnskeys = rrset("example.com.", "DNSKEY", "257 3 15 l02Woi0iS8Aa25FQkUd9RMzZHJpBoRQwAQEX1SxZJA4=")
    answer = rrset("example.com.", "MX", "10 mail.example.com.")
    signature = rrset(
        "example.com.",
        "RRSIG",
        "MX 15 2 3600 1440021600 1438207200 3613 example.com. oL9krJun7xfBOIWcGHi7mag5/hdZrKWw15jPGrHpjQeRA"
        "vTdszaPD+QLs3fx8A4M3e23mRZ9VrbpMngwcrqNAg==",
    )
    assert verify(answer, signature, dnskeys, name("example.com."), 1439000000).wildcard_source is None


# -- DS --------------------------------------------------------------------------------------------

ZEROS, LONG_ZEROS = "00" * 32, "00" * 48


@pytest.mark.parametrize(
    ("texts", "usable"),
    [
        ([f"1 13 2 {ZEROS}"], [(13, 2)]),
        ([f"1 13 1 {'00' * 20}"], [(13, 1)]),
        ([f"1 13 1 {'00' * 20}", f"1 13 2 {ZEROS}"], [(13, 2)]),
        ([f"1 8 1 {'00' * 20}", f"1 13 4 {LONG_ZEROS}"], [(13, 4)]),
        ([f"1 13 1 {'00' * 20}", f"1 244 2 {ZEROS}"], [(13, 1)]),
        ([f"1 244 2 {ZEROS}"], []),
        ([f"1 5 2 {ZEROS}", f"1 12 2 {ZEROS}", f"1 13 3 {ZEROS}"], []),
        ([f"1 {a} 2 {ZEROS}" for a in (8, 10, 13, 14, 15, 16)], [(a, 2) for a in (8, 10, 13, 14, 15, 16)]),
        (["13005 244 225 0474657374", f"1 13 2 {ZEROS}"], [(13, 2)]),
    ],
)
def test_which_ds_are_usable(texts, usable):
    found = supported(ds(*texts))
    assert [(r.algorithm, r.digest_type) for r in found] == usable
    assert found.name == ORIGIN


def test_why_a_ds_is_not_usable():
    assert why_unsupported(ds(f"1 244 2 {ZEROS}"))[0] == Ede.UNSUPPORTED_ALGORITHM
    assert "244" in why_unsupported(ds(f"1 244 2 {ZEROS}"))[1]
    assert why_unsupported(ds(f"1 13 225 {ZEROS}"))[0] == Ede.UNSUPPORTED_DIGEST


# -- keys ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("digest", [DSDigest.SHA1, DSDigest.SHA256, DSDigest.SHA384])
def test_from_ds_to_keys_to_data(digest):
    trusted = verify_dnskeys(DNSKEYS, DNSKEY_RRSIGS, ds_for(ORIGIN, KEYS, digest), EPOCH)
    assert set(trusted) == set(DNSKEYS)
    assert trusted.ttl == 3600
    assert verify(SECRET, ZONE.signatures(SECRET.name, RdataType.A), trusted, ORIGIN, EPOCH).ttl == 3600


@pytest.mark.parametrize("algorithm", [13, 14, 15, 16])
def test_chains_of_each_algorithm(algorithm):
    keyset = KeySet.derive(b"other", ORIGIN, algorithm)
    dnskeys = rrsets_of(keyset.ksk.dnskey, keyset.zsk.dnskey)
    trusted = verify_dnskeys(dnskeys, sign(dnskeys, keyset.ksk), ds_for(ORIGIN, keyset), EPOCH)
    assert verify(SECRET, sign(SECRET, keyset.zsk), trusted, ORIGIN, EPOCH).ttl == 3600


def keys_reason(dnskeys, signatures, anchor):
    with pytest.raises(Bogus) as caught:
        verify_dnskeys(dnskeys, signatures, anchor, EPOCH)
    return caught.value.code


def test_keys_that_no_ds_stands_for():
    other = KeySet.derive(b"other", ORIGIN)
    assert keys_reason(DNSKEYS, DNSKEY_RRSIGS, ds_for(ORIGIN, other)) == Ede.DNSKEY_MISSING
    wrong_digest = rrsets_of(DS[0].replace(digest=bytes(32)))
    assert keys_reason(DNSKEYS, DNSKEY_RRSIGS, wrong_digest) == Ede.DNSKEY_MISSING


def test_the_key_that_the_ds_stands_for_must_have_signed_the_keys():
    by_zsk = sign(DNSKEYS, KEYS.zsk)
    assert keys_reason(DNSKEYS, by_zsk, DS) == Ede.DNSKEY_MISSING
    assert keys_reason(DNSKEYS, None, DS) == Ede.RRSIGS_MISSING
    both = by_zsk.copy()
    both.update(sign(DNSKEYS, KEYS.ksk))
    assert len(verify_dnskeys(DNSKEYS, both, DS, EPOCH)) == 2


def test_keys_added_by_an_attacker_break_the_signature():
    forged = DNSKEYS.copy()
    forged.add(KeySet.derive(b"other", ORIGIN).zsk.dnskey)
    assert keys_reason(forged, DNSKEY_RRSIGS, DS) == Ede.BOGUS


@pytest.mark.parametrize(("flags", "code"), [(0x0001, Ede.NO_ZONE_KEY_BIT), (0x0181, Ede.DNSKEY_MISSING)])
def test_keys_without_zone_flag_or_revoked_are_not_trusted(flags, code):
    changed = ZoneKey(dnskey(KEYS.ksk, flags=flags), 0, KEYS.ksk.private)
    dnskeys = rrsets_of(changed.dnskey, KEYS.zsk.dnskey)
    digest = rdata.key_digest(ORIGIN, changed.dnskey, DSDigest.SHA256)
    anchor = rrsets_of(rdata.make(RdataType.DS, rdata.key_tag(changed.dnskey), 13, 2, digest))
    assert keys_reason(dnskeys, sign(dnskeys, changed), anchor) == code


def test_keys_that_can_verify_nothing_are_left_out():
    dnskeys = rrsets_of(
        KEYS.ksk.dnskey,
        KEYS.zsk.dnskey,
        dnskey(KEYS.zsk, flags=0x0180),
        dnskey(KEYS.zsk, flags=0),
        dnskey(KEYS.zsk, algorithm=244),
    )
    trusted = verify_dnskeys(dnskeys, sign(dnskeys, KEYS.ksk), DS, EPOCH)
    assert list(trusted) == [KEYS.ksk.dnskey, KEYS.zsk.dnskey]


def test_without_a_usable_ds_there_is_nothing_to_verify_with():
    with pytest.raises(ValueError, match="no usable DS"):
        verify_dnskeys(DNSKEYS, DNSKEY_RRSIGS, ds(f"1 244 2 {ZEROS}"), EPOCH)


# -- signatures ------------------------------------------------------------------------------------


def test_unsigned_or_signed_by_somebody_else():
    assert reason(SECRET, None) == Ede.RRSIGS_MISSING
    assert reason(SECRET, sign(rrset("secret.example.org.", "AAAA", "::1"))) == Ede.RRSIGS_MISSING
    assert reason(SECRET, sign(SECRET, signer=name("org."))) == Ede.RRSIGS_MISSING
    assert reason(SECRET, sign(SECRET, signer=SECRET.name)) == Ede.RRSIGS_MISSING
    assert reason(SECRET, sign(SECRET), origin=name("example.net.")) == Ede.BOGUS
    assert reason(SECRET, sign(rrset("other.example.org.", "A", "192.0.2.80"))) == Ede.BOGUS
    other = KeySet.derive(b"other", ORIGIN)
    assert reason(SECRET, sign(SECRET, other.zsk)) == Ede.DNSKEY_MISSING


def test_a_signature_with_an_unknown_algorithm_does_not_make_data_insecure():
    unknown = rrsets_of(sign(SECRET)[0].replace(algorithm=244), owner=SECRET.name)
    assert reason(SECRET, unknown) == Ede.RRSIGS_MISSING
    unknown.update(sign(SECRET))
    assert verify(SECRET, unknown, DNSKEYS, ORIGIN, EPOCH).ttl == 3600


def test_times_are_taken_exactly():
    begin, end = WINDOW["inception"], WINDOW["expiration"]
    signature = sign(SECRET)
    assert verify(SECRET, signature, DNSKEYS, ORIGIN, begin).ttl == 3600
    assert verify(SECRET, signature, DNSKEYS, ORIGIN, end).ttl == 0
    assert reason(SECRET, signature, now=begin - 1) == Ede.NOT_YET_VALID
    assert reason(SECRET, signature, now=end + 1) == Ede.EXPIRED


def test_times_wrap_around():
    turn = 2**32
    signature = sign(SECRET, inception=turn - 1000, expiration=turn + 1000)
    assert signature[0].expiration < signature[0].inception
    for now in (turn - 1000, turn, turn + 1000):
        assert verify(SECRET, signature, DNSKEYS, ORIGIN, now).ttl == min(3600, turn + 1000 - now)
    assert reason(SECRET, signature, now=turn - 1001) == Ede.NOT_YET_VALID
    assert reason(SECRET, signature, now=turn + 1001) == Ede.EXPIRED


def test_ttls_are_capped():
    long = rrset("secret.example.org.", "A", "192.0.2.80", ttl=86400)
    assert verify(long, sign(long, ttl=60), DNSKEYS, ORIGIN, EPOCH).ttl == 60
    assert verify(long, sign(long), DNSKEYS, ORIGIN, WINDOW["expiration"] - 5).ttl == 5
    short = rrset("secret.example.org.", "A", "192.0.2.80", ttl=30)
    assert verify(short, sign(short, ttl=3600), DNSKEYS, ORIGIN, EPOCH).ttl == 30
    signature = sign(long)
    signature.ttl = 7
    assert verify(long, signature, DNSKEYS, ORIGIN, EPOCH).ttl == 7


def test_the_ttl_in_the_response_is_not_signed_but_the_original_is():
    signature = sign(SECRET)
    aged = rrset("secret.example.org.", "A", "192.0.2.80", ttl=17)
    assert verify(aged, signature, DNSKEYS, ORIGIN, EPOCH).ttl == 17
    raised = rrsets_of(signature[0].replace(original_ttl=999999), owner=SECRET.name)
    assert reason(SECRET, raised) == Ede.BOGUS


def test_wildcards_show_where_they_come_from():
    source = rrset("*.wild.example.org.", "A", "192.0.2.81")
    signature = sign(source)
    assert signature[0].labels == 3
    assert verify(source, signature, DNSKEYS, ORIGIN, EPOCH).wildcard_source is None
    for owner in ("x.wild.example.org.", "a.b.wild.example.org."):
        expanded = rrset(owner, "A", "192.0.2.81")
        moved = rrsets_of(*signature, owner=expanded.name)
        assert verify(expanded, moved, DNSKEYS, ORIGIN, EPOCH).wildcard_source == source.name
    elsewhere = rrset("x.other.example.org.", "A", "192.0.2.81")
    assert reason(elsewhere, rrsets_of(*signature, owner=elsewhere.name)) == Ede.BOGUS


def test_label_counts_that_cannot_be():
    assert reason(SECRET, sign(SECRET, labels=4)) == Ede.BOGUS
    above = rrset("*.org.", "A", "192.0.2.80")
    moved = rrsets_of(*sign(above, labels=1), owner=SECRET.name)
    assert moved[0].labels == 1
    assert reason(SECRET, moved) == Ede.BOGUS


def test_case_of_names_does_not_matter():
    target = rrset("Secret.Example.ORG.", "NS", "NS1.Example.org.")
    signature = sign(rrset("secret.example.org.", "NS", "ns1.example.org."), signer=name("EXAMPLE.org."))
    assert verify(target, signature, DNSKEYS, ORIGIN, EPOCH).ttl == 3600


def test_order_of_records_does_not_matter_and_each_counts():
    texts = ["192.0.2.3", "192.0.2.1", "192.0.2.2"]
    signature = sign(rrset("secret.example.org.", "A", *texts))
    assert (
        verify(rrset("secret.example.org.", "A", *texts[::-1]), signature, DNSKEYS, ORIGIN, EPOCH).ttl == 3600
    )
    assert reason(rrset("secret.example.org.", "A", *texts[:2]), signature) == Ede.BOGUS


@pytest.mark.parametrize("changes", [{"flags": 0x0180}, {"flags": 0}, {"protocol": 2}])
def test_keys_that_must_not_verify_do_not(changes):
    changed = dnskey(KEYS.zsk, **changes)
    assert reason(SECRET, sign(SECRET, dnskey=changed), rrsets_of(changed)) == Ede.DNSKEY_MISSING


def test_material_that_is_no_key_is_no_match():
    broken = dnskey(KEYS.zsk, key=b"\xff" * 64)
    assert reason(SECRET, sign(SECRET, dnskey=broken), rrsets_of(broken)) == Ede.BOGUS


def test_one_good_signature_among_bad_ones_is_enough():
    bad = sign(SECRET)[0].replace(signature=bytes(64))
    expired = sign(SECRET, inception=EPOCH - 20, expiration=EPOCH - 10)[0]
    signatures = rrsets_of(bad, expired, owner=SECRET.name)
    assert reason(SECRET, signatures) == Ede.EXPIRED
    signatures.update(sign(SECRET))
    assert verify(SECRET, signatures, DNSKEYS, ORIGIN, EPOCH).ttl == 3600


def colliding_keys(count):
    """Different keys with the tag of the true one: words of it swapped, which leaves the sum as it is."""
    material = KEYS.zsk.dnskey.key
    words = [material[i : i + 2] for i in range(0, 64, 2)]
    found = []
    for i in range(count):
        swapped = list(words)
        swapped[i], swapped[i + 1] = swapped[i + 1], swapped[i]
        found.append(dnskey(KEYS.zsk, key=b"".join(swapped)))
    assert {rdata.key_tag(key) for key in found} == {KEYS.zsk.tag}
    return found


def test_keys_that_share_a_tag_are_all_tried():
    collided = rrsets_of(*colliding_keys(10), KEYS.zsk.dnskey)
    assert verify(SECRET, sign(SECRET), collided, ORIGIN, EPOCH).ttl == 3600


def test_the_work_for_one_rrset_is_bounded(monkeypatch):
    tried = []
    monkeypatch.setattr(
        validation, "_check", lambda *a, inner=validation._check: tried.append(a) or inner(*a)
    )
    collided = rrsets_of(*colliding_keys(10))
    signatures = rrsets_of(
        *(sign(SECRET)[0].replace(signature=struct.pack("!64s", bytes([i]))) for i in range(10)),
        owner=SECRET.name,
    )
    assert reason(SECRET, signatures, collided) == Ede.BOGUS
    assert len(tried) == validation.MOST_VERIFICATIONS


def test_only_good_signatures_are_remembered():
    validation._check.cache_clear()
    for _ in range(2):
        reason(rrset("secret.example.org.", "A", "192.0.2.66"), sign(SECRET))
    assert validation._check.cache_info().currsize == 0
    for _ in range(2):
        verify(SECRET, sign(SECRET), DNSKEYS, ORIGIN, EPOCH)
    assert validation._check.cache_info().currsize == 1
    assert reason(SECRET, sign(SECRET), now=WINDOW["expiration"] + 1) == Ede.EXPIRED


@given(st.data())
def test_any_change_to_any_signed_rrset_is_bogus(data):
    signed_names = [i for i in ZONE if i.rdtype != RdataType.RRSIG and ZONE.signatures(i.name, i.rdtype)]
    target = data.draw(st.sampled_from(signed_names))
    signature = ZONE.signatures(target.name, target.rdtype)[0]
    assert verify(target, rrsets_of(signature, owner=target.name), DNSKEYS, ORIGIN, EPOCH).ttl == target.ttl
    octets = bytearray(signature.to_wire())
    place = data.draw(st.integers(0, len(octets) - 1).filter(lambda i: not 18 <= i < len(octets) - 64))
    octets[place] ^= 1 << data.draw(st.integers(0, 7))
    changed = dns.rdata.from_wire("IN", "RRSIG", bytes(octets), 0, len(octets))
    with pytest.raises(Bogus):
        verify(target, rrsets_of(changed, owner=target.name), DNSKEYS, ORIGIN, EPOCH)
