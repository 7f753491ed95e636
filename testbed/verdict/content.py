"""DNS messages in octets, streams and HTTP, added to the view of a side."""

from __future__ import annotations

from dataclasses import dataclass

from testbed.core.transport import Transport
from testbed.evidence import Frame
from testbed.verdict import http, tls
from testbed.verdict.messages import Dns, DnsFormatError, looks_like_dns, scan
from testbed.verdict.streams import LENGTH, Octets
from testbed.verdict.views import Message, Request, SideView, Sign, towards

_MEDIA_TYPE = b"application/dns-message"


def dns_in(octets: bytes, sure: bool) -> Dns | None:
    """The message in some octets; unless one belongs there, only what can hardly be anything else."""
    try:
        message = scan(octets)
    except DnsFormatError:
        return None
    known = bool(message.questions) or message.whole if sure else looks_like_dns(message)
    return message if known else None


@dataclass(frozen=True, slots=True)
class Content:
    """Reads what one connection carries. ``peer`` is the packed address of the end that is not the resolver.

    ``session`` is the TLS session that it was decrypted from, None in clear text.
    """

    view: SideView
    transport: Transport
    peer: bytes
    session: tls.Session | None

    def read_stream(self, octets: Octets, sure: bool) -> int:
        """Read messages with their lengths before them; how many octets they are (RFC 1035 section 4.2.2)."""
        self.view.streams.append((self.session, octets))
        size = 0
        for start, end in octets.messages():
            message = dns_in(octets.data[start:end], sure)
            if message is not None:
                size += end - start + LENGTH
                frame = octets.completed(start - LENGTH, end)
                self._add(message, frame, (octets, start, end))
        return size

    def read_http(self, conversation: http.Conversation) -> Frame | None:
        """Read requests and responses; a frame with a request of the client's that could not be read."""
        unread = conversation.broken
        self.view.streams.append((self.session, conversation.rest))
        for request, response in conversation.streams.values():
            for half in (request, response):
                self.view.streams += ((self.session, half.text), (self.session, half.content))
            if not self._read_half(request):
                unread = unread or _last(request)
            self._read_half(response)
            if request.text.data:
                self._add_request(request)
            if response.failed:
                self._add_failure(response)
        return unread

    def _read_half(self, half: http.Half) -> bool:
        """Read the message in a request or response; whether there is one, or nothing at all."""
        octets = half.message
        if octets is None:
            return not half.text.data
        sure = octets is not half.content or half.fields.get(b"content-type", b"").lower() == _MEDIA_TYPE
        message = dns_in(octets.data, sure)
        if message is None:
            return False
        if octets is not half.content:
            self.view.streams.append((self.session, octets))
        size = len(octets.data)
        self._add(message, octets.completed(0, size), (octets, 0, size))
        return True

    def _add(self, message: Dns, frame: Frame, origin: tuple[Octets, int, int]) -> None:
        self.view.messages.append(
            Message(self.view.link, frame, self.transport, self.peer, message, self.session, stream=origin)
        )

    def _add_request(self, request: http.Half) -> None:
        frame = request.text.completed(0, len(request.text.data))
        self.view.requests.append(
            Request(
                self.view.link, frame, self.peer, self.session, request.authority, request.path, request.text
            )
        )

    def _add_failure(self, response: http.Half) -> None:
        frame = response.text.completed(0, len(response.text.data))
        text = f"HTTP status {response.status}"
        key = ("http", towards(frame), response.status)
        self.view.signs.append(Sign("http", self.view.link, frame, self.transport, self.peer, text, key))


def _last(request: http.Half) -> Frame:
    octets = request.content if request.content.data else request.text
    return octets.completed(0, len(octets.data))
