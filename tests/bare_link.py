"""Every attacker on a bare link: what it is after, and what it is seen to do to that. All else stays.

``ENTRIES`` is data: it is played on a network (``tests/wire/test_on_a_bare_link.py``) and in memory
(``tests/test_bare_link.py``). An attacker without an entry fails both.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import dns.flags
import dns.message
import dns.name
import dns.rdatatype
import dns.rrset
from deeds import (
    CLEAR,
    EVERYWHERE,
    SEALED,
    TLS,
    Alters,
    Answers,
    Cuts,
    Deed,
    HoldsUp,
    Refuses,
    Swallows,
    Terminates,
)

from testbed.attack.api import Attacker, Query, Response
from testbed.core import message
from testbed.core.acme import Challenge
from testbed.core.deleg import DE_FLAG
from testbed.core.transport import Transport

_ALL = {"transports": ["dot", "doq", "doh", "doh3"]}
WORLD: Mapping[str, Any] = {
    "signal": ["ds-pin", "ds-glue", "deleg", "svcb-glue", "svcb-query", "tlsa-query"],
    "signed": ["root", "target-parent", "target"],
    "secure": {"target": _ALL, "target-parent": _ALL, "ns-parent": _ALL, "root-source": _ALL},
    "records": ['a.nic.org. 3600 CAA 0 issue "ca.example"'],
}
"""The world in which all of them are played, as scenarios write it; the topology is "hosted"."""

CA_ASKED = Challenge(dns.name.from_text("a.nic.org."), "token", "thumbprint")


@dataclass(frozen=True)
class Act:
    """A question, and what becomes of it over some transports.

    Questions are written NAME TYPE, with "DE" for the flag of that name, "plain" for no DO flag, "bare" for
    no EDNS.
    """

    ask: str
    deed: Deed
    over: tuple[Transport, ...] = EVERYWHERE


@dataclass(frozen=True)
class Entry:
    """An attacker on a link: what it does, and what it leaves alone.

    ``others`` are asked over every transport that messages are changed in, and over those that are none of
    its business the questions of the acts besides. ``spares`` is a server name for which it lets TLS pass
    where it does not for the server's own. ``prepare`` brings it to where it acts.
    """

    attacker: str
    acts: tuple[Act, ...]
    on: str = "target-parent"
    parameters: Mapping[str, Any] = field(default_factory=dict)
    others: tuple[str, ...] | None = None
    spares: str = ""
    prepare: Callable[[Attacker], None] = lambda attacker: None
    variant: str = ""

    @property
    def id(self) -> str:
        """What it is called in tests."""
        return f"{self.attacker} {self.variant}".strip()

    def deed(self, ask: str, transport: Transport) -> Deed | None:
        """What becomes of a question over a transport; None if that is none of its business."""
        return next((act.deed for act in self.acts if act.ask == ask and transport in act.over), None)

    def touches(self, transport: Transport) -> bool:
        """Whether it is after anything over this transport."""
        return any(transport in act.over for act in self.acts)

    def asked(self, transport: Transport) -> tuple[str, ...]:
        """What is asked over a transport, in this order: last what may end a session."""
        about = [act for act in self.acts if transport in act.over]
        if about and about[0].deed.to_connections:
            return (about[0].ask,)
        left = {act.ask for act in self.acts} - {act.ask for act in about}
        return (*self.spared, *sorted(left - NO_MESSAGES), *(act.ask for act in about))

    @property
    def spared(self) -> tuple[str, ...]:
        """What it is not after, over whatever transport."""
        return OTHERS[self.on] if self.others is None else self.others


OTHERS = {
    "target-parent": ("nothing.org. A", "org. SOA"),
    "ns-parent": ("nothing.net. A", "net. SOA"),
    "mirror": (". NS", ". DNSKEY"),
}
"""What attackers on a link have nothing to do with, where their entries do not say otherwise."""

NO_MESSAGES = {". AXFR"}
"""Questions that cannot be asked over every transport, or take more than one message to answer."""

# Questions to the parent of the target, and to that of the zone with its server's name.
REFERRAL, REFERRAL_DE, DS = "secret.example.org. A", "secret.example.org. A DE", "example.org. DS"
SERVER, SERVERS_DS = "ns1.dnshost.net. A", "dnshost.net. DS"
SVCB, TLSA = "_dns.a.nic.net. SVCB", "_853._tcp.a.nic.net. TLSA"
TXT, CAA = f"{CA_ASKED.owner} TXT", "a.nic.org. CAA"

NS_OF_TARGET = "authority example.org. 3600 IN NS ns1.dnshost.net."
DS_OF_TARGET = "authority example.org. 3600 IN DS *"
PIN_OF_TARGET = "example.org. 3600 IN DS * 225 2 *"
SIGNED_DS = "example.org. 3600 IN RRSIG DS 13 *"


def made_up_soa(zone: str, ttl: int = 3600) -> str:
    """The line of a SOA record that an attacker made up."""
    return f"authority {zone} {ttl} IN SOA {zone} hostmaster.{zone} 1 1800 900 604800 {ttl}"


def _record(attacker: Attacker) -> None:
    """Show it a response in an earlier step."""
    asked = query(DS, 1)
    response = dns.message.make_response(asked)
    response.flags |= dns.flags.AA
    response.use_edns(0, asked.ednsflags, message.PAYLOAD)
    rrset = dns.rrset.from_text("example.org.", 60, "IN", "DS", "7 13 2 " + "ab" * 32)
    response.answer.append(rrset)
    attacker.step = -1
    seen = Query(message.encode(asked), Transport.UDP, "target-parent")
    attacker.response(Response(message.encode(response), seen))


ANOTHER_ALGORITHM = Alters(
    gone=(f"authority {SIGNED_DS}",),
    new=("authority example.org. 3600 IN RRSIG DS 200 *",),
)

ENTRIES = (
    Entry(
        "answer",
        (
            Act(
                REFERRAL,
                Answers(("header NOERROR QR AA", "answer secret.example.org. 300 IN A 198.51.100.66")),
            ),
        ),
        parameters={
            "names": ["{sensitive-name}"],
            "records": ["{sensitive-name} 300 A {own-ipv4}"],
            "certificate": "own-name",
        },
    ),
    Entry(
        "block",
        (Act(REFERRAL, Refuses("reset", met="reset"), SEALED),),
        parameters={"sni": ["{server:target-parent}"]},
        spares="ns1.dnshost.net",
    ),
    Entry(
        "block-tls",
        (Act(REFERRAL, Refuses("drop"), SEALED),),
        parameters={"how": "drop"},
    ),
    Entry(
        "change-algorithm",
        (Act(REFERRAL, ANOTHER_ALGORITHM),),
        others=("nothing.org. A plain", "org. SOA plain"),
    ),
    Entry(
        "claim-insecure",
        (
            Act(
                REFERRAL,
                Alters(
                    gone=(DS_OF_TARGET, f"authority {SIGNED_DS}"),
                    new=(r"authority example.org. 3600 IN NSEC \000.example.org. NS RRSIG NSEC",),
                ),
            ),
            Act(
                DS,
                Alters(
                    gone=("answer example.org. 3600 IN DS *", f"answer {SIGNED_DS}"),
                    new=(
                        made_up_soa("org."),
                        r"authority example.org. 3600 IN NSEC \000.example.org. NS RRSIG NSEC",
                    ),
                ),
            ),
        ),
    ),
    Entry(
        "deny-delegation",
        (
            Act(
                REFERRAL,
                Alters(
                    gone=("header NOERROR QR", NS_OF_TARGET, DS_OF_TARGET, f"authority {SIGNED_DS}"),
                    new=("header NXDOMAIN QR AA", "authority org. 900 IN *SOA *", "authority * IN *NSEC *"),
                ),
            ),
        ),
    ),
    Entry(
        "deny-svcb",
        (Act(SVCB, Answers(("header NOERROR QR AA", made_up_soa("net.")))),),
        on="ns-parent",
    ),
    Entry(
        "deny-tlsa",
        (Act(TLSA, Answers(("header NXDOMAIN QR AA", made_up_soa("net.")))),),
        on="ns-parent",
        parameters={"how": "nxdomain"},
    ),
    Entry(
        "forge-ns",
        (
            Act(
                REFERRAL,
                Alters(gone=(NS_OF_TARGET,), new=("authority example.org. 3600 IN NS ns.evil-dns.net.",)),
            ),
        ),
    ),
    Entry(
        "forge-records",
        (
            Act(
                REFERRAL,
                Alters(new=("answer secret.example.org. 300 IN A 198.51.100.66",)),
                CLEAR,
            ),
        ),
        parameters={"names": ["{sensitive-name}"]},
    ),
    Entry(
        "forge-unsigned",
        (
            Act(
                SERVER,
                Alters(
                    gone=(
                        "authority dnshost.net. 3600 IN DS * 244 253 *",
                        "additional ns0.dnshost.net. 3600 IN A *",
                        "additional ns0.dnshost.net. 3600 IN AAAA *",
                        "additional _dns.ns1.dnshost.net. 3600 IN SVCB *",
                    ),
                    new=(
                        "additional ns0.dnshost.net. 3600 IN A 198.51.100.66",
                        "additional ns0.dnshost.net. 3600 IN AAAA 2001:db8:51::42",
                    ),
                ),
                CLEAR,
            ),
            Act(SERVER, Refuses("reset"), SEALED),
        ),
        on="ns-parent",
    ),
    Entry(
        "hinder",
        (Act(DS, Swallows(), CLEAR),),
        parameters={"types": ["DS"]},
    ),
    Entry(
        "downgrade-tls",
        (Act(REFERRAL, Refuses("alert"), TLS),),
        parameters={"how": "old-server"},
    ),
    Entry("impersonate", (Act(REFERRAL, Terminates(), SEALED),)),
    Entry(
        "inject-commitment",
        (Act(REFERRAL, Alters(gone=("edns 0 8000 1232",), new=("edns 0 8000 1232 65*",))),),
        others=("nothing.org. A bare", "org. SOA bare"),
    ),
    Entry(
        "inject-deleg",
        (
            Act(
                REFERRAL_DE,
                Alters(
                    gone=(
                        r"authority example.org. 3600 IN TYPE61440 \# *",
                        "authority example.org. 3600 IN RRSIG TYPE61440 *",
                    ),
                    new=(r"authority example.org. 3600 IN TYPE61440 \# *6576696c2d646e73*",),
                ),
            ),
        ),
    ),
    Entry(
        "inject-svcb",
        (
            Act(
                REFERRAL,
                Alters(new=("additional _dns.ns1.dnshost.net. 172800 IN SVCB 1 ns1.dnshost.net. *",)),
            ),
        ),
    ),
    Entry("observe", ()),
    Entry(
        "obtain-certificate",
        (
            Act(
                TXT,
                Answers(("header NOERROR QR AA", f'answer {CA_ASKED.owner} 300 IN TXT "{CA_ASKED.answer}"')),
                CLEAR,
            ),
            Act(
                CAA,
                Alters(
                    gone=("answer a.nic.org. 3600 IN CAA *", "answer a.nic.org. 3600 IN RRSIG CAA *"),
                    new=(made_up_soa("org.", 300),),
                ),
                CLEAR,
            ),
        ),
        prepare=lambda attacker: attacker.challenged(CA_ASKED),
    ),
    Entry(
        "rename-ns",
        (
            Act(
                REFERRAL,
                Alters(
                    gone=(NS_OF_TARGET,),
                    new=(
                        "authority example.org. 3600 IN NS ns.example.org.",
                        "additional ns.example.org. 3600 IN A 198.51.100.6",
                        "additional ns.example.org. 3600 IN AAAA 2001:db8:51::6",
                    ),
                ),
            ),
        ),
    ),
    Entry(
        "replay-delegations",
        (
            Act(
                REFERRAL,
                Alters(
                    gone=(f"authority {PIN_OF_TARGET}", f"authority {SIGNED_DS}"),
                    new=(f"authority {SIGNED_DS}",),
                ),
            ),
        ),
    ),
    Entry(
        "replay-recorded",
        (Act(DS, Answers(("header NOERROR QR AA", "answer example.org. 60 IN DS 7 13 2 *")), CLEAR),),
        parameters={"types": ["DS"]},
        prepare=_record,
    ),
    Entry("reset-established", (Act(REFERRAL, Cuts(), TLS),)),
    Entry(
        "slow-handshake",
        (Act(REFERRAL, HoldsUp(1.0), SEALED),),
        parameters={"seconds": 1},
    ),
    Entry(
        "strip-deleg",
        (
            Act(
                REFERRAL_DE,
                Alters(
                    gone=(
                        r"authority example.org. 3600 IN TYPE61440 \# *",
                        "authority example.org. 3600 IN RRSIG TYPE61440 *",
                    ),
                    new=(NS_OF_TARGET,),
                ),
            ),
        ),
    ),
    Entry(
        "strip-deleg",
        (Act(REFERRAL_DE, Alters(unasked=("edns 0 a000 1232",), asked=("edns 0 8000 1232",))),),
        parameters={"what": "flag"},
        variant="flag",
    ),
    Entry(
        "strip-ds-glue",
        (
            Act(SERVER, Alters(gone=("authority dnshost.net. 3600 IN DS * 244 253 *",))),
            Act(SERVERS_DS, Alters(gone=("answer dnshost.net. 3600 IN DS * 244 253 *",))),
        ),
        on="ns-parent",
    ),
    Entry(
        "strip-ds-pin",
        (
            Act(REFERRAL, Alters(gone=(f"authority {PIN_OF_TARGET}", f"authority {SIGNED_DS}"))),
            Act(DS, Alters(gone=(f"answer {PIN_OF_TARGET}", f"answer {SIGNED_DS}"))),
        ),
    ),
    Entry(
        "strip-records",
        (Act(REFERRAL, Alters(gone=(DS_OF_TARGET, f"authority {SIGNED_DS}"))),),
        parameters={"strip": ["DS"], "sections": ["authority"], "certificate": "self-signed"},
    ),
    Entry(
        "strip-svcb",
        (Act(SERVER, Alters(gone=("additional _dns.ns1.dnshost.net. 3600 IN SVCB *",))),),
        on="ns-parent",
    ),
    Entry(
        "tamper-transfer",
        (
            Act(
                ". AXFR",
                Alters(
                    gone=("answer org. 3600 IN NS a.nic.org.",),
                    new=("answer org. 3600 IN NS ns.evil-dns.net.",),
                ),
                (Transport.TCP, Transport.DOT, Transport.DOQ),
            ),
            Act(". SOA", Terminates(), (Transport.DOH, Transport.DOH3)),  # which have no zone transfers
        ),
        on="mirror",
    ),
    Entry(
        "truncate",
        (
            Act(REFERRAL, Answers(("header NOERROR QR TC",)), (Transport.UDP,)),
            Act(REFERRAL, Refuses("reset"), (Transport.TCP,)),
        ),
        others=(),
    ),
)

OVERDONE = (
    Entry(
        "hinder",
        (Act(DS, Swallows(), CLEAR),),
        parameters={"types": ["DS", "SOA"]},
        variant="of another question, too",
    ),
    Entry(
        "change-algorithm",
        (Act(REFERRAL, ANOTHER_ALGORITHM),),
        variant="in other answers, too",
    ),
    Entry(
        "strip-records",
        (Act(REFERRAL, Alters(gone=(DS_OF_TARGET, f"authority {SIGNED_DS}")), CLEAR),),
        parameters={"strip": ["DS"], "certificate": "own-name"},
        variant="in sessions, too",
    ),
    Entry(
        "slow-handshake", (Act(REFERRAL, HoldsUp(1.0), TLS),), parameters={"seconds": 3}, variant="too slow"
    ),
    Entry("block-tls", (Act(REFERRAL, Refuses("reset"), TLS),), variant="of QUIC, too"),
    Entry("observe", (Act(REFERRAL, Alters(gone=(NS_OF_TARGET,))),), variant="and no more"),
)
"""Attackers that do otherwise than these entries say: with them, it must be found."""


def query(ask: str, number: int) -> dns.message.Message:
    """The query that is written like this."""
    name, rdtype, *flags = ask.split()
    made = message.query(dns.name.from_text(name), dns.rdatatype.from_text(rdtype), id=number)
    if "DE" in flags:
        made.ednsflags |= DE_FLAG
    if "plain" in flags:
        made.want_dnssec(False)
    if "bare" in flags:
        made.use_edns(False)
    return made
