"""DELEG records: byte for byte as the draft has them, and robust against whatever RDATA may hold."""

from __future__ import annotations

import dns.message
import dns.name
import dns.rdata
import dns.rdatatype
import dns.rrset
import pytest
from dns.rdtypes.ANY.TLSA import TLSA
from example_zones import name
from hypothesis import given
from hypothesis import strategies as st

from testbed.core.deleg import (
    BASE,
    DELEG,
    DELEGPARAM,
    KNOWN,
    Key,
    Record,
    UnusableError,
    encode,
    in_brief,
    parse,
    read,
)
from testbed.core.transport import Transport

ZONE = name("example.")
PIN = dns.rdata.from_text("IN", "TLSA", "3 1 1 " + "ab" * 32)

VECTORS = {
    "0000 0002 0001 0001 0008 c0000201 c0000202": Record(
        mandatory=(Key.SERVER_IPV4,), addresses=("192.0.2.1", "192.0.2.2")
    ),
    "0002 0020 20010db8000000000000000000000001 20010db8000000000000000000530001": Record(
        addresses=("2001:db8::1", "2001:db8::53:1")
    ),
    "0003 0022 034e5332074558414d504c45034e455400 036e7333076578616d706c65036f726700": Record(
        names=(name("NS2.EXAMPLE.NET."), name("ns3.example.org."))
    ),
    "0004 0013 05706172616d076578616d706c65036e657400": Record(includes=(name("param.example.net."),)),
}
"""Those of draft-ietf-deleg appendix B."""

OURS = {
    "0000 0002 ff00 0003 0011 036e7331076578616d706c65036e657400 ff00 0004 03646f74": Record(
        names=(name("ns1.example.net."),), alpn=("dot",), mandatory=(Key.ALPN,)
    ),
    f"0001 0004 c0000201 ff00 0004 03646f71 ff01 0025 0023 030101{'ab' * 32}": Record(
        addresses=("192.0.2.1",), alpn=("doq",), tlsa=(PIN,)
    ),
}
"""The keys of transports, in the form of RFC 9460 section 7.1.1 and with lengths before TLSA RDATA."""


@pytest.mark.parametrize(("wire", "record"), [*VECTORS.items(), *OURS.items()])
def test_vectors(wire, record):
    octets = bytes.fromhex(wire)
    assert encode(record) == octets
    assert read(octets, ZONE) == record
    assert [each.labels for each in read(octets, ZONE).names] == [each.labels for each in record.names]


@pytest.mark.parametrize("rdtype", [DELEG, DELEGPARAM])
def test_rdata_survives_a_message_without_compression(rdtype):
    rdata = Record(names=(name("ns1.example.net."),)).rdata(rdtype)
    message = dns.message.Message()
    message.authority.append(dns.rrset.from_rdata(name("example.net."), 60, rdata))
    again = dns.message.from_wire(message.to_wire())
    assert again.authority[0].rdtype == rdtype == {DELEG: 61440, DELEGPARAM: 65432}[rdtype]
    assert again.authority[0][0].to_wire() == rdata.to_wire()


MALFORMED = {
    "nothing": "",
    "a key cut short": "0001 00",
    "a value cut short": "0001 0008 c0000201",
    "keys out of order": "0002 0010 20010db8000000000000000000000001 0001 0004 c0000201",
    "a key twice": "0001 0004 c0000201 0001 0004 c0000202",
    "no value": "0001 0000",
    "half an address": "0001 0006 c0000201 c000",
    "an empty list of names": "0003 0000",
    "a name cut short": "0003 0004 036e7331",
    "a compressed name": "0003 0002 c000",
    "an extended label type": "0003 0003 4161 00",
    "mandatory out of order": f"0000 0004 0002 0001 0001 0004 c0000201 0002 0010 20010db8 {'00' * 12}",
    "mandatory twice the same": "0000 0004 0001 0001 0001 0004 c0000201",
    "mandatory names itself": "0000 0002 0000 0001 0004 c0000201",
    "half a mandatory key": "0000 0003 000100 0001 0004 c0000201",
    "an empty ALPN identifier": "0001 0004 c0000201 ff00 0001 00",
    "an ALPN identifier cut short": "0001 0004 c0000201 ff00 0003 03646f",
    "half a TLSA record": "0001 0004 c0000201 ff01 0004 0002 0301",
    "a path that is not UTF-8": "0001 0004 c0000201 ff02 0001 ff",
}

UNUSABLE = {
    "an unknown key only": "fde8 0001 00",
    "a mandatory key that is missing": "0000 0002 0002 0001 0004 c0000201",
    "a mandatory key that is unknown": "0000 0002 fde8 0001 0004 c0000201 fde8 0001 00",
    "no server": "ff00 0004 03646f74",
    "addresses and a name": "0001 0004 c0000201 0003 0005 036e733100",
    "a name and an inclusion": "0003 0005 036e733100 0004 0005 036e733200",
    "addresses and an inclusion": "0002 0010 20010db8000000000000000000000001 0004 0005 036e733200",
    "the zone's own name": "0003 0009 076578616d706c6500",
    "a name inside the zone": "0003 000d 036e7331076578616d706c6500",
    "one inside the zone among others": "0003 0012 036e733100 036e7331074558414d504c4500",
    "an inclusion inside the zone": "0004 000d 036e7331076578616d706c6500",
}


