"""What the resolver asked, how well each query was protected, and which were protected less than before."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from testbed.core.transport import Protection
from testbed.evidence import Decision
from testbed.verdict import tls
from testbed.verdict.facts import Facts, packed
from testbed.verdict.messages import Question
from testbed.verdict.secret import SecretNames
from testbed.verdict.views import Message, PhaseView


@dataclass(frozen=True, slots=True)
class Asked:
    """A query that the resolver sent: to which role, and what it gives away (see ``secret``)."""

    message: Message
    step: int
    question: Question | None
    role: str
    secret: int
    protection: Protection


@dataclass(frozen=True, slots=True)
class Downgrade:
    """A query that went out less protected than ``before``."""

    asked: Asked
    before: Protection


class Trust:
    """How well messages were protected.

    Whether a server was authenticated is for the resolver to say, in its handshake decisions: the first one
    in a step about an address and a transport belongs to the first session there, and so on. The times of
    decisions and of packets are not compared, as they need not be of the same clock. Where the numbers of
    sessions and decisions differ, the decision that says least counts for all; without any, nobody was
    authenticated. A resolver that reports no such decisions at all (``reports`` is False) gets the benefit
    of the doubt.
    """

    def __init__(self, view: PhaseView, reports: bool) -> None:
        self.reports = reports
        self._by_random: dict[bytes, bool] = {}
        decisions: dict[tuple[bytes, str, int], list[bool]] = {}
        for decision in view.evidence.decisions:
            if says_identity(decision) and decision.server is not None:
                try:
                    key = (packed(decision.server), decision.transport or "", decision.step)
                except ValueError:
                    continue
                decisions.setdefault(key, []).append(bool(decision.authenticated))
        sessions: dict[tuple[bytes, str, int], list[tls.Session]] = {}
        for side in view.server_links():
            for sign in side.signs:
                session = sign.session
                if sign.kind == "session" and session is not None and _in_use(session):
                    sessions.setdefault((sign.peer, sign.transport, sign.frame.step), []).append(session)
        for key, held in sessions.items():
            said = decisions.get(key, [False])
            if len(said) != len(held):
                said = [all(said)] * len(held)
            randoms = (session.hello.random for session in held)
            self._by_random.update(zip(randoms, said, strict=True))

    def of(self, message: Message) -> Protection:
        """The protection of a message, as seen at the resolver's side of a link."""
        return Protection.CLEAR if message.session is None else self.of_session(message.session)

    def of_session(self, session: tls.Session) -> Protection:
        """The protection that a TLS session with a server gives."""
        secure = not self.reports or self._by_random.get(session.hello.random, False)
        return Protection.SECURE if secure else Protection.ENCRYPTED


def _in_use(session: tls.Session) -> bool:
    """Whether the resolver may have sent queries: as early data, it does so before the handshake is over."""
    return session.finished is not None or session.hello.early_data


def says_identity(decision: Decision) -> bool:
    """Whether a decision says if a server was authenticated."""
    return decision.kind == "handshake" and decision.authenticated is not None


def asked(facts: Facts, view: PhaseView, names: SecretNames, trust: Trust) -> list[Asked]:
    """All queries that the resolver sent to servers, link by link."""
    return [
        Asked(
            message,
            message.frame.step,
            message.dns.question,
            facts.role(message.peer),
            names.in_message(message.dns),
            trust.of(message),
        )
        for side in view.server_links()
        for message in side.messages
        if is_query(message)
    ]


def encrypting_share(facts: Facts, asked: Iterable[Asked]) -> int | None:
    """Per cent of queries that went to servers that encrypt, of those to zones that have both kinds.

    None when no query went to such a zone.
    """
    mixed = [roles for roles in facts.sharing if roles & facts.offers and roles - facts.offers]
    chosen = [query.role in facts.offers for query in asked if any(query.role in roles for roles in mixed)]
    return round(100 * sum(chosen) / len(chosen)) if chosen else None


def is_query(message: Message) -> bool:
    """Whether a message, seen at the resolver's side of a server's link, is a query of the resolver."""
    return message.towards == "far" and message.arrived and not message.quoted and not message.dns.is_response


def downgrades(facts: Facts, baseline: Sequence[Asked], attack: Sequence[Asked]) -> list[Downgrade]:
    """The queries under attack that were less protected than in the baseline.

    A query is compared with the first of these sets of baseline queries that is not empty, in which the one
    that was protected least sets the measure:

    1. those with the same question (QNAME and QTYPE) in the same step, to the same role;
    2. those with the same question in the same step, to roles which under attack are not asked it: the
       query went astray, instead of there;
    3. those with the same question in the same step, to any role: it goes to one more server;
    4. those that give away as much (nothing, the zone, the name) in the same step, to the same role;
    5. all to the same role.

    A role that was asked in clear and over TLS at once, as probing does, thus counts as clear: retrying in
    clear takes nothing from it. Keeping roles apart does the same for a resolver without QNAME minimisation,
    which asks its question in clear of every parent and encrypted of the last server only.

    The server must offer ADoX, or the query must have been protected elsewhere before: a query that a server
    without ADoX gets in clear, such as one for a signal, is no downgrade as long as that server got such
    queries before. A query that nothing can be compared with is none either: it shows in the leak.
    """
    found = []
    by_question: dict[tuple[int, Question | None], list[Asked]] = {}
    by_role: dict[str, list[Asked]] = {}
    for query in baseline:
        by_question.setdefault((query.step, query.question), []).append(query)
        by_role.setdefault(query.role, []).append(query)
    asked_now: dict[tuple[int, Question | None], set[str]] = {}
    for query in attack:
        asked_now.setdefault((query.step, query.question), set()).add(query.role)
    for query in attack:
        if query.protection is Protection.SECURE:
            continue
        key = (query.step, query.question)
        same_question = by_question.get(key, [])
        same_role = by_role.get(query.role, [])
        measure = (
            [before for before in same_question if before.role == query.role]
            or [before for before in same_question if before.role not in asked_now[key]]
            or same_question
            or [before for before in same_role if (before.step, before.secret) == (query.step, query.secret)]
            or same_role
        )
        if not measure:
            continue
        least = min(before.protection for before in measure)
        offered = query.role in facts.offers or all(before.role != query.role for before in measure)
        if query.protection < least and offered:
            found.append(Downgrade(query, least))
    return found
