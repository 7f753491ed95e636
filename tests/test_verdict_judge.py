"""The judge itself is judged: each planted fault must raise its flags, and nothing else."""

import pytest
from packets import (
    EPOCH,
    RST,
    UDP,
    Flow,
    Tape,
    TlsFlow,
    fragments,
    ip,
    make_query,
    make_response,
    udp,
)
from phases import (
    ADDRESS,
    FORGED,
    LEAK,
    NAME,
    Walk,
    exposed,
    facts,
    flags,
    in_clear,
    judged,
    terminated,
)

from testbed.evidence import Decision
from testbed.record import Verdict
from testbed.verdict.judge import judge

# -- controls --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "link", ["client", "root", "target-parent", "ns-parent", "ns-zone", "target", "mirror", "evil"]
)
@pytest.mark.parametrize("family", [0, 1])
def test_a_control_run_raises_nothing(link, family):
    run = Walk(tape=Tape(family=family)).resolve().evidence(f"attacker@{link}")
    judgement = judged(facts(link, attacker_roles=["evil"]), run)
    if link == "client":  # there it is the client itself that gives the name away, in the baseline too
        assert flags(judgement) == {"leak": "name"}
        assert exposed(judgement) == [("client", "name", "clear", True)]
    else:
        assert flags(judgement) == {}
        assert judgement.outcome.exposures == ()
        assert judgement.comments == {}
    assert judgement.baseline.verdict is (Verdict.LEAK if link == "client" else Verdict.SAFE)
    assert judgement.outcome.answer == ("NOERROR secret.example.org. A 192.0.2.80",)


def test_what_is_exposed_at_rest_is_not_the_attack_s_doing():
    how = {"target-parent": "udp"}
    judgement = judged(
        facts("target-parent"),
        Walk(how).resolve().evidence("idle@target-parent"),
        Walk(how).resolve().evidence(),
    )
    assert flags(judgement) == {"leak": "zone"}
    assert exposed(judgement) == [("target-parent", "zone", "clear", True)]
    assert judgement.baseline.leak == "zone"
    assert judgement.baseline.verdict is Verdict.LEAK


def test_a_passive_attacker_leaks_what_is_exposed_at_rest():
    how = {"target-parent": "udp"}
    walk = Walk(how).resolve()
    judgement = judged(
        facts("target-parent", passive=True),
        walk.evidence("observe@target-parent", acted=0),
        Walk(how).resolve().evidence(),
    )
    assert flags(judgement) == {"verdict": Verdict.LEAK, "leak": "zone"}
    (exposure,) = judgement.outcome.exposures
    assert exposure.at_rest
    assert (exposure.capture, exposure.packet, exposure.step) == ("target-parent.pcapng", 1, 0)
    assert exposure.text == "query example.org. A over UDP on the link to target-parent"


def test_a_passive_attacker_who_saw_nothing_is_still_conclusive():
    walk = Walk().resolve()
    judgement = judged(facts("mirror", passive=True), walk.evidence(acted=0))
    assert flags(judgement) == {"fired": False}


def test_without_an_attack_the_baseline_is_the_outcome():
    walk = Walk({"target": "udp"})
    walk.exchange("evil", NAME, answer=[ADDRESS])
    evidence = walk.resolve().evidence()
    judgement = judge(facts("target", attacker_roles=["evil"]), evidence, None)
    assert judgement.outcome == judgement.baseline
    assert (judgement.outcome.verdict, judgement.outcome.leak) == (Verdict.SAFE, "none")
    assert len(judgement.ladder) > 10
    assert {(crossing.seen, crossing.altered) for crossing in judgement.ladder} == {("none", False)}
    failed = Walk().resolve(rcode="SERVFAIL", ede=22).evidence()
    outcome = judge(facts(), failed, None).outcome
    assert (outcome.verdict, outcome.denial, outcome.detected) == (Verdict.DENIAL, True, True)
    assert outcome.answer == ("SERVFAIL (EDE 22)",)


# -- planted leaks ---------------------------------------------------------------------------------


def test_clear_retry_after_a_failure():
    walk = Walk()

    def target() -> None:
        flow = TlsFlow(walk.tape, "target", scope="resolver", holders=())
        flow.hello()
        flow.segment("resolver", RST)
        walk.decide("target", "fallback")
        in_clear(walk)

    judgement = judged(facts("target"), walk.resolve(target).evidence("block-tls@target"))
    assert flags(judgement) == {**LEAK, "downgrade": True}
    (exposure,) = judgement.outcome.exposures
    assert (exposure.how, exposure.at_rest, exposure.link) == ("clear", False, "target")
    packet = walk.tape.frames["target"][exposure.packet - 1]
    assert b"\x06secret\x07example\x03org" in packet.data
    assert judgement.comments["target"][exposure.packet] == (
        "the attacker learns the name: query secret.example.org. A over UDP on the link to target; "
        "downgrade: secret.example.org. A to target is clear; it was secure in the baseline"
    )


