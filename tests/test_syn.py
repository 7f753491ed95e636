"""SYNs that a hop holds: read from frames, and decided about once however often they are sent."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from packets import MACS
from scapy.layers.inet import ICMP, IP, TCP, UDP
from scapy.layers.inet6 import ICMPv6DestUnreach, IPv6
from scapy.layers.l2 import Ether
from worlds import attacker, world

from testbed.attack.chain import Chain
from testbed.onpath import packets
from testbed.onpath.syn import Decisions, Syn, read_syn

FOUR = IP(src="192.0.2.53", dst="198.51.100.6")
SIX = IPv6(src="2001:db8:2::53", dst="2001:db8:51::6")


def frame(ip, flags="S", port=853, **options):
    return bytes(Ether(**MACS) / ip / TCP(sport=40000, dport=port, seq=7, flags=flags, **options))


@pytest.mark.parametrize(
    ("ip", "source", "server"),
    [(FOUR, "192.0.2.53", "198.51.100.6"), (SIX, "2001:db8:2::53", "2001:db8:51::6")],
    ids=["IPv4", "IPv6"],
)
def test_a_syn_is_read(ip, source, server):
    assert read_syn(frame(ip)) == Syn(source, 40000, server, 853, 7)
    assert read_syn(frame(ip, options=[("MSS", 1460)])) == Syn(source, 40000, server, 853, 7)


@pytest.mark.parametrize("flags", ["SA", "A", "R", "F", "PA"])
@pytest.mark.parametrize("ip", [FOUR, SIX], ids=["IPv4", "IPv6"])
def test_other_segments_are_not(ip, flags):
    assert read_syn(frame(ip, flags)) is None


def test_other_protocols_are_not():
    assert read_syn(bytes(Ether(**MACS) / FOUR / UDP(sport=1, dport=853) / (b"\x02" * 40))) is None
    assert read_syn(bytes(Ether(**MACS, type=0x0806) / (b"\x02" * 60))) is None


@given(st.binary(max_size=120))
def test_garbage_is_not(data):
    found = read_syn(data)
    assert found is None or isinstance(found, Syn)


def test_a_syn_that_is_sent_again_meets_the_same_fate_and_is_counted_once():
    of = world(signed=())
    block = attacker(of, "block-tls", "target", how="drop")
    decisions = Decisions(Chain([block]), lambda address: "target")
    first, other = read_syn(frame(FOUR)), Syn("192.0.2.53", 40000, "198.51.100.6", 853, 8)
    assert decisions.on(first) is decisions.on(first)
    assert sum(block.actions.values()) == 1
    decisions.on(other)
    assert sum(block.actions.values()) == 2


@pytest.mark.parametrize("ip", [FOUR, SIX], ids=["IPv4", "IPv6"])
def test_a_reset_answers_the_syn(ip):
    made = Ether(packets.reset_for_syn(frame(ip)))
    assert made[TCP].flags == "RA"
    assert (made[TCP].sport, made[TCP].dport, made[TCP].ack) == (853, 40000, 8)
    assert made[type(ip)].src == ip.dst


def test_an_icmp_error_quotes_what_it_is_about():
    made = Ether(packets.prohibited(frame(FOUR)))
    assert (made[ICMP].type, made[ICMP].code) == (3, 13)
    assert bytes(Ether(frame(FOUR))[IP])[:28] in bytes(made)
    made = Ether(packets.prohibited(frame(SIX)))
    assert made[ICMPv6DestUnreach].code == 1
    assert bytes(Ether(frame(SIX))[IPv6])[:48] in bytes(made)
