"""DS pin: digests as the draft's proof of concept makes them, and no way around them."""

from __future__ import annotations

import base64
import hashlib
import shutil
import subprocess

import dns.name
import dns.rcode
import dns.rdata
import dns.rdatatype
import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from hypothesis import given
from hypothesis import strategies as st
from signalling import SECRET, asked, over
from worlds import attacker, network, policy, world

from testbed.core import pki
from testbed.core.identity import Accepted, Refused
from testbed.signals.ds_pin import DOTPIN, DsPin, make_ds
from testbed.world.epoch import DAY

ORG = dns.name.from_text("example.org.")
SEED_KEY = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
SPKI = SEED_KEY.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
POLICIES = ["strict", "opportunistic", "committed", "always"]

REPOSITORY_CERTIFICATE = b"""-----BEGIN CERTIFICATE-----
MIIFEzCCAvugAwIBAgIUfeBQKWMaPU3PNDTc3EPhaoW5ENMwDQYJKoZIhvcNAQEL
BQAwGTEXMBUGA1UEAwwObnMuZXhhbXBsZS5jb20wHhcNMjAwNDI2MTk0NjAwWhcN
MzAwNDI0MTk0NjAwWjAZMRcwFQYDVQQDDA5ucy5leGFtcGxlLmNvbTCCAiIwDQYJ
KoZIhvcNAQEBBQADggIPADCCAgoCggIBAMR9mujcSHMOedu29OJCsr5eWBkxO/XV
FJjXgtSiQqDW497xaG7k4kHEO1ejzEdN5vz3QZGPtcUqLXcvVzlIbXSS38BPLZWk
ssWYuzIoKZBl+HGNFc9hb09q9PEpYWQhx+JSBQ63pegXmrMhAiSpEtrT1fC5EmQQ
ZgbyTC2tpQWT7TdV4hI7oi5reorbaCDLu+gkzJz4pnL1YHeqWvDIkHCFpDBJpJKK
GuleT4luZ7vvV0jVPlgEA6GDUq3xQPJxdAAnUqQ9WkSgdtb4eoH3kKsuNOWAKii3
iWR3KgX61q2CYvp3JbBLU2yrxea03uwHFZBYoCBCaP2gOAs6ByeO6lQ9vLlxfsuR
fZ3WKbxQP89VXnqZwwmVz2EM4AN4Fx2rpAtEYnhEns36sAlylT6hH9Maw5MSYD62
o+LKvfsPiuGlSnZ9vPgE2dluLWrpCTQQuZjxaUzVcF74fkWTH2Vs/7PO6M1aEPP4
uTQVsi24OpXNmPQCLSxT9wAka6UWt5fC14rLahjeQEqslw/WFJyIgHQbphm7+FdP
Qqel4NDqhAqpTxyvzTY4bT0tM67ygePt/Pi/EyqmWR/fOqaaoxm/PEi50h289iKn
BBsL6+W8BAL/u4XtzVVtw6Ja6g7Xti6T9bfB7PGdeoT8VDyrW7sbz+9QFgEjaF9h
kIe3mkDww/YvAgMBAAGjUzBRMB0GA1UdDgQWBBQ+E9hBeW3QeQSOqCNS6iFbqn6Z
MzAfBgNVHSMEGDAWgBQ+E9hBeW3QeQSOqCNS6iFbqn6ZMzAPBgNVHRMBAf8EBTAD
AQH/MA0GCSqGSIb3DQEBCwUAA4ICAQAHPSlyQRrTRixjtSmjeitmYEaFK1AySbWH
E10znYxLHR+qodyT89y3FY7oDu0AHlewXW6CI0yVuvY9LZVGj84nQVne8sGLtpMa
KqrOXnHURGtId8C3S31ixUhd2rGfMyNMCtUHv2UPKt2yIEIIGn30ythrPN52rnsq
+78GLfzPjUQH4bYKxyJLOrsvb9fd9vU9q7y9Jn10q4fWH8EZlQ4El4bxNU+vGgsI
gwcTswBxex1VSTOwTjMhSKCf47CnNvLw06ukP0nqyYs9fMXcBe9s+M/3l+ebY3gY
+0pxs12NuSfP7Vq+2k6sSYjGSu/t2sl4UbhBNvX5etzVEJ4V+mGD+7UiyA2c7Uyi
0dF6hjKF54YD7u7s/t0p/d+e2ofNwg85dOm4MToxQQlMkq0s+T1LzGG/k9XHFfnC
ksNFpKD3nyPVfDXN05uQg5HB4J/if0/6j5YDcokue6Ag+4UFPpwZpjo3fR60lMyI
rSY8h+bLBgHejeGlibpE4X6wRHqede5p5RV9Pe7fvgTiw3tyQPSuxIFP/Sp9lNkF
pLqH4hWUR2XI3UtosK3IoJu5gUlFiPyTNUIi8GVzmvf7O2QDHYKslPJJTL1ns/oN
TKTgPGe7raZ6nyn58HLOWWMB/t0XgGESm+KAj3lGZ6m9MyLxq++xlU8klWuNFyZT
MUvbF37jJA==
-----END CERTIFICATE-----
"""
"""The example in the repository of the draft, data/cert.pem."""


