"""DS Glue: byte for byte as the draft has it, and robust against whatever a DS record may hold."""

from __future__ import annotations

import base64

import dns.name
import dns.rdata
import dns.rdatatype
import pytest
from hypothesis import given
from hypothesis import strategies as st

from testbed.signals.ds_glue import DSGLUE, VERBATIM, Carried, decode, encode

CHILD = dns.name.from_text("example.com.")
NUMBER = 225


def carried(owner, rdtype, ttl, *rdatas):
    kind = dns.rdatatype.from_text(rdtype)
    parsed = tuple(dns.rdata.from_text("IN", kind, text) for text in rdatas)
    return Carried(dns.name.from_text(owner), kind, ttl, parsed)


VECTORS = [
    (
        carried("example.com.", "NS", 3600, "ns1.example.com.", "ns2.example.com.", "NS.OTHER.EXAMPLE."),
        53005,
        "cf0de1e100000103e1000200000e100012026e73056f74686572076578616d706c65000011036e7331076578616d"
        "706c6503636f6d000011036e7332076578616d706c6503636f6d00",
    ),
    (
        carried("_dns.ns1.example.com.", "SVCB", 3600, "1 ns1.example.com. alpn=dot"),
        13005,
        "32cde1e1045f646e73036e733100000103e1004000000e10001b0001036e7331076578616d706c6503636f6d0000"
        "01000403646f74",
    ),
    (
        carried("ns1.example.com.", "A", 600, "192.0.2.1"),
        51264,
        "c840e1e1036e733100000103e10001000002580004c0000201",
    ),
    (carried("ns1.example.com.", "A", 7200), 8195, "2003e1e1036e733100000103e1000100001c20"),
    (
        carried("_853._tcp.ns1.example.com.", "TLSA", 7200),
        8246,
        "2036e1e1045f383533045f746370036e733100000103e1003400001c20",
    ),
]


@pytest.mark.parametrize(("what", "tag", "expected"), VECTORS)
def test_encodes_the_vectors(what, tag, expected):
    ds = encode(what, CHILD, NUMBER, NUMBER)
    assert ds.key_tag == tag
    assert ds.to_wire().hex() == expected


@pytest.mark.parametrize(("what", "tag", "expected"), VECTORS)
def test_decodes_the_vectors(what, tag, expected):
    wire = bytes.fromhex(expected)
    ds = dns.rdata.from_wire("IN", "DS", wire, 0, len(wire))
    found = decode(ds, CHILD, NUMBER, NUMBER)
    assert found.owner == what.owner
    assert found.rdtype == what.rdtype
    assert found.ttl == what.ttl
    assert {r.to_digestable() for r in found.rdatas} == {r.to_digestable() for r in what.rdatas}


def test_the_virtual_key_of_the_draft():
    ds = encode(VECTORS[0][0], CHILD, NUMBER, NUMBER)
    key = base64.b64decode(
        "AAIAAA4QABICbnMFb3RoZXIHZXhhbXBsZQAAEQNuczEHZXhhbXBsZQNjb20AABEDbnMyB2V4YW1wbGUDY29tAA=="
    )
    assert ds.digest.endswith(key)


def test_ordinary_ds_records_carry_nothing():
    ds = dns.rdata.from_text("IN", "DS", "1 13 2 " + "00" * 32)
    assert decode(ds, CHILD) is None


def test_types_that_are_not_allowed_are_ignored():
    ds = encode(carried("example.com.", "MX", 300, "10 mail.example.com."), CHILD)
    assert decode(ds, CHILD) is None


def test_a_key_that_signs_zones_is_no_glue():
    wire = bytearray(encode(VECTORS[2][0], CHILD).to_wire())
    wire[4 + 5] = 0x01  # the ZONE flag
    ds = dns.rdata.from_wire("IN", "DS", bytes(wire), 0, len(wire))
    assert decode(ds, CHILD) is None


@given(st.binary(max_size=80))
def test_garbage_is_ignored(digest):
    found = decode(_ds(digest), CHILD)
    assert found is None or isinstance(found, Carried)


@given(st.data())
def test_mutated_glue_never_raises(data):
    wire = bytearray(encode(VECTORS[0][0], CHILD).to_wire())
    for _ in range(data.draw(st.integers(1, 4))):
        wire[data.draw(st.integers(4, len(wire) - 1))] = data.draw(st.integers(0, 255))
    cut = data.draw(st.integers(4, len(wire)))
    decode(_ds(bytes(wire[4:cut])), CHILD)


def _ds(digest):
    wire = bytes([0, 1, DSGLUE, VERBATIM]) + digest
    return dns.rdata.from_wire("IN", "DS", wire, 0, len(wire))


@given(
    st.integers(0, 2**31 - 1),
    st.lists(st.ip_addresses(v=4).map(str), max_size=5, unique=True),
    st.lists(st.from_regex(r"\A[a-z]{1,10}\Z"), max_size=3),
)
def test_round_trip(ttl, addresses, labels):
    owner = ".".join([*labels, "example.com."])
    what = carried(owner, "A", ttl, *addresses)
    found = decode(encode(what, CHILD), CHILD)
    assert found.owner == what.owner
    assert found.ttl == ttl
    assert sorted(r.address for r in found.rdatas) == sorted(addresses)
