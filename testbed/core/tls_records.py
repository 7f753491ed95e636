"""Counts what is sent in a TLS session without being able to read it: records of application data.

Pure functions over bytes, after RFC 8446 section 5. Nothing is decrypted.
"""

from __future__ import annotations

from collections.abc import Iterator

_HANDSHAKE, _APPLICATION_DATA = 22, 23
_HEADER = 5
_SERVER_HELLO = 2
_TLS13 = b"\x00\x2b\x00\x02\x03\x04"
"""The supported_versions extension of a ServerHello that chose TLS 1.3 (RFC 8446 section 4.2.1)."""


class Records:
    """Cuts one direction of a stream into records: the type of each, and what is in it."""

    def __init__(self) -> None:
        self._rest = bytearray()

    def feed(self, data: bytes) -> Iterator[tuple[int, bytes]]:
        """The records that some more octets complete."""
        self._rest += data
        while len(self._rest) >= _HEADER:
            end = _HEADER + int.from_bytes(self._rest[3:_HEADER])
            if len(self._rest) < end:
                return
            record = bytes(self._rest[_HEADER:end])
            kind = self._rest[0]
            del self._rest[:end]
            yield kind, record


class Data:
    """How many records of application data the client has sent in a session, as far as can be told.

    In TLS 1.3 the client's Finished looks like application data (RFC 8446 section 5.2), and comes before any;
    early data do not (section 2.3), so what comes before the ServerHello counts.
    """

    def __init__(self) -> None:
        self._client, self._server = Records(), Records()
        self._finished_is_due = False

    def from_client(self, data: bytes) -> int:
        """How many more records of data some octets of the client's complete."""
        count = 0
        for kind, _ in self._client.feed(data):
            if kind != _APPLICATION_DATA:
                continue
            if self._finished_is_due:
                self._finished_is_due = False
            else:
                count += 1
        return count

    def from_server(self, data: bytes) -> None:
        """Look for the ServerHello in what the server sends."""
        for kind, record in self._server.feed(data):
            if kind == _HANDSHAKE and record[:1] == bytes((_SERVER_HELLO,)):
                self._finished_is_due = _TLS13 in record
