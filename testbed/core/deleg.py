"""DELEG and DELEGPARAM records: their RDATA, and what one record says to a resolver (draft-ietf-deleg).

RDATA is a sequence of DelegInfos, KEY(16) LENGTH(16) VALUE, in the order of their keys, none twice (section
3.2, after RFC 9460 section 2.2). Transports are no part of that draft: ``alpn``, ``tlsa`` and ``dohpath`` are
those of draft-wesplaap-deleg-transport, under numbers for private use.
"""

from __future__ import annotations

import ipaddress
import struct
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from enum import IntEnum
from typing import Any

import dns.exception
import dns.name
import dns.rdata
import dns.rdataclass
from dns.rdatatype import RdataType
from dns.rdtypes.ANY.TLSA import TLSA

from testbed.core.dohpath import usable
from testbed.core.transport import Transport

DELEG = RdataType.make(61440)
"""The type that draft-ietf-deleg asks for, the first of the Delegation Types."""

DELEGPARAM = RdataType.make(65432)
"""None was assigned; this number is for private use (RFC 6895 section 3.1)."""

DELEGATION_TYPES = frozenset(RdataType.make(value) for value in range(0xF000, 0xF200))
"""Types that are the parent's at a zone cut, and make one (draft-ietf-dnsop-delext section 3)."""

DE_FLAG = 0x2000
"""The EDNS flag of those who understand Delegation Types (draft-ietf-dnsop-delext section 5.1)."""

NEW_DELEGATION_ONLY = 34
"""Extended DNS error (draft-ietf-deleg section 5.2.2.1)."""


class Key(IntEnum):
    """DelegInfoKeys. Those of transports are numbers for private use."""

    MANDATORY = 0
    SERVER_IPV4 = 1
    SERVER_IPV6 = 2
    SERVER_NAME = 3
    INCLUDE_DELEGPARAM = 4
    ALPN = 65280
    TLSA = 65281
    DOHPATH = 65282

    @property
    def label(self) -> str:
        """The name in presentation format."""
        return self.name.lower().replace("_", "-")


BASE = frozenset(key for key in Key if key < Key.ALPN)
"""The keys of draft-ietf-deleg, which knows Do53 only."""

KNOWN = frozenset(Key)
"""These and the keys of transports."""

_HEAD = struct.Struct("!HH")
_LENGTH = struct.Struct("!H")
_BY_ALPN = {transport.alpn: transport for transport in Transport if transport.alpn}


class UnusableError(ValueError):
    """A record that a resolver must skip; the message says why."""


@dataclass(frozen=True, slots=True)
class Record:
    """The content of a record. ``addresses`` are texts, those of IPv4 before those of IPv6."""

    addresses: tuple[str, ...] = ()
    names: tuple[dns.name.Name, ...] = ()
    includes: tuple[dns.name.Name, ...] = ()
    alpn: tuple[str, ...] = ()
    tlsa: tuple[TLSA, ...] = ()
    dohpath: str = ""
    mandatory: tuple[int, ...] = ()

    @property
    def transports(self) -> tuple[tuple[Transport, int], ...]:
        """What ``alpn`` offers that there is a transport for, with its default port; DoH needs a path."""
        named = [_BY_ALPN[identifier] for identifier in self.alpn if identifier in _BY_ALPN]
        return tuple((item, item.port) for item in named if not item.http or usable(self.dohpath))

    def rdata(self, rdtype: RdataType = DELEG) -> dns.rdata.Rdata:
        """The record as RDATA of either type."""
        return dns.rdata.GenericRdata(dns.rdataclass.IN, rdtype, encode(self))


def encode(record: Record) -> bytes:
    """RDATA in wire form; keys without a value are left out."""
    families: dict[int, bytes] = {4: b"", 6: b""}
    for text in record.addresses:
        address = ipaddress.ip_address(text)
        families[address.version] += address.packed
    values = {
        Key.MANDATORY: b"".join(map(_LENGTH.pack, sorted(record.mandatory))),
        Key.SERVER_IPV4: families[4],
        Key.SERVER_IPV6: families[6],
        Key.SERVER_NAME: b"".join(name.to_wire() or b"" for name in record.names),
        Key.INCLUDE_DELEGPARAM: b"".join(name.to_wire() or b"" for name in record.includes),
        Key.ALPN: b"".join(bytes((len(item),)) + item.encode() for item in record.alpn),
        Key.TLSA: b"".join(_LENGTH.pack(len(wire)) + wire for wire in map(_tlsa_wire, record.tlsa)),
        Key.DOHPATH: record.dohpath.encode(),
    }
    return b"".join(_HEAD.pack(key, len(value)) + value for key, value in values.items() if value)


def parse(octets: bytes) -> dict[int, bytes]:
    """The values of all keys, whatever they mean. Raises UnusableError when the RDATA is malformed."""
    found: dict[int, bytes] = {}
    offset, last = 0, -1
    while offset < len(octets):
        if len(octets) - offset < _HEAD.size:
            raise UnusableError("RDATA ends within a key")
        key, length = _HEAD.unpack_from(octets, offset)
        offset += _HEAD.size
        if key <= last:
            raise UnusableError(f"key {key} after key {last}")
        if length > len(octets) - offset:
            raise UnusableError(f"RDATA ends within the value of key {key}")
        found[key] = octets[offset : offset + length]
        offset, last = offset + length, key
    return found


