"""What an attacker is seen to do on a link, to messages and to connections, as both sides of its hop show it.

A deed says what was to happen. Shown a flow it complains of whatever is otherwise. Nothing in here knows
attackers or sockets: flows come from captures, or from the driver in memory.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import Literal

import dns.edns
import dns.flags
import dns.message
import dns.rcode

from testbed.core.transport import Transport

CLEAR = (Transport.UDP, Transport.TCP)
TLS = (Transport.DOT, Transport.DOH)
QUIC = (Transport.DOQ, Transport.DOH3)
SEALED = (*TLS, *QUIC)
EVERYWHERE = (*CLEAR, *SEALED)


@dataclass(frozen=True, slots=True)
class Passed:
    """A DNS message, and when it passed, in seconds."""

    time: float
    wire: bytes


@dataclass
class Side:
    """What one side of the hop saw of a flow.

    ``sent`` are the octets towards the server, ``reached`` says whether there was any packet that way, and
    when the first. ``signs`` are "reset", "port unreachable", "prohibited" and "alert".
    """

    queries: list[Passed] = field(default_factory=list)
    responses: list[Passed] = field(default_factory=list)
    sent: bytes = b""
    reached: float | None = None
    signs: set[str] = field(default_factory=set)


@dataclass
class Flow:
    """A question over one transport. ``outcome`` is a word for how it failed, empty when it was answered.

    ``near`` is the side of whoever asks, ``far`` that of the server.
    """

    where: str
    transport: Transport
    near: Side
    far: Side
    outcome: str = ""


class Deed:
    """What an attacker does to a flow; this one is to do nothing.

    ``to_connections`` means that nothing else can be asked in the same session.
    """

    to_connections = False

    def complaints(self, flow: Flow) -> Iterator[str]:
        """What is otherwise than it should be."""
        near, far = flow.near, flow.far
        if not near.queries or not near.responses or flow.outcome:
            yield f"it was not answered: {flow.outcome}"
        yield from _same("queries", near.queries, far.queries)
        yield from _same("responses", far.responses, near.responses)


Untouched = Deed


@dataclass(frozen=True)
class Alters(Deed):
    """Messages arrive changed, in nothing but what is listed, by patterns of lines as ``lines`` makes them.

    ``gone`` is taken out of responses and ``new`` put in, ``unasked`` and ``asked`` the same of queries.
    """

    gone: tuple[str, ...] = ()
    new: tuple[str, ...] = ()
    unasked: tuple[str, ...] = ()
    asked: tuple[str, ...] = ()

    def complaints(self, flow: Flow) -> Iterator[str]:
        near, far = flow.near, flow.far
        if flow.outcome:
            yield f"it was not answered: {flow.outcome}"
        if flow.transport.encrypted and near.sent and near.sent == far.sent:
            yield "the session was not terminated"
        for what, before, after, gone, new in (
            ("the query", near.queries, far.queries, self.unasked, self.asked),
            ("the response", far.responses, near.responses, self.gone, self.new),
        ):
            if not before or len(before) != len(after):
                yield f"{what} is there {len(before)} and then {len(after)} times"
            elif not gone and not new:
                yield from _same(what, before, after)
            else:
                taken, put = _difference(before, after)
                yield from _unmatched(f"taken out of {what}", taken, gone)
                yield from _unmatched(f"put into {what}", put, new)


@dataclass(frozen=True)
class Answers(Deed):
    """The attacker answers, with these lines and no others; the server is not asked."""

    response: tuple[str, ...]

    def complaints(self, flow: Flow) -> Iterator[str]:
        near, far = flow.near, flow.far
        if flow.outcome:
            yield f"it was not answered: {flow.outcome}"
        if far.queries or far.responses:
            yield "the server was asked"
        if len(near.queries) != 1 or len(near.responses) != 1:
            yield f"{len(near.queries)} queries and {len(near.responses)} responses"
            return
        query, response = (dns.message.from_wire(one[0].wire) for one in (near.queries, near.responses))
        if not query.is_response(response):
            yield "the response is to something else"
        if (response.edns, response.ednsflags) != (query.edns, query.ednsflags & dns.flags.DO):
            yield "its EDNS is not what servers have"
        made = Counter(line for line in lines(response) if not line.startswith(("question", "edns")))
        yield from _unmatched("answered", made, self.response)


@dataclass(frozen=True)
class Swallows(Deed):
    """Messages do not arrive, and nobody is told."""

    messages: Literal["queries", "responses"] = "queries"

    def complaints(self, flow: Flow) -> Iterator[str]:
        near, far = flow.near, flow.far
        if flow.outcome != "timeout" or near.signs:
            yield f"{flow.outcome or 'answered'} {sorted(near.signs)} in place of silence"
        if near.responses or len(near.queries) != 1:
            yield f"{len(near.queries)} queries and {len(near.responses)} responses at the resolver's side"
        if self.messages == "queries" and far.queries:
            yield "the query arrived"
        if self.messages == "responses" and len(far.responses) != 1:
            yield "the server did not answer"


@dataclass(frozen=True)
class Delays(Deed):
    """Messages arrive as they were, so many seconds later."""

    seconds: float
    messages: Literal["queries", "responses"] = "queries"

    def complaints(self, flow: Flow) -> Iterator[str]:
        yield from super().complaints(flow)
        near, far = flow.near, flow.far
        late = (far.queries, near.queries) if self.messages == "queries" else (near.responses, far.responses)
        if all(late):
            yield from _unhurried(late[0][0].time - late[1][0].time, self.seconds)


REFUSALS: dict[str, tuple[set[str], set[str], str]] = {
    "reset": ({"reset"}, {"port unreachable"}, "refused"),
    "drop": (set(), set(), "timeout"),
    "icmp": ({"prohibited"}, {"prohibited"}, "unreachable"),
    "alert": ({"alert"}, {"port unreachable"}, "tls"),
}
"""What blocking looks like over TCP and over UDP, and how it fails over TCP."""


@dataclass(frozen=True)
class Refuses(Deed):
    """Connections do not come about; no packet reaches the server. ``met`` words failures over TCP."""

    how: Literal["reset", "drop", "icmp", "alert"] = "reset"
    met: str = ""
    to_connections = True

    def complaints(self, flow: Flow) -> Iterator[str]:
        tcp, udp, outcome = REFUSALS[self.how]
        datagrams = flow.transport.carrier == "udp"
        if flow.near.reached is None:
            yield "nobody tried"
        if flow.far.reached is not None:
            yield "something reached the server"
        if flow.near.signs != (udp if datagrams else tcp):
            yield f"the signs are {sorted(flow.near.signs)}"
        if flow.outcome != (self.met or outcome) and not datagrams:
            yield f"it ended with {flow.outcome or 'an answer'}"
        if flow.near.responses:
            yield "there was an answer"


@dataclass(frozen=True)
class Terminates(Deed):
    """There is a session on either side of the hop; what is said inside is the same."""

    def complaints(self, flow: Flow) -> Iterator[str]:
        yield from super().complaints(flow)
        if flow.near.sent == flow.far.sent:
            yield "the session was not terminated"


@dataclass(frozen=True)
class Cuts(Deed):
    """A session comes about, and is reset at both ends once data are sent in it, which do not arrive."""

    to_connections = True

    def complaints(self, flow: Flow) -> Iterator[str]:
        near, far = flow.near, flow.far
        if not far.sent or not near.sent.startswith(far.sent) or near.sent == far.sent:
            yield f"{len(near.sent)} octets were sent, {len(far.sent)} arrived"
        if "reset" not in near.signs or "reset" not in far.signs:
            yield f"the signs are {sorted(near.signs)} and {sorted(far.signs)}"
        if far.queries or near.responses:
            yield "the query arrived"


@dataclass(frozen=True)
class HoldsUp(Deed):
    """A session comes about so many seconds late; its octets are the same on both sides."""

    seconds: float
    to_connections = True

    def complaints(self, flow: Flow) -> Iterator[str]:
        yield from super().complaints(flow)
        if not flow.near.sent or flow.near.sent != flow.far.sent:
            yield "the octets differ"
        if flow.near.reached is not None and flow.far.reached is not None:
            yield from _unhurried(flow.far.reached - flow.near.reached, self.seconds)


def lines(message: dns.message.Message) -> Iterator[str]:
    """All there is in a message, a line each: header, question, records by section, EDNS."""
    flags = dns.flags.to_text(message.flags)
    yield f"header {dns.rcode.to_text(message.rcode())} {flags}"
    if message.edns >= 0:
        options = " ".join(f"{option.otype} {option.to_wire().hex()}" for option in message.options)
        bits = f"{message.ednsflags & 0xFFFF:04x}"
        yield f"edns {message.edns} {bits} {message.payload} {options}".rstrip()
    names = ("question", "answer", "authority", "additional")
    for name, section in zip(names, message.sections, strict=True):
        for rrset in section:
            for line in rrset.to_text().splitlines():
                yield f"{name} {line}"


def _lines(passed: list[Passed]) -> Counter[str]:
    return Counter(line for one in passed for line in lines(dns.message.from_wire(one.wire)))


def _difference(before: list[Passed], after: list[Passed]) -> tuple[Counter[str], Counter[str]]:
    one, other = _lines(before), _lines(after)
    return one - other, other - one


def _same(what: str, before: list[Passed], after: list[Passed]) -> Iterator[str]:
    if [one.wire for one in before] != [one.wire for one in after]:
        yield f"{what} differ: {len(before)} and then {len(after)}"


def _unmatched(what: str, found: Counter[str], patterns: tuple[str, ...]) -> Iterator[str]:
    """Lines that no pattern is for, and patterns that there is no line for."""
    for line in found:
        if not any(fnmatchcase(line, pattern) for pattern in patterns):
            yield f"{what}: {line}"
    for pattern in patterns:
        if not any(fnmatchcase(line, pattern) for line in found):
            yield f"not {what}: {pattern}"


def _unhurried(took: float, seconds: float) -> Iterator[str]:
    if not seconds <= took < seconds + 1:
        yield f"it took {took:.2f} s and not {seconds} s"
