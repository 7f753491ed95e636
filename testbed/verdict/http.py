"""What HTTP requests and responses carry: DNS messages (RFC 8484), and what else a server is told."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Iterable
from dataclasses import dataclass, field

from testbed.evidence import Frame
from testbed.verdict.streams import Octets

Fields = Iterable[tuple[bytes, bytes]]
"""Header fields in order."""


@dataclass(slots=True)
class Half:
    """A request or a response. ``text`` are the header fields, one to a line; ``content`` is the content."""

    fields: dict[bytes, bytes] = field(default_factory=dict)
    text: Octets = field(default_factory=Octets)
    content: Octets = field(default_factory=Octets)

    def add_fields(self, fields: Fields, frame: Frame, numbers: Iterable[int]) -> None:
        """Add a field section that a frame completed. Of several, the last one counts."""
        fields = list(fields)
        self.fields.update(fields)
        lines = b"".join(b"%b: %b\n" % pair for pair in fields)
        self.text.append(lines, frame, numbers)

    @property
    def message(self) -> Octets | None:
        """The octets of the DNS message in it; None if there are none."""
        if self.content.data:
            return self.content
        path = self.fields.get(b":path", b"")
        for variable in path.partition(b"?")[2].split(b"&"):
            name, _, value = variable.partition(b"=")
            wire = _decoded(value) if name == b"dns" else b""
            if wire:
                octets = Octets()
                numbers = {number for *_, number in self.text.copies}
                octets.append(wire, self.text.completed(0, len(self.text.data)), numbers)
                return octets
        return None

    @property
    def authority(self) -> str:
        """The host that a request is for, without its port."""
        text = self.fields.get(b":authority", b"").decode("latin-1")
        return text.rpartition(":")[0] if text.rpartition(":")[2].isdecimal() else text

    @property
    def path(self) -> str:
        """The path of a request, without its query."""
        return self.fields.get(b":path", b"").partition(b"?")[0].decode("latin-1")

    @property
    def status(self) -> int:
        """The status code of a response, 0 if there is none."""
        text = self.fields.get(b":status", b"")
        return int(text) if text.isdigit() else 0

    @property
    def failed(self) -> bool:
        """Whether it is a response that is no success (RFC 8484 section 4.2.1)."""
        return bool(self.text.data) and not 200 <= self.status < 300


@dataclass(slots=True)
class Conversation:
    """Requests and responses by stream, in order.

    ``rest`` is what else the ends said in frames of HTTP, ``broken`` the frame from which on the client's
    requests could not be read.
    """

    streams: dict[int, tuple[Half, Half]] = field(default_factory=dict)
    rest: Octets = field(default_factory=Octets)
    broken: Frame | None = None

    def half(self, stream: int, *, from_client: bool) -> Half:
        """The request or the response on a stream."""
        return self.streams.setdefault(stream, (Half(), Half()))[0 if from_client else 1]


def _decoded(text: bytes) -> bytes:
    """Base64url without padding (RFC 8484 section 4.1); nothing if it is not that."""
    try:
        return base64.b64decode(text + b"=" * (-len(text) % 4), altchars=b"-_", validate=True)
    except binascii.Error:
        return b""