def read(octets: bytes, zone: dns.name.Name, known: Iterable[int] = KNOWN) -> Record:
    """What RDATA says to a resolver that knows these keys (draft-ietf-deleg section 5.1.2, steps 1 to 4).

    ``zone`` is the delegated one, also for what was included. Raises UnusableError for a record that is to be
    skipped.
    """
    values = {Key(key): value for key, value in parse(octets).items() if key in known}
    if not values:
        raise UnusableError("no key that is known")
    fields: dict[str, Any] = {}
    for key, value in values.items():
        if not value:
            raise UnusableError(f"{key.label} has no value")
        field, decode = _DECODERS[key]
        decoded = decode(value)
        fields[field] = fields[field] + decoded if field in fields else decoded
    record = Record(**fields)
    lacking = [key for key in record.mandatory if key not in values]
    if lacking:
        raise UnusableError(f"mandatory key {lacking[0]} is not there or not known")
    kinds = [kind for kind in (record.addresses, record.names, record.includes) if kind]
    if len(kinds) != 1:
        raise UnusableError("names no server" if not kinds else "more than one kind of server information")
    for name in (*record.names, *record.includes):
        if name.is_subdomain(zone):
            raise UnusableError(f"{name} is inside the delegated zone")
    return record


def in_brief(octets: bytes) -> str:
    """RDATA in presentation format, but for the ends of what is long; for people, whatever the octets are."""
    try:
        return " ".join(f"{_label(key)}={_value(key, value)}" for key, value in parse(octets).items())
    except UnusableError as error:
        return f"({error})"


def _label(key: int) -> str:
    return Key(key).label if key in KNOWN else f"key{key}"


def _value(key: int, value: bytes) -> str:
    if key not in KNOWN:
        return value[:8].hex()
    if key == Key.MANDATORY:
        return ",".join(map(_label, _decode_keys(value)))
    if key == Key.DOHPATH:
        return _decode_dohpath(value)
    parts = _DECODERS[Key(key)][1](value)
    return ",".join(str(part)[:24] if key == Key.TLSA else str(part) for part in parts)


def _decode_keys(value: bytes) -> tuple[int, ...]:
    if len(value) % _LENGTH.size:
        raise UnusableError("mandatory is cut short")
    keys = [key for (key,) in _LENGTH.iter_unpack(value)]
    if keys != sorted(set(keys)) or Key.MANDATORY in keys:
        raise UnusableError("mandatory is out of order")
    return tuple(keys)


def _decode_addresses(size: int) -> Callable[[bytes], tuple[str, ...]]:
    def decode(value: bytes) -> tuple[str, ...]:
        if len(value) % size:
            raise UnusableError("an address is cut short")
        parts = (value[offset : offset + size] for offset in range(0, len(value), size))
        return tuple(str(ipaddress.ip_address(part)) for part in parts)

    return decode


def _decode_names(value: bytes) -> tuple[dns.name.Name, ...]:
    names: list[dns.name.Name] = []
    labels: list[bytes] = []
    for label in _prefixed(value, 1):
        if len(label) > 63:
            raise UnusableError("a name is compressed")
        labels.append(label)
        if not label:
            names.append(_name(labels))
            labels = []
    if labels:
        raise UnusableError("a name is cut short")
    return tuple(names)


def _name(labels: list[bytes]) -> dns.name.Name:
    try:
        return dns.name.Name(labels)
    except dns.exception.DNSException as error:
        raise UnusableError(f"not a name: {error}") from error


def _decode_alpn(value: bytes) -> tuple[str, ...]:
    identifiers = tuple(_prefixed(value, 1))
    if not all(identifiers):
        raise UnusableError("an ALPN identifier is empty")
    return tuple(identifier.decode("latin-1") for identifier in identifiers)


def _decode_tlsa(value: bytes) -> tuple[TLSA, ...]:
    records = []
    for wire in _prefixed(value, 2):
        try:
            rdata = dns.rdata.from_wire(dns.rdataclass.IN, RdataType.TLSA, wire, 0, len(wire))
        except dns.exception.DNSException as error:
            raise UnusableError(f"not a TLSA record: {error}") from error
        assert isinstance(rdata, TLSA)
        records.append(rdata)
    return tuple(records)


def _tlsa_wire(record: TLSA) -> bytes:
    return record.to_wire() or b""


def _decode_dohpath(value: bytes) -> str:
    try:
        return value.decode()
    except UnicodeDecodeError as error:
        raise UnusableError("dohpath is not UTF-8") from error


def _prefixed(value: bytes, size: int) -> Iterable[bytes]:
    """The parts of a value, each with its length before it in so many octets."""
    offset = 0
    while offset < len(value):
        start = offset + size
        end = start + int.from_bytes(value[offset:start], "big")
        if end > len(value) or start > len(value):
            raise UnusableError("a value is cut short")
        yield value[start:end]
        offset = end


_DECODERS: dict[Key, tuple[str, Callable[[bytes], Any]]] = {
    Key.MANDATORY: ("mandatory", _decode_keys),
    Key.SERVER_IPV4: ("addresses", _decode_addresses(4)),
    Key.SERVER_IPV6: ("addresses", _decode_addresses(16)),
    Key.SERVER_NAME: ("names", _decode_names),
    Key.INCLUDE_DELEGPARAM: ("includes", _decode_names),
    Key.ALPN: ("alpn", _decode_alpn),
    Key.TLSA: ("tlsa", _decode_tlsa),
    Key.DOHPATH: ("dohpath", _decode_dohpath),
}
