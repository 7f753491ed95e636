"""What the answers cost at the resolver."""

from __future__ import annotations

import math
from itertools import pairwise

from testbed.record import Counts
from testbed.topology import CLIENT
from testbed.verdict.frames import Packet
from testbed.verdict.queries import is_query
from testbed.verdict.views import PhaseView, towards


def last_answer(view: PhaseView) -> float:
    """When the client's last answer left the resolver; never, when there was none."""
    client = view.resolver.get(CLIENT)
    times = [
        message.frame.time
        for message in (client.messages if client else ())
        if message.arrived and message.dns.is_response
    ]
    return max(times, default=math.inf)


def count(view: PhaseView) -> Counts:
    """Count at the resolver's side of all links but the client's, until the last answer to the client.

    ``packets`` are IP packets both ways, each fragment by itself; ``bytes`` are octets of IP. ``handshakes``
    are those with a ServerHello, over TCP or over QUIC. ``round_trips`` are the times that the resolver had
    to wait: after something it sent, something came in. Bare acknowledgements, FIN and RST do not count
    there, nor does what nobody waits for, such as session tickets and settings of HTTP, nor ICMP errors that
    the resolver sends. What is sent before the first of several things comes in counts as sent at once.
    """
    until = last_answer(view)
    queries = handshakes = size = 0
    packets: list[tuple[float, str, int, bool]] = []
    substantial: list[tuple[float, str, int, bool]] = []
    for side in view.server_links():
        queries += sum(is_query(message) and message.frame.time <= until for message in side.messages)
        handshakes += sum(
            session.answer is not None and session.answer.time <= until for session in side.sessions
        )
        unawaited = {number for session in side.sessions for number in session.unawaited}
        for packet in side.packets:
            frame = packet.frame
            if frame.time > until:
                continue
            size += packet.size
            sent = towards(frame) == "far"
            entry = (frame.time, side.link, frame.number, sent)
            packets.append(entry)
            complaint = sent and isinstance(packet, Packet) and packet.error is not None
            if packet.substantial and not complaint and frame.number not in unawaited:
                substantial.append(entry)
    return Counts(
        queries=queries,
        packets=len(packets),
        bytes=size,
        round_trips=_turns([sent for *_, sent in sorted(substantial)]),
        handshakes=handshakes,
    )


def _turns(sent: list[bool]) -> int:
    """How often something received follows something sent."""
    return sum(before and not now for before, now in pairwise(sent))
