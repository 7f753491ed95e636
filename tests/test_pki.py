import hashlib

import dns.name
import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import ExtendedKeyUsageOID

from testbed.core import pki

NOW = 1767225600.0
DAY = 86400.0
VALID = {"not_before": NOW - DAY, "not_after": NOW + 365 * DAY}


@pytest.fixture
def root() -> pki.Authority:
    return pki.Authority(1, **VALID)


def der(credential: pki.Credential) -> list[bytes]:
    return [certificate.public_bytes(Encoding.DER) for certificate in credential.chain]


def test_the_same_seed_gives_the_same_octets():
    pki._certificate.cache_clear()
    pki.private_key.cache_clear()
    first = pki.Authority(7, **VALID).subordinate("a").issue(["ns1.dnshost.net"], **VALID)
    pki._certificate.cache_clear()
    pki.private_key.cache_clear()
    second = pki.Authority(7, **VALID).subordinate("a").issue(["ns1.dnshost.net"], **VALID)
    assert first.key is not second.key
    assert der(first) == der(second)
    assert first == second
    assert hash(first) == hash(second)


def test_another_seed_label_or_validity_gives_other_certificates(root):
    base = root.issue(["a.example"], **VALID)
    others = [
        pki.Authority(2, **VALID).issue(["a.example"], **VALID),
        root.issue(["b.example"], **VALID),
        root.issue(["a.example"], key="other", **VALID),
        root.issue(["a.example"], not_before=NOW, not_after=NOW + DAY),
        root.issue(["a.example"], usage="client", **VALID),
    ]
    assert len({tuple(der(c)) for c in [base, *others]}) == 6
    assert len({c.leaf.serial_number for c in [base, *others]}) == 6


def test_equal_requests_are_signed_once(root):
    assert root.issue(["a.example"], **VALID).leaf is root.issue(["a.example"], **VALID).leaf


def test_the_key_belongs_to_the_leaf_and_the_issuer_signed_it(root):
    credential = root.issue(["a.example"], **VALID)
    assert credential.key.public_key() == credential.leaf.public_key()
    assert isinstance(credential.leaf.public_key().curve, ec.SECP256R1)
    credential.leaf.verify_directly_issued_by(root.certificate)
    root.certificate.verify_directly_issued_by(root.certificate)


def test_the_chain_is_leaf_first_and_leaves_the_root_out_unless_asked(root):
    issuing = root.subordinate("issuing")
    plain = issuing.issue(["a.example"], **VALID)
    whole = issuing.issue(["a.example"], with_root=True, **VALID)
    assert plain.chain == (plain.leaf, issuing.certificate)
    assert whole.chain == (plain.leaf, issuing.certificate, root.certificate)
    assert root.issue(["a.example"], **VALID).chain == (root.issue(["a.example"], **VALID).leaf,)


def test_names_and_addresses_stand_in_the_subject_alternative_name(root):
    names = [dns.name.from_text("NS1.dnshost.net."), "*.example.org"]
    leaf = root.issue(names, ["192.0.2.1", "2001:db8::1"], **VALID).leaf
    san = leaf.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert san.get_values_for_type(x509.DNSName) == ["ns1.dnshost.net", "*.example.org"]
    assert [str(a) for a in san.get_values_for_type(x509.IPAddress)] == ["192.0.2.1", "2001:db8::1"]


def test_validity_and_usage_are_as_asked(root):
    leaf = root.issue(["a.example"], not_before=NOW - 9, not_after=NOW + 0.9, usage="client").leaf
    assert leaf.not_valid_before_utc.timestamp() == NOW - 9
    assert leaf.not_valid_after_utc.timestamp() == NOW
    usage = leaf.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    assert list(usage) == [ExtendedKeyUsageOID.CLIENT_AUTH]


def test_a_renewal_keeps_the_key_and_so_the_pin(root):
    old = root.issue(["a.example"], key="k", not_before=NOW - 2 * DAY, not_after=NOW - DAY)
    new = root.issue(["a.example", "b.example"], key="k", **VALID)
    assert old.spki == new.spki
    assert old.leaf != new.leaf


def test_spki_is_what_a_tlsa_record_hashes(root):
    credential = root.issue(["a.example"], **VALID)
    # The fixed part of a P-256 SubjectPublicKeyInfo (RFC 5480), and the uncompressed point.
    assert credential.spki[:27].hex() == "3059301306072a8648ce3d020106082a8648ce3d03010703420004"
    assert len(credential.spki) == 91
    assert len(hashlib.sha256(credential.spki).digest()) == 32


def test_self_signed_is_signed_by_its_own_key():
    credential = pki.self_signed(1, ["ns1.dnshost.net"], **VALID)
    assert credential.leaf.issuer == credential.leaf.subject
    credential.leaf.verify_directly_issued_by(credential.leaf)
    assert len(credential.chain) == 1


def test_a_name_longer_than_a_common_name_can_be(root):
    name = "dot-" + "a" * 52 + ".dnshost.net"
    leaf = root.issue([name], **VALID).leaf
    san = leaf.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert san.get_values_for_type(x509.DNSName) == [name]


def test_no_names_at_all_leaves_the_extension_out(root):
    leaf = root.issue(common_name="ns1.dnshost.net", **VALID).leaf
    with pytest.raises(x509.ExtensionNotFound):
        leaf.extensions.get_extension_for_class(x509.SubjectAlternativeName)


def test_keys_of_different_labels_differ():
    keys = {pki.private_key(1, f"label {n}").private_numbers().private_value for n in range(50)}
    assert len(keys) == 50


@pytest.mark.parametrize(
    ("name", "text"), [("A.Example.", "a.example"), (".", ""), (dns.name.from_text("x.y."), "x.y")]
)
def test_host_names_have_no_final_dot(name, text):
    assert pki.host_name(name) == text