@pytest.mark.parametrize("sni", ["ns1.example.org", "NS1.EXAMPLE.ORG"])
def test_sni_of_a_server_in_the_zone(sni):
    walk = Walk()

    def target() -> None:
        walk.flows["target"] = walk.dial("target", sni=sni)
        walk.target()

    evidence = walk.resolve(target).evidence("x@target")
    judgement = judged(facts("target"), evidence)
    assert flags(judgement) == {"verdict": Verdict.LEAK, "leak": "zone"}
    assert exposed(judgement) == [("target", "zone", "sni", False)]
    assert flags(judged(facts("root"), evidence)) == {}


def test_sni_of_a_server_that_bears_the_sensitive_name():
    walk = Walk()
    evidence = walk.resolve(lambda: walk.dial("target", sni="secret.example.org")).evidence("x@target")
    judgement = judged(facts("target"), evidence)
    assert flags(judgement) == LEAK
    assert exposed(judgement) == [("target", "name", "sni", False)]


@pytest.mark.parametrize("zones", [1, 2])
def test_address_of_a_server_with_one_zone(zones):
    view = facts("target", zones_hosted={"target": zones}, passive=True)
    judgement = judged(view, Walk().resolve().evidence("observe@target"))
    if zones == 1:
        assert flags(judgement) == {"verdict": Verdict.LEAK, "leak": "zone"}
        assert exposed(judgement) == [("target", "zone", "address", True)]
        assert judgement.outcome.exposures[0].packet == 1
    else:
        assert flags(judgement) == {}


@pytest.mark.parametrize(
    ("how", "authenticated", "downgrade"),
    [("dot", True, False), ("dot", False, True), ("udp", True, True), ("tcp", True, True)],
)
def test_query_to_the_wrong_server(how, authenticated, downgrade):
    walk = Walk({"evil": how}, authenticates=authenticated)
    evidence = walk.resolve(lambda: walk.exchange("evil", NAME, answer=[FORGED])).evidence("x@target-parent")
    evidence.decisions[:] = [
        Decision(d.time, d.step, d.kind, d.text, d.server, d.transport, True)
        if d.server not in ("198.51.100.66", "2001:db8:51::42")
        else d
        for d in evidence.decisions
    ]
    judgement = judged(facts("target-parent", attacker_roles=["evil"]), evidence)
    assert flags(judgement) == {**LEAK, **({"downgrade": True} if downgrade else {})}
    assert exposed(judgement) == [("evil", "name", "served", False)]
    elsewhere = {"verdict": Verdict.DOWNGRADE, "downgrade": True} if downgrade else {}
    assert flags(judged(facts("target-parent"), evidence)) == elsewhere


def test_one_packet_on_ipv6_only():
    walk = Walk()

    def target() -> None:
        walk.target()
        walk.tape.family = 1
        walk.tape.ask("target", make_query(NAME))
        walk.tape.family = 0

    evidence = walk.resolve(target).evidence("x@target")
    judgement = judged(facts("target"), evidence)
    assert flags(judgement) == {**LEAK, "downgrade": True}
    (exposure,) = judgement.outcome.exposures
    assert evidence.captures["target"].frames[exposure.packet - 1].data[12:14] == b"\x86\xdd"


@pytest.mark.parametrize("relay", [True, False])
def test_session_that_the_attacker_terminates(relay):
    walk = Walk()
    evidence = walk.resolve(terminated(walk, relay=relay)).evidence("impersonate@target")
    judgement = judged(facts("target"), evidence)
    assert flags(judgement) == {**LEAK, "downgrade": True}
    assert exposed(judgement) == [("target", "name", "terminated", False)]


def test_terminated_session_with_a_mis_issued_certificate_is_no_downgrade():
    walk = Walk()
    evidence = walk.resolve(terminated(walk)).evidence("impersonate@target")
    evidence.decisions[-1] = Decision(EPOCH, 0, "handshake", "", "198.51.100.6", "dot", True)
    assert flags(judged(facts("target"), evidence)) == LEAK


@pytest.mark.parametrize("size", [1400, 40])
def test_name_in_an_error_report(size):
    how = {"ns-zone": "tcp"}
    walk = Walk(how)

    def target() -> None:
        walk.target()
        report = make_query("_er.1.secret.example.org.22._er.agent.dnshost.net.", "TXT")
        walk.flows["ns-zone"].message("far", report, size)

    evidence = walk.resolve(target).evidence("x@ns-zone")
    judgement = judged(facts("ns-zone"), evidence, Walk(how).resolve().evidence())
    assert flags(judgement) == LEAK
    assert exposed(judgement) == [("ns-zone", "name", "clear", False)]


def test_name_in_mixed_case():
    walk = Walk()
    evidence = walk.resolve(lambda: in_clear(walk, qname="sEcReT.ExAmPlE.oRg.")).evidence("x@target")
    assert flags(judged(facts("target"), evidence)) == {**LEAK, "downgrade": True}


