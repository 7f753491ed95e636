"""Zones that several tests are about: those of the RFCs, and one with a bit of everything."""

from __future__ import annotations

import functools
from typing import Any

import dns.name
import dns.rdatatype
import dns.rrset

from testbed.core.signer import KeySet, sign_zone
from testbed.core.zone import Zone

EPOCH = 1767225600
WINDOW = {"inception": EPOCH - 3600, "expiration": EPOCH + 30 * 86400}
DENIALS: dict[str, dict[str, Any]] = {
    "nsec": {"denial": "nsec"},
    "nsec3": {"denial": "nsec3"},
    "opt-out": {"denial": "nsec3", "opt_out": True, "iterations": 2, "salt": b"\xab\xcd"},
}

RFC4035 = """
@ 3600 SOA ns1 bugs.x.w 1081539377 3600 300 3600000 3600
@ NS ns1
@ NS ns2
@ MX 1 xx
a NS ns1.a
a NS ns2.a
a DS 57855 5 1 B6DCD485719ADCA18E5F3D48A2331627FDD3636B
ns1.a A 192.0.2.5
ns2.a A 192.0.2.6
ai A 192.0.2.9
ai HINFO "KLH-10" "ITS"
ai AAAA 2001:db8::f00:baa9
b NS ns1.b
b NS ns2.b
ns1.b A 192.0.2.7
ns2.b A 192.0.2.8
ns1 A 192.0.2.1
ns2 A 192.0.2.2
*.w MX 1 ai
x.w MX 1 xx
x.y.w MX 1 xx
xx A 192.0.2.10
xx HINFO "KLH-10" "TOPS-20"
xx AAAA 2001:db8::f00:baaa
"""

RFC5155 = RFC4035.replace("\nb NS", "\nc NS").replace(".b\n", ".c\n").replace(".b A", ".c A") + (
    "2t7b4g4vsa5smi47k61mv5bv1a22bojr A 192.0.2.127\n"
)

EVERYTHING = """
@ 3600 SOA ns1 hostmaster 1 1800 900 604800 300
@ NS ns1
ns1 A 192.0.2.1
ns1 AAAA 2001:db8::1
secret A 192.0.2.80
deep.er.name TXT "x"
*.wild A 192.0.2.81
*.wild TXT "w"
alias CNAME secret
outside CNAME www.other.test.
dangling CNAME nothing
loop1 CNAME loop2
loop2 CNAME loop1
*.cwild CNAME secret
old DNAME new
x.new A 192.0.2.82
signed NS ns.signed
signed DS 12345 13 2 0000000000000000000000000000000000000000000000000000000000000000
ns.signed A 192.0.2.83
unsigned NS ns1
unsigned NS ns.unsigned
unsigned NS ns.signed
ns.unsigned A 192.0.2.84
ns.unsigned AAAA 2001:db8::84
below.some.ent NS ns1
"""


def name(text: str) -> dns.name.Name:
    return dns.name.from_text(text)


def rdtype(text: str) -> dns.rdatatype.RdataType:
    return dns.rdatatype.from_text(text)


def rrset(owner: str, kind: str, *texts: str, ttl: int = 3600) -> dns.rrset.RRset:
    return dns.rrset.from_text(owner, ttl, "IN", kind, *texts)


@functools.cache
def zone(origin: str, text: str) -> Zone:
    return Zone.from_text(origin, text)


def keys(origin: str) -> KeySet:
    return KeySet.derive(b"tests", name(origin))


def signed(plain: Zone, denial: str = "nsec") -> Zone:
    return sign_zone(plain, keys(str(plain.origin)), **WINDOW, **DENIALS[denial])
