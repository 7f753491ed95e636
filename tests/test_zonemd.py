"""ZONEMD: the examples of RFC 8976, every rule of its verification, and what operators publish."""

from __future__ import annotations

import dns.exception
import dns.name
import dns.rdata
import dns.rdatatype
import dns.rrset
import dns.zonefile
import pytest
from hypothesis import given
from hypothesis import strategies as st
from worlds import world

from testbed.core import zonemd
from testbed.core.signer import KeySet, ds_for, sign_zone
from testbed.core.zone import Zone
from testbed.core.zonemd import Hash, Status
from testbed.world.epoch import DAY, EPOCH

EXAMPLE = dns.name.from_text("example.")

SIMPLE = """
example.      86400  IN  SOA     ns1 admin 2018031900 1800 900 604800 86400
              86400  IN  NS      ns1
              86400  IN  NS      ns2
              86400  IN  ZONEMD  2018031900 1 1 (
    c68090d90a7aed716bc459f9340e3d7c1370d4d24b7e2fc3a1ddc0b9a87153b9a9713b3c9ae5cc27777f98b8e730044c )
ns1           3600   IN  A       203.0.113.63
ns2           3600   IN  AAAA    2001:db8::63
"""
"""RFC 8976 appendix A.1."""

COMPLEX = """
example.      86400  IN  SOA     ns1 admin 2018031900 1800 900 604800 86400
              86400  IN  NS      ns1
              86400  IN  NS      ns2
              86400  IN  ZONEMD  2018031900 1 1 (
    a3b69bad980a3504e1cffcb0fd6397f93848071c93151f552ae2f6b1711d4bd2d8b39808226d7b9db71e34b72077f8fe )
ns1           3600   IN  A       203.0.113.63
NS2           3600   IN  AAAA    2001:db8::63
occluded.sub  7200   IN  TXT     "I'm occluded but must be digested"
sub           7200   IN  NS      ns1
duplicate     300    IN  TXT     "I must be digested just once"
duplicate     300    IN  TXT     "I must be digested just once"
foo.test.     555    IN  TXT     "out-of-zone data must be excluded"
UPPERCASE     3600   IN  TXT     "canonicalize uppercase owner names"
*             777    IN  PTR     dont-forget-about-wildcards
mail          3600   IN  MX      20 MAIL1
mail          3600   IN  MX      10 Mail2.Example.
sortme        3600   IN  AAAA    2001:db8::5:61
sortme        3600   IN  AAAA    2001:db8::3:62
sortme        3600   IN  AAAA    2001:db8::4:63
sortme        3600   IN  AAAA    2001:db8::1:65
sortme        3600   IN  AAAA    2001:db8::2:64
non-apex      900    IN  ZONEMD  2018031900 1 1 (
    616c6c6f776564206275742069676e6f7265642e20616c6c6f776564206275742069676e6f7265642e20616c6c6f7765 )
"""
"""RFC 8976 appendix A.2."""

SEVERAL = """
example.      86400  IN  SOA     ns1 admin 2018031900 1800 900 604800 86400
example.      86400  IN  NS      ns1.example.
example.      86400  IN  NS      ns2.example.
example.      86400  IN  ZONEMD  2018031900 1 1 (
    62e6cf51b02e54b9b5f967d547ce43136792901f9f88e637493daaf401c92c279dd10f0edb1c56f8080211f8480ee306 )
example.      86400  IN  ZONEMD  2018031900 1 2 (
    08cfa1115c7b948c4163a901270395ea226a930cd2cbcf2fa9a5e6eb85f37c8a
    4e114d884e66f176eab121cb02db7d652e0cc4827e7a3204f166b47e5613fd27 )
example.      86400  IN  ZONEMD  2018031900 1 240 e2d523f654b9422a96c5a8f44607bbee
example.      86400  IN  ZONEMD  2018031900 241 240 e1846540e33a9e4189792d18d5d131f605fc283e
ns1.example.  3600   IN  A       203.0.113.63
ns2.example.  86400  IN  TXT     "This example has multiple digests"
NS2.EXAMPLE.  3600   IN  AAAA    2001:db8::63
"""
"""RFC 8976 appendix A.3, but that its last record has hash 1 with a digest too short, which is not read."""

