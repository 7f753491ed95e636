"""What the packets of a phase turn out to be: DNS messages, TLS sessions, and signs of what else happened."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Literal

from testbed.core.transport import Transport
from testbed.evidence import Frame, LinkCapture, PhaseEvidence, Side
from testbed.topology import CA, CLIENT
from testbed.verdict import tls
from testbed.verdict.frames import Fragment, Packet
from testbed.verdict.messages import Dns
from testbed.verdict.streams import Octets

Towards = Literal["resolver", "far"]


@dataclass(slots=True)
class Message:
    """A DNS message at one side of a hop.

    ``peer`` is the packed address of the end that is not the resolver. ``session`` is the TLS session that
    it was decrypted from, ``quoted`` says that an ICMP error message quotes it. ``frame`` completed it.
    """

    link: str
    frame: Frame
    transport: Transport
    peer: bytes
    dns: Dns
    session: tls.Session | None = None
    quoted: bool = False
    carried: tuple[int, ...] = ()
    stream: tuple[Octets, int, int] | None = None

    @property
    def towards(self) -> Towards:
        """Which way it went."""
        return towards(self.frame)

    @property
    def arrived(self) -> bool:
        """Whether it came to the hop from a host. What the hop sends is a copy of that, or made up there."""
        return not self.frame.outgoing

    def carriers(self) -> set[int]:
        """Numbers of all frames with any part of it."""
        if self.stream is None:
            return set(self.carried)
        octets, start, end = self.stream
        return octets.carriers(start, end)


@dataclass(slots=True)
class Request:
    """A request over HTTP. ``text`` are its header fields, ``authority`` the host that it is for."""

    link: str
    frame: Frame
    peer: bytes
    session: tls.Session | None
    authority: str
    path: str
    text: Octets

    @property
    def towards(self) -> Towards:
        """Which way it went."""
        return towards(self.frame)

    @property
    def arrived(self) -> bool:
        """Whether it came to the hop from a host."""
        return not self.frame.outgoing


SignKind = Literal["syn", "hello", "session", "alert", "reset", "icmp", "quic", "close", "http"]


@dataclass(slots=True)
class Sign:
    """Something else worth a line: a handshake, or how one failed.

    ``key`` is equal for the same thing at the other side of the hop. ``session`` is set for "hello" and
    "session".
    """

    kind: SignKind
    link: str
    frame: Frame
    transport: str
    peer: bytes
    text: str
    key: object
    session: tls.Session | None = None

    @property
    def towards(self) -> Towards:
        """Which way it went."""
        return towards(self.frame)


@dataclass(slots=True)
class SideView:
    """What one side of a hop saw. ``packets`` are the IP packets, or fragments of some, in order.

    ``opaque`` are numbers of frames that could not be made out, or whose content could not.
    """

    link: str
    packets: list[Packet | Fragment] = field(default_factory=list)
    messages: list[Message] = field(default_factory=list)
    requests: list[Request] = field(default_factory=list)
    signs: list[Sign] = field(default_factory=list)
    sessions: list[tls.Session] = field(default_factory=list)
    streams: list[tuple[tls.Session | None, Octets]] = field(default_factory=list)
    """What went over TCP in clear, and what was decrypted of TLS sessions. Of HTTP, what its frames carry."""
    opaque: set[int] = field(default_factory=set)
    unread: list[tuple[Frame, str]] = field(default_factory=list)
    """Frames in which the resolver said something that could not be decrypted, and what that was."""


class PhaseView:
    """A phase, dissected: the resolver's side of all links at once, the far side of one when asked for.

    Nothing in it depends on the attacker, so that a baseline can be dissected once and judged often.
    """

    def __init__(self, evidence: PhaseEvidence, read: Callable[[LinkCapture, Side], SideView]) -> None:
        self.evidence = evidence
        self._read = read
        self._far: dict[str, SideView] = {}
        self.resolver = {link: read(capture, "resolver") for link, capture in evidence.captures.items()}

    def server_links(self) -> Iterator[SideView]:
        """The resolver's side of every link from it to servers."""
        return (view for link, view in self.resolver.items() if link not in (CLIENT, CA))

    def sides(self, link: str) -> list[SideView]:
        """Both sides of a link, the resolver's first; none if there is no capture."""
        capture = self.evidence.captures.get(link)
        if capture is None:
            return []
        if link not in self._far:
            self._far[link] = self._read(capture, "far")
        return [self.resolver[link], self._far[link]]


def towards(frame: Frame) -> Towards:
    """Which way a frame went: hops send towards the side that they see it leave on."""
    return "resolver" if (frame.side == "resolver") == frame.outgoing else "far"
