"""Forges whole phases: a resolver that walks through the topology ``hosted``, and can be made to go wrong."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cache

from http_flows import H2Flow, H3Flow
from OpenSSL import SSL
from packets import HOSTED, Flow, Tape, TlsFlow, make_query, make_response
from quic_flows import QuicFlow

from testbed.evidence import AttackerReport, Decision, PhaseEvidence
from testbed.record import Verdict
from testbed.verdict.dissect import dissect
from testbed.verdict.facts import Facts
from testbed.verdict.judge import Judgement, judge
from testbed.verdict.views import PhaseView

NAME = "secret.example.org."
ADDRESS = f"{NAME} 300 IN A 192.0.2.80"
FORGED = f"{NAME} 300 IN A 203.0.113.66"
SIGNATURE = (
    f"{NAME} 300 IN RRSIG A 13 3 300 20260201000000 20260101000000 4711 example.org. "
    "oJB1W6WNGv+ldvQ3WDG0MQkg5IEhjRip8WTrPYGv07h108dUKGMeDPKijVCHX3DDKdfb+v6oB9wfuh3DTJXUAQ=="
)
REFERRAL = ("example.org. 3600 IN NS ns1.dnshost.net.", "example.org. 3600 IN DS 4711 13 2 " + "ab" * 32)
ROLES = frozenset(HOSTED.roles)
OVER = {"dot": "dot", "doq": "doq", "doh2": "doh", "doh3": "doh3"}
FLOWS = {"dot": TlsFlow, "doq": QuicFlow, "doh2": H2Flow, "doh3": H3Flow}


@dataclass
class Walk:
    """A resolver in one phase. ``how`` says per role whether it asks over "udp", "tcp" or one of FLOWS."""

    how: dict[str, str] = field(default_factory=dict)
    tape: Tape = field(default_factory=Tape)
    authenticates: bool | None = True
    """What it says of its handshakes; None if it says nothing."""
    flows: dict[str, Flow] = field(default_factory=dict)

    def exchange(self, role: str, qname: str, qtype: str = "A", **response):
        """Ask a server and get a response; what happened last to each is returned as frames."""
        query = make_query(qname, qtype, self.tape.ids)
        reply = make_response(query, **response)
        how = self.how.get(role, "dot")
        if how == "udp":
            return self.tape.ask(role, query, reply)
        if role not in self.flows:
            self.flows[role] = self.dial(role, how)
        flow = self.flows[role]
        return flow.message("far", query), flow.message("resolver", reply)

    def dial(self, role: str, how: str = "dot", **options) -> Flow:
        if how == "tcp":
            return Flow(self.tape, role, 53).open()
        flow = FLOWS[how](self.tape, role, **options).shake()
        self.decide(role, authenticated=self.authenticates, transport=OVER[how])
        return flow

    def decide(
        self, role: str, kind: str = "handshake", authenticated: bool | None = None, transport: str = "dot"
    ) -> None:
        tape = self.tape
        server = tape.topology.by_role[role].addresses[tape.family]
        if kind != "handshake" or authenticated is not None:
            tape.decisions.append(
                Decision(tape.time, tape.step, kind, f"{kind}: {role}", server, transport, authenticated)
            )

    def ancestors(self) -> None:
        """All that comes before the target's own server is asked."""
        self.exchange("root", "org.", authority=["org. 86400 IN NS a.nic.org."], aa=False)
        self.exchange("target-parent", "example.org.", authority=REFERRAL, aa=False)
        self.exchange("root", "net.", authority=["net. 86400 IN NS a.nic.net."], aa=False)
        delegation = ["dnshost.net. 86400 IN NS ns0.dnshost.net."]
        self.exchange("ns-parent", "dnshost.net.", authority=delegation, aa=False)
        self.exchange("ns-zone", "ns1.dnshost.net.", answer=["ns1.dnshost.net. 300 IN A 198.51.100.6"])

    def target(self) -> None:
        """The target's own server is asked."""
        self.exchange("target", NAME, answer=[ADDRESS, SIGNATURE])

    def resolve(self, target: Callable[[], object] | None = None, **response) -> Walk:
        """The client asks for the sensitive name. ``response`` is what it gets, the truth if not given."""
        query = make_query(NAME)
        truth = make_response(query, answer=[ADDRESS])
        got = truth
        if response:
            got = make_response(query, **response) if response.get("rcode") != "none" else None

        def middle() -> None:
            self.ancestors()
            (target or self.target)()

        self.tape.client_asks(NAME, got, truth, middle=middle)
        return self

    def evidence(self, *attackers: str, acted: int = 1, **fields) -> PhaseEvidence:
        """With attackers, named "attacker@link", that matched and acted once."""
        for attacker in attackers:
            name, _, link = attacker.partition("@")
            self.tape.attackers.append(AttackerReport(name, link, 1, acted))
        return self.tape.evidence(**fields)


def facts(*attacked: str, **fields) -> Facts:
    """Everybody but the attacker's server offers ADoX; the attacker sits on these links."""
    values = {"offers": ROLES - {"evil"}, "attacked_links": attacked, **fields}
    return Facts.of(HOSTED, **values)


def control(**fields) -> PhaseEvidence:
    """A phase in which nothing goes wrong."""
    return Walk(**fields).resolve().evidence()


@cache
def sound() -> PhaseView:
    """A baseline in which nothing goes wrong, dissected."""
    return dissect(control())


def judged(facts: Facts, attack: PhaseEvidence, baseline: PhaseEvidence | None = None) -> Judgement:
    return judge(facts, baseline or sound(), attack)


def flags(judgement: Judgement) -> dict[str, object]:
    """What was raised, without what is as in a run in which nothing happened."""
    outcome = judgement.outcome
    quiet = {
        "verdict": "safe",
        "leak": "none",
        "downgrade": False,
        "hijack": False,
        "denial": False,
        "detected": False,
        "fired": True,
        "reason": "",
    }
    raised = {name: getattr(outcome, name) for name in quiet}
    return {name: value for name, value in raised.items() if value != quiet[name]}


LEAK = {"verdict": Verdict.LEAK, "leak": "name"}


def exposed(judgement) -> list[tuple[str, str, str, bool]]:
    return [(e.link, e.secret, e.how, e.at_rest) for e in judgement.outcome.exposures]


def in_clear(walk: Walk, role: str = "target", qname: str = NAME, **response) -> None:
    """A query over UDP and its response."""
    query = make_query(qname, ids=walk.tape.ids)
    walk.tape.ask(role, query, make_response(query, **(response or {"answer": [ADDRESS, SIGNATURE]})))


def terminated(
    walk: Walk, role: str = "target", relay: bool = True, how: str = "dot", **response
) -> Callable[[], None]:
    """A session that the attacker terminates, relaying to the true server or answering itself."""

    def attack() -> None:
        query = make_query(NAME, ids=walk.tape.ids)
        flow = FLOWS[how](walk.tape, role, scope="resolver", holders=("attacker", "resolver")).shake()
        walk.decide(role, authenticated=False, transport=OVER[how])
        flow.message("far", query)
        if relay:
            onward = FLOWS[how](walk.tape, role, scope="far", holders=("attacker", role)).shake()
            onward.message("far", query)
            onward.message("resolver", make_response(query, answer=[ADDRESS, SIGNATURE]))
        flow.message("resolver", make_response(query, **(response or {"answer": [ADDRESS, SIGNATURE]})))

    return attack


TLS12 = SSL.TLS1_2_VERSION