ROOT_SERVERS = """
@ SOA a.root-servers.net. nstld.verisign-grs.com. 2018091100 14400 7200 1209600 3600000
@ ZONEMD 2018091100 1 1 (
    f1ca0ccd91bd5573d9f431c00ee0101b2545c97602be0a978a3b11dbfc1c776d5b3e86ae3d973d6b5349ba7f04340f79 )
a AAAA 2001:503:ba3e::2:30
a A    198.41.0.4
b MX   20 mail.isi.edu.
b AAAA 2001:500:200::b
b A    199.9.14.201
c AAAA 2001:500:2::c
c A    192.33.4.12
d AAAA 2001:500:2d::d
d A    199.7.91.13
e AAAA 2001:500:a8::e
e A    192.203.230.10
f AAAA 2001:500:2f::f
f A    192.5.5.241
g AAAA 2001:500:12::d0d
g A    192.112.36.4
h AAAA 2001:500:1::53
h A    198.97.190.53
i MX   10 mx.i.root-servers.org.
i AAAA 2001:7fe::53
i A    192.36.148.17
j AAAA 2001:503:c27::2:30
j A    192.58.128.30
k AAAA 2001:7fd::1
k A    193.0.14.129
l AAAA 2001:500:9f::42
l A    199.7.83.42
m AAAA 2001:dc3::35
m A    202.12.27.33
"""
"""RFC 8976 appendix A.5, without its NS records: one for each of the letters."""


def read(text: str, origin: dns.name.Name = EXAMPLE) -> Zone:
    rrsets = dns.zonefile.read_rrsets(text, origin=origin, rdclass=None, default_ttl=3600)
    return Zone(origin, (rrset for rrset in rrsets if rrset.name.is_subdomain(origin)))


def root_servers() -> Zone:
    letters = "".join(f"@ NS {letter}\n" for letter in "abcdefghijklm")
    return Zone.from_text("root-servers.net.", ROOT_SERVERS + letters, ttl=3600000)


ZONES = {"A.1": read(SIMPLE), "A.2": read(COMPLEX), "A.3": read(SEVERAL), "A.5": root_servers()}


@pytest.mark.parametrize("zone", ZONES.values(), ids=ZONES)
def test_the_examples_of_the_rfc(zone):
    assert zonemd.verify(zone, None, EPOCH) == zonemd.Verification(
        Status.VERIFIED, False, "the digest is right, and not signed"
    )


def test_either_hash_of_the_example_with_several_digests():
    held = {record.hash_algorithm: record.digest for record in apex(ZONES["A.3"]) if record.scheme == 1}
    for algorithm in Hash:
        assert zonemd.digest(ZONES["A.3"], algorithm) == held[algorithm]


def apex(zone: Zone) -> dns.rrset.RRset:
    rrset = zone.rrset(zone.origin, dns.rdatatype.ZONEMD)
    assert rrset is not None
    return rrset


# -- unsigned zones --------------------------------------------------------------------------------


def with_records(zone: Zone, *texts: str) -> Zone:
    """The zone with other ZONEMD records."""
    others = [rrset for rrset in zone if (rrset.name, rrset.rdtype) != (zone.origin, dns.rdatatype.ZONEMD)]
    new = [dns.rrset.from_text(zone.origin, 86400, "IN", "ZONEMD", *texts)] if texts else []
    return Zone(zone.origin, [*others, *new])


GOOD = zonemd.digest(ZONES["A.1"], Hash.SHA384).hex()
LONG = zonemd.digest(ZONES["A.1"], Hash.SHA512).hex()
WRONG = "00" * 48
RULES = {
    "none": ((), Status.UNVERIFIABLE, "no ZONEMD record"),
    "wrong digest": ((f"2018031900 1 1 {WRONG}",), Status.FAILED, "the digest is wrong"),
    "other serial": ((f"2018031899 1 1 {GOOD}",), Status.FAILED, "for serial 2018031899"),
    "other scheme": ((f"2018031900 2 1 {GOOD}",), Status.FAILED, "scheme 2 is not supported"),
    "other hash": ((f"2018031900 1 3 {GOOD}",), Status.FAILED, "hash 3 is not supported"),
    "twice the same": (
        (f"2018031900 1 1 {GOOD}", f"2018031900 1 1 {WRONG}"),
        Status.FAILED,
        "more than one record",
    ),
    "one right one suffices": ((f"2018031900 1 1 {WRONG}", f"2018031900 1 2 {LONG}"), Status.VERIFIED, ""),
    "and others may be unknown": ((f"2018031900 9 9 {GOOD}", f"2018031900 1 1 {GOOD}"), Status.VERIFIED, ""),
}


