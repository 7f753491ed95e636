"""What is drawn of a run, and what is counted."""

import dns.flags
import pytest
from OpenSSL import SSL
from packets import (
    ICMP,
    RST,
    SYN,
    UDP,
    Flow,
    TlsFlow,
    ip,
    make_query,
    make_response,
    udp,
)
from phases import (
    FORGED,
    LEAK,
    NAME,
    REFERRAL,
    Walk,
    exposed,
    facts,
    flags,
    in_clear,
    judged,
    terminated,
)

from testbed.record import Verdict
from testbed.verdict.judge import judge


def shown(judgement, link: str) -> list[tuple[str, str, str, str, bool]]:
    return [(c.towards, c.protection, c.text, c.seen, c.altered) for c in judgement.ladder if c.link == link]


def test_ladder_of_a_reset_connection():
    walk = Walk()

    def target() -> None:
        flow = TlsFlow(walk.tape, "target", scope="resolver", holders=())
        flow.hello()
        flow.segment("resolver", RST)
        in_clear(walk)

    judgement = judged(facts("target"), walk.resolve(target).evidence("block-tls@target"))
    assert shown(judgement, "target") == [
        ("far", "clear", "TLS ClientHello, SNI ns1.dnshost.net", "none", True),
        ("resolver", "clear", "TCP RST", "none", True),
        ("far", "clear", "secret.example.org. A", "name", False),
        ("resolver", "clear", "secret.example.org. A 192.0.2.80, RRSIG", "name", False),
    ]
    assert [crossing.time for crossing in judgement.ladder] == sorted(c.time for c in judgement.ladder)


def test_ladder_of_a_refused_connection():
    walk = Walk()

    def target() -> None:
        flow = Flow(walk.tape, "target", 853)
        flow.segment("far", SYN)
        flow.segment("resolver", RST | 0x10)

    judgement = judged(facts("target"), walk.resolve(target, rcode="SERVFAIL").evidence("x@target"))
    assert shown(judgement, "target") == [
        ("far", "clear", "TCP SYN to port 853", "none", False),
        ("resolver", "clear", "TCP RST, connection refused", "none", False),
    ]


def test_ladder_of_a_rewritten_referral():
    how = {"target-parent": "udp"}
    walk = Walk(how)
    original = walk.exchange

    def rewritten(role, qname, qtype="A", **response):
        if role != "target-parent":
            return original(role, qname, qtype, **response)
        query, tape = make_query(qname), walk.tape
        port = tape.port()
        tape.datagram(role, query.to_wire(), "far", port)
        true = make_response(query, authority=REFERRAL, aa=False)
        tape.datagram(role, true.to_wire(), "resolver", port, scope="far")
        forged = make_response(query, authority=["example.org. 3600 IN NS ns.evil-dns.net."], aa=False)
        return tape.datagram(role, forged.to_wire(), "resolver", port, scope="resolver")

    walk.exchange = rewritten
    evidence = walk.resolve(lambda: original("evil", NAME, answer=[FORGED])).evidence("x@target-parent")
    view = facts("target-parent", attacker_roles=["evil"])
    judgement = judged(view, evidence, Walk(how).resolve().evidence())
    assert flags(judgement) == LEAK
    assert exposed(judgement) == [
        ("target-parent", "zone", "clear", True),
        ("evil", "name", "served", False),
    ]
    assert shown(judgement, "target-parent") == [
        ("far", "clear", "example.org. A", "zone", False),
        (
            "resolver",
            "clear",
            "referral example.org. NS ns.evil-dns.net. (was: referral example.org. NS ns1.dnshost.net., "
            "DS 13 2)",
            "zone",
            True,
        ),
    ]
    assert shown(judgement, "evil")[-2:] == [
        ("far", "secure", "secret.example.org. A", "name", False),
        ("resolver", "secure", "secret.example.org. A 203.0.113.66", "name", True),
    ]


def test_ladder_of_a_swallowed_response():
    walk = Walk({"root": "udp"})
    evidence = walk.resolve(
        lambda: walk.tape.ask(
            "root", make_query("org.", "NS"), make_response(make_query("org.", "NS")), answer="far"
        )
    ).evidence("x@root")
    judgement = judged(facts("root"), evidence, Walk({"root": "udp"}).resolve().evidence())
    assert shown(judgement, "root")[-2:] == [
        ("far", "clear", "org. NS", "none", False),
        ("resolver", "clear", "no data, org. NS (swallowed)", "none", True),
    ]


def test_ladder_of_a_terminated_session():
    walk = Walk()
    evidence = walk.resolve(terminated(walk, answer=[FORGED])).evidence("impersonate@target")
    assert shown(judged(facts("target"), evidence), "target") == [
        ("far", "clear", "TLS ClientHello, SNI ns1.dnshost.net", "none", True),
        ("resolver", "encrypted", "TLS 1.3 session, not authenticated", "none", True),
        ("far", "encrypted", "secret.example.org. A", "name", False),
        (
            "resolver",
            "encrypted",
            "secret.example.org. A 203.0.113.66 (was: secret.example.org. A 192.0.2.80, RRSIG)",
            "name",
            True,
        ),
    ]


