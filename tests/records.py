"""Sample records: what runs on the topology ``hosted`` would leave behind, without running anything."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from testbed.record import AttackLine, Counts, Crossing, Exposure, Outcome, Run, TraceLine, Verdict

LINKS = ("client", "root", "mirror", "target-parent", "ns-parent", "ns-zone", "target", "evil")
NAME = "secret.example.org."
HOSTILE = "<script>alert(1)</script>\"'&]]>\x00\x1b[31m\u202eevil\u2066 [bold red]x[/]{{ 7*7 }}\ud7ff\ufffe"


@dataclass
class Wire:
    """Writes a ladder and a trace as a resolver would walk through them, 4 ms per link crossing."""

    time: float = 1767225600.0
    step: int = 0
    crossings: list[Crossing] = field(default_factory=list)
    lines: list[TraceLine] = field(default_factory=list)
    numbers: dict[str, int] = field(default_factory=dict)

    def cross(self, link, towards, text, protection="clear", transport="udp", seen="none", altered=False):
        self.numbers[link] = self.numbers.get(link, 0) + (2 if protection == "clear" else 3)
        self.time += 0.004
        self.crossings.append(
            Crossing(
                step=self.step,
                time=round(self.time, 6),
                link=link,
                towards=towards,
                transport=transport,
                protection=protection,
                text=text,
                packet=self.numbers[link],
                seen=seen,
                altered=altered,
            )
        )
        return self.crossings[-1]

    def ask(self, link, question, answer, protection="clear", seen="none", altered=False):
        transport = "udp" if protection == "clear" else "dot"
        self.cross(link, "far", question, protection, transport, seen)
        return self.cross(link, "resolver", answer, protection, transport, seen, altered)

    def hello(self, link, server, protection="secure", seen="none", altered=False):
        self.cross(link, "far", f"TLS ClientHello, SNI {server}", "clear", "dot", seen)
        if altered:
            self.cross(link, "resolver", "TCP RST", "clear", "tcp", "none", True)
            self.say("handshake", f"{server}: connection reset during the handshake")
        else:
            identity = "authenticated by WebPKI name" if protection == "secure" else "certificate not checked"
            self.cross(link, "resolver", f"TLS 1.3 session, {identity}", protection, "dot")
            self.say("handshake", f"{server}: {identity}")

    def client(self, question=f"{NAME} A"):
        self.cross("client", "resolver", question)

    def result(self, text):
        self.cross("client", "far", text)
        self.say("answer", text)

    def say(self, kind, text):
        self.lines.append(TraceLine(step=self.step, time=round(self.time, 6), kind=kind, text=text))

    def root(self, secure=True):
        if secure:
            self.hello("root", "a.root-servers.net")
        how = "secure" if secure else "clear"
        self.ask("root", "_.org. A", "referral org. NS a.nic.org, DS 13 2", how)
        self.say("referral", f"org. from 198.51.100.1 over {'DoT' if secure else 'UDP'}: signed, DS accepted")

    def parent(self, answer=f"referral example.org. NS ns1.dnshost.net, DS 13 2 for {NAME[7:]}", **marks):
        self.ask("target-parent", "_.example.org. A", answer, **marks)

    def hoster(self):
        self.ask("root", "_.net. A", "referral net. NS a.nic.net", "secure")
        self.ask(
            "ns-parent", "_.dnshost.net. A", "referral dnshost.net. NS ns0.dnshost.net, DS glue", "secure"
        )
        self.say("signal", "DS glue for ns1.dnshost.net says dot; link trusted because it was authenticated")
        self.ask("ns-zone", "ns1.dnshost.net. A", "ns1.dnshost.net. A 198.51.100.6", "secure")
        self.ask("ns-zone", "ns1.dnshost.net. AAAA", "ns1.dnshost.net. AAAA 2001:db8:51::6", "secure")


def exposure(crossing: Crossing, how="clear", at_rest=False) -> Exposure:
    return Exposure(
        link=crossing.link,
        secret=crossing.seen,
        how=how,
        capture=f"attack/{crossing.link}.pcapng",
        packet=crossing.packet,
        step=crossing.step,
        at_rest=at_rest,
        text=crossing.text,
    )


def counts(wire: Wire) -> Counts:
    far = [crossing for crossing in wire.crossings if crossing.link != "client"]
    return Counts(
        queries=sum(crossing.towards == "far" and "TLS" not in crossing.text for crossing in far),
        packets=3 * len(far),
        bytes=217 * len(far),
        round_trips=len(far) // 2,
        handshakes=sum("ClientHello" in crossing.text for crossing in far),
    )


def baseline() -> Outcome:
    wire = Wire()
    wire.client()
    wire.root()
    wire.parent()
    wire.hoster()
    wire.hello("target", "ns1.dnshost.net")
    wire.ask("target", f"{NAME} A", f"{NAME} A 192.0.2.80", "secure")
    return Outcome(verdict=Verdict.SAFE, counts=counts(wire), answer=(f"NOERROR {NAME} A 192.0.2.80",))


def record(id: str, wire: Wire | None = None, /, **fields: Any) -> Run:
    """A run with everything that reports look at; ``fields`` replace what is made up here."""
    wire = wire or Wire()
    scenario = id.partition("[")[0]
    values: dict[str, Any] = {
        "id": id,
        "scenario": scenario,
        "title": scenario.rpartition("/")[2].replace("-", " ").capitalize(),
        "engine": "reference",
        "policy": "strict",
        "verdict": Verdict.SAFE,
        "expected": True,
        "baseline": baseline(),
        "counts": counts(wire),
        "ladder": tuple(wire.crossings),
        "trace": tuple(wire.lines),
        "links": LINKS,
        "duration_s": 0.0834,
        "evidence": f"results/runs/{id}",
        "fired": True,
    }
    return Run(**{**values, **fields})


def forged_ns(policy="strict", **fields: Any) -> Run:
    """Claim 22: the link to the parent is in clear, and the NS set is swapped."""
    wire = Wire()
    wire.client()
    wire.root()
    first = wire.cross("target-parent", "far", "_.example.org. A", seen="zone")
    wire.cross(
        "target-parent",
        "resolver",
        "referral example.org. NS ns.evil-dns.net (was ns1.dnshost.net), DS 13 2",
        seen="zone",
        altered=True,
    )
    wire.say("referral", "example.org. from 198.51.100.3 over UDP: DS validated; the NS set is not signed")
    wire.ask("root", "_.net. A", "referral net. NS a.nic.net", "secure")
    wire.ask("ns-parent", "_.evil-dns.net. A", "referral evil-dns.net., DS glue", "secure")
    wire.say("signal", "DS glue for ns.evil-dns.net says dot; link trusted because it was authenticated")
    wire.hello("evil", "ns.evil-dns.net")
    last = wire.cross("evil", "far", f"{NAME} A", "secure", "dot", seen="name")
    wire.cross("evil", "resolver", f"{NAME} A 203.0.113.66", "secure", "dot", "name", True)
    wire.say("validation", f"{NAME} A: no RRSIG from a key that the DS of example.org. names: bogus")
    wire.result("SERVFAIL (EDE 6, DNSSEC bogus)")
    values: dict[str, Any] = {
        "title": "The parent's link is in clear and an attacker swaps the name servers",
        "claim": 22,
        "policy": policy,
        "cell": {"resolver.policy": policy},
        "verdict": Verdict.LEAK,
        "leak": "name",
        "denial": True,
        "detected": True,
        "exposures": (exposure(first, at_rest=True), exposure(last, "served")),
        "answer": ("SERVFAIL (EDE 6)",),
        "attackers": (
            AttackLine(attacker="forge-ns", link="target-parent", matched=1, acted=1, actions={"Replace": 1}),
        ),
        "attacked_links": ("target-parent",),
        "says": "LEAK: the glue belongs to the wrong server. Signing the parent does not help, because "
        "the NS set at a delegation is not signed.",
        "why": "The resolver authenticates exactly the server it was told about, which is the attacker's. "
        "DNSSEC rejects the answer, but only after the whole name was sent.",
    }
    return record(f"ds-glue/swapped-ns[policy={policy}]", wire, **{**values, **fields})


def safe(policy="strict", **fields: Any) -> Run:
    """Claim 8: every link is secure, so an attacker on one of them learns nothing."""
    wire = Wire()
    wire.client()
    wire.root()
    wire.hello("target-parent", "a.nic.org")
    wire.parent(protection="secure")
    wire.say("referral", "example.org. from 198.51.100.3 over DoT: DS validated; NS set trusted by its link")
    wire.hoster()
    wire.hello("target", "ns1.dnshost.net")
    wire.ask("target", f"{NAME} A", f"{NAME} A 192.0.2.80, RRSIG", "secure")
    wire.say("validation", f"{NAME} A: secure, chain of trust from the root anchor")
    wire.result(f"NOERROR {NAME} A 192.0.2.80")
    values: dict[str, Any] = {
        "title": "Root, parent and target are secure: a passive attacker sees nothing",
        "claim": 8,
        "policy": policy,
        "cell": {"resolver.policy": policy},
        "answer": (f"NOERROR {NAME} A 192.0.2.80",),
        "attackers": (AttackLine(attacker="observe", link="target", matched=4, acted=0),),
        "attacked_links": ("target",),
        "says": "SAFE or DENIAL, never LEAK.",
        "why": "All that crossed the attacked link was one authenticated TLS session with the true server.",
    }
    return record(f"basic/all-links-secure[policy={policy}]", wire, **{**values, **fields})


def denial(**fields: Any) -> Run:
    """Claim 41: a commitment is remembered from the first step, so the blocked second step fails closed."""
    wire = Wire()
    wire.client()
    wire.root()
    wire.parent()
    wire.hoster()
    wire.hello("target", "ns1.dnshost.net")
    wire.ask("target", f"{NAME} A", f"{NAME} A 192.0.2.80, commitment max-age 30 d", "secure")
    wire.say("commitment", "ns1.dnshost.net: accepted over authenticated TLS, for 30 d")
    wire.result(f"NOERROR {NAME} A 192.0.2.80")
    wire.step, wire.time = 2, wire.time + 3600
    wire.client()
    wire.hello("target", "ns1.dnshost.net", altered=True)
    wire.hello("target", "ns1.dnshost.net", altered=True)
    wire.say("fallback", "none: ns1.dnshost.net has committed to encryption until 2026-01-31")
    wire.result("SERVFAIL (EDE 22, no reachable authority)")
    values: dict[str, Any] = {
        "title": "A commitment was learned, then port 853 is blocked",
        "claim": 41,
        "policy": "committed",
        "verdict": Verdict.DENIAL,
        "denial": True,
        "detected": True,
        "answer": (f"NOERROR {NAME} A 192.0.2.80", "SERVFAIL (EDE 22)"),
        "attackers": (
            AttackLine(attacker="block-tls", link="target", matched=2, acted=2, actions={"Reset": 2}),
        ),
        "attacked_links": ("target",),
        "says": "DENIAL: the attacker comes too late to downgrade.",
        "why": "The commitment outlives the connection, so the resolver would rather fail than ask in clear.",
    }
    return record("probing/blocked-after-commitment", wire, **{**values, **fields})


def downgrade(policy="opportunistic", **fields: Any) -> Run:
    """Claim 9: the target's TLS is blocked and an opportunistic resolver asks in clear."""
    wire = Wire()
    wire.client()
    wire.root()
    wire.parent()
    wire.hoster()
    wire.hello("target", "ns1.dnshost.net", altered=True)
    wire.say("fallback", "clear text: the policy is opportunistic")
    last = wire.cross("target", "far", f"{NAME} A", seen="name")
    wire.cross("target", "resolver", f"{NAME} A 192.0.2.80, RRSIG", seen="name")
    wire.result(f"NOERROR {NAME} A 192.0.2.80")
    values: dict[str, Any] = {
        "title": "An attacker resets the TLS connection to the target",
        "claim": 9,
        "policy": policy,
        "cell": {"resolver.policy": policy},
        "verdict": Verdict.LEAK,
        "leak": "name",
        "downgrade": True,
        "exposures": (exposure(last),),
        "answer": (f"NOERROR {NAME} A 192.0.2.80",),
        "attackers": (
            AttackLine(attacker="block-tls", link="target", matched=1, acted=1, actions={"Reset": 1}),
        ),
        "attacked_links": ("target",),
        "says": "DOWNGRADE: a resolver that does not insist will ask in clear.",
        "why": "One forged TCP reset is enough; the fallback carries the whole name.",
    }
    return record(f"basic/tls-blocked[policy={policy}]", wire, **{**values, **fields})


