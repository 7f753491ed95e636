"""DNS messages in a byte stream: two octets of length before each (RFC 1035 section 4.2.2, RFC 7766)."""

from __future__ import annotations

_PREFIX = 2
_HEADER = 12
_LARGEST = 65535
_LONGEST_LABEL = 63


def frame(wire: bytes) -> bytes:
    """A message with its length, as one piece (RFC 7766 section 8). Raises ValueError above 65535 octets."""
    if len(wire) > _LARGEST:
        raise ValueError(f"a DNS message has 65535 octets at most, not {len(wire)}")
    return len(wire).to_bytes(_PREFIX) + wire


class Framer:
    """Cuts a byte stream into messages, however it is fragmented. Nothing in it is looked at."""

    def __init__(self) -> None:
        self._buffer = bytearray()

    def __len__(self) -> int:
        """Octets that wait for the rest of their message, or to be taken."""
        return len(self._buffer)

    def feed(self, data: bytes) -> None:
        """Take the next bytes of the stream."""
        self._buffer += data

    def next_message(self) -> bytes | None:
        """The next whole message, or None when more of the stream is needed."""
        buffer = self._buffer
        if len(buffer) < _PREFIX:
            return None
        end = _PREFIX + int.from_bytes(buffer[:_PREFIX])
        if len(buffer) < end:
            return None
        message = bytes(buffer[_PREFIX:end])
        del buffer[:end]
        return message


def message_id(wire: bytes) -> int:
    """The message ID. Raises ValueError when there is no whole header."""
    if len(wire) < _HEADER:
        raise ValueError(f"a DNS message has 12 octets at least, not {len(wire)}")
    return int.from_bytes(wire[:2])


def is_response(wire: bytes) -> bool:
    """Whether QR is set."""
    return bool(wire[2] & 0x80)


def question(wire: bytes) -> bytes | None:
    """QNAME (in lower case), QTYPE and QCLASS of the first question; None when there is none or it is broken.

    Enough to tell what a response belongs to (RFC 7766 section 7); the message is not parsed any further.
    """
    if len(wire) < _HEADER or wire[4:6] == b"\0\0":
        return None
    position = _HEADER
    while position < len(wire) and (length := wire[position]):
        if length > _LONGEST_LABEL:  # the first name of a message has nothing to point to
            return None
        position += 1 + length
    end = position + 5
    # Lengths of labels are below the letters, so that lower() leaves them alone.
    return wire[_HEADER:position].lower() + wire[position:end] if end <= len(wire) else None