def test_ladder_of_a_refused_certificate():
    """The alert went to whom it was meant for, so it is not marked as swallowed."""
    walk = Walk()

    def target() -> None:
        flow = TlsFlow(walk.tape, "target", scope="resolver", holders=("attacker", "resolver"))
        flow.ends["far"].set_verify(SSL.VERIFY_PEER, lambda *_: False)
        flow.hello()
        flow.step("resolver")
        flow.flush("resolver")
        with pytest.raises(SSL.Error):
            flow.ends["far"].do_handshake()
        flow.flush("far")

    evidence = walk.resolve(target, rcode="SERVFAIL").evidence("impersonate@target")
    judgement = judged(facts("target"), evidence)
    assert flags(judgement) == {"verdict": Verdict.DENIAL, "denial": True}
    assert [(towards, altered) for towards, _, _, _, altered in shown(judgement, "target")] == [
        ("far", True),
        ("resolver", True),
        ("far", False),
    ]


def test_relayed_messages_may_be_compressed_anew_and_bear_another_id():
    walk = Walk({"root": "udp"})

    def target() -> None:
        walk.target()
        query, port = make_query("net.", "NS"), walk.tape.port()
        response = make_response(
            query, answer=["net. 300 IN NS a.nic.net."], authority=["net. 3 IN NS b.net."]
        )
        compact = response.to_wire()
        response.id ^= 1
        response.flags |= dns.flags.AA
        wide = bytearray(response.to_wire())
        assert wide[2:] == compact[2:]
        name = wide.index(b"\xc0\x0c")
        wide[name : name + 2] = b"\x03NET\x00"
        assert (wide[-11:-8], wide[-8:-6]) == (b"\0\0\x29", compact[-8:-6])
        wide[-8:-6] = b"\x02\x00"  # another UDP payload size
        walk.tape.datagram("root", query.to_wire(), "far", port)
        walk.tape.datagram("root", bytes(wide), "resolver", port, scope="far")
        walk.tape.datagram("root", compact, "resolver", port, scope="resolver")

    judgement = judged(
        facts("root"), walk.resolve(target).evidence("x@root"), Walk({"root": "udp"}).resolve().evidence()
    )
    assert [c for c in judgement.ladder if c.altered] == []


def test_counts():
    walk = Walk(dict.fromkeys(("root", "target-parent", "ns-parent", "ns-zone"), "udp"))

    def target() -> None:
        walk.target()
        walk.flows["target"].close()

    walk.resolve(target)
    assert judge(facts(), walk.tape.evidence(), None).outcome.counts.queries == 6
    late = walk.tape.ask("root", make_query("late."), make_response(make_query("late.")))
    evidence = walk.evidence()
    counts = judge(facts(), evidence, None).outcome.counts
    assert late[0].time > max(frame.time for frame in evidence.captures["client"].frames)
    before = [
        frame
        for link, capture in evidence.captures.items()
        for frame in capture.frames
        if link != "client" and frame.side == "resolver" and frame.time < late[0].time
    ]
    assert counts.queries == 6
    assert counts.handshakes == 1
    assert counts.packets == len(before)
    assert counts.bytes == sum(len(frame.data) - 14 for frame in before)
    # Five over UDP; for the target SYN, ClientHello, and the query. Nobody waits for tickets.
    assert counts.round_trips == 5 + 3


def test_quoted_queries_are_not_asked_again():
    """The resolver complains of what it got; a hostile server might have sent it a query."""
    walk = Walk()

    def target() -> None:
        walk.target()
        link, ours, theirs = walk.tape.ends("root")
        quoted = ip(theirs, ours, UDP, udp(53, 4000, make_query(NAME).to_wire()))
        walk.tape.send(link, ip(ours, theirs, ICMP, bytes((3, 3)) + bytes(6) + quoted), "far")

    judgement = judged(facts("ns-zone"), walk.resolve(target).evidence("x@ns-zone"))
    assert flags(judgement) == {}
    assert judgement.outcome.counts.queries == 6


def test_questions_sent_at_once_are_one_round_trip():
    walk = Walk(dict.fromkeys(("root", "target-parent", "ns-parent", "ns-zone", "target"), "udp"))
    tape = walk.tape

    def target() -> None:
        queries = [make_query(NAME), make_query("example.org.", "DNSKEY")]
        for port, query in enumerate(queries, 1000):
            tape.datagram("target", query.to_wire(), "far", port)
        for port, query in enumerate(queries, 1000):
            tape.datagram("target", make_response(query).to_wire(), "resolver", port)

    counts = judge(facts(), walk.resolve(target).evidence(), None).outcome.counts
    assert (counts.queries, counts.round_trips, counts.handshakes) == (7, 6, 0)
