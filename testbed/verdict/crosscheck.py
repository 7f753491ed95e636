"""Whether the evidence of a phase can be relied on: only then does what was not seen count as absent."""

from __future__ import annotations

from collections.abc import Iterator

import dns.rdatatype

from testbed.evidence import ClientResult, LinkCapture, Side
from testbed.topology import CLIENT
from testbed.verdict.exposures import Eyes
from testbed.verdict.facts import Facts, packed
from testbed.verdict.messages import Question
from testbed.verdict.queries import says_identity
from testbed.verdict.secret import NAME, SecretNames
from testbed.verdict.views import Message, PhaseView, SideView

_SIDES: tuple[Side, ...] = ("resolver", "far")


def doubts(facts: Facts, view: PhaseView, names: SecretNames, eyes: Eyes) -> Iterator[str]:
    """Reasons for which the phase is inconclusive, those that say most first; none if all is well.

    The machine had trouble; packets are missing from a capture; what is known to have happened is not in
    it; something that the resolver said cannot be read; or the sensitive name stands in a packet on the
    attacker's links where the dissector has not read it.
    """
    yield from view.evidence.trouble
    if not view.evidence.client:
        yield "the client asked nothing"
    for link in sorted(facts.links | facts.attacked_links | {CLIENT}):
        if link not in view.evidence.captures:
            yield f"link {link}: no capture"
    for capture in view.evidence.captures.values():
        yield from _missing_packets(capture)
    yield from _missing_traffic(facts, view)
    for side in view.server_links():
        for frame, what in side.unread[:1]:
            yield f"link {side.link}: {what} cannot be read (packet {frame.number})"
    yield from _blind_spots(facts, view, names, eyes)


def _missing_packets(capture: LinkCapture) -> Iterator[str]:
    if capture.lost:
        yield f"link {capture.link}: the capture lost {capture.lost} packets"
    for side in _SIDES:
        captured = sum(frame.side == side for frame in capture.frames)
        counted = capture.counted.get(side)
        if counted is None:
            yield f"link {capture.link}: the kernel's packet count of the {side} side is missing"
        elif captured != counted:
            yield f"link {capture.link}: {captured} packets captured at the {side} side of {counted}"
    if any(frame.number != index for index, frame in enumerate(capture.frames, 1)):
        yield f"link {capture.link}: packet numbers are not consecutive"


# -- control traffic -------------------------------------------------------------------------------


def _missing_traffic(facts: Facts, view: PhaseView) -> Iterator[str]:
    client = view.resolver.get(CLIENT)
    if client is None or not client.packets:
        yield f"link {CLIENT}: not one packet captured"
    else:
        yield from _missing_client_traffic(client, view.evidence.client)
    if not any(side.packets for side in view.server_links()):
        yield "not one packet captured on any link to a server"
    for decision in view.evidence.decisions:
        if not says_identity(decision) or decision.server is None:
            continue
        try:
            place = facts.by_address.get(packed(decision.server))
        except ValueError:
            continue
        seen = view.resolver.get(place.link) if place else None
        if place and (seen is None or not any(sign.kind == "session" for sign in seen.signs)):
            yield f"link {place.link}: a handshake with {decision.server} is not in the capture"
            return


def _missing_client_traffic(client: SideView, results: list[ClientResult]) -> Iterator[str]:
    """The client's own queries and responses serve as control traffic: all of them must be there."""
    asked = {_key(message) for message in client.messages if not message.dns.is_response}
    answered = {_key(message) for message in client.messages if message.dns.is_response}
    for result in results:
        labels = tuple(label.lower() for label in result.qname.labels if label)
        key = (result.step, (labels, int(result.qtype)))
        what = f"{result.qname} {dns.rdatatype.to_text(result.qtype)} in step {result.step + 1}"
        if key not in asked:
            yield f"link {CLIENT}: the query {what} is not in the capture"
        elif result.response is not None and key not in answered:
            yield f"link {CLIENT}: the response to {what} is not in the capture"


def _key(message: Message) -> tuple[int, Question | None]:
    return message.frame.step, message.dns.question


# -- blind spots of the dissector ------------------------------------------------------------------


def _blind_spots(facts: Facts, view: PhaseView, names: SecretNames, eyes: Eyes) -> Iterator[str]:
    """Search the raw octets: whatever contains the sensitive name must have been read as such."""
    for link in sorted(facts.attacked_links | facts.attacker_links):
        sides = view.sides(link)
        read = [_Read(side, names) for side in sides]
        packets = {number for found in read for number in found.packets}
        for frame in view.evidence.captures[link].frames if sides else ():
            if frame.number not in packets and names.find(frame.data):
                yield f"link {link}: the sensitive name stands unread in packet {frame.number}"
                return
        parts = {part for found in read for part in found.parts}
        for session, octets in (stream for side in sides for stream in side.streams):
            if session is not None and not eyes.holds(session) and link not in facts.attacker_links:
                continue
            for start, end in names.find(octets.data):
                if not any(
                    which == id(octets) and first <= start and end <= last for which, first, last in parts
                ):
                    packet = octets.completed(start, end).number
                    yield f"link {link}: the sensitive name stands unread in the stream of packet {packet}"
                    return


class _Read:
    """Where the dissector has read the sensitive name: packets, and parts of streams."""

    def __init__(self, side: SideView, names: SecretNames) -> None:
        self.packets: set[int] = set()
        self.parts: list[tuple[int, int, int]] = []
        for message in side.messages:
            if names.find(message.dns.wire) and names.accounts_for(message.dns):
                self.packets |= message.carriers()
                if message.stream is not None:
                    octets, start, end = message.stream
                    self.parts.append((id(octets), start, end))
        for request in side.requests:
            if names.in_request(request.authority, request.path) == NAME:
                self.parts.append((id(request.text), 0, len(request.text.data)))
        for session in side.sessions:
            if names.in_host(session.hello.sni) == NAME:
                self.packets |= session.hello_numbers
