"""Every way to break a zone that RFC 4035 and RFC 5155 know of, and some that must do no harm."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import dns.flags
import dns.message
import dns.name
import dns.rcode
import dns.rrset
from broken_zones import BEGIN, DAY, END, FEW_QUESTIONS, Broken, key_set, replaced, signature
from dns.dnssectypes import DSDigest
from dns.rdatatype import RdataType

from testbed.core import rdata
from testbed.core.signer import KeySet, ZoneKey, ds_for
from testbed.core.zone import Zone
from testbed.world.epoch import EPOCH

Breakage = Callable[[Broken], None]
BREAKAGES: dict[str, Breakage] = {}
"""Breakages of zones as a whole, by name."""

WITH_EACH_SETUP: set[str] = {"good", "without-ds"}
"""Those that are tried with every setup, since denials have a part in them; others are with one."""

OTHERS = b"somebody else"
DENIALS = (RdataType.NSEC, RdataType.NSEC3)


def breakage(make: Breakage) -> Breakage:
    BREAKAGES[make.__name__.replace("_", "-")] = make
    return make


def with_variants(**variants: Any) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """The breakage once for each variant, which it is given as its second argument."""

    def register(make: Callable[..., None]) -> Callable[..., None]:
        for label, variant in variants.items():
            name = f"{make.__name__}-{label}".replace("_", "-")
            BREAKAGES[name] = lambda broken, variant=variant: make(broken, variant)
        return make

    return register


# -- single signatures -----------------------------------------------------------------------------

Change = Callable[[dns.rrset.RRset, dns.rrset.RRset, ZoneKey, dns.name.Name], dns.rrset.RRset | None]


def _with_fields(**changes: Any) -> Change:
    return lambda rrset, signatures, key, zone: signature(rrset, key, zone, **changes)


def _forged(**changes: Any) -> Change:
    return lambda rrset, signatures, key, zone: replaced(signatures, **changes)


def _flipped(rrset: Any, signatures: Any, key: Any, zone: Any) -> dns.rrset.RRset:
    octets = bytearray(signatures[0].signature)
    octets[9] ^= 4
    return replaced(signatures, signature=bytes(octets))


def _by_others(rrset: Any, signatures: Any, key: Any, zone: Any) -> dns.rrset.RRset:
    return signature(rrset, KeySet.derive(OTHERS, zone, key.dnskey.algorithm).zsk, zone)


def _by_others_with_our_tag(rrset: Any, signatures: Any, key: Any, zone: Any) -> dns.rrset.RRset:
    forged = _by_others(rrset, signatures, key, zone)
    return replaced(forged, key_tag=signatures[0].key_tag)


def _beside(change: Change) -> Change:
    """A good signature, with one beside it that is changed."""

    def both(rrset: Any, signatures: Any, key: Any, zone: Any) -> dns.rrset.RRset:
        changed = change(rrset, signatures, key, zone)
        assert changed is not None
        return dns.rrset.from_rdata_list(signatures.name, signatures.ttl, [*changed, *signatures])

    return both


def _many_with_our_tag(rrset: Any, signatures: Any, key: Any, zone: Any) -> dns.rrset.RRset:
    records = [signatures[0].replace(signature=bytes([n]) * len(signatures[0].signature)) for n in range(40)]
    return dns.rrset.from_rdata_list(signatures.name, signatures.ttl, records)


SIGNATURES: dict[str, Change] = {
    "missing": lambda *_: None,
    "expired": _with_fields(inception=BEGIN - 60 * DAY, expiration=EPOCH - 1),
    "not-yet-valid": _with_fields(inception=EPOCH + 1),
    "valid-from-now": _with_fields(inception=EPOCH),
    "valid-until-now": _with_fields(expiration=EPOCH),
    "ends-before-it-begins": _with_fields(inception=END, expiration=BEGIN),
    "by-the-grandparent": lambda r, s, key, zone: signature(r, key, zone, signer=zone.parent()),
    "by-a-child": lambda r, s, key, zone: signature(
        r, key, zone, signer=dns.name.Name((b"secret", *zone.labels))
    ),
    "by-others": _by_others,
    "by-others-with-our-tag": _by_others_with_our_tag,
    "flipped-bit": _flipped,
    "cut-short": lambda r, s, key, zone: replaced(s, signature=s[0].signature[:-1]),
    "of-nothing": _forged(signature=b"\0"),
    "too-many-labels": _with_fields(labels=9),
    "too-few-labels": lambda r, s, key, zone: signature(r, key, zone, labels=len(zone) - 2),
    "labels-forged": lambda r, s, key, zone: replaced(s, labels=s[0].labels - 1),
    "longer-ttl-signed": _with_fields(original_ttl=86400),
    "shorter-ttl-signed": _with_fields(original_ttl=60),
    "ttl-forged": _forged(original_ttl=86400),
    "time-forged": _forged(expiration=END + DAY),
    "unknown-algorithm": _forged(algorithm=200),
    "another-algorithm": lambda r, s, key, zone: replaced(s, algorithm=8),
    "of-another-type": _with_fields(type_covered=RdataType.TXT),
    "wrong-tag": lambda r, s, key, zone: replaced(s, key_tag=s[0].key_tag ^ 1),
    "expired-beside-a-good-one": _beside(_with_fields(expiration=EPOCH - 1)),
    "flipped-beside-a-good-one": _beside(_flipped),
    "unknown-algorithm-beside-a-good-one": _beside(_forged(algorithm=200)),
    "many-wrong-ones": _many_with_our_tag,
}
ANSWERS = (
    *(("secret", "A"), ("@", "SOA"), ("*.wild", "A"), ("alias", "CNAME"), ("*.cwild", "CNAME")),
    *(("old", "DNAME"), ("kid", "DS")),
)


def signatures() -> Iterator[tuple[str, Breakage]]:
    """Each change to the signatures of each kind of RRset."""
    for label, change in SIGNATURES.items():
        yield f"answers-{label}", _signatures_of(ANSWERS, change)
        yield f"denials-{label}", _denials(change)
        yield f"keys-{label}", _few_questions(_signatures_of((("@", "DNSKEY"),), change))
        yield f"parents-{label}", _few_questions(lambda broken, change=change: _ds_signatures(broken, change))


def _few_questions(make: Breakage) -> Breakage:
    def made(broken: Broken) -> None:
        broken.questions = FEW_QUESTIONS
        make(broken)

    return made


def _ds_signatures(broken: Broken, change: Change) -> None:
    broken.ds_changes = change


def _signatures_of(rrsets: tuple[tuple[str, str], ...], change: Change) -> Breakage:
    def make(broken: Broken) -> None:
        for relative, rdtype in rrsets:
            key = broken.keys.ksk if rdtype == "DNSKEY" else broken.keys.zsk
            broken.change_signature(broken.get(relative, rdtype), change, key)

    return make


def _denials(change: Change) -> Breakage:
    def make(broken: Broken) -> None:
        for rrset in [each for each in broken.rrsets.values() if each.rdtype in DENIALS]:
            broken.change_signature(rrset, change, broken.keys.zsk)

    return make


# -- the way from the parent -----------------------------------------------------------------------


@breakage
def good(broken: Broken) -> None:
    """Nothing is broken."""


@breakage
def without_ds(broken: Broken) -> None:
    broken.ds = None


@breakage
def without_any_signature_or_ds(broken: Broken) -> None:
    broken.rrsets = {}
    broken.put(*broken.plain)
    broken.ds = None


@breakage
def without_any_signature(broken: Broken) -> None:
    broken.rrsets = {}
    broken.put(*broken.plain)


def _ds(broken: Broken, digest_by: int, **changes: Any) -> Any:
    good_one = ds_for(broken.origin, broken.keys, DSDigest(digest_by))[0]
    return good_one.replace(**changes)


SHA1, SHA256, SHA384 = DSDigest.SHA1, DSDigest.SHA256, DSDigest.SHA384


@with_variants(
    sha1=[(SHA1, {})],
    sha384=[(SHA384, {})],
    wrong_digest=[(SHA256, {"digest": bytes(32)})],
    wrong_tag=[(SHA256, {"key_tag": 1})],
    wrong_algorithm=[(SHA256, {"algorithm": 8})],
    unknown_algorithm=[(SHA256, {"algorithm": 200})],
    private_algorithm=[(SHA256, {"algorithm": 253})],
    unknown_algorithm_beside_a_good_one=[(SHA256, {}), (SHA256, {"algorithm": 200})],
    unknown_algorithm_beside_a_wrong_one=[(SHA256, {"key_tag": 1}), (SHA256, {"algorithm": 200})],
    unknown_digest=[(SHA256, {"digest_type": 200})],
    unknown_digest_beside_a_good_one=[(SHA256, {}), (SHA256, {"digest_type": 200})],
    unknown_digest_beside_a_wrong_one=[(SHA256, {"digest": bytes(32)}), (SHA256, {"digest_type": 200})],
    wrong_one_beside_a_good_one=[(SHA256, {}), (SHA256, {"digest": bytes(32)})],
    sha1_beside_a_wrong_sha256=[(SHA1, {}), (SHA256, {"digest": bytes(32)})],
    sha256_beside_a_wrong_sha1=[(SHA1, {"digest": bytes(20)}), (SHA256, {})],
    sha256_beside_a_wrong_sha384=[(SHA256, {}), (SHA384, {"digest": bytes(48)})],
)
def ds(broken: Broken, records: Any) -> None:
    broken.questions = FEW_QUESTIONS
    made = [_ds(broken, by, **changes) for by, changes in records]
    broken.ds = dns.rrset.from_rdata(broken.origin, 3600, *made)


@breakage
def ds_stripped(broken: Broken) -> None:
    def strip(response: dns.message.Message) -> None:
        for section in (response.answer, response.authority):
            section[:] = [each for each in section if RdataType.DS not in (each.rdtype, each.covers)]

    broken.edit(strip, at_parent=True)


@breakage
def ds_denied_without_proof(broken: Broken) -> None:
    broken.ds = None

    def strip(response: dns.message.Message) -> None:
        response.authority[:] = [
            each for each in response.authority if not {each.rdtype, each.covers} & {*DENIALS}
        ]

    broken.edit(strip, at_parent=True)


# -- keys ------------------------------------------------------------------------------------------


@breakage
def no_keys(broken: Broken) -> None:
    broken.questions = FEW_QUESTIONS
    for at in [at for at in broken.rrsets if RdataType.DNSKEY in at[1:]]:
        del broken.rrsets[at]


@breakage
def no_zone_signing_key(broken: Broken) -> None:
    broken.put_keys(broken.keys.ksk.dnskey)


@breakage
def no_key_signing_key(broken: Broken) -> None:
    broken.questions = FEW_QUESTIONS
    broken.put_keys(broken.keys.zsk.dnskey)


@breakage
def keys_signed_by_the_zsk_alone(broken: Broken) -> None:
    broken.questions = FEW_QUESTIONS
    broken.put_keys(broken.keys.ksk.dnskey, broken.keys.zsk.dnskey, signer=broken.keys.zsk)


@breakage
def ds_of_the_zsk(broken: Broken) -> None:
    broken.questions = FEW_QUESTIONS
    only = KeySet(broken.origin, broken.keys.zsk, broken.keys.zsk)
    broken.ds = ds_for(broken.origin, only)
    broken.put_keys(broken.keys.zsk.dnskey, signer=broken.keys.zsk)


@breakage
def ds_of_the_zsk_and_keys_signed_by_the_ksk(broken: Broken) -> None:
    broken.questions = FEW_QUESTIONS
    broken.ds = ds_for(broken.origin, KeySet(broken.origin, broken.keys.zsk, broken.keys.zsk))


@with_variants(
    without_sep={"flags": 0x0100},
    without_zone_flag={"flags": 0x0001},
    revoked={"flags": 0x0181},
    reserved_flags={"flags": 0x4101},
    protocol_2={"protocol": 2},
)
def ksk(broken: Broken, changes: Any) -> None:
    """The key that the DS stands for is changed, and so is the DS."""
    broken.questions = FEW_QUESTIONS
    changed = broken.keys.ksk.dnskey.replace(**changes)
    key = ZoneKey(changed, rdata.key_tag(changed), broken.keys.ksk.private)
    broken.ds = ds_for(broken.origin, KeySet(broken.origin, key, broken.keys.zsk))
    broken.put_keys(changed, broken.keys.zsk.dnskey, signer=key)


@with_variants(
    with_sep={"flags": 0x0101},
    without_zone_flag={"flags": 0x0000},
    revoked={"flags": 0x0180},
    protocol_2={"protocol": 2},
)
def zsk(broken: Broken, changes: Any) -> None:
    """The key that signs all else is changed, and signs with its new tag."""
    broken.questions = FEW_QUESTIONS
    changed = broken.keys.zsk.dnskey.replace(**changes)
    key = ZoneKey(changed, rdata.key_tag(changed), broken.keys.zsk.private)
    broken.keys = KeySet(broken.origin, broken.keys.ksk, key)
    broken.sign()


@with_variants(
    revoked={"flags": 0x0180},
    unknown_algorithm={"algorithm": 200},
    of_others=None,
    without_zone_flag={"flags": 0},
)
def more_keys(broken: Broken, changes: Any) -> None:
    """Keys that nothing is signed with do no harm."""
    broken.questions = FEW_QUESTIONS
    others = KeySet.derive(OTHERS, broken.origin, broken.setup.algorithm).zsk.dnskey
    extra = others if changes is None else others.replace(**changes)
    broken.put_keys(broken.keys.ksk.dnskey, broken.keys.zsk.dnskey, extra)


@breakage
def keys_added_unsigned(broken: Broken) -> None:
    broken.questions = FEW_QUESTIONS
    others = key_set(broken.parent, broken.setup.algorithm).zsk.dnskey
    keys = broken.get("@", "DNSKEY")
    broken.put(dns.rrset.from_rdata(keys.name, keys.ttl, *keys, others))


# -- data ------------------------------------------------------------------------------------------


@with_variants(
    changed=("192.0.2.1", "192.0.2.81"),
    added=("192.0.2.80", "192.0.2.81", "192.0.2.82"),
    removed=("192.0.2.80",),
)
def address(broken: Broken, texts: Any) -> None:
    broken.put(dns.rrset.from_text(broken.name("secret"), 3600, "IN", "A", *texts))


@breakage
def alias_of_a_bogus_name(broken: Broken) -> None:
    others = [each for each in broken.plain if each.name != broken.name("alias")]
    alias = dns.rrset.from_text(broken.name("alias"), 3600, "IN", "CNAME", "secret.address-changed-0.nsec.")
    broken.plain = Zone(broken.origin, [*others, alias])
    broken.sign()


@with_variants(higher=7200, lower=60, zero=0)
def ttl(broken: Broken, seconds: int) -> None:
    """TTLs in responses that are not the signed ones."""
    broken.questions = FEW_QUESTIONS
    for rrset in list(broken.rrsets.values()):
        broken.put(dns.rrset.from_rdata_list(rrset.name, seconds, list(rrset)))


@breakage
def all_in_upper_case(broken: Broken) -> None:
    def shout(response: dns.message.Message) -> None:
        for section in (response.answer, response.authority):
            section[:] = [
                dns.rrset.from_rdata_list(
                    dns.name.Name([label.upper() for label in each.name.labels]), each.ttl, list(each)
                )
                for each in section
            ]

    broken.edit(shout)
