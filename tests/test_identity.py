import hashlib
from ipaddress import ip_address

import dns.name
import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding
from hypothesis import given, settings
from hypothesis import strategies as st

from testbed.core import pki
from testbed.core.identity import (
    DANE_EE,
    DANE_TA,
    PKIX_EE,
    PKIX_TA,
    Accepted,
    AnyOf,
    Dane,
    Refused,
    SpkiPin,
    WebPki,
    tlsa,
    tlsa_owner,
)

NOW = 1767225600.0
DAY = 86400.0
VALID = {"not_before": NOW - DAY, "not_after": NOW + 365 * DAY}
EXPIRED = {"not_before": NOW - 9 * DAY, "not_after": NOW - DAY}

NS1 = dns.name.from_text("ns1.dnshost.net.")
ROOT = pki.Authority(1, **VALID)
ISSUING = ROOT.subordinate("issuing")
ROGUE = pki.Authority(666, **VALID)
EXPECTED = WebPki((ROOT.certificate,), NS1)


def accepted(identity, credential, now=NOW):
    proof = identity.check(credential.chain, now)
    return isinstance(proof, Accepted)


def refusal(identity, credential, now=NOW):
    proof = identity.check(credential.chain, now)
    assert isinstance(proof, Refused), proof
    return proof.reason