@pytest.mark.parametrize(("texts", "status", "reason"), RULES.values(), ids=RULES)
def test_rules_of_verification(texts, status, reason):
    result = zonemd.verify(with_records(ZONES["A.1"], *texts), None, EPOCH)
    assert result.status is status
    assert reason in result.reason


def test_any_change_is_noticed():
    for changed in (
        SIMPLE.replace("203.0.113.63", "203.0.113.64"),
        SIMPLE.replace("3600   IN  A ", "3601   IN  A "),
        SIMPLE.replace("IN  NS      ns2\n", "IN  NS      ns3\n"),
        SIMPLE + "new 60 IN A 203.0.113.1\n",
        SIMPLE.replace("ns2           3600   IN  AAAA    2001:db8::63\n", ""),
    ):
        assert changed != SIMPLE
        assert zonemd.verify(read(changed), None, EPOCH).status is Status.FAILED


# -- signed zones ----------------------------------------------------------------------------------

KEYS = KeySet.derive(b"zonemd", EXAMPLE)
ANCHOR = ds_for(EXAMPLE, KEYS)


def sign(zone: Zone, denial: str = "nsec") -> Zone:
    return sign_zone(zone, KEYS, inception=EPOCH - DAY, expiration=EPOCH + DAY, denial=denial)


def digested(denial: str = "nsec") -> Zone:
    plain = with_records(ZONES["A.1"])
    plain = Zone(EXAMPLE, [*plain, zonemd.placeholder(EXAMPLE, [Hash.SHA384])])
    return sign(zonemd.completed(plain, sign(plain, denial)), denial)


def without(zone: Zone, rdtype: dns.rdatatype.RdataType, *, signatures: bool = True) -> Zone:
    def gone(rrset: dns.rrset.RRset) -> bool:
        at_apex = rrset.name == zone.origin
        return at_apex and (rrset.covers == rdtype or (rrset.rdtype == rdtype and signatures))

    return Zone(zone.origin, (rrset for rrset in zone if not gone(rrset)))


@pytest.mark.parametrize("denial", ["nsec", "nsec3"])
class TestSigned:
    def test_digest_and_signatures_are_right(self, denial):
        result = zonemd.verify(digested(denial), ANCHOR, EPOCH)
        assert result.status is Status.VERIFIED
        assert result.signed

    def test_the_bitmap_at_the_apex_has_it(self, denial):
        assert zonemd.verify(without(digested(denial), dns.rdatatype.ZONEMD), ANCHOR, EPOCH) == (
            zonemd.Verification(Status.FAILED, False, "the ZONEMD record that there must be is missing")
        )

    def test_proven_to_be_absent(self, denial):
        zone = sign(with_records(ZONES["A.1"]), denial)
        result = zonemd.verify(zone, ANCHOR, EPOCH)
        assert result.status is Status.UNVERIFIABLE
        assert "proven" in result.reason

    def test_absent_without_proof(self, denial):
        zone = sign(with_records(ZONES["A.1"]), denial)
        chain = {dns.rdatatype.NSEC, dns.rdatatype.NSEC3}
        records = (rrset for rrset in zone if not {rrset.rdtype, rrset.covers} & chain)
        result = zonemd.verify(Zone(EXAMPLE, records), ANCHOR, EPOCH)
        assert result.status is Status.FAILED
        assert "no proof" in result.reason

    @pytest.mark.parametrize("rdtype", ["SOA", "ZONEMD", "DNSKEY"])
    def test_a_signature_is_missing(self, denial, rdtype):
        kind = dns.rdatatype.from_text(rdtype)
        zone = without(digested(denial), kind, signatures=False)
        assert zonemd.verify(zone, ANCHOR, EPOCH).status is Status.FAILED

    def test_signatures_have_expired(self, denial):
        result = zonemd.verify(digested(denial), ANCHOR, EPOCH + 2 * DAY)
        assert result.status is Status.FAILED
        assert "expired" in result.reason

    def test_a_new_digest_without_a_new_signature(self, denial):
        zone = digested(denial)
        altered = Zone(EXAMPLE, (rrset for rrset in zone if rrset.name != dns.name.from_text("ns2.example.")))
        forged = zonemd.completed(altered, altered)
        assert zonemd.verify(forged, ANCHOR, EPOCH).status is Status.FAILED
        assert zonemd.verify(forged, None, EPOCH).status is Status.VERIFIED