def unexpected(**fields: Any) -> Run:
    """The same attack on a strict resolver that should have failed closed, and did not."""
    values: dict[str, Any] = {
        "expected": False,
        "mismatches": ("verdict: expected denial, got leak", "leak: expected none, got name"),
        "why": "",
    }
    return downgrade("strict", **{**values, **fields})


def hijack(**fields: Any) -> Run:
    """Claim 10: an unsigned target and an attacker who terminates the session."""
    wire = Wire()
    wire.client()
    wire.root(secure=False)
    wire.parent("referral example.org. NS ns1.dnshost.net, NSEC3: no DS")
    wire.hello("target", "ns1.dnshost.net", "encrypted", seen="none")
    last = wire.cross("target", "far", f"{NAME} A", "encrypted", "dot", seen="name")
    wire.cross("target", "resolver", f"{NAME} A 203.0.113.66", "encrypted", "dot", "name", True)
    wire.result(f"NOERROR {NAME} A 203.0.113.66")
    values: dict[str, Any] = {
        "title": "An attacker presents a certificate of its own to a resolver that checks none",
        "claim": 10,
        "policy": "opportunistic",
        "verdict": Verdict.HIJACK,
        "leak": "name",
        "downgrade": True,
        "hijack": True,
        "exposures": (exposure(last, "terminated"),),
        "answer": (f"NOERROR {NAME} A 203.0.113.66",),
        "attackers": (
            AttackLine(
                attacker="impersonate",
                link="target",
                matched=1,
                acted=2,
                actions={"Impersonate": 1, "Replace": 1},
            ),
        ),
        "attacked_links": ("target",),
        "says": "HIJACK, LEAK.",
        "why": "Encryption without authentication protects the query from everybody but the attacker.",
    }
    return record("basic/own-certificate", wire, **{**values, **fields})


