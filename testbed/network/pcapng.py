"""Capture files: one pcapng file for each link (draft-ietf-opsawg-pcapng), as Wireshark opens it.

A file has one interface for each side of the link's hop, the TLS secrets of the run, comments at the
packets that decided something, and at its end the kernel's packet counts. The reader wants all of them to
agree: a capture that was cut off, or that lacks packets, is an error and never "nothing was seen".
"""

from __future__ import annotations

import contextlib
import errno
import os
import struct
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from testbed import __version__
from testbed.evidence import Frame, LinkCapture, Side

SIDES: tuple[Side, ...] = ("resolver", "far")
"""The sides in the order of their interface numbers."""

LINKTYPE_ETHERNET = 1

_SECTION, _INTERFACE, _STATISTICS, _PACKET, _SECRETS = 0x0A0D0D0A, 1, 5, 6, 10
_BYTE_ORDER = 0x1A2B3C4D
_TLS_KEY_LOG = 0x544C534B
_INBOUND, _OUTBOUND = 1, 2
_NANOSECONDS = b"\x09"
_SMALLEST_BLOCK = 12

# Option codes of the blocks.
_COMMENT = 1
_USER_APPLICATION = 4
_NAME, _DESCRIPTION, _RESOLUTION = 2, 3, 9
_FLAGS = 2
_RECEIVED, _DROPPED, _DELIVERED = 4, 7, 8


class CaptureError(Exception):
    """A capture file is not what a run leaves behind: empty, cut off, malformed, or short of packets."""


@dataclass(frozen=True)
class CaptureFile:
    """What was read from a file. The step of a frame is not in it: all are 0."""

    capture: LinkCapture
    secrets: tuple[str, ...]
    comments: dict[int, str]


def write(
    path: Path,
    capture: LinkCapture,
    *,
    epoch: float,
    secrets: Iterable[str] = (),
    comments: Mapping[int, str] | None = None,
) -> None:
    """Write the capture of a link, whole or not at all.

    ``epoch`` is the Unix time at which the frames' clock stood at 0, ``secrets`` are lines of a TLS key
    log, ``comments`` belong to packets by number. Raises ValueError for a comment without its packet,
    OSError when the file cannot be written.
    """
    write_whole(path, encode(capture, epoch=epoch, secrets=secrets, comments=comments or {}))


def write_whole(path: Path, data: bytes) -> None:
    """Write a file so that nobody, and no crash, ever leaves or sees half of it. Raises OSError.

    The file has no name until it is complete, where the file system can do that (O_TMPFILE).
    """
    try:
        descriptor = os.open(path.parent, os.O_TMPFILE | os.O_WRONLY | os.O_CLOEXEC, 0o666)
    except OSError as error:
        if error.errno not in (errno.EOPNOTSUPP, errno.EISDIR):
            raise
        interim = path.with_name(f".{path.name}.{os.getpid()}")
        interim.write_bytes(data)
        interim.replace(path)
        return
    with open(descriptor, "wb") as file:  # noqa: PTH123 - it is open already
        file.write(data)
        file.flush()
        with contextlib.suppress(FileNotFoundError):
            path.unlink()
        # Only with a descriptor does Python follow the link: linkat(2), AT_SYMLINK_FOLLOW.
        os.link(f"/proc/self/fd/{descriptor}", path, src_dir_fd=descriptor, follow_symlinks=True)


# -- writing ---------------------------------------------------------------------------------------


def encode(
    capture: LinkCapture, *, epoch: float, secrets: Iterable[str], comments: Mapping[int, str]
) -> bytes:
    """The bytes of a capture file; for the parameters see :func:`write`."""
    numbers = {frame.number for frame in capture.frames}
    if not numbers.issuperset(comments):
        raise ValueError(f"no such packet: {sorted(set(comments) - numbers)}")
    start = round(epoch * 1e9)
    blocks = [
        _block(
            _INTERFACE,
            struct.pack("<HHI", LINKTYPE_ETHERNET, 0, 0),
            _option(_NAME, f"{side} side".encode()),
            _option(_DESCRIPTION, f"link {capture.link}".encode()),
            _option(_RESOLUTION, _NANOSECONDS),
            _END,
        )
        for side in SIDES
    ]
    if key_log := "".join(f"{line}\n" for line in secrets).encode():
        blocks.append(
            _block(_SECRETS, struct.pack("<II", _TLS_KEY_LOG, len(key_log)), key_log, _padding(len(key_log)))
        )
    blocks += [_packet(frame, start, comments.get(frame.number)) for frame in capture.frames]
    end = start + round(capture.frames[-1].time * 1e9) if capture.frames else start
    blocks += [_statistics(capture, side, end) for side in SIDES]
    body = b"".join(blocks)
    head = _block(
        _SECTION,
        struct.pack("<IHHq", _BYTE_ORDER, 1, 0, len(body)),
        _option(_USER_APPLICATION, f"adox {__version__}".encode()),
        _END,
    )
    return head + body