def test_other_keys_than_the_anchor_leads_to():
    other = ds_for(EXAMPLE, KeySet.derive(b"others", EXAMPLE))
    assert zonemd.verify(digested(), other, EPOCH).status is Status.FAILED


def test_without_support_for_the_anchor_no_signatures_are_expected():
    unknown = dns.rrset.from_text(EXAMPLE, 3600, "IN", "DS", "1 200 2 " + "00" * 32)
    result = zonemd.verify(digested(), unknown, EPOCH)
    assert result.status is Status.VERIFIED
    assert not result.signed


# -- worlds ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("hashes", [["SHA384"], ["SHA512"], ["SHA384", "SHA512"]])
@pytest.mark.parametrize("signed", [(), ("root",), {"root": {"denial": "nsec3"}}])
def test_the_root_of_a_world_with_the_signal_can_be_verified(signed, hashes):
    built = world(signal={"root-mirror": {"hashes": hashes}}, signed=signed)
    root = built.zones[dns.name.root]
    result = zonemd.verify(root, built.trust_anchor, EPOCH)
    assert result.status is Status.VERIFIED
    assert result.signed is bool(signed)
    assert [Hash(record.hash_algorithm).name for record in apex(root)] == hashes
    assert apex(root).ttl == root.soa.ttl


def test_only_who_asks_for_a_digest_gets_one():
    asked, other = world(signal=["root-mirror"]), world(signal=["ds-glue"])
    assert other.zones[dns.name.root].rrset(dns.name.root, dns.rdatatype.ZONEMD) is None
    assert other.past[dns.name.root].rrset(dns.name.root, dns.rdatatype.ZONEMD) is None
    for origin, zone in asked.zones.items():
        has_one = zone.rrset(origin, dns.rdatatype.ZONEMD) is not None
        assert has_one is (origin == dns.name.root)


def test_the_past_of_the_root_is_genuine_and_older():
    built = world(signal=["root-mirror", "ds-glue"], secure=("target-parent",))
    now, past = built.zones[dns.name.root], built.past[dns.name.root]
    assert past.soa[0].serial < now.soa[0].serial
    assert zonemd.verify(past, built.trust_anchor, EPOCH).signed
    assert zonemd.verify(past, built.trust_anchor, EPOCH + 21 * DAY).status is Status.FAILED
    org = dns.name.from_text("org.")
    assert len(past.rrset(org, dns.rdatatype.DS)) < len(now.rrset(org, dns.rdatatype.DS))


# -- whatever comes --------------------------------------------------------------------------------

_TYPES = [
    (dns.rdatatype.ZONEMD, st.binary(min_size=6, max_size=60)),
    (dns.rdatatype.DNSKEY, st.binary(min_size=4, max_size=80)),
    (dns.rdatatype.NSEC, st.binary(min_size=1, max_size=20)),
    (dns.rdatatype.NSEC3PARAM, st.binary(min_size=5, max_size=12)),
    (dns.rdatatype.RRSIG, st.binary(min_size=18, max_size=90)),
]
_record = st.one_of(*(st.tuples(st.just(kind), data) for kind, data in _TYPES))


@given(st.lists(_record, max_size=6))
def test_no_zone_makes_it_raise(records):
    rrsets: dict[tuple[int, int], dns.rrset.RRset] = {}
    for kind, data in records:
        try:
            rdata = dns.rdata.from_wire("IN", kind, data, 0, len(data))
        except dns.exception.DNSException:
            continue  # dnspython does not read it, so no zone has it
        covers = rdata.covers()
        rrset = dns.rrset.RRset(EXAMPLE, 1, kind, covers)
        rrset = rrsets.setdefault((kind, covers), rrset)
        rrset.add(rdata, 3600)
    soa = dns.rrset.from_text(EXAMPLE, 3600, "IN", "SOA", "ns1.example. admin.example. 1 2 3 4 5")
    zone = Zone(EXAMPLE, [soa, *rrsets.values()])
    for anchor in (None, ANCHOR):
        assert isinstance(zonemd.verify(zone, anchor, EPOCH), zonemd.Verification)