class TestWebPki:
    def test_a_name(self):
        proof = EXPECTED.check(ROOT.issue([NS1], **VALID).chain, NOW)
        assert proof == Accepted("webpki name ns1.dnshost.net")

    def test_a_name_through_an_intermediate(self):
        credential = ISSUING.issue([NS1], **VALID)
        assert accepted(EXPECTED, credential)
        assert refusal(EXPECTED, pki.Credential(credential.key, credential.chain[:1]))

    @pytest.mark.parametrize("address", ["192.0.2.1", "2001:db8::1"])
    def test_an_address(self, address):
        identity = WebPki((ROOT.certificate,), ip_address(address))
        proof = identity.check(ROOT.issue([], [address], **VALID).chain, NOW)
        assert proof == Accepted(f"webpki address {address}")
        assert "not for address" in refusal(identity, ROOT.issue([NS1], ["192.0.2.77"], **VALID))
        # An address in a dNSName or a common name is no IP-ID (RFC 9525 section 6.3).
        assert refusal(identity, ROOT.issue([NS1], common_name=address, **VALID))

    def test_letter_case_does_not_matter(self):
        identity = WebPki((ROOT.certificate,), dns.name.from_text("NS1.DnsHost.NET."))
        assert accepted(identity, ROOT.issue([NS1], **VALID))

    def test_one_of_several_names(self):
        assert accepted(EXPECTED, ROOT.issue(["a.example", NS1, "b.example"], **VALID))

    def test_another_name(self):
        reason = refusal(EXPECTED, ROOT.issue(["ns.evil-dns.net"], **VALID))
        assert reason == "certificate is for ns.evil-dns.net, not for name ns1.dnshost.net"

    def test_the_common_name_does_not_count(self):
        assert refusal(EXPECTED, ROOT.issue([], common_name="ns1.dnshost.net", **VALID))
        assert refusal(EXPECTED, ROOT.issue(["x.example"], common_name="ns1.dnshost.net", **VALID))

    @pytest.mark.parametrize(
        ("pattern", "covers"),
        [
            ("*.dnshost.net", True),
            ("ns*.dnshost.net", False),
            ("*1.dnshost.net", False),
            ("*.net", False),
            ("ns1.*.net", False),
            ("*.ns1.dnshost.net", False),
            ("dnshost.net", False),
        ],
    )
    def test_wildcards_stand_for_the_whole_left_most_label(self, pattern, covers):
        assert accepted(EXPECTED, ROOT.issue([pattern], **VALID)) is covers

    def test_a_wildcard_covers_one_label_only(self):
        identity = WebPki((ROOT.certificate,), dns.name.from_text("a.ns1.dnshost.net."))
        assert refusal(identity, ROOT.issue(["*.dnshost.net"], **VALID))

    def test_validity_is_judged_at_the_time_given(self):
        credential = ROOT.issue([NS1], not_before=NOW - 10, not_after=NOW + 10)
        assert accepted(EXPECTED, credential, NOW)
        assert accepted(EXPECTED, credential, NOW + 9)
        assert refusal(EXPECTED, credential, NOW + 11).startswith(
            "certificate expired at 2026-01-01 00:00:10"
        )
        assert refusal(EXPECTED, credential, NOW - 11).startswith(
            "certificate is not valid before 2025-12-31"
        )

    def test_an_expired_authority(self):
        old = pki.Authority(5, not_before=NOW - 9 * DAY, not_after=NOW - DAY)
        assert refusal(WebPki((old.certificate,), NS1), old.issue([NS1], **VALID))

    def test_self_signed(self):
        credential = pki.self_signed(1, [NS1], **VALID)
        assert refusal(EXPECTED, credential) == "certificate is self-signed"

    def test_an_unknown_authority(self):
        assert refusal(EXPECTED, ROGUE.issue([NS1], **VALID))
        assert refusal(EXPECTED, ROGUE.issue([NS1], with_root=True, **VALID))

    def test_an_authority_of_the_right_name_and_the_wrong_key(self):
        impostor = pki.Authority(666, "root", **VALID)
        assert impostor.certificate.subject == ROOT.certificate.subject
        assert refusal(EXPECTED, impostor.issue([NS1], with_root=True, **VALID))

    def test_a_leaf_is_no_authority(self):
        evil = ROOT.issue(["ns.evil-dns.net"], **VALID)
        forged = pki.Authority(1, "evil", **VALID)
        forged.name, forged._key = "ns.evil-dns.net", "server ns.evil-dns.net"
        leaf = forged.issue([NS1], **VALID)
        leaf.leaf.verify_directly_issued_by(evil.leaf)
        assert refusal(EXPECTED, pki.Credential(leaf.key, (leaf.leaf, *evil.chain)))

    def test_a_certificate_for_clients(self):
        reason = refusal(EXPECTED, ROOT.issue([NS1], usage="client", **VALID))
        assert reason == "certificate is not for server authentication"

    def test_nothing_presented_or_nothing_trusted(self):
        assert EXPECTED.check((), NOW) == Refused("no certificate was presented")
        assert refusal(WebPki((), NS1), ROOT.issue([NS1], **VALID)) == "no trust anchor is configured"

    @pytest.mark.parametrize(
        "name", [".", "a_b.example.", "*.dnshost.net.", r"a\.b.example.", r"a\200.example."]
    )
    def test_names_that_cannot_stand_in_a_certificate(self, name):
        identity = WebPki((ROOT.certificate,), dns.name.from_text(name))
        assert "cannot stand" in refusal(identity, ROOT.issue([NS1], **VALID))