def passive(policy="strict", **fields: Any) -> Run:
    """Claim 1: the parent's link is in clear; the zone is exposed whether or not anybody attacks."""
    wire = Wire()
    wire.client()
    wire.root()
    first = wire.cross("target-parent", "far", "_.example.org. A", seen="zone")
    wire.cross("target-parent", "resolver", "referral example.org. NS ns1.dnshost.net, DS 13 2", seen="zone")
    wire.hoster()
    wire.hello("target", "ns1.dnshost.net")
    wire.ask("target", f"{NAME} A", f"{NAME} A 192.0.2.80, RRSIG", "secure")
    wire.result(f"NOERROR {NAME} A 192.0.2.80")
    values: dict[str, Any] = {
        "title": "The target is secure, the parent's link is in clear",
        "claim": 1,
        "policy": policy,
        "cell": {"resolver.policy": policy},
        "verdict": Verdict.LEAK,
        "leak": "zone",
        "exposures": (exposure(first, at_rest=True),),
        "answer": (f"NOERROR {NAME} A 192.0.2.80",),
        "attackers": (AttackLine(attacker="observe", link="target-parent", matched=1, acted=0),),
        "attacked_links": ("target-parent",),
        "says": "LEAK of the zone name: both links must be encrypted.",
        "why": "QNAME minimisation keeps the name from the parent, but not the zone.",
    }
    return record(f"basic/parent-in-clear[policy={policy}]", wire, **{**values, **fields})


