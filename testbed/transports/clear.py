"""The clear-text counterpart of a TLS pump, so that one session and one server serve TCP and TLS alike."""

from __future__ import annotations

from typing import Protocol


class Pump(Protocol):
    """What stands between a byte stream and its plaintext; see ``testbed.transports.tls.Pump``."""

    established: bool
    ended: bool

    def feed(self, data: bytes) -> bytes:
        """Take bytes from the peer and give the plaintext."""

    def send(self, plaintext: bytes) -> None:
        """Take plaintext for the peer."""

    def outgoing(self) -> bytes:
        """Give the bytes to send to the peer."""

    def close(self) -> None:
        """Say goodbye, where the protocol has a word for it."""


class ClearPump:
    """Nothing at all: what goes in comes out."""

    def __init__(self) -> None:
        self.established = True
        self.ended = False
        self._outgoing: list[bytes] = []

    def feed(self, data: bytes) -> bytes:
        """The same bytes."""
        return data

    def send(self, plaintext: bytes) -> None:
        """Keep it for ``outgoing``."""
        self._outgoing.append(plaintext)

    def outgoing(self) -> bytes:
        """What was sent."""
        data = b"".join(self._outgoing)
        self._outgoing.clear()
        return data

    def close(self) -> None:
        """TCP says it with FIN."""