def test_the_draft_s_own_certificate():
    certificate = x509.load_pem_x509_certificate(REPOSITORY_CERTIFICATE)
    ds = make_ds(dns.name.from_text("example.com."), pki.spki(certificate), 2)
    assert (ds.key_tag, ds.algorithm, ds.digest_type) == (7830, 225, 2)
    assert ds.digest.hex() == "4d1e91c55476ea27d6d0597906f8a4811fdcc743e4f9a56ea49d5af1386d79e1"


def test_a_small_key():
    ds = make_ds(ORG, SPKI, 2)
    assert ds.key_tag == 43328
    assert ds.digest.hex() == "14ecaea922e395693c3293ff0d8160d224cf2646085b3b559ffb3ad89959fd2e"


def test_as_the_proof_of_concept_hashes_it():
    prefix = ORG.to_wire() + bytes((1, 1, 3, 225))
    assert make_ds(ORG, SPKI, 2).digest == hashlib.sha256(prefix + SPKI).digest()
    assert make_ds(ORG, SPKI, 4).digest == hashlib.sha384(prefix + SPKI).digest()


@pytest.mark.skipif(not shutil.which("ldns-key2ds"), reason="ldns is not installed")
@pytest.mark.parametrize(("option", "digest_type"), [("-2", 2), ("-4", 4)])
def test_as_ldns_makes_it(tmp_path, option, digest_type):
    dnskey = tmp_path / "key"
    dnskey.write_text(f"example.org. 3600 IN DNSKEY 257 3 225 {base64.b64encode(SPKI).decode()}\n")
    command = ["ldns-key2ds", "-f", "-n", option, str(dnskey)]
    made = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    text = made.split("DS", 1)[1]
    assert dns.rdata.from_text("IN", "DS", text) == make_ds(ORG, SPKI, digest_type)


def test_the_owner_s_case_does_not_matter():
    assert make_ds(dns.name.from_text("EXAMPLE.org."), SPKI, 2) == make_ds(ORG, SPKI, 2)


class TestIdentity:
    credential = pki.self_signed(0, ("ns1.dnshost.net",), not_before=0, not_after=1)
    other = pki.self_signed(0, ("ns1.dnshost.net",), not_before=0, not_after=1, key="other")

    @pytest.mark.parametrize("digest_type", [2, 4])
    def test_the_key_is_all_that_counts(self, digest_type):
        pin = DsPin(ORG, frozenset((make_ds(ORG, self.credential.spki, digest_type),)))
        assert isinstance(pin.check(self.credential.chain, 1e9), Accepted)
        assert isinstance(pin.check(self.other.chain, 0.5), Refused)

    def test_one_of_several_pins_is_enough(self):
        pins = frozenset(make_ds(ORG, one.spki, 2) for one in (self.credential, self.other))
        for one in (self.credential, self.other):
            assert isinstance(DsPin(ORG, pins).check(one.chain, 0), Accepted)

    def test_a_pin_of_another_zone_does_not_count(self):
        pins = frozenset((make_ds(dns.name.from_text("example.net."), self.credential.spki, 2),))
        assert isinstance(DsPin(ORG, pins).check(self.credential.chain, 0), Refused)

    def test_the_key_tag_must_fit_too(self):
        ds = make_ds(ORG, self.credential.spki, 2)
        pin = DsPin(ORG, frozenset((ds.replace(key_tag=ds.key_tag ^ 1),)))
        assert isinstance(pin.check(self.credential.chain, 0), Refused)

    def test_nobody_is_not_the_server(self):
        assert isinstance(DsPin(ORG, frozenset((make_ds(ORG, SPKI, 2),))).check((), 0), Refused)

    @given(st.lists(st.tuples(st.integers(0, 255), st.binary(min_size=1, max_size=64)), max_size=4))
    def test_whatever_stands_in_ds_records_never_raises(self, given_records):
        records = set()
        for digest_type, digest in given_records:
            wire = bytes((0, 1, DOTPIN, digest_type)) + digest
            try:
                records.add(dns.rdata.from_wire("IN", "DS", wire, 0, len(wire)))
            except (dns.exception.FormError, ValueError):
                continue
        assert isinstance(DsPin(ORG, frozenset(records)).check(self.credential.chain, 0), Refused)


