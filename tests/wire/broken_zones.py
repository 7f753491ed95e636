"""Small signed zones that can be broken, below signed parents and a root, for a comparison of validators."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

import dns.message
import dns.name
import dns.rrset
from dns.rdatatype import RdataType

from testbed.core import rdata
from testbed.core.authoritative import Authoritative
from testbed.core.canonical import SignatureFields, signature_labels, signed_data
from testbed.core.signer import KeySet, ZoneKey, ds_for, sign_zone
from testbed.core.zone import Zone
from testbed.world.epoch import EPOCH

ROOT_SERVER, PARENT_SERVER, ZONE_SERVER, CHILD_SERVER = (f"127.0.0.{number}" for number in range(1, 5))
DAY = 86400
BEGIN, END = EPOCH - DAY, EPOCH + 30 * DAY

Edit = Callable[[dns.message.Message], None]
"""A change to a response, whose RRsets are the zone's and are replaced, not changed."""


@dataclass(frozen=True)
class Setup:
    """How a zone is signed, and the parent that it has."""

    parent: str
    algorithm: int
    denial: dict[str, Any] = field(default_factory=dict)


SETUPS = (
    Setup("nsec", 13, {"denial": "nsec"}),
    Setup("nsec3", 15, {"denial": "nsec3", "iterations": 3, "salt": b"\x5a\x17"}),
    Setup("optout", 13, {"denial": "nsec3", "opt_out": True}),
)

CONTENT = f"""
@ 3600 SOA ns hostmaster 1 1800 900 604800 300
@ NS ns
ns A {ZONE_SERVER}
secret A 192.0.2.80
secret A 192.0.2.81
deep.er.name TXT "x"
*.wild A 192.0.2.82
alias CNAME secret
far CNAME secret.good-0.nsec.
insecure CNAME www.plain.good-0.nsec.
*.cwild CNAME secret
old DNAME new
x.new A 192.0.2.83
plain NS ns.plain
ns.plain A {CHILD_SERVER}
kid NS ns.kid
ns.kid A {CHILD_SERVER}
"""
CHILD = f"""
@ 3600 SOA ns hostmaster 1 1800 900 604800 300
@ NS ns
ns A {CHILD_SERVER}
www A 192.0.2.90
"""
QUESTIONS = (
    ("secret", "A"),
    ("secret", "MX"),
    ("nothing", "A"),
    ("a.b.nothing", "A"),
    ("er.name", "A"),
    ("x.wild", "A"),
    ("x.y.wild", "A"),
    ("x.wild", "MX"),
    ("alias", "A"),
    ("far", "A"),
    ("insecure", "A"),
    ("x.cwild", "A"),
    ("x.old", "A"),
    ("nothing.old", "A"),
    ("www.plain", "A"),
    ("plain", "DS"),
    ("www.kid", "A"),
    ("@", "SOA"),
    ("@", "DS"),
)
FEW_QUESTIONS = (("secret", "A"), ("nothing", "A"), ("x.wild", "A"), ("@", "DNSKEY"), ("@", "DS"))
"""Enough for what makes the whole zone secure, insecure or bogus."""


def key_set(origin: dns.name.Name, algorithm: int = 13) -> KeySet:
    return KeySet.derive(b"broken zones", origin, algorithm)


def signature(rrset: dns.rrset.RRset, key: ZoneKey, zone: dns.name.Name, **changes: Any) -> dns.rrset.RRset:
    """A signature with whatever fields are asked for, good as far as the cryptography goes."""
    fields = SignatureFields(
        rrset.rdtype,
        key.dnskey.algorithm,
        signature_labels(rrset.name),
        rrset.ttl,
        END,
        BEGIN,
        rdata.key_tag(key.dnskey),
        zone,
    )._replace(**changes)
    record = rdata.make(RdataType.RRSIG, *fields, key.sign(signed_data(rrset, fields)))
    return dns.rrset.from_rdata(rrset.name, rrset.ttl, record)


def replaced(rrset: dns.rrset.RRset, **fields: Any) -> dns.rrset.RRset:
    """The RRset with fields of every record changed, whatever they were."""
    return dns.rrset.from_rdata_list(rrset.name, rrset.ttl, [record.replace(**fields) for record in rrset])


CHILD_KEYS = key_set(dns.name.from_text("kid."))


