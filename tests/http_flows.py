"""Forges what hops would have captured of HTTP: over TLS by h2, over QUIC by aioquic."""

from __future__ import annotations

import base64

import h2.connection
from aioquic.h3.connection import H3Connection
from h2.config import H2Configuration
from packets import TlsFlow
from quic_flows import QuicFlow

from testbed.evidence import Frame


class H2Flow(TlsFlow):
    """HTTP/2 over a TLS session."""

    def __init__(self, *arguments, at: int = 443, authority: str = "ns1.dnshost.net", **options) -> None:
        super().__init__(*arguments, at=at, alpn=b"h2", **options)
        self.authority = authority.encode()
        self.http = {
            towards: h2.connection.H2Connection(
                H2Configuration(client_side=towards == "far", header_encoding=None)
            )
            for towards in ("far", "resolver")
        }

    def shake(self) -> H2Flow:
        """The TLS handshake, the client's preface, and the settings of both ends."""
        super().shake()
        for towards in ("far", "resolver"):
            self.http[towards].initiate_connection()
        for towards in ("far", "resolver", "far"):
            self.say(towards)
        return self

    def say(self, towards: str, size: int = 1400) -> Frame | None:
        """Carry what one end of HTTP/2 has to say to the other."""
        data = self.http[towards].data_to_send()
        if not data:
            return None
        self.ends[towards].sendall(data)
        frame = self.flush(towards, size)
        self.http["resolver" if towards == "far" else "far"].receive_data(data)
        return frame

    def request(self, headers, content: bytes | None = None) -> tuple[int, Frame]:
        """A request; its stream, and the frame with the end of it."""
        stream = self.http["far"].get_next_available_stream_id()
        self.http["far"].send_headers(stream, headers, end_stream=content is None)
        if content is not None:
            self.http["far"].send_data(stream, content, end_stream=True)
        return stream, self.say("far")

    def respond(self, stream: int, content: bytes, status: bytes = b"200") -> Frame:
        """A response; the last frame with a part of it."""
        self.http["resolver"].send_headers(stream, answered(status))
        self.http["resolver"].send_data(stream, content, end_stream=True)
        return self.say("resolver")

    def message(self, towards: str, message, size: int = 1400) -> Frame:
        if towards == "far":
            self.last, frame = self.request(*post(message.to_wire(), self.authority))
            return frame
        return self.respond(self.last, message.to_wire())


class H3Flow(QuicFlow):
    """HTTP/3 over a QUIC connection."""

    protocol = "h3"

    def __init__(self, *arguments, at: int = 443, authority: str = "ns1.dnshost.net", **options) -> None:
        super().__init__(*arguments, at=at, **options)
        self.authority = authority.encode()
        self.http = {"far": H3Connection(self.client)}

    def shake(self) -> H3Flow:
        self.hello()
        self.flush("resolver")
        self.http["resolver"] = H3Connection(self.server)
        for towards in ("far", "resolver", "far"):
            self.flush(towards)
        return self

    def receive(self, towards: str, datagram: bytes) -> None:
        super().receive(towards, datagram)
        to = "resolver" if towards == "far" else "far"
        for event in iter(self.ends[to].next_event, None):
            if to in self.http:
                self.http[to].handle_event(event)

    def request(self, headers, content: bytes | None = None) -> tuple[int, Frame]:
        """A request; its stream, and the frame with the end of it."""
        stream = self.client.get_next_available_stream_id()
        self.http["far"].send_headers(stream, headers, end_stream=content is None)
        if content is not None:
            self.http["far"].send_data(stream, content, end_stream=True)
        return stream, self.flush("far")

    def ask(self, query, stream=None):
        return self.request(*post(query.to_wire(), self.authority))

    def answer(self, stream, response):
        return self.respond(stream, response.to_wire())

    def respond(self, stream: int, content: bytes, status: bytes = b"200") -> Frame:
        """A response; the last frame with a part of it."""
        self.http["resolver"].send_headers(stream, answered(status))
        self.http["resolver"].send_data(stream, content, end_stream=True)
        return self.flush("resolver")


def post(wire: bytes, authority: bytes = b"ns1.dnshost.net", path: bytes = b"/dns-query"):
    """Header fields and content of a POST request (RFC 8484 section 4.1)."""
    return [*_fields(b"POST", authority, path), (b"content-type", b"application/dns-message")], wire


def get(wire: bytes, authority: bytes = b"ns1.dnshost.net", path: bytes = b"/dns-query"):
    """Header fields of a GET request."""
    text = base64.urlsafe_b64encode(wire).rstrip(b"=")
    return _fields(b"GET", authority, path + b"?dns=" + text)


def answered(status: bytes = b"200"):
    """Header fields of a response."""
    return [(b":status", status), (b"content-type", b"application/dns-message")]


def _fields(method: bytes, authority: bytes, path: bytes):
    return [
        (b":method", method),
        (b":scheme", b"https"),
        (b":authority", authority),
        (b":path", path),
        (b"accept", b"application/dns-message"),
    ]