def inconclusive(**fields: Any) -> Run:
    values: dict[str, Any] = {
        "title": "The SVCB query is answered with a forged denial",
        "claim": 31,
        "verdict": Verdict.INCONCLUSIVE,
        "expected": False,
        "fired": False,
        "reason": "the attack never fired: forge-nodata on ns-zone matched nothing",
        "attackers": (AttackLine(attacker="forge-nodata", link="ns-zone", matched=0, acted=0),),
        "attacked_links": ("ns-zone",),
        "ladder": safe().ladder,
    }
    return record("svcb-query/forged-denial", Wire(), **{**values, **fields})


def skipped(**fields: Any) -> Run:
    values: dict[str, Any] = {
        "title": "Claim 4 with Unbound in place of the reference resolver",
        "claim": 4,
        "verdict": Verdict.SKIPPED,
        "expected": None,
        "fired": False,
        "reason": "unbound is not installed",
        "baseline": None,
        "duration_s": 0.0,
        "evidence": None,
    }
    return record("basic/unbound-minimises", Wire(), **{**values, **fields})


def sample() -> list[Run]:
    """One run of each kind."""
    return [
        passive("opportunistic"),
        passive(),
        safe("opportunistic"),
        safe(),
        downgrade(),
        unexpected(),
        hijack(),
        skipped(),
        forged_ns("opportunistic"),
        forged_ns(),
        inconclusive(),
        denial(),
    ]