def pinned(**options):
    return world(signal={"ds-pin": options}, secure=("target",))


def wrongly_pinned(but):
    """Every zone on the target's server has a pin that is no good, and one has the right one beside it."""
    key = pinned().services["target"][1].chain[0].public_key()
    spki = key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    right = make_ds(dns.name.from_text(but), spki, 2)
    records = [f"{but} 3600 DS {right.to_text()}"]
    return world(signal={"ds-pin": {"keys": "previous"}}, secure=("target",), records=records)


class TestPublishing:
    def test_every_zone_on_a_server_gets_its_own_pin(self):
        of = world(signal=("ds-pin",), secure=("target", "ns-zone"))
        for parent, zone in (("org.", "example.org."), ("net.", "dnshost.net."), ("net.", "evil-dns.net.")):
            ds = of.zones[dns.name.from_text(parent)].rrset(dns.name.from_text(zone), dns.rdatatype.DS)
            assert len([item for item in ds if item.algorithm == DOTPIN]) == 1

    def test_where_there_is_no_dot_there_is_no_pin(self):
        ds = (
            pinned()
            .zones[dns.name.from_text("net.")]
            .rrset(dns.name.from_text("dnshost.net."), dns.rdatatype.DS)
        )
        assert not [item for item in ds if item.algorithm == DOTPIN]

    @pytest.mark.parametrize(("keys", "count"), [("current", 2), ("previous", 2), ("both", 4)])
    def test_keys_and_digests(self, keys, count):
        of = pinned(keys=keys, digests=["SHA256", "SHA384"])
        ds = of.zones[dns.name.from_text("org.")].rrset(ORG, dns.rdatatype.DS)
        assert len([item for item in ds if item.algorithm == DOTPIN]) == count

    def test_the_pseudo_key_is_not_in_the_zone(self):
        keys = pinned().zones[ORG].rrset(ORG, dns.rdatatype.DNSKEY)
        assert not [key for key in keys if key.algorithm == DOTPIN]