@pytest.mark.parametrize("wire", [*MALFORMED.values(), *UNUSABLE.values()], ids=[*MALFORMED, *UNUSABLE])
def test_records_that_must_be_skipped(wire):
    with pytest.raises(UnusableError):
        read(bytes.fromhex(wire), ZONE)


def test_ipv4_and_ipv6_may_come_together_and_several_records_in_any_mix():
    both = Record(addresses=("192.0.2.1", "2001:db8::1"))
    assert read(encode(both), ZONE) == both


def test_what_is_not_known_is_left_out():
    record = Record(names=(name("ns1.example.net."),), alpn=("dot",))
    assert read(encode(record), ZONE, BASE) == Record(names=record.names)
    assert read(encode(record) + bytes.fromhex("fffe 0001 00"), ZONE) == record


def test_unless_it_is_mandatory():
    record = Record(names=(name("ns1.example.net."),), alpn=("dot",), mandatory=(Key.ALPN,))
    assert read(encode(record), ZONE) == record
    with pytest.raises(UnusableError, match="mandatory"):
        read(encode(record), ZONE, BASE)


def test_keys_that_are_not_known_may_hold_anything():
    octets = encode(Record(addresses=("192.0.2.1",))) + bytes.fromhex("ff00 0002 ffff")
    with pytest.raises(UnusableError):
        read(octets, ZONE)
    assert read(octets, ZONE, BASE).addresses == ("192.0.2.1",)


@pytest.mark.parametrize(
    ("alpn", "dohpath", "transports"),
    [
        (("dot",), "", (Transport.DOT,)),
        (("doq", "dot"), "", (Transport.DOQ, Transport.DOT)),
        (("h2",), "", ()),
        (("h2",), "/dns-query{?dns}", (Transport.DOH,)),
        (("carrier-pigeon", "dot"), "", (Transport.DOT,)),
        ((), "", ()),
    ],
)
def test_transports(alpn, dohpath, transports):
    record = Record(names=(name("ns."),), alpn=alpn, dohpath=dohpath)
    assert record.transports == tuple((item, item.port) for item in transports)


def test_presentation_names_of_keys():
    assert [key.label for key in sorted(BASE)] == [
        "mandatory",
        "server-ipv4",
        "server-ipv6",
        "server-name",
        "include-delegparam",
    ]


@pytest.mark.parametrize(
    ("wire", "text"),
    [
        *zip(
            VECTORS,
            [
                "mandatory=server-ipv4 server-ipv4=192.0.2.1,192.0.2.2",
                "server-ipv6=2001:db8::1,2001:db8::53:1",
                "server-name=NS2.EXAMPLE.NET.,ns3.example.org.",
                "include-delegparam=param.example.net.",
            ],
            strict=True,
        ),
        *zip(
            OURS,
            [
                "mandatory=alpn server-name=ns1.example.net. alpn=dot",
                "server-ipv4=192.0.2.1 alpn=doq tlsa=3 1 1 " + "ab" * 9,
            ],
            strict=True,
        ),
        ("fde8 0002 0102", "key65000=0102"),
        ("", ""),
        ("0001 00", "(RDATA ends within a key)"),
    ],
)
def test_in_brief(wire, text):
    assert in_brief(bytes.fromhex(wire)) == text


NAMES = st.lists(st.binary(min_size=1, max_size=20), min_size=1, max_size=4).map(
    lambda labels: dns.name.Name([*labels, b"test", b""])
)
PINS = st.binary(min_size=1, max_size=64).map(
    lambda data: TLSA(dns.rdataclass.IN, dns.rdatatype.TLSA, 3, 1, 0, data)
)
SERVERS = st.one_of(
    st.tuples(st.lists(st.ip_addresses(v=4), max_size=3), st.lists(st.ip_addresses(v=6), max_size=3))
    .map(lambda both: tuple(map(str, (*both[0], *both[1]))))
    .filter(bool)
    .map(lambda addresses: Record(addresses=addresses)),
    st.lists(NAMES, min_size=1, max_size=4).map(lambda names: Record(names=tuple(names))),
    st.lists(NAMES, min_size=1, max_size=4).map(lambda names: Record(includes=tuple(names))),
)


@given(
    SERVERS, st.lists(st.text("abcz09-.", min_size=1, max_size=30), max_size=4), st.lists(PINS, max_size=3)
)
def test_round_trip(servers, alpn, tlsa):
    record = Record(servers.addresses, servers.names, servers.includes, tuple(alpn), tuple(tlsa))
    octets = encode(record)
    assert read(octets, ZONE) == record
    assert list(parse(octets)) == sorted(parse(octets))


@given(st.binary(max_size=80), st.sampled_from([BASE, KNOWN]))
def test_garbage_is_skipped(octets, known):
    assert isinstance(in_brief(octets), str)
    try:
        read(octets, ZONE, known)
    except UnusableError:
        return


@given(st.data())
def test_damaged_records_are_read_or_skipped(data):
    record = data.draw(st.sampled_from([*VECTORS.values(), *OURS.values()]))
    wire = bytearray(encode(record))
    for _ in range(data.draw(st.integers(1, 4))):
        wire[data.draw(st.integers(0, len(wire) - 1))] = data.draw(st.integers(0, 255))
    del wire[data.draw(st.integers(0, len(wire))) :]
    assert isinstance(in_brief(bytes(wire)), str)
    try:
        again = read(bytes(wire), ZONE)
    except UnusableError:
        return
    assert isinstance(again, Record)
