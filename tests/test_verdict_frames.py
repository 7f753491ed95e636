import pytest
from hypothesis import given
from hypothesis import strategies as st
from packets import ACK, ICMP, ICMP6, PSH, SYN, TCP, UDP, ethernet, fragments, ip, tcp, udp

from testbed.evidence import Frame
from testbed.verdict.facts import packed
from testbed.verdict.frames import Defragmenter, Fragment, FrameError, Packet, decode, quoted

V4, V6 = ("192.0.2.53", "198.51.100.6"), ("2001:db8:2::53", "2001:db8:51::6")
PAYLOAD = bytes(range(256)) * 5


def frame(packet: bytes, number: int = 1) -> Frame:
    return Frame(number, 0.0, "resolver", False, 0, ethernet(packet))


@pytest.mark.parametrize("ends", [V4, V6])
def test_udp(ends):
    packet = decode(frame(ip(*ends, UDP, udp(4000, 53, b"hello")) + b"padding"))
    assert isinstance(packet, Packet)
    assert (packet.source, packet.target) == (packed(ends[0]), packed(ends[1]))
    assert (packet.source_port, packet.target_port, packet.payload) == (4000, 53, b"hello")
    assert packet.size == (33 if ends is V4 else 53)
    assert packet.substantial


@pytest.mark.parametrize("ends", [V4, V6])
def test_tcp(ends):
    packet = decode(frame(ip(*ends, TCP, tcp(4000, 853, 7, 9, PSH | ACK, b"hello"))))
    assert (packet.source_port, packet.target_port, packet.sequence) == (4000, 853, 7)
    assert (packet.flags, packet.payload, packet.substantial) == (PSH | ACK, b"hello", True)
    assert not decode(frame(ip(*ends, TCP, tcp(4000, 853, 7, 9, ACK)))).substantial
    assert decode(frame(ip(*ends, TCP, tcp(4000, 853, 7, 9, SYN)))).substantial


def test_ipv6_extension_headers_are_skipped():
    plain = ip(*V6, UDP, udp(4000, 53, b"hello"))
    options = bytes((UDP, 0)) + bytes(6)
    extended = plain[:4] + (len(plain) - 40 + 8).to_bytes(2) + b"\x3c" + plain[7:40] + options + plain[40:]
    assert decode(frame(extended)).payload == b"hello"


@pytest.mark.parametrize("ends", [V4, V6])
@pytest.mark.parametrize("order", [(0, 1, 2), (2, 0, 1), (1, 1, 2, 0)])
def test_fragments_are_put_together_in_any_order(ends, order):
    parts = fragments(ip(*ends, UDP, udp(4000, 53, PAYLOAD)), 512)
    defragmenter = Defragmenter()
    packets = []
    for number, index in enumerate(order, 1):
        fragment = decode(frame(parts[index], number))
        assert isinstance(fragment, Fragment)
        packets.append(defragmenter.feed(fragment))
    assert packets[:-1] == [None] * (len(order) - 1)
    assert packets[-1].payload == PAYLOAD
    assert packets[-1].frame.number == len(order)
    assert {other.number for other in packets[-1].others} == set(range(1, len(order)))
    assert defragmenter.incomplete == []


def test_missing_fragment():
    parts = fragments(ip(*V4, UDP, udp(4000, 53, PAYLOAD)), 512)
    defragmenter = Defragmenter()
    assert [defragmenter.feed(decode(frame(part))) for part in (parts[0], parts[2])] == [None, None]
    assert len(defragmenter.incomplete) == 2


@pytest.mark.parametrize(
    ("ends", "protocol", "kind", "code", "text"),
    [
        (V4, ICMP, 3, 3, "port unreachable"),
        (V4, ICMP, 3, 13, "administratively prohibited"),
        (V4, ICMP, 3, 1, "destination unreachable"),
        (V4, ICMP, 8, 0, None),
        (V6, ICMP6, 1, 4, "port unreachable"),
        (V6, ICMP6, 2, 0, "packet too big"),
    ],
)
def test_icmp_errors_quote_a_packet(ends, protocol, kind, code, text):
    inner = ip(*ends, UDP, udp(4000, 53, b"hello"))
    packet = decode(frame(ip(*ends[::-1], protocol, bytes((kind, code)) + bytes(6) + inner)))
    assert packet.error == text
    original = quoted(packet)
    if text is None:
        assert original is None
    else:
        assert (original.target_port, original.payload) == (53, b"hello")


def test_cut_off_quotation():
    inner = ip(*V4, UDP, udp(4000, 53, b"hello"))[:30]
    packet = decode(frame(ip(*V4[::-1], ICMP, bytes((3, 3)) + bytes(6) + inner)))
    assert quoted(packet).payload == b"he"


def test_what_is_no_ip_is_ignored():
    arp = Frame(1, 0.0, "far", True, 0, bytes(12) + b"\x08\x06" + bytes(28))
    neighbour = frame(ip(*V6, ICMP6, bytes((135, 0)) + bytes(22)))
    assert decode(arp) is None
    assert decode(neighbour) is None


@pytest.mark.parametrize(
    "packet",
    [
        b"",
        ip(*V4, UDP, udp(1, 2, b"x"))[:25],
        ip(*V6, UDP, udp(1, 2, b"x"))[:45],
        ip(*V4, UDP, b"short"),
        ip(*V4, 132, bytes(20)),
        b"\x42" + ip(*V4, UDP, udp(1, 2, b"x"))[1:],
    ],
)
def test_broken(packet):
    kind = b"\x86\xdd" if packet[:1] == b"\x60" else b"\x08\x00"
    with pytest.raises(FrameError):
        decode(Frame(1, 0.0, "resolver", False, 0, bytes(12) + kind + packet))


@given(st.binary(max_size=120), st.sampled_from((b"\x08\x00", b"\x86\xdd", b"\x08\x06", b"\x81\x00")))
def test_random_frames_raise_nothing_else(data, kind):
    defragmenter = Defragmenter()
    for number, first in enumerate((data[:1], b"\x45", b"\x60"), 1):
        try:
            found = decode(Frame(number, 0.0, "far", False, 0, bytes(12) + kind + first + data[1:]))
            if isinstance(found, Fragment):
                found = defragmenter.feed(found)
        except FrameError:
            continue
        if found is not None:
            quoted(found)