class Broken:
    """A zone, its DS records and what is done to responses, while a breakage is at work on it."""

    def __init__(self, name: str, setup: Setup) -> None:
        self.label = name
        self.setup = setup
        self.parent = dns.name.from_text(setup.parent)
        self.origin = dns.name.from_text(name, self.parent)
        self.keys = key_set(self.origin, setup.algorithm)
        kid = self.name("kid")
        self.child_keys = KeySet(kid, CHILD_KEYS.ksk, CHILD_KEYS.zsk)
        plain = Zone.from_text(self.origin, CONTENT)
        self.plain = Zone(self.origin, [*plain, ds_for(kid, self.child_keys)])
        self.ds: dns.rrset.RRset | None = ds_for(self.origin, self.keys)
        self.ds_changes: Callable[[dns.rrset.RRset, dns.rrset.RRset], dns.rrset.RRset | None] | None = None
        self.edits: list[Callable[[dns.message.Message, Zone], None]] = []
        self.questions: tuple[tuple[str, str], ...] = QUESTIONS
        self.sign()

    def name(self, relative: str) -> dns.name.Name:
        return dns.name.from_text(relative, self.origin) if relative != "@" else self.origin

    def sign(self, **options: Any) -> None:
        """Sign the zone (again): what was done to its RRsets is lost."""
        options = {"inception": BEGIN, "expiration": END, **self.setup.denial, **options}
        self.rrsets: dict[tuple[dns.name.Name, int, int], dns.rrset.RRset] = {
            _key(rrset): rrset for rrset in sign_zone(self.plain, self.keys, **options)
        }

    def get(self, relative: str, rdtype: str) -> dns.rrset.RRset:
        return self.rrsets[self.name(relative), RdataType.make(rdtype), 0]

    def put(self, *rrsets: dns.rrset.RRset) -> None:
        for rrset in rrsets:
            self.rrsets[_key(rrset)] = rrset

    def put_keys(self, *dnskeys: Any, signer: ZoneKey | None = None) -> None:
        """Publish these keys instead, signed by one of them."""
        rrset = dns.rrset.from_rdata(self.origin, 3600, *dnskeys)
        self.put(rrset, signature(rrset, signer or self.keys.ksk, self.origin))

    def change_signature(
        self, rrset: dns.rrset.RRset, change: Callable[..., dns.rrset.RRset | None], key: ZoneKey
    ) -> None:
        """Put what a change makes of an RRset's signature in its place; None removes it."""
        at = (rrset.name, int(RdataType.RRSIG), int(rrset.rdtype))
        changed = change(rrset, self.rrsets[at], key, self.origin)
        if changed is None:
            del self.rrsets[at]
        else:
            changed.covers = rrset.rdtype  # where it goes, whatever it says
            self.rrsets[at] = changed

    def children(self) -> list[Zone]:
        """The delegated zones, where there are questions about them."""
        if not {"www.kid", "www.plain"} & {relative for relative, _ in self.questions}:
            return []
        kid = Zone.from_text(self.child_keys.zone, CHILD)
        signed = sign_zone(kid, self.child_keys, inception=BEGIN, expiration=END)
        return [signed, Zone.from_text(self.name("plain"), CHILD)]

    def zone(self) -> Zone:
        return Zone(self.origin, self.rrsets.values())

    def edit(self, change: Edit, *relative: str, rdtype: str | None = None, at_parent: bool = False) -> None:
        """Change the responses to questions for these names, all when there are none."""
        names = {self.name(each) for each in relative}
        origin = self.parent if at_parent else self.origin

        def changed(response: dns.message.Message, zone: Zone) -> None:
            question = response.question[0]
            asked = (not names or question.name in names) and rdtype in (None, question.rdtype.name)
            if asked and zone.origin == origin:
                change(response)

        self.edits.append(changed)


def _key(rrset: dns.rrset.RRset) -> tuple[dns.name.Name, int, int]:
    return rrset.name, int(rrset.rdtype), int(rrset.covers)


# -- the servers -----------------------------------------------------------------------------------


def servers(broken: Iterable[Broken]) -> dict[str, Authoritative]:
    """The authoritative servers of the whole tree, by address."""
    broken = list(broken)
    edits = {each.origin: each.edits for each in broken if each.edits}

    def extension(query: dns.message.Message, response: dns.message.Message, zone: Zone) -> None:
        name = response.question[0].name
        if len(name) >= 3:
            for edit in edits.get(name.split(3)[1], ()):
                edit(response, zone)

    parents = [_parent(setup, [each for each in broken if each.setup is setup]) for setup in SETUPS]
    children = [child for each in broken for child in each.children()]
    held = {
        ROOT_SERVER: [_root()],
        PARENT_SERVER: parents,
        ZONE_SERVER: [each.zone() for each in broken],
        CHILD_SERVER: children,
    }
    return {address: Authoritative(zones, extensions=[extension]) for address, zones in held.items()}


def trust_anchor() -> dns.rrset.RRset:
    return ds_for(dns.name.root, key_set(dns.name.root))


def _signed(plain: Zone, setup: Setup) -> Zone:
    return sign_zone(
        plain, key_set(plain.origin, setup.algorithm), inception=BEGIN, expiration=END, **setup.denial
    )


def _root() -> Zone:
    lines = [f"@ 3600 SOA ns hostmaster 1 1800 900 604800 300\n@ NS ns\nns A {ROOT_SERVER}"]
    lines += [f"{each.parent} NS ns.{each.parent}\nns.{each.parent} A {PARENT_SERVER}" for each in SETUPS]
    plain = Zone.from_text(dns.name.root, "\n".join(lines))
    origins = [(dns.name.from_text(each.parent), each.algorithm) for each in SETUPS]
    ds = [ds_for(origin, key_set(origin, algorithm)) for origin, algorithm in origins]
    return _signed(Zone(dns.name.root, [*plain, *ds]), Setup("", 13, {"denial": "nsec"}))


def _parent(setup: Setup, broken: list[Broken]) -> Zone:
    origin = dns.name.from_text(setup.parent)
    lines = [f"@ 3600 SOA ns hostmaster 1 1800 900 604800 300\n@ NS ns\nns A {PARENT_SERVER}"]
    lines += [f"{each.origin} NS ns.{each.origin}\nns.{each.origin} A {ZONE_SERVER}" for each in broken]
    plain = Zone.from_text(origin, "\n".join(lines))
    signed = _signed(Zone(origin, [*plain, *(each.ds for each in broken if each.ds)]), setup)
    rrsets = {_key(rrset): rrset for rrset in signed}
    zsk = key_set(origin, setup.algorithm).zsk
    for each in broken:
        if each.ds_changes is not None and each.ds is not None:
            at = (each.origin, int(RdataType.RRSIG), int(RdataType.DS))
            changed = each.ds_changes(each.ds, rrsets[at], zsk, origin)
            if changed is None:
                del rrsets[at]
            else:
                changed.covers = RdataType.DS
                rrsets[at] = changed
    return Zone(origin, rrsets.values())