class TestDane:
    def dane(self, *records):
        return Dane(records, NS1, (ROOT.certificate,))

    @pytest.mark.parametrize("selector", [0, 1])
    @pytest.mark.parametrize("mtype", [0, 1, 2])
    def test_dane_ee_asks_for_the_key_alone(self, selector, mtype):
        credential = pki.self_signed(1, ["whatever.example"], **EXPIRED)
        identity = self.dane(tlsa(credential.leaf, DANE_EE, selector, mtype))
        assert identity.check(credential.chain, NOW) == Accepted(f"TLSA 3 {selector} {mtype}")
        other = pki.self_signed(2, ["whatever.example"], **EXPIRED)
        assert "does not match" in refusal(identity, other)

    def test_dane_ee_by_key_survives_a_renewal_and_by_certificate_does_not(self):
        old, new = (ROOT.issue([NS1], key="k", **validity) for validity in (EXPIRED, VALID))
        assert accepted(self.dane(tlsa(old.leaf, selector=1)), new)
        assert refusal(self.dane(tlsa(old.leaf, selector=0)), new)

    def test_dane_ee_does_not_look_further_up_the_chain(self):
        credential = ISSUING.issue([NS1], **VALID)
        assert refusal(self.dane(tlsa(ISSUING.certificate, DANE_EE)), credential)

    def test_dane_ta_needs_name_time_and_path(self):
        identity = self.dane(tlsa(ROGUE.certificate, DANE_TA))
        good = ROGUE.issue([NS1], with_root=True, **VALID)
        assert identity.check(good.chain, NOW) == Accepted("TLSA 2 1 1 name ns1.dnshost.net")
        assert "not for name" in refusal(identity, ROGUE.issue(["x.example"], with_root=True, **VALID))
        assert "expired" in refusal(identity, ROGUE.issue([NS1], with_root=True, **EXPIRED))
        stranger = ROOT.issue([NS1], **VALID)
        appended = pki.Credential(stranger.key, (*stranger.chain, ROGUE.certificate))
        assert refusal(identity, appended)

    def test_dane_ta_must_be_sent_unless_it_is_whole_in_the_record(self):
        without = ROGUE.issue([NS1], **VALID)
        assert "matches no authority" in refusal(self.dane(tlsa(ROGUE.certificate, DANE_TA)), without)
        assert accepted(self.dane(tlsa(ROGUE.certificate, DANE_TA, 0, 0)), without)

    def test_dane_ta_at_an_intermediate(self):
        credential = ISSUING.issue([NS1], **VALID)
        assert accepted(Dane((tlsa(ISSUING.certificate, DANE_TA),), NS1), credential)

    def test_dane_ta_is_not_the_leaf_itself(self):
        credential = pki.self_signed(1, [NS1], **VALID)
        assert refusal(self.dane(tlsa(credential.leaf, DANE_TA)), credential)
        assert refusal(self.dane(tlsa(credential.leaf, DANE_TA, 0, 0)), credential)

    def test_pkix_ee_needs_both(self):
        good = ISSUING.issue([NS1], **VALID)
        assert accepted(self.dane(tlsa(good.leaf, PKIX_EE)), good)
        assert "does not match" in refusal(
            self.dane(tlsa(good.leaf, PKIX_EE)), ISSUING.issue([NS1], key="x", **VALID)
        )
        expired = ISSUING.issue([NS1], **EXPIRED)
        assert "expired" in refusal(self.dane(tlsa(expired.leaf, PKIX_EE)), expired)
        rogue = ROGUE.issue([NS1], **VALID)
        assert refusal(self.dane(tlsa(rogue.leaf, PKIX_EE)), rogue)

    def test_pkix_ta_is_an_authority_in_the_validated_path(self):
        good = ISSUING.issue([NS1], **VALID)
        assert accepted(self.dane(tlsa(ISSUING.certificate, PKIX_TA)), good)
        assert accepted(self.dane(tlsa(ROOT.certificate, PKIX_TA)), good)
        assert "no authority in the path" in refusal(self.dane(tlsa(ROGUE.certificate, PKIX_TA)), good)
        appended = pki.Credential(good.key, (*good.chain, ROGUE.certificate))
        assert refusal(self.dane(tlsa(ROGUE.certificate, PKIX_TA)), appended)
        assert refusal(self.dane(tlsa(good.leaf, PKIX_TA)), good)

    def test_one_of_several_records_is_enough(self):
        new, old = (ROOT.issue([NS1], key=key, **VALID) for key in ("new", "old"))
        identity = self.dane(tlsa(old.leaf), tlsa(new.leaf))
        assert accepted(identity, new)
        assert accepted(identity, old)
        assert refusal(identity, ROOT.issue([NS1], key="third", **VALID)).count("TLSA") == 1

    def test_the_stronger_digest_counts(self):
        good, forged = (ROOT.issue([NS1], key=key, **VALID) for key in ("a", "b"))
        identity = self.dane(tlsa(good.leaf, mtype=2), tlsa(forged.leaf, mtype=1))
        assert accepted(identity, good)
        assert refusal(identity, forged)

    def test_records_that_cannot_be_used(self):
        good = ROOT.issue([NS1], **VALID)
        unknown = tlsa(good.leaf, usage=7)
        assert refusal(self.dane(unknown), good) == "no TLSA record is usable"
        assert refusal(self.dane(), good) == "no TLSA record is usable"
        assert accepted(self.dane(unknown, tlsa(good.leaf)), good)
        assert self.dane(tlsa(good.leaf)).check((), NOW) == Refused("no certificate was presented")

    def test_a_record_as_text(self):
        good = ROOT.issue([NS1], **VALID)
        assert str(tlsa(good.leaf)) == f"3 1 1 {hashlib.sha256(good.spki).hexdigest()}"
        with pytest.raises(ValueError, match="selector 2"):
            tlsa(good.leaf, selector=2)

    def test_owner_names(self):
        assert tlsa_owner(NS1, 853).to_text() == "_853._tcp.ns1.dnshost.net."
        assert tlsa_owner(NS1, 853, "udp").to_text() == "_853._udp.ns1.dnshost.net."


