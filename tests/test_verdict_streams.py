import random

import pytest
from hypothesis import given
from hypothesis import strategies as st
from packets import ACK, FIN, PSH, RST, SYN

from testbed.evidence import Frame
from testbed.verdict.frames import TCP, Packet
from testbed.verdict.streams import Connections, Stream

CLIENT, SERVER = b"\xc0\x00\x02\x35", b"\xc6\x33\x64\x06"
DATA = random.Random(1).randbytes(300)


def frame(number: int) -> Frame:
    return Frame(number, float(number), "resolver", False, 0, b"")


def segment(number, from_client, sequence, flags, payload=b"", port=4000, at=53):
    ends = (CLIENT, SERVER) if from_client else (SERVER, CLIENT)
    ports = (port, at) if from_client else (at, port)
    return Packet(
        frame(number),
        TCP,
        *ends,
        payload,
        40 + len(payload),
        *ports,
        sequence=sequence % (1 << 32),
        flags=flags,
    )


@st.composite
def arrivals(draw):
    """Segments of DATA in any order, some twice, some overlapping; together they cover all of it."""
    cuts = sorted(draw(st.sets(st.integers(1, len(DATA) - 1), max_size=8)))
    ranges = list(zip([0, *cuts], [*cuts, len(DATA)], strict=True))
    extra = draw(st.lists(st.tuples(st.integers(0, 299), st.integers(1, 120)), max_size=6))
    ranges += [(start, min(start + size, len(DATA))) for start, size in extra]
    return draw(st.permutations(ranges))


@given(arrivals(), st.sampled_from((0, 12345, (1 << 32) - 100)), st.booleans())
def test_order_repetition_and_overlap_do_not_matter(ranges, first, syn_seen):
    stream = Stream()
    if syn_seen:
        stream.first = first
    for number, (start, end) in enumerate(ranges, 1):
        stream.add((first + start) % (1 << 32), DATA[start:end], frame(number))
    octets = stream.octets
    assert octets.data == DATA
    arrived = [min(n for n, (a, b) in enumerate(ranges, 1) if a <= i < b) for i in range(len(DATA))]
    for start, end in ((0, 1), (0, len(DATA)), (99, 203), (299, 300)):
        assert octets.completed(start, end).number == max(arrived[start:end])
        touching = {n for n, (a, b) in enumerate(ranges, 1) if a < end and b > start}
        assert octets.carriers(start, end) == touching


def test_the_first_copy_counts():
    stream = Stream()
    stream.first = 0
    stream.add(0, b"aaaa", frame(1))
    stream.add(2, b"bbbb", frame(2))
    assert stream.octets.data == b"aaaabb"
    assert stream.octets.completed(4, 6).number == 2


def test_nothing_is_read_beyond_a_gap():
    stream = Stream()
    stream.first = 0
    stream.add(0, b"aaaa", frame(1))
    stream.add(5, b"bbbb", frame(2))
    assert stream.octets.data == b"aaaa"
    stream.add(4, b"c", frame(3))
    assert stream.octets.data == b"aaaacbbbb"
    assert stream.octets.completed(3, 7).number == 3


def test_keepalive_probes_are_no_data():
    stream = Stream()
    stream.first = 100
    stream.add(99, b"\0", frame(1))
    stream.add(100, b"abc", frame(2))
    assert stream.octets.data == b"abc"


def test_messages_with_length():
    stream = Stream()
    stream.add(0, b"\0\2ab\0\0\0\1c\0\5def", frame(1))
    assert list(stream.octets.messages()) == [(2, 4), (6, 6), (8, 9)]


def opened(connections: Connections, sequence: int = 100, port: int = 4000, number: int = 1) -> None:
    connections.feed(segment(number, True, sequence, SYN, port=port))
    connections.feed(segment(number + 1, False, 900, SYN | ACK, port=port))


def test_connection():
    connections = Connections()
    opened(connections)
    connections.feed(segment(3, True, 101, PSH | ACK, b"ask"))
    connections.feed(segment(4, False, 901, PSH | ACK, b"answer"))
    connections.feed(segment(5, True, 104, FIN | ACK))
    connections.feed(segment(6, False, 907, RST))
    (connection,) = connections.all
    assert (connection.client.octets.data, connection.server.octets.data) == (b"ask", b"answer")
    assert (connection.syn.number, connection.accepted.number) == (1, 2)
    assert [(who, frame.number) for who, frame in connection.closed] == [(True, 5)]
    assert [(who, frame.number) for who, frame in connection.resets] == [(False, 6)]


def test_data_in_the_syn():
    connections = Connections()
    connections.feed(segment(1, True, 100, SYN, b"early"))
    connections.feed(segment(2, True, 106, ACK, b"late"))
    assert connections.all[0].client.octets.data == b"earlylate"


def test_reused_ports_are_another_connection():
    connections = Connections()
    opened(connections)
    connections.feed(segment(3, True, 101, ACK, b"one"))
    connections.feed(segment(4, True, 100, SYN))  # a retransmission
    opened(connections, 5000, number=5)
    connections.feed(segment(7, True, 5001, ACK, b"two"))
    assert [connection.client.octets.data for connection in connections.all] == [b"one", b"two"]


@pytest.mark.parametrize("port", [53, 443, 853])
def test_without_a_syn_the_port_tells_who_serves(port):
    connections = Connections()
    connections.feed(segment(1, False, 901, ACK, b"answer", at=port))
    connections.feed(segment(2, True, 101, ACK, b"ask", at=port))
    (connection,) = connections.all
    assert (connection.client.octets.data, connection.server.octets.data) == (b"ask", b"answer")


@given(st.lists(st.tuples(st.booleans(), st.integers(0, 200), st.integers(0, 63), st.binary(max_size=5))))
def test_random_segments(segments):
    connections = Connections()
    for number, (from_client, sequence, flags, payload) in enumerate(segments, 1):
        connections.feed(segment(number, from_client, sequence, flags, payload))
    for connection in connections.all:
        for octets in (connection.client.octets, connection.server.octets):
            for start, end in octets.messages():
                if end > start:
                    octets.completed(start, end)