_END = bytes(4)  # opt_endofopt
_FLAG_OPTIONS = {
    False: struct.pack("<HHI", _FLAGS, 4, _INBOUND),
    True: struct.pack("<HHI", _FLAGS, 4, _OUTBOUND),
}
_PACKET_HEAD = struct.Struct("<IIIIIII")


def _packet(frame: Frame, start: int, comment: str | None) -> bytes:
    time = start + round(frame.time * 1e9)
    size = len(frame.data)
    options = _FLAG_OPTIONS[frame.outgoing]
    if comment:
        options += _option(_COMMENT, comment.encode())
    tail = frame.data + _padding(size) + options + _END
    length = _PACKET_HEAD.size + len(tail) + 4
    head = _PACKET_HEAD.pack(
        _PACKET, length, SIDES.index(frame.side), time >> 32, time & 0xFFFFFFFF, size, size
    )
    return head + tail + length.to_bytes(4, "little")


def _statistics(capture: LinkCapture, side: Side, time: int) -> bytes:
    delivered = sum(frame.side == side for frame in capture.frames)
    # What the capture socket lost cannot be told apart by side: it stands with the first one.
    lost = capture.lost if side == SIDES[0] else 0
    return _block(
        _STATISTICS,
        struct.pack("<III", SIDES.index(side), time >> 32, time & 0xFFFFFFFF),
        _option(_RECEIVED, capture.counted[side].to_bytes(8, "little")),
        _option(_DROPPED, lost.to_bytes(8, "little")),
        _option(_DELIVERED, delivered.to_bytes(8, "little")),
        _END,
    )


def _block(kind: int, *parts: bytes) -> bytes:
    body = b"".join(parts)
    length = _SMALLEST_BLOCK + len(body)
    return struct.pack("<II", kind, length) + body + struct.pack("<I", length)


def _option(code: int, value: bytes) -> bytes:
    return struct.pack("<HH", code, len(value)) + value + _padding(len(value))


def _padding(length: int) -> bytes:
    return bytes(-length % 4)


# -- reading ---------------------------------------------------------------------------------------


def read(path: Path, *, epoch: float = 0.0) -> CaptureFile:
    """Read a file that :func:`write` wrote; times count from ``epoch`` (Unix time).

    Raises CaptureError unless it is complete: well-formed to its last byte, and with as many packets as
    the kernel counted on each side. Raises OSError when it cannot be read.
    """
    try:
        return decode(path.read_bytes(), epoch=epoch)
    except CaptureError as error:
        raise CaptureError(f"{path}: {error}") from None


def decode(data: bytes, *, epoch: float = 0.0) -> CaptureFile:
    """Read the bytes of a capture file. Raises CaptureError, see :func:`read`."""
    try:
        return _Reader(data, epoch).finish()
    except (struct.error, UnicodeDecodeError, KeyError, IndexError) as error:
        raise CaptureError(f"malformed: {error}") from error


