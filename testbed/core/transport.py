"""The ways in which a DNS message travels, and how well each protects it."""

from __future__ import annotations

from enum import IntEnum, StrEnum
from typing import Literal


class Protection(IntEnum):
    """How well a message was protected on a link, worst first, so that values compare."""

    CLEAR = 0
    ENCRYPTED = 1
    SECURE = 2

    @property
    def label(self) -> str:
        """The word that scenario files and reports use."""
        return self.name.lower()


class Transport(StrEnum):
    """A DNS transport towards an authoritative server. DoH is HTTP/2, or HTTP/3 as ``doh3``."""

    UDP = "udp"
    TCP = "tcp"
    DOT = "dot"
    DOH = "doh"
    DOH3 = "doh3"
    DOQ = "doq"

    @property
    def encrypted(self) -> bool:
        """Whether messages travel inside TLS or QUIC."""
        return self not in (Transport.UDP, Transport.TCP)

    @property
    def stream(self) -> bool:
        """Whether messages are not limited to one datagram, so that truncation has no use."""
        return self is not Transport.UDP

    @property
    def carrier(self) -> Literal["tcp", "udp"]:
        """What carries it: QUIC runs over UDP (RFC 9000)."""
        return "udp" if self in (Transport.UDP, Transport.DOQ, Transport.DOH3) else "tcp"

    @property
    def http(self) -> bool:
        """Whether messages travel in HTTP, where they need a path (RFC 8484)."""
        return self in (Transport.DOH, Transport.DOH3)

    @property
    def port(self) -> int:
        """The default port (RFC 1035, RFC 7858 section 3.1, RFC 8484, RFC 9250 section 4.1.1)."""
        return {"dot": 853, "doq": 853, "doh": 443, "doh3": 443}.get(self.value, 53)

    @property
    def alpn(self) -> str | None:
        """The ALPN protocol identifier, where there is one (RFC 7858, RFC 9250, RFC 9113, RFC 9114)."""
        return {"dot": "dot", "doq": "doq", "doh": "h2", "doh3": "h3"}.get(self.value)


class Failure(StrEnum):
    """How a connection or an exchange can fail, as far as the one who tried can tell."""

    TIMEOUT = "timeout"
    REFUSED = "refused"
    UNREACHABLE = "unreachable"
    RESET = "reset"
    CLOSED = "closed"
    TLS = "tls"
    PROTOCOL = "protocol"


class TransportError(Exception):
    """A connection or an exchange failed: ``failure`` says how, ``detail`` in words."""

    def __init__(self, failure: Failure, detail: str = "") -> None:
        super().__init__(f"{failure}: {detail}" if detail else str(failure))
        self.failure = failure
        self.detail = detail


Full = Literal["refuse", "close-idle"]
"""What a server does with a new connection when it has as many as it keeps: reset it, or close the one that
has been idle for longest, if any is."""
