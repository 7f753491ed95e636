"""Records taken out of messages on the wire: the same as what comes of taking the message apart."""

from __future__ import annotations

import contextlib

import dns.message
import dns.name
import dns.rdatatype
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from worlds import world

from testbed.core import message
from testbed.core.message import encode
from testbed.core.stripping import UnfitError, strip
from testbed.core.transport import Transport

OF = world(signal=("ds-glue", "svcb-glue"), secure=("target",))
QUESTIONS = [
    ("target-parent", "secret.example.org.", "A"),
    ("ns-parent", "ns1.dnshost.net.", "A"),
    ("ns-parent", "dnshost.net.", "DS"),
    ("ns-zone", "ns1.dnshost.net.", "AAAA"),
    ("ns-zone", "nothing.dnshost.net.", "TXT"),
    ("target", "example.org.", "MX"),
    ("target", "example.org.", "SOA"),
    ("root", ".", "NS"),
]
KINDS = ("DS", "RRSIG", "NS", "A", "AAAA", "SOA", "NSEC", "SVCB", "MX", "OPT")


def answer(role, name, rdtype):
    query = message.query(dns.name.from_text(name), dns.rdatatype.from_text(rdtype), id=7)
    (wire,) = OF.authoritative(role).respond_wire(encode(query), Transport.TCP)
    return wire


ANSWERS = [answer(*question) for question in QUESTIONS]


def taken_apart(wire, rdtype):
    """The slow way."""
    parsed = dns.message.from_wire(wire)
    before = [len(section) for section in parsed.sections]
    for section in parsed.sections[1:]:
        section[:] = [rrset for rrset in section if rrset.rdtype != rdtype]
    return parsed if [len(section) for section in parsed.sections] != before else None


@pytest.mark.parametrize("kind", KINDS[:-1])
@pytest.mark.parametrize("number", range(len(QUESTIONS)))
def test_the_same_as_the_slow_way(number, kind):
    wire, rdtype = ANSWERS[number], dns.rdatatype.from_text(kind)
    made = strip(wire, lambda record: record.rdtype == rdtype)
    expected = taken_apart(wire, rdtype)
    if expected is None:
        assert made is None
        return
    parsed = dns.message.from_wire(made)
    assert parsed == expected
    assert (parsed.flags, parsed.ednsflags, parsed.payload) == (
        expected.flags,
        expected.ednsflags,
        expected.payload,
    )
    for section in (1, 2, 3):
        assert {str(one) for one in parsed.sections[section]} == {
            str(one) for one in expected.sections[section]
        }
    assert len(made) < len(wire)


def test_owners_and_signed_types_are_told():
    seen = []
    strip(ANSWERS[0], lambda record: bool(seen.append(record)))
    assert {str(record.owner) for record in seen} >= {"example.org.", "."}
    assert {record.covers for record in seen if record.rdtype == dns.rdatatype.RRSIG}


@given(st.sampled_from(ANSWERS), st.data())
@settings(max_examples=300, deadline=None)
def test_whatever_comes_is_refused_or_stripped(wire, data):
    mutated = bytearray(wire[: data.draw(st.integers(0, len(wire)))])
    for _ in range(data.draw(st.integers(0, 4))):
        if mutated:
            mutated[data.draw(st.integers(0, len(mutated) - 1))] = data.draw(st.integers(0, 255))
    with contextlib.suppress(UnfitError):
        strip(bytes(mutated), lambda record: record.rdtype == dns.rdatatype.NS)


@pytest.mark.parametrize(
    "wire",
    [
        b"",
        bytes(11),
        bytes(4) + b"\0\1" + bytes(6) + b"\xc0\x0c\0\1\0\1",
        bytes(6) + b"\0\1" + bytes(4) + b"\0\0\x21\0\1\0\0\0\0\0\7\0\0\0\0\0\0\0",
    ],
)
def test_what_is_refused(wire):
    with pytest.raises(UnfitError):
        strip(wire, lambda record: False)
