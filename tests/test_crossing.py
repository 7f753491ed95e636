"""What compares the two sides of a hop finds every fault that is planted between them."""

from __future__ import annotations

import pytest
from crossing import altered, by_port, framed, invalid, octets, read, unequal
from packets import MACS
from scapy.layers.inet import ICMP, IP, TCP, UDP, fragment
from scapy.layers.inet6 import IPv6, IPv6ExtHdrFragment
from scapy.layers.l2 import Ether
from scapy.packet import Raw

from testbed.evidence import Frame

RESOLVER, SERVER = {4: "192.0.2.53", 6: "2001:db8::53"}, {4: "198.51.100.4", 6: "2001:db8:51::4"}
PORT = 10_000


def ip(version, up=True):
    source, target = (RESOLVER, SERVER) if up else (SERVER, RESOLVER)
    kind = IP if version == 4 else IPv6
    return kind(src=source[version], dst=target[version])


def datagram(version, data=b"a query", service=5353):
    return ip(version) / UDP(sport=PORT, dport=service) / Raw(data)


def segments(version, *parts):
    yield ip(version) / TCP(sport=PORT, dport=8080, flags="S", seq=2**32 - 3)
    sequence = 2**32 - 2
    for part in parts:
        yield ip(version) / TCP(sport=PORT, dport=8080, flags="A", seq=sequence % 2**32) / Raw(part)
        sequence += len(part)
    yield ip(version) / TCP(sport=PORT, dport=8080, flags="FA", seq=sequence % 2**32)


def frames(packets, side, outgoing, hops=0):
    made = []
    for number, packet in enumerate(packets, start=1):
        one = packet.copy()
        one["IP" if IP in one else "IPv6"].setfieldval("ttl" if IP in one else "hlim", 64 - hops)
        made.append(Frame(number, number / 10, side, outgoing, 0, bytes(Ether(**MACS) / one)))
    return made


def crossed(came, went=None):
    """Packets on both sides of a hop that forwards them, or makes others of them."""
    sent = frames(came, "resolver", False) + frames(came if went is None else went, "far", True, hops=1)
    return [read(frame) for frame in sent]


THREE = [datagram(4, b"one"), datagram(6, b"two"), datagram(4, b"three")]


def test_what_is_forwarded_as_it_was_is_right():
    fragments = fragment(datagram(4, bytes(3000)), 1480)
    packets = crossed([*THREE, *fragments, *segments(6, b"ab", b"c"), ip(4) / ICMP() / Raw(b"ping")])
    assert not list(invalid(packets))
    assert not list(altered(packets, ()))
    for flow in by_port(packets).values():
        assert not list(unequal([packet for packet in flow if packet.protocol == 17]))
        assert not list(unequal([packet for packet in flow if packet.protocol == 6]))


@pytest.mark.parametrize(
    "went",
    [
        THREE[:2],
        [*THREE, THREE[2]],
        [THREE[2], THREE[1], THREE[0]],
        [*THREE[:2], datagram(4, b"thref")],
        [*THREE[:2], IP(src=RESOLVER[4], dst=SERVER[4], id=7) / UDP(sport=PORT, dport=5353) / Raw(b"three")],
        [*THREE, datagram(4, b"made up")],
    ],
    ids=["lost", "doubled", "in another order", "changed", "of another identification", "made up"],
)
def test_what_is_not(went):
    assert list(altered(crossed(THREE, went), ()))
    assert not list(altered(crossed(THREE, went), (5353,)))


@pytest.mark.parametrize(
    "went", [THREE[:1], [*THREE, THREE[0]], THREE[::-1], [datagram(4, b"on"), *THREE[1:]]]
)
def test_datagrams_that_do_not_arrive_as_they_were(went):
    assert not list(unequal(crossed(THREE)))
    assert list(unequal(crossed(THREE, went)))


def test_streams_may_be_cut_otherwise_but_not_be_others():
    came = list(segments(4, b"some", b"thing"))
    again = [came[0], came[2], came[1], came[1], came[-1]]
    assert not list(unequal(crossed(came, segments(4, b"so", b"methi", b"ng"))))
    assert not list(unequal(crossed(came, again)))
    assert list(unequal(crossed(came, segments(4, b"some", b"thinG"))))
    assert list(unequal(crossed(came, segments(4, b"some"))))
    assert list(unequal(crossed(came, came[:-1])))


@pytest.mark.parametrize("version", [4, 6])
@pytest.mark.parametrize("layer", ["IP", "UDP", "TCP", "payload"])
def test_wrong_checksums_are_found(version, layer):
    one = (list(segments(version, b"text"))[1] if layer == "TCP" else datagram(version)).copy()
    octets = bytearray(bytes(Ether(**MACS) / one))
    places = {"IP": 22, "UDP": len(octets) - len(b"a query") - 4, "TCP": len(octets) - 10, "payload": -1}
    octets[places[layer]] ^= 1
    assert list(invalid([read(Frame(1, 0.0, "far", True, 0, bytes(octets)))]))


def test_fragments_of_ipv6_keep_their_identification_unless_a_hop_reassembles():
    def part(number):
        return ip(6) / IPv6ExtHdrFragment(nh=17, id=number, offset=1) / Raw(bytes(64))

    packets = crossed([part(1)], [part(2)])
    assert list(altered(packets, ()))
    assert not list(altered(packets, (53,)))


def test_messages_in_a_stream_are_told_apart():
    packets = crossed(list(segments(4, b"\0\x03abc\0", b"\x01d\0\x09cut")))
    assert [one.wire for one in framed(packets, ("far", True))] == [b"abc", b"d", b"cut"]
    assert octets(packets, ("resolver", False)) == b"\0\x03abc\0\x01d\0\x09cut"