class TestResolver:
    def ask(self, of, base, link=None, *attackers, looks_for=("ds-pin",), **switches):
        net = network(of, policy(base, **switches), looks_for, {link: list(attackers)} if link else {})
        return net, net.ask(SECRET)

    @pytest.mark.parametrize("base", POLICIES[:3])
    @pytest.mark.parametrize("signed", [("root", "target-parent"), ("root", "target-parent", "target")])
    def test_is_followed_and_checked(self, base, signed):
        of = world(signal=("ds-pin",), secure=("target",), signed=signed)
        net, response = self.ask(of, base)
        assert response.answer
        assert over(net) == {"dot"}
        assert "DS pin" in next(event.text for event in net.trace if event.kind == "handshake")

    @pytest.mark.parametrize("base", POLICIES[:3])
    @pytest.mark.parametrize("keys", ["previous", "both"])
    def test_a_key_that_is_not_pinned_is_of_no_use_whatever_the_policy(self, base, keys):
        net, response = self.ask(pinned(keys=keys), base)
        assert (response.rcode() == dns.rcode.SERVFAIL) == (keys == "previous")
        assert over(net) == (set() if keys == "previous" else {"dot"})

    @pytest.mark.parametrize("base", POLICIES[:3])
    @pytest.mark.parametrize(
        ("name", "options"),
        [
            ("block-tls", {"how": "reset"}),
            ("block-tls", {"how": "drop"}),
            ("impersonate", {"certificate": "mis-issued"}),
        ],
    )
    def test_there_is_no_way_back_to_clear_text(self, base, name, options):
        of = pinned()
        net, response = self.ask(of, base, "target", attacker(of, name, "target", **options))
        assert response.rcode() == dns.rcode.SERVFAIL
        assert not over(net)

    @pytest.mark.parametrize("base", ["strict", "opportunistic"])
    def test_other_signals_do_not_get_in_its_way(self, base):
        of = world(signal={"ds-pin": {"keys": "previous"}, "svcb-query": {}}, secure=("target",))
        net, response = self.ask(of, base, looks_for=["svcb-query", "ds-pin"])
        assert response.rcode() == dns.rcode.SERVFAIL
        assert not over(net)

    def test_swapped_name_servers_gain_nothing(self):
        of = pinned()
        net, response = self.ask(of, "strict", "target-parent", attacker(of, "forge-ns", "target-parent"))
        assert response.rcode() == dns.rcode.SERVFAIL
        assert not asked(net, "evil") or SECRET not in {name for _, name in asked(net, "evil")}

    def test_a_server_that_hides_the_zone_cut_gains_nothing(self):
        of = pinned()
        net, response = self.ask(of, "opportunistic", "root", attacker(of, "forge-ns", "root", zone="org"))
        assert response.rcode() == dns.rcode.SERVFAIL
        assert SECRET not in {name for _, name in asked(net, "evil")}

    @pytest.mark.parametrize(("signed", "stays"), [(True, True), (False, False)])
    @pytest.mark.parametrize("base", ["strict", "opportunistic"])
    def test_stripping_works_where_nobody_signs(self, base, signed, stays):
        of = world(
            signal=("ds-pin",), secure=("target",), signed=("root", "target-parent") if signed else ("root",)
        )
        strip = attacker(of, "strip-ds-pin", "target-parent")
        net, response = self.ask(of, base, "target-parent", strip)
        assert strip.matches
        assert (response.rcode() == dns.rcode.SERVFAIL) == stays
        assert over(net) == (set() if stays else {"udp"})

    @pytest.mark.parametrize("signed", [("root", "target-parent"), ("root", "target-parent", "target")])
    @pytest.mark.parametrize("base", ["strict", "opportunistic"])
    def test_a_delegation_from_before_the_pin_is_as_good_as_its_signature(self, base, signed):
        of = world(signal=("ds-pin",), secure=("target",), signed=signed)
        replay = attacker(of, "replay-delegations", "target-parent")
        net, response = self.ask(of, base, "target-parent", replay)
        assert replay.matches
        assert response.answer
        assert over(net) == {"udp"}
        net.resolver.flush()
        net.advance(21 * DAY)
        assert net.ask(SECRET).rcode() == dns.rcode.SERVFAIL

    def test_what_is_replayed_was_signed_and_is_older(self):
        of = pinned()
        org = dns.name.from_text("org.")
        past = of.past[org].rrset(ORG, dns.rdatatype.DS)
        assert not [ds for ds in past if ds.algorithm == DOTPIN]
        assert len(past) == 1
        assert of.past[org].soa[0].serial < of.zones[org].soa[0].serial

    def test_a_ttl_of_nothing_does_not_make_it_forgotten(self):
        of = pinned(ttl=0)
        net, response = self.ask(of, "opportunistic")
        assert response.answer
        assert over(net) == {"dot"}

    def test_a_pin_of_one_zone_says_nothing_of_another_on_the_server(self):
        net, response = self.ask(wrongly_pinned(but="hosted-2.org."), "strict")
        assert response.rcode() == dns.rcode.SERVFAIL
        assert net.ask("hosted-2.org.").answer

    def test_a_wrong_pin_does_not_shut_the_server_for_others(self):
        net = network(wrongly_pinned(but="example.org."), policy("strict"), ["ds-pin"])
        assert net.ask("hosted-2.org.").rcode() == dns.rcode.SERVFAIL
        assert net.ask(SECRET).answer
        assert over(net) == {"dot"}
