"""Capture files: what is written is read back, and what is missing is never taken for nothing."""

import errno
import os
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from testbed.evidence import Frame, LinkCapture
from testbed.network import pcapng
from testbed.network.pcapng import CaptureError

EPOCH = 1767225600.0
SECRETS = (
    "CLIENT_RANDOM " + "0" * 64 + " " + "1" * 96,
    "SERVER_TRAFFIC_SECRET_0 " + "2" * 64 + " " + "3" * 64,
)


def capture_of(frames, lost=0):
    counted = {side: sum(frame.side == side for frame in frames) for side in pcapng.SIDES}
    return LinkCapture("ns-parent", list(frames), counted, lost)


def some_frames(count=6):
    return [
        Frame(
            number=number,
            time=number * 0.125,
            side="far" if number % 3 else "resolver",
            outgoing=bool(number % 2),
            step=0,
            data=bytes([number]) * (60 + number),
        )
        for number in range(1, count + 1)
    ]


def encoded(frames=None, **options):
    frames = some_frames() if frames is None else frames
    return pcapng.encode(
        options.pop("capture", capture_of(frames)),
        epoch=EPOCH,
        secrets=options.pop("secrets", SECRETS),
        comments=options.pop("comments", {2: "the DS is gone"}),
    )


frames_strategy = st.lists(
    st.tuples(
        st.sampled_from(pcapng.SIDES),
        st.booleans(),
        st.integers(0, 10**15).map(lambda nanoseconds: nanoseconds / 1e9),
        st.binary(max_size=200),
    ),
    max_size=30,
).map(
    lambda rows: [
        Frame(number, at, side, outgoing, 0, data)
        for number, (side, outgoing, at, data) in enumerate(rows, start=1)
    ]
)


@settings(max_examples=60, deadline=None)
@given(
    frames_strategy, st.lists(st.text("abc 123", min_size=1, max_size=80), max_size=3), st.text(min_size=1)
)
def test_what_is_written_is_read_back(frames, secrets, comment):
    comments = {frames[-1].number: comment} if frames else {}
    data = pcapng.encode(capture_of(frames), epoch=EPOCH, secrets=secrets, comments=comments)
    found = pcapng.decode(data, epoch=EPOCH)
    assert found.capture == capture_of(frames)
    assert found.secrets == tuple(secrets)
    assert found.comments == comments


def test_times_are_those_of_the_world():
    first = pcapng.decode(encoded()).capture.frames[0]
    assert first.time == pytest.approx(EPOCH + 0.125)


def test_a_file_of_no_bytes_is_an_error():
    with pytest.raises(CaptureError, match="empty"):
        pcapng.decode(b"")


def test_every_cut_is_noticed():
    data = encoded()
    for length in range(1, len(data)):
        with pytest.raises(CaptureError):
            pcapng.decode(data[:length])


def test_bytes_too_many_are_noticed():
    with pytest.raises(CaptureError, match="cut off"):
        pcapng.decode(encoded() + bytes(4))


@settings(max_examples=300, deadline=None)
@given(st.data())
def test_damage_is_an_error_or_harmless(data):
    damaged = bytearray(encoded())
    place = data.draw(st.integers(0, len(damaged) - 1))
    damaged[place] ^= data.draw(st.integers(1, 255))
    try:
        found = pcapng.decode(bytes(damaged))
    except CaptureError:
        return
    assert len(found.capture.frames) == len(some_frames())


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=300))
def test_noise_is_no_capture(noise):
    with pytest.raises(CaptureError):
        pcapng.decode(noise)


@pytest.mark.parametrize("removed", range(6))
def test_a_missing_packet_is_noticed(removed):
    frames = some_frames()
    capture = capture_of(frames)
    del capture.frames[removed]
    with pytest.raises(CaptureError, match="the kernel counted"):
        pcapng.decode(encoded(capture=capture, comments={}))


def test_an_empty_capture_of_a_busy_link_is_an_error():
    capture = LinkCapture("ns-parent", [], {"resolver": 4, "far": 4})
    with pytest.raises(CaptureError, match="the kernel counted 4"):
        pcapng.decode(encoded(capture=capture, comments={}))


def test_a_silent_link_is_not():
    assert pcapng.decode(encoded([], comments={})).capture.frames == []


def test_lost_packets_are_an_error():
    with pytest.raises(CaptureError, match="2 packets were lost"):
        pcapng.decode(encoded(capture=capture_of(some_frames(), lost=2)))


def test_counts_cannot_be_left_out():
    data = encoded()
    blocks = []
    offset = 0
    while offset < len(data):
        kind, _, end = pcapng._next_block(data, offset)
        blocks.append((kind, data[offset:end]))
        offset = end
    kept = b"".join(block for kind, block in blocks[1:] if kind != pcapng._STATISTICS)
    head = blocks[0][1][:16] + len(kept).to_bytes(8, "little") + blocks[0][1][24:]
    with pytest.raises(CaptureError, match="packet counts at the end are missing"):
        pcapng.decode(head + kept)


def test_another_kind_of_file_is_an_error():
    with pytest.raises(CaptureError):
        pcapng.decode(bytes.fromhex("d4c3b2a1020004000000000000000000ffff000001000000"))  # classic pcap


def test_a_comment_without_its_packet_is_an_error():
    with pytest.raises(ValueError, match=r"no such packet: \[7, 9\]"):
        encoded(comments={9: "here", 2: "there", 7: "nowhere"})


def test_errors_name_the_file(tmp_path):
    path = tmp_path / "target.pcapng"
    path.write_bytes(encoded()[:-1])
    with pytest.raises(CaptureError, match=r"target\.pcapng: cut off"):
        pcapng.read(path)


def test_files_appear_whole_and_replace_others(tmp_path):
    path = tmp_path / "target.pcapng"
    for count in (2, 5):
        frames = some_frames(count)
        pcapng.write(path, capture_of(frames), epoch=EPOCH, secrets=SECRETS, comments={1: "first"})
        assert pcapng.read(path, epoch=EPOCH).capture == capture_of(frames)
    assert [entry.name for entry in tmp_path.iterdir()] == ["target.pcapng"]


def test_file_systems_without_nameless_files(tmp_path, monkeypatch):
    opened = os.open

    def without(path, flags, *mode, **options):
        if flags & os.O_TMPFILE == os.O_TMPFILE:
            raise OSError(errno.EOPNOTSUPP, "not here")
        return opened(path, flags, *mode, **options)

    monkeypatch.setattr(os, "open", without)
    for data in (b"one", b"two"):
        pcapng.write_whole(tmp_path / "file", data)
    assert [(entry.name, entry.read_bytes()) for entry in tmp_path.iterdir()] == [("file", b"two")]


def test_a_missing_folder_is_an_error(tmp_path):
    with pytest.raises(FileNotFoundError):
        pcapng.write_whole(tmp_path / "nowhere" / "file", b"data")


def test_writing_is_quick():
    frames = [Frame(number, number / 1e3, "far", True, 0, bytes(120)) for number in range(1, 5001)]
    started = time.process_time()
    pcapng.encode(capture_of(frames), epoch=EPOCH, secrets=SECRETS, comments={})
    assert (time.process_time() - started) / len(frames) < 50e-6
