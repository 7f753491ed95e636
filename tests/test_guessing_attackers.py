"""What off-path attackers send: which ports, numbers and octets, and that forged fragments fit."""

from __future__ import annotations

import random

import dns.message
import dns.name
import dns.rdatatype
import pytest
from hypothesis import given
from hypothesis import strategies as st
from worlds import policy

from testbed import topology
from testbed.attack import catalogue
from testbed.attack.api import SpoofedDatagram, SpoofedError, SpoofedFragment, SpoofedSegment
from testbed.attack.events import Arrival, Moment
from testbed.core import message
from testbed.core.fragments import ones_sum, pieces, udp_datagram
from testbed.offpath.packets import encode
from testbed.rehearsal import rehearse
from testbed.run.cast import scene
from testbed.scenario.world import World as Described
from testbed.world.build import build

SECRET = dns.name.from_text("secret.example.org.")
QUERY = message.query(SECRET, dns.rdatatype.A, id=7)
SEEN = (Arrival(("192.0.2.53", 5353), message.encode(QUERY)),)


def world(place="hosted", **described):
    return build(topology.load(place), Described.model_validate(described))


def attacker(name, of=None, **parameters):
    kind = catalogue.load(name)
    return kind(scene(of or world(), "", random.Random(0)), kind.Parameters(**parameters))


def packets(one, name=SECRET, arrivals=()):
    return list(one.off_path(Moment(name, dns.rdatatype.A, arrivals)))


# -- guesses ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["spoof-responses", "spoof-icmp", "blind-reset"])
def test_guesses_are_spread_over_time_and_over_the_server_s_addresses(name):
    one = attacker(name, guesses=4, seconds=1.0)
    sent = packets(one)
    assert [packet.after for packet in sent] == [pytest.approx(0.2 * number) for number in (1, 2, 3, 4)]
    sources = [packet.source if isinstance(packet.source, str) else packet.source[0] for packet in sent]
    assert sources == ["198.51.100.6", "2001:db8:51::6"] * 2
    assert one.matches == 1
    assert packets(one, dns.name.from_text("www.evil-dns.net.")) == []


def test_a_port_that_was_seen_is_taken_for_the_port():
    for sent in packets(attacker("spoof-responses", guesses=10), arrivals=SEEN):
        assert sent.target[1] == 5353
    for sent in packets(attacker("spoof-responses", guesses=10, port=99), arrivals=SEEN):
        assert sent.target[1] == 99
    assert len({sent.target[1] for sent in packets(attacker("spoof-responses", guesses=50))}) > 40


def test_ids_follow_the_one_that_was_seen():
    def ids(**parameters):
        sent = packets(attacker("spoof-responses", guesses=6, **parameters), arrivals=SEEN)
        return [int.from_bytes(packet.payload[:2], "big") for packet in sent]

    assert ids() == [8, 8, 9, 9, 10, 10]
    assert len(set(ids(ids="any"))) > 4


@pytest.mark.parametrize(
    ("server", "asked"), [("root", "org."), ("target-parent", "example.org."), ("target", str(SECRET))]
)
def test_a_server_is_asked_for_no_more_than_it_needs(server, asked):
    (sent, *_) = packets(attacker("spoof-responses", server=server, minimised=True))
    assert str(dns.message.from_wire(sent.payload).question[0].name) == asked


def test_errors_quote_what_they_are_about():
    (sent,) = packets(attacker("spoof-icmp", guesses=1, port=99, kind="need-to-fragment", mtu=600))
    own, server = ("192.0.2.53", 99), ("198.51.100.6", 53)
    assert sent == SpoofedError(
        server[0], own[0], "need-to-fragment", SpoofedDatagram(own, server, b""), 600, sent.after
    )
    (sent,) = packets(attacker("spoof-icmp", guesses=1, port=99, tells="server", about="dot"))
    assert (sent.source, sent.target, sent.mtu) == (own[0], server[0], 0)
    assert (sent.quoted.source, sent.quoted.target) == ((server[0], 853), own)