@pytest.mark.parametrize("cut", [1, 2, 14, 15, 20, 27, 30])
@pytest.mark.parametrize("order", ["in order", "out of order", "retransmitted", "overlapping"])
def test_name_split_over_segments(cut, order):
    walk = Walk()
    query = make_query(NAME).to_wire()
    stream = len(query).to_bytes(2) + query

    def target() -> None:
        flow = Flow(walk.tape, "target", 53).open()
        start = flow.next["far"]
        parts = [(0, stream[:cut]), (cut, stream[cut:])]
        if order == "out of order":
            parts.reverse()
        elif order == "retransmitted":
            parts.insert(0, parts[0])
        elif order == "overlapping":
            parts[1] = (max(cut - 9, 0), stream[max(cut - 9, 0) :])
        frames = [flow.segment("far", 0x18, payload, seq=start + offset) for offset, payload in parts]
        walk.last = frames[-1]

    evidence = walk.resolve(target).evidence("x@target")
    judgement = judged(facts("target"), evidence)
    assert flags(judgement) == {**LEAK, "downgrade": True}
    (exposure,) = judgement.outcome.exposures
    assert exposure.packet == walk.last.number


@pytest.mark.parametrize("family", [0, 1])
def test_name_in_a_fragmented_datagram(family):
    walk = Walk(tape=Tape(family=family))

    def target() -> None:
        link, ours, theirs = walk.tape.ends("target")
        packet = ip(ours, theirs, UDP, udp(4000, 53, make_query(NAME).to_wire()))
        for part in fragments(packet, 24):
            walk.last = walk.tape.send(link, part, "far")

    judgement = judged(facts("target"), walk.resolve(target).evidence("x@target"))
    assert flags(judgement) == {**LEAK, "downgrade": True}
    assert judgement.outcome.exposures[0].packet == walk.last.number


def test_name_on_an_unusual_port():
    walk = Walk()

    def target() -> None:
        walk.tape.datagram("target", make_query(NAME).to_wire(), "far", 4000, at=5353)

    evidence = walk.resolve(target).evidence("x@target")
    assert flags(judged(facts("target"), evidence)) == {**LEAK, "downgrade": True}


def test_name_in_a_response_only():
    how = {"ns-zone": "udp"}
    walk = Walk(how)

    def target() -> None:
        walk.target()
        in_clear(walk, "ns-zone", "www.dnshost.net.", answer=[f"www.dnshost.net. 300 IN CNAME {NAME}"])

    evidence = walk.resolve(target).evidence("x@ns-zone")
    judgement = judged(facts("ns-zone"), evidence, Walk(how).resolve().evidence())
    assert flags(judgement) == LEAK
    (exposure,) = judgement.outcome.exposures
    assert exposure.text.startswith("response to www.dnshost.net. A over UDP")
    assert walk.tape.frames["ns-zone"][exposure.packet - 1].side == "far"


def test_what_the_attacker_makes_up_teaches_it_nothing():
    walk = Walk()

    def target() -> None:
        walk.target()
        spoofed = make_response(make_query(NAME), answer=[FORGED])
        walk.tape.datagram("target", spoofed.to_wire(), "resolver", 4000, scope="resolver")

    evidence = walk.resolve(target).evidence("spoof@target")
    judgement = judged(facts("target"), evidence)
    assert flags(judgement) == {}
    assert [c.text for c in judgement.ladder if c.altered] == ["secret.example.org. A 203.0.113.66"]


def test_what_the_attacker_does_towards_the_server_teaches_it_nothing():
    walk = Walk()

    def attack() -> None:
        TlsFlow(walk.tape, "target", scope="far", holders=("attacker",), sni="ns1.example.org").shake()
        walk.tape.datagram("target", make_query(NAME).to_wire(), "far", 4000, scope="far")

    evidence = walk.resolve(attack).evidence("x@target")
    baseline = Walk().resolve(lambda: None).evidence()
    judgement = judged(facts("target", zones_hosted={"target": 1}), evidence, baseline)
    assert flags(judgement) == {}
    assert judgement.outcome.exposures == ()


def test_what_the_attacker_s_server_says_teaches_it_nothing():
    walk = Walk({"evil": "udp"})

    def attack() -> None:
        walk.target()
        walk.exchange("evil", "www.evil-dns.net.", answer=[f"www.evil-dns.net. 3 IN CNAME {NAME}", ADDRESS])

    evidence = walk.resolve(attack).evidence("x@evil")
    judgement = judged(facts("evil", attacker_roles=["evil"]), evidence)
    assert flags(judgement) == {}


def test_query_that_the_attacker_swallows_is_exposed_all_the_same():
    walk = Walk()

    def target() -> None:
        walk.tape.ask("target", make_query(NAME), scope="resolver")

    judgement = judged(facts("target"), walk.resolve(target, rcode="SERVFAIL").evidence("x@target"))
    assert flags(judgement) == {**LEAK, "downgrade": True, "denial": True}


def test_only_the_attacker_s_links_and_keys_count():
    walk = Walk()
    evidence = walk.resolve(lambda: in_clear(walk)).evidence("x@root")
    assert flags(judged(facts("root"), evidence)) == {"verdict": Verdict.DOWNGRADE, "downgrade": True}
