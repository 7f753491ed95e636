"""What the attacker could read, and in which packets."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Literal

from testbed.evidence import Frame
from testbed.record import SECRETS, Exposure
from testbed.verdict import tls
from testbed.verdict.facts import Facts, text
from testbed.verdict.messages import question_text
from testbed.verdict.secret import NONE, ZONE, SecretNames, word
from testbed.verdict.views import Message, PhaseView, Request, SideView, Sign

How = Literal["clear", "terminated", "served", "sni", "address"]

ATTACKER = "attacker"
"""Who holds the secrets of the sessions that the attacker terminates or opens, in ``TlsSecret.holder``."""


class Eyes:
    """The attacker's view: what it can read where, and what it learns from that."""

    def __init__(self, facts: Facts, names: SecretNames) -> None:
        self._facts = facts
        self._names = names
        self._holders = facts.attacker_roles | {ATTACKER}

    def holds(self, session: tls.Session) -> bool:
        """Whether the attacker has keys of a session."""
        return not self._holders.isdisjoint(session.holders)

    def serves(self, message: Message | Request) -> bool:
        """Whether a message goes to a server that the attacker runs, or comes from one."""
        place = self._facts.by_address.get(message.peer)
        return place is not None and place.role in self._facts.attacker_roles and place.link == message.link

    def reads(self, message: Message | Request) -> How | None:
        """How the attacker reads a message, if it can."""
        if self.serves(message):
            return "served"
        if message.session is None:
            return "clear" if message.link in self._facts.attacked_links else None
        return "terminated" if self.holds(message.session) else None

    def learns(self, message: Message) -> int:
        """What the attacker learns from a message, as in ``secret``."""
        return NONE if self.reads(message) is None else self._names.in_message(message.dns)

    def sees_forged(self, item: Message | Sign) -> bool:
        """Whether something came to the resolver by another link than its sender's, by what it says that is.

        Packets of a server come by the link that leads there; an off-path attacker's do not.
        """
        place = self._facts.by_address.get(item.peer)
        return (
            item.towards == "resolver"
            and item.link in self._facts.links
            and (place is None or place.link != item.link)
        )

    def hears(self, link: str, peer: bytes) -> bool:
        """Whether the attacker sees the packets to an address on a link: in passing, or as their target."""
        place = self._facts.by_address.get(peer)
        own = place is not None and place.role in self._facts.attacker_roles and place.link == link
        return own or link in self._facts.attacked_links


def find(
    facts: Facts, view: PhaseView, names: SecretNames, eyes: Eyes, at_rest: Iterable[Exposure] | None
) -> tuple[Exposure, ...]:
    """The exposures of a phase, in order of time; of those that say the same in a step, the first.

    Only what came to the hop from a host counts: what the attacker makes up itself tells it nothing new.
    ``at_rest`` are the exposures of the baseline, None for the baseline itself.
    """
    finder = _Finder(facts, names, eyes, at_rest)
    for link, side in view.resolver.items():
        finder.search(side)
        if link in facts.attacked_links:
            finder.search(view.sides(link)[1])
    ordered = sorted(finder.found, key=lambda item: item[0])
    return tuple(exposure for _, exposure in ordered)


def leak(exposures: Sequence[Exposure]) -> int:
    """The most that exposures come to, as in ``secret``."""
    return max((SECRETS.index(exposure.secret) for exposure in exposures), default=NONE)


class _Finder:
    def __init__(
        self, facts: Facts, names: SecretNames, eyes: Eyes, at_rest: Iterable[Exposure] | None
    ) -> None:
        self._facts = facts
        self._names = names
        self._eyes = eyes
        self._at_rest: dict[tuple[str, str], int] | None = None
        if at_rest is not None:
            self._at_rest = {}
            for exposure in at_rest:
                key = (exposure.link, exposure.how)
                level = SECRETS.index(exposure.secret)
                self._at_rest[key] = max(self._at_rest.get(key, NONE), level)
        self._known: dict[object, int] = {}
        self.found: list[tuple[tuple[float, str, int], Exposure]] = []

    def search(self, side: SideView) -> None:
        """Find what is exposed at one side of a hop."""
        for message in side.messages:
            self._search_message(message)
        for request in side.requests:
            self._search_request(request)
        for sign in side.signs:
            if sign.session is None or sign.kind != "hello" or sign.frame.outgoing:
                continue
            secret = self._names.in_host(sign.session.hello.sni)
            if secret and self._eyes.hears(side.link, sign.peer):
                sni = sign.session.hello.sni
                hello = "QUIC Initial" if sign.session.quic else "ClientHello"
                said = f"SNI {sni} in the {hello} to {self._facts.role(sign.peer)}"
                self._add(side.link, sign.frame, "sni", secret, sni, said)
        if side.link in self._facts.attacked_links:
            self._search_addresses(side)

    def _search_message(self, message: Message) -> None:
        if not message.arrived or self._eyes.sees_forged(message):
            return
        how = self._eyes.reads(message)
        if how is None or (how == "served" and message.towards == "resolver"):
            return
        if message.quoted and message.dns.is_response and message.towards == "far":
            return  # it tells no more than the response did; one that was forged, nobody anything
        secret = self._names.in_message(message.dns)
        if not secret:
            return
        question = message.dns.question
        kind = "response to" if message.dns.is_response else "query"
        session = message.session
        via = message.transport.upper() if session is None else "QUIC" if session.quic else "TLS"
        said = f"{kind} {question_text(question)} over {via} on the link to {self._facts.role(message.peer)}"
        if message.quoted:
            said = f"ICMP error that quotes the {said}"
        self._add(message.link, message.frame, how, secret, question, said)

    def _search_request(self, request: Request) -> None:
        how = self._eyes.reads(request)
        if not request.arrived or request.towards == "resolver" or how is None:
            return
        secret = self._names.in_request(request.authority, request.path)
        if secret:
            target = f"{request.authority}{request.path}"
            said = f"HTTP request for {target} on the link to {self._facts.role(request.peer)}"
            self._add(request.link, request.frame, how, secret, target, said)

    def _search_addresses(self, side: SideView) -> None:
        for packet in side.packets:
            if not packet.frame.outgoing and self._facts.tells_target(packet.target):
                said = f"packet to {text(packet.target)}, where no other zone is served"
                self._add(side.link, packet.frame, "address", ZONE, None, said)

    def _add(self, link: str, frame: Frame, how: How, secret: int, about: object, said: str) -> None:
        key = (link, frame.step, how, about)
        if secret <= self._known.get(key, NONE):
            return
        self._known[key] = secret
        exposure = Exposure(
            link=link,
            secret=word(secret),
            how=how,
            capture=f"{link}.pcapng",
            packet=frame.number,
            step=frame.step,
            at_rest=self._at_rest is None or secret <= self._at_rest.get((link, how), NONE),
            text=said,
        )
        self.found.append(((frame.time, link, frame.number), exposure))