class _Reader:
    """Goes through the blocks and collects what they say."""

    def __init__(self, data: bytes, epoch: float) -> None:
        if not data:
            raise CaptureError("empty")
        self.start = round(epoch * 1e9)
        self.links: list[str] = []
        self.frames: list[Frame] = []
        self.counted: dict[Side, int] = {}
        self.delivered: dict[Side, int] = {}
        self.lost = 0
        self.secrets: list[str] = []
        self.comments: dict[int, str] = {}
        take: dict[int, Callable[[bytes], None]] = {
            _INTERFACE: self._interface,
            _SECRETS: self._secrets,
            _PACKET: self._packet,
            _STATISTICS: self._statistics,
        }
        offset = self._section(data)
        while offset < len(data):
            kind, body, offset = _next_block(data, offset)
            if kind not in take:
                raise CaptureError(f"a block of type {kind:#x} does not belong here")
            take[kind](body)

    def finish(self) -> CaptureFile:
        if set(self.counted) != set(SIDES):
            raise CaptureError("cut off: the packet counts at the end are missing")
        for side in SIDES:
            present = sum(frame.side == side for frame in self.frames)
            if present != self.delivered[side]:
                raise CaptureError(f"{present} of {self.delivered[side]} packets at the {side} side")
            if present != self.counted[side]:
                raise CaptureError(
                    f"the kernel counted {self.counted[side]} packets at the {side} side, not {present}"
                )
        if self.lost:
            raise CaptureError(f"{self.lost} packets were lost while capturing")
        capture = LinkCapture(self.links[0], self.frames, self.counted, self.lost)
        return CaptureFile(capture, tuple(self.secrets), self.comments)

    def _section(self, data: bytes) -> int:
        kind, body, offset = _next_block(data, 0)
        if kind != _SECTION:
            raise CaptureError("not a pcapng file")
        order, major, _, length = struct.unpack_from("<IHHq", body)
        if order != _BYTE_ORDER or major != 1:
            raise CaptureError("not a pcapng file of this kind: version or byte order")
        if length != len(data) - offset:
            raise CaptureError(f"cut off: {len(data) - offset} of {length} bytes")
        return offset

    def _interface(self, body: bytes) -> None:
        linktype, _, _ = struct.unpack_from("<HHI", body)
        options = _options(body, 8)
        side = SIDES[len(self.links)]
        if linktype != LINKTYPE_ETHERNET or options[_RESOLUTION] != _NANOSECONDS:
            raise CaptureError("not a capture of Ethernet frames in nanoseconds")
        if options[_NAME].decode() != f"{side} side":
            raise CaptureError(f"the interface of the {side} side is missing")
        self.links.append(options[_DESCRIPTION].decode().removeprefix("link "))

    def _secrets(self, body: bytes) -> None:
        kind, length = struct.unpack_from("<II", body)
        if kind != _TLS_KEY_LOG or 8 + length > len(body):
            raise CaptureError("malformed secrets")
        self.secrets += body[8 : 8 + length].decode().splitlines()

    def _packet(self, body: bytes) -> None:
        if self.counted:
            raise CaptureError("a packet after the packet counts")
        interface, high, low, captured, original = struct.unpack_from("<IIIII", body)
        if captured != original or 20 + captured > len(body):
            raise CaptureError(f"packet {len(self.frames) + 1} is cut off")
        options = _options(body, 20 + captured + (-captured % 4))
        number = len(self.frames) + 1
        outgoing = int.from_bytes(options[_FLAGS], "little") == _OUTBOUND
        side = SIDES[interface]
        time = ((high << 32) + low - self.start) / 1e9
        self.frames.append(Frame(number, time, side, outgoing, 0, body[20 : 20 + captured]))
        if _COMMENT in options:
            self.comments[number] = options[_COMMENT].decode()

    def _statistics(self, body: bytes) -> None:
        (interface,) = struct.unpack_from("<I", body)
        options = _options(body, 12)
        side = SIDES[interface]
        self.counted[side] = int.from_bytes(options[_RECEIVED], "little")
        self.delivered[side] = int.from_bytes(options[_DELIVERED], "little")
        self.lost += int.from_bytes(options[_DROPPED], "little")


def _next_block(data: bytes, offset: int) -> tuple[int, bytes, int]:
    """Type and body of the block at an offset, and the offset of the next one."""
    if offset + _SMALLEST_BLOCK > len(data):
        raise CaptureError(f"cut off at byte {offset}")
    kind, length = struct.unpack_from("<II", data, offset)
    end = offset + length
    if length < _SMALLEST_BLOCK or length % 4:
        raise CaptureError(f"malformed at byte {offset}")
    if end > len(data):
        raise CaptureError(f"cut off at byte {offset}")
    if struct.unpack_from("<I", data, end - 4)[0] != length:
        raise CaptureError(f"malformed at byte {offset}")
    return kind, data[offset + 8 : end - 4], end


def _options(body: bytes, offset: int) -> dict[int, bytes]:
    """The options of a block by code. Raises struct.error where they are cut off."""
    options: dict[int, bytes] = {}
    while True:
        code, length = struct.unpack_from("<HH", body, offset)
        if code == 0:
            if length or offset + 4 != len(body):
                raise CaptureError("malformed options")
            return options
        offset += 4
        if offset + length > len(body):
            raise CaptureError("malformed options")
        options[code] = body[offset : offset + length]
        offset += length + (-length % 4)
