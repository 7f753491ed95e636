"""What crossed which link, in order, with what the attacker saw of it and did to it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Literal

from testbed.core.transport import Protection
from testbed.record import Crossing
from testbed.verdict.exposures import Eyes
from testbed.verdict.facts import Facts
from testbed.verdict.messages import OPT, Dns, Record
from testbed.verdict.queries import Trust
from testbed.verdict.secret import NONE, SecretNames, word
from testbed.verdict.views import Message, PhaseView, SideView, Sign

_TTL = 8
"""Octets before RDATA at which CLASS and TTL begin; RDLENGTH is between."""

_LABELS: dict[Protection, Literal["clear", "encrypted", "secure"]] = {
    Protection.CLEAR: "clear",
    Protection.ENCRYPTED: "encrypted",
    Protection.SECURE: "secure",
}


def ladder(
    facts: Facts, view: PhaseView, names: SecretNames, eyes: Eyes, trust: Trust
) -> tuple[Crossing, ...]:
    """DNS messages and handshakes at the resolver's side of each link, in order of time.

    On a link that the attacker sits on, what has no equal at the far side is marked as altered: a query
    that went no further, a response that nobody sent. A response that never reached the resolver is told
    of with the one that came in its stead, or else by itself. What an off-path attacker has sent counts as
    altered, too; of what it sent many times, and of ICMP errors, those that are alike are told of once.
    """
    draw = _Draw(names, eyes, trust)
    crossings: list[Crossing] = []
    for link, side in view.resolver.items():
        if link in facts.attacked_links:
            crossings += draw.attacked(*view.sides(link))
        else:
            crossings += draw.passing(side)
    return tuple(sorted(crossings, key=lambda crossing: crossing.time))


@dataclass
class _Draw:
    names: SecretNames
    eyes: Eyes
    trust: Trust

    def attacked(self, side: SideView, far: SideView) -> Iterator[Crossing]:
        """The crossings of a link, compared with what left or came at its far side."""
        gone = _Pool(item for item in _items(far) if item.towards == "far")
        came = _Pool(item for item in _items(far) if item.towards == "resolver")
        made = []
        for item in _items(side):
            if (gone if item.towards == "far" else came).take(item) or _ends_handshake(item):
                yield self.crossing(item)
            elif item.towards == "far":
                yield self.crossing(item, altered=True)
            else:
                made.append(item)
        for item in made:
            original = came.take_original(item)
            aside = f" (was: {original.dns})" if original else ""
            yield self.crossing(item, altered=True, aside=aside)
        for message in came.messages():
            yield self.crossing(message, altered=True, aside=" (swallowed)")

    def passing(self, side: SideView) -> Iterator[Crossing]:
        """The crossings of a link that nobody sits on."""
        alike: dict[object, list[Message | Sign]] = {}
        for item in _items(side):
            often = self.eyes.sees_forged(item) or (isinstance(item, Sign) and item.kind == "icmp")
            key = (item.frame.step, item.towards, item.peer, _key(item)) if often else id(item)
            alike.setdefault(key, []).append(item)
        for first, *others in alike.values():
            more = f" (and {len(others)} more like it)" if others else ""
            yield self.crossing(first, aside=more)

    def crossing(self, item: Message | Sign, *, altered: bool = False, aside: str = "") -> Crossing:
        """The crossing that a message or a sign makes."""
        protection, text, seen = self._of_message(item) if isinstance(item, Message) else self._of_sign(item)
        if isinstance(item, Message) and item.dns.is_response and seen and self.eyes.serves(item):
            altered = True
        altered = altered or self.eyes.sees_forged(item)
        return Crossing(
            step=item.frame.step,
            time=item.frame.time,
            link=item.link,
            towards=item.towards,
            transport=str(item.transport),
            protection=_LABELS[protection],
            text=text + aside,
            packet=item.frame.number,
            seen=word(seen),
            altered=altered,
        )

    def _of_message(self, message: Message) -> tuple[Protection, str, int]:
        return self.trust.of(message), str(message.dns), self.eyes.learns(message)

    def _of_sign(self, sign: Sign) -> tuple[Protection, str, int]:
        session = sign.session
        if sign.kind == "hello" and session is not None:
            heard = self.eyes.hears(sign.link, sign.peer)
            return Protection.CLEAR, sign.text, self.names.in_host(session.hello.sni) if heard else NONE
        if sign.kind == "session" and session is not None and session.finished is not None:
            protection = self.trust.of_session(session)
            how = "authenticated" if protection is Protection.SECURE else "not authenticated"
            return protection, f"{sign.text}, {how}" if self.trust.reports else sign.text, NONE
        return Protection.CLEAR, sign.text, NONE


class _Pool:
    """What crossed the far side one way; each item stands for one at the resolver's side."""

    def __init__(self, items: Iterable[Message | Sign]) -> None:
        self._items: dict[object, list[Message | Sign]] = {}
        for item in items:
            self._items.setdefault(_key(item), []).append(item)

    def take(self, item: Message | Sign) -> bool:
        """Whether there is an equal of an item; it is then used up."""
        equals = self._items.get(_key(item))
        if not equals:
            return False
        equals.pop(0)
        return True

    def take_original(self, item: Message | Sign) -> Message | None:
        """The response to the same question, which an item came instead of; it is then used up."""
        if isinstance(item, Message):
            for equals in self._items.values():
                for other in equals:
                    if isinstance(other, Message) and other.dns.questions == item.dns.questions:
                        equals.remove(other)
                        return other
        return None

    def messages(self) -> list[Message]:
        """The messages that are left."""
        return [item for equals in self._items.values() for item in equals if isinstance(item, Message)]


def _items(side: SideView) -> list[Message | Sign]:
    # Signs first: early data come with the packet that opens their session.
    return [*side.signs, *(message for message in side.messages if not message.quoted)]


def _ends_handshake(item: Message | Sign) -> bool:
    """Whether it is an alert of the resolver's: whoever it was dealing with was meant to get it."""
    return isinstance(item, Sign) and item.kind in ("alert", "close") and item.towards == "far"


def _key(item: Message | Sign) -> object:
    return item.key if isinstance(item, Sign) else _content(item.dns)


def _content(message: Dns) -> object:
    """All that a message says, without its ID, compression, and EDNS, which a relay may redo."""
    records = [
        (record.section, message.owner(record), record.rdtype, *_data(message, record))
        for record in message.records
        if record.rdtype != OPT
    ]
    return message.wire[2:4], message.questions, tuple(records)


def _data(message: Dns, record: Record) -> tuple[bytes, object]:
    """Class and TTL, and RDATA: the names in it where there are some, as these may be compressed."""
    fixed = message.wire[record.start - _TTL : record.start - 2]
    return fixed, tuple(message.names_in(record)) or message.wire[record.start : record.end]