def test_resets_go_through_the_windows():
    sent = packets(attacker("blind-reset", guesses=6, stride=1000))
    assert all(isinstance(packet, SpoofedSegment) and packet.source[1] == 853 for packet in sent)
    first = sent[0].sequence
    assert [(packet.sequence - first) % 2**32 for packet in sent] == [0, 0, 1000, 1000, 2000, 2000]
    assert all(packet.target[1] >= 32768 for packet in sent)
    (sent,) = packets(attacker("blind-reset", guesses=1, tells="server", port=99))
    assert (sent.source, sent.target) == (("192.0.2.53", 99), ("198.51.100.6", 853))


def test_errors_in_memory():
    switches = {"source_ports": "fixed"}
    slow = {"latency": {"target-parent": 0.2}}
    for kind, answered in [("no-port", False), ("prohibited", False), ("no-host", True)]:
        network, _ = rehearse(
            "spoof-icmp",
            world=slow,
            policy=policy("opportunistic", **switches),
            server="target-parent",
            guesses=20,
            kind=kind,
        )
        network.ask("www.evil-dns.net.")
        assert bool(network.ask(SECRET).answer) is answered


# -- fragments -------------------------------------------------------------------------------------


def referral(place="ipv4-only"):
    of = world(place, signed=["root", "target-parent"])
    query = message.query(dns.name.from_text("example.org."), dns.rdatatype.A, id=0)
    return of, scene(of, "", random.Random(0)).ask("target-parent", message.encode(query))


def test_forged_fragments_change_an_address_and_no_checksum():
    of, response = referral()
    one = attacker("spoof-fragments", of, server="target-parent", guesses=3, mtu=196)
    sent = packets(one)
    assert [packet.identification for packet in sent] == [1, 2, 3]
    (offset, part) = pieces(bytes(8) + response, 196)[-1]
    for packet in sent:
        assert (packet.offset, len(packet.payload), packet.last) == (offset, len(part), True)
        assert ones_sum(packet.payload) == ones_sum(part)
        changed = response[: offset - 8] + packet.payload
        assert ones_sum(changed) == ones_sum(response)
        before, after = map(dns.message.from_wire, (response, changed))
        assert after.authority == before.authority
        assert [str(rdata) for rrset in after.additional for rdata in rrset] == ["198.51.100.66"]
    any_ids = attacker("spoof-fragments", of, server="target-parent", guesses=3, mtu=196, ids="any")
    assert len({packet.identification for packet in packets(any_ids)} - {1, 2, 3}) == 3


@pytest.mark.parametrize(("mtu", "place"), [(552, "ipv4-only"), (196, "hosted")])
def test_without_a_second_fragment_or_an_address_in_it_there_is_nothing_to_forge(mtu, place):
    of, _ = referral(place)
    one = attacker("spoof-fragments", of, server="target-parent", mtu=mtu)
    assert packets(one) == []
    assert one.matches == 0


@given(st.binary(max_size=1300), st.integers(68, 1500))
def test_pieces_make_up_the_whole(datagram, mtu):
    parts = pieces(datagram, mtu)
    assert b"".join(part for _, part in parts) == datagram
    assert [offset for offset, _ in parts] == [
        sum(len(part) for _, part in parts[:n]) for n in range(len(parts))
    ]
    assert all(offset % 8 == 0 and len(part) + 20 <= mtu for offset, part in parts)


@given(st.binary(max_size=60), st.integers(0, 65535))
def test_udp_datagrams_are_as_scapy_makes_them(payload, port):
    source, target = ("198.51.100.6", 53), ("192.0.2.53", port)
    packet = encode(SpoofedDatagram(source, target, payload))
    assert packet[20:] == udp_datagram(source, target, payload)


def test_fragments_as_packets():
    packet = encode(SpoofedFragment("198.51.100.6", "192.0.2.53", 77, 16, b"rest"))
    assert (packet[4:6], packet[6:8], packet[9], packet[20:]) == (b"\0\x4d", b"\0\x02", 17, b"rest")
    more = encode(SpoofedFragment("198.51.100.6", "192.0.2.53", 77, 0, bytes(8), last=False))
    assert more[6:8] == b"\x20\0"
    six = encode(SpoofedFragment("2001:db8:51::6", "2001:db8:2::53", 77, 16, b"rest"))
    assert (six[6], six[40], six[42:44], six[44:48]) == (44, 17, b"\0\x10", b"\0\0\0\x4d")