class TestPins:
    def test_the_leaf_key_alone_counts(self):
        credential = pki.self_signed(1, ["x.example"], **EXPIRED)
        identity = SpkiPin(frozenset({hashlib.sha256(credential.spki).digest(), bytes(32)}))
        assert accepted(identity, credential)
        assert "is not pinned" in refusal(identity, ROOT.issue([NS1], **VALID))
        assert identity.check((), NOW) == Refused("no certificate was presented")

    def test_a_pinned_key_appended_to_a_chain_proves_nothing(self):
        victim, attacker = ROOT.issue([NS1], **VALID), ROGUE.issue([NS1], **VALID)
        identity = SpkiPin(frozenset({hashlib.sha256(victim.spki).digest()}))
        assert refusal(identity, pki.Credential(attacker.key, (attacker.leaf, victim.leaf)))

    def test_any_of(self):
        webpki, pinned = ROOT.issue([NS1], **VALID), pki.self_signed(1, [NS1], **VALID)
        identity = AnyOf((EXPECTED, Dane((tlsa(pinned.leaf),), NS1)))
        assert accepted(identity, webpki)
        assert accepted(identity, pinned)
        reason = refusal(identity, pki.self_signed(2, [NS1], **VALID))
        assert reason == "certificate is self-signed; TLSA 3 1 1: does not match the server's certificate"
        assert isinstance(AnyOf(()).check(webpki.chain, NOW), Refused)


GOOD = ISSUING.issue([NS1], **VALID)
EVERY_KIND = AnyOf(
    (
        EXPECTED,
        Dane(tuple(tlsa(ISSUING.certificate, usage, s, 0) for usage in range(4) for s in (0, 1)), NS1),
        SpkiPin(frozenset({bytes(32)})),
    )
)


@settings(max_examples=100, deadline=None)
@pytest.mark.filterwarnings("ignore::cryptography.utils.CryptographyDeprecationWarning")
@given(st.data())
def test_a_mutated_certificate_is_refused_never_raises(data):
    which = data.draw(st.integers(0, 1))
    octets = bytearray(GOOD.chain[which].public_bytes(Encoding.DER))
    for _ in range(data.draw(st.integers(1, 4))):
        position = data.draw(st.integers(0, len(octets) - 1))
        octets[position] = data.draw(st.integers(0, 255))
    try:
        mutant = x509.load_der_x509_certificate(bytes(octets))
    except (ValueError, x509.InvalidVersion):
        return
    chain = list(GOOD.chain)
    chain[which] = mutant
    by_name, by_any = EXPECTED.check(chain, NOW), EVERY_KIND.check(chain, NOW)
    if mutant.tbs_certificate_bytes != GOOD.chain[which].tbs_certificate_bytes:
        assert isinstance(by_name, Refused)
        # What a record names as the anchor is trusted whatever else its certificate says.
        assert isinstance(by_any, Refused) or (which == 1 and "TLSA 2" in by_any.by)