def many(number: int) -> list[Run]:
    """A suite: the sample again and again, with other names and an axis besides the policy."""
    runs: list[Run] = []
    for index in range(number):
        run = sample()[index % 12] if index < 12 else sample()[index * 5 % 12]
        turn = index // 12
        if turn:
            signal = ("ds-glue", "svcb-query", "probing")[turn % 3]
            run = run.model_copy(
                update={
                    "id": f"{run.scenario}-{turn // 3 + 2}[{run.policy},{signal}]",
                    "scenario": f"{run.scenario}-{turn // 3 + 2}",
                    "cell": {"resolver.policy": run.policy, "world.signal": [signal]},
                    "claim": None,
                    "expected": None if run.verdict is Verdict.SKIPPED else True,
                    "mismatches": (),
                }
            )
        runs.append(run)
    return runs


def hostile() -> Run:
    """A run in which every text that comes from a file or a packet tries to break out of the report."""
    wire = Wire()
    wire.client(HOSTILE)
    wire.ask("target", HOSTILE, HOSTILE, seen="name", altered=True)
    wire.say(HOSTILE, HOSTILE)
    return record(
        f"hostile/{HOSTILE}",
        wire,
        title=HOSTILE,
        engine=HOSTILE,
        policy=HOSTILE,
        cell={HOSTILE: HOSTILE},
        verdict=Verdict.LEAK,
        leak="name",
        expected=False,
        mismatches=(HOSTILE,),
        reason=HOSTILE,
        says=HOSTILE,
        why=HOSTILE,
        answer=(HOSTILE,),
        exposures=(
            Exposure(
                link="target",
                secret="name",
                how="clear",
                capture=f"javascript:{HOSTILE}",
                packet=7,
                step=0,
                at_rest=False,
                text=HOSTILE,
            ),
        ),
        attackers=(AttackLine(attacker=HOSTILE, link="target", matched=1, acted=1, actions={HOSTILE: 1}),),
        attacked_links=("target",),
        evidence=None,
    )
