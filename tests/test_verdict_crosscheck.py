"""Evidence that cannot be relied on is inconclusive, whatever it seems to show."""

from dataclasses import replace

import dns.name
import pytest
from packets import ACK, ICMP, PSH, Flow, TlsFlow, ip, make_query, make_response
from phases import FORGED, NAME, Walk, control, facts, flags, judged
from quic_flows import QuicFlow

from testbed.evidence import Decision, LinkCapture, PhaseEvidence
from testbed.record import Verdict
from testbed.verdict.judge import judge

LABELS = b"\x06secret\x07example\x03org"


def reason(attack: PhaseEvidence, *links: str, baseline: PhaseEvidence | None = None, **fields) -> str:
    """Why a run is inconclusive, empty if it is not."""
    outcome = judged(facts(*links or ("target",), **fields), attack, baseline).outcome
    assert (outcome.verdict is Verdict.INCONCLUSIVE) is bool(outcome.reason)
    return outcome.reason


def attacked(**fields) -> PhaseEvidence:
    return Walk(**fields).resolve().evidence("x@target")


def test_sound_evidence():
    assert reason(attacked()) == ""


def test_trouble():
    evidence = attacked()
    evidence.trouble.append("the clock jumped")
    assert reason(evidence) == "the clock jumped"


@pytest.mark.parametrize("link", ["client", "target", "root", "mirror"])
@pytest.mark.parametrize("side", ["resolver", "far"])
@pytest.mark.parametrize("difference", [-1, 1])
def test_counters_that_disagree(link, side, difference):
    evidence = attacked()
    capture = evidence.captures[link]
    seen = capture.counted[side]
    capture.counted[side] += difference
    assert reason(evidence) == (
        f"link {link}: {seen} packets captured at the {side} side of {seen + difference}"
    )


def test_missing_counter():
    evidence = attacked()
    del evidence.captures["target"].counted["far"]
    assert reason(evidence) == "link target: the kernel's packet count of the far side is missing"


def test_lost_packets():
    evidence = attacked()
    evidence.captures["ns-zone"].lost = 3
    assert reason(evidence) == "link ns-zone: the capture lost 3 packets"


@pytest.mark.parametrize("link", ["client", "target"])
def test_cut_off_capture(link):
    """Counters show it; and if they were wrong too, the control traffic does, for what it covers."""
    evidence = attacked()
    capture = evidence.captures[link]
    for size in (0, 1, 2, 3, 12, 13, 14, 20):
        if size >= len(capture.frames):
            break
        cut = replace(capture, frames=capture.frames[:size])
        assert reason(replace(evidence, captures={**evidence.captures, link: cut}))
        empty_handed = {side: sum(f.side == side for f in cut.frames) for side in ("resolver", "far")}
        blind = replace(cut, counted=empty_handed)
        said = reason(replace(evidence, captures={**evidence.captures, link: blind}))
        covered = {"client": 2, "target": 13}[link]  # the client's response, the target's ServerHello
        assert bool(said) is (size <= covered)


def test_empty_captures_that_agree_with_empty_counters():
    evidence = attacked()
    empty = {link: LinkCapture(link, [], {"resolver": 0, "far": 0}) for link in evidence.captures}
    assert reason(replace(evidence, captures=empty)) == "link client: not one packet captured"
    empty["client"] = evidence.captures["client"]
    silent = replace(evidence, captures=empty, decisions=[])
    assert reason(silent) == "not one packet captured on any link to a server"


def test_gap_in_the_numbers():
    evidence = attacked()
    capture = evidence.captures["root"]
    del capture.frames[4]
    capture.counted[capture.frames[3].side] -= 1
    capture.counted = {s: sum(f.side == s for f in capture.frames) for s in ("resolver", "far")}
    assert reason(evidence) == "link root: packet numbers are not consecutive"


@pytest.mark.parametrize("link", ["client", "target", "evil"])
def test_missing_capture(link):
    evidence = attacked()
    del evidence.captures[link]
    assert reason(evidence) == f"link {link}: no capture"


def test_missing_client_packets():
    walk = Walk().resolve()
    walk.tape.frames["client"] = walk.tape.frames["client"][:2]
    said = "link client: the response to secret.example.org. A in step 1 is not in the capture"
    assert reason(walk.evidence("x@target")) == said
    walk = Walk().resolve()
    walk.tape.client[0] = replace(walk.tape.client[0], qname=dns.name.from_text("other.example.org."))
    assert "the query other.example.org. A in step 1 is not" in reason(
        walk.evidence("x@target"), baseline=walk.tape.evidence()
    )


def test_missing_handshake():
    evidence = attacked()
    evidence.captures["target"] = LinkCapture("target", [], {"resolver": 0, "far": 0})
    said = "link target: a handshake with 198.51.100.6 is not in the capture"
    assert reason(evidence, "root") == said


def test_the_attack_never_fired():
    evidence = Walk().resolve().evidence("block-tls@target", acted=0)
    assert reason(evidence) == ("the attack never fired: block-tls on target matched 1 and did nothing")
    assert reason(control()) == "the attack never fired: no attacker reported"
    assert reason(evidence, passive=True) == ""
    judgement = judged(facts("target"), evidence)
    assert flags(judgement) == {
        "verdict": Verdict.INCONCLUSIVE,
        "fired": False,
        "reason": judgement.outcome.reason,
    }


@pytest.mark.parametrize(
    ("response", "said"),
    [
        ({"rcode": "SERVFAIL"}, "the baseline failed: secret.example.org. A: SERVFAIL"),
        ({"rcode": "none"}, "the baseline failed: secret.example.org. A: no answer"),
        (
            {"answer": [FORGED]},
            "the baseline failed: secret.example.org. A: "
            "untrue answer NOERROR secret.example.org. A 203.0.113.66",
        ),
    ],
)
def test_the_baseline_failed(response, said):
    baseline = Walk().resolve(**response).evidence()
    assert reason(attacked(), baseline=baseline) == said


def test_doubts_about_the_baseline():
    baseline = control()
    baseline.captures["root"].lost = 1
    assert reason(attacked(), baseline=baseline) == "baseline: link root: the capture lost 1 packets"
    outcome = judge(facts(), baseline, None).outcome
    assert (outcome.verdict, outcome.reason) == (
        Verdict.INCONCLUSIVE,
        "link root: the capture lost 1 packets",
    )


def test_phases_that_cannot_be_compared():
    walk = Walk().resolve()
    walk.flows.clear()
    walk.resolve()
    assert reason(walk.evidence("x@target")) == "the client did not ask the same as in the baseline"


def test_a_client_that_asked_nothing():
    evidence = attacked()
    evidence.client.clear()
    assert judge(facts(), evidence, None).outcome.reason == "the client asked nothing"


def test_sessions_that_cannot_be_read():
    walk = Walk()

    def target() -> None:
        flow = TlsFlow(walk.tape, "target", holders=()).shake()
        flow.message("far", make_query(NAME))

    evidence = walk.resolve(target).evidence("x@root")
    assert reason(evidence, "root").startswith("link target: a TLS session cannot be read (packet ")


def test_quic_cannot_be_read():
    """An Initial alone is a mere attempt; what follows may hold queries."""
    walk = Walk()
    walk.resolve()
    flow = QuicFlow(walk.tape, "target")
    flow.hello()
    assert reason(walk.evidence("x@target")) == ""
    flow.pass_on("far", b"\x43" + bytes(90))
    assert reason(walk.evidence("x@target")).startswith("link target: a QUIC connection cannot be read")


# -- what the dissector does not see -----------------------------------------------------------------


def smuggle(payload: bytes, *, at: int = 9999, towards: str = "far") -> PhaseEvidence:
    walk = Walk().resolve()
    walk.tape.datagram("target", payload, towards, 4000, at=at)
    return walk.evidence("x@target")


@pytest.mark.parametrize(
    "payload",
    [
        b"some protocol " + LABELS + b"\0",
        b"some protocol " + LABELS.upper() + b"\0",
        b"GET /?name=Secret.Example.org HTTP/1.1",
        make_response(
            make_query("other.net.", "TXT"), answer=['other.net. 1 IN TXT "secret.example.org"']
        ).to_wire(),
        b"\0" + make_query(NAME).to_wire(),
    ],
    ids=["labels", "upper-case", "http", "response", "query"],
)
@pytest.mark.parametrize("at", [9999, 53, 853])
@pytest.mark.parametrize("towards", ["far", "resolver"])
def test_the_name_in_what_cannot_be_read(payload, at, towards):
    evidence = smuggle(payload, at=at, towards=towards)
    number = len(evidence.captures["target"].frames) - 1
    texts = [f"link target: the sensitive name stands unread in packet {number}"]
    if (at, towards) == (853, "far"):
        texts.append(f"link target: a QUIC connection cannot be read (packet {number})")
    assert reason(evidence) in texts
    if len(texts) == 1:
        assert reason(evidence, "root") == ""


def test_the_name_in_a_broken_frame():
    walk = Walk().resolve()
    walk.tape.send("target", b"\x45" + bytes(10) + LABELS, "far")
    assert "stands unread in packet" in reason(walk.evidence("x@target"))


def test_the_name_in_an_unread_stream():
    walk = Walk().resolve()
    flow = Flow(walk.tape, "target", 9999).open()
    flow.data("far", b"some protocol " + LABELS + b" and on", 18)
    assert "stands unread in the stream of packet" in reason(walk.evidence("x@target"))


def test_the_name_in_an_overlapping_copy():
    """The copy that came first is harmless; which one the server took, nobody knows."""
    walk = Walk().resolve()
    wire = make_query("public.example.net.").to_wire()
    stream = len(wire).to_bytes(2) + wire
    flow = Flow(walk.tape, "target", 53).open()
    start = flow.next["far"]
    flow.segment("far", PSH | ACK, stream, seq=start)
    flow.segment("far", PSH | ACK, stream.replace(b"\x06public\x07example\x03net", LABELS), seq=start)
    assert "stands unread in packet" in reason(walk.evidence("x@target"))


def test_the_name_as_a_neighbour_has_been_read():
    walk = Walk().resolve()
    denial = make_response(
        make_query("b.example.net."), authority=["a.example.net. 3 IN NSEC secret.example.org. A"]
    )
    walk.tape.datagram("target", denial.to_wire(), "resolver", 4000)
    judgement = judged(facts("target"), walk.evidence("x@target"))
    assert flags(judgement) == {}


def test_the_name_in_unread_plaintext_of_the_attacker():
    walk = Walk().resolve()
    flow = TlsFlow(walk.tape, "target", scope="resolver", holders=("attacker",)).shake()
    flow.message("far", make_query("harmless.net."))
    flow.ends["far"].sendall(b"\0\x0cgarbage" + LABELS)
    flow.flush("far")
    assert "stands unread in the stream of packet" in reason(walk.evidence("x@target"))


def test_icmp_errors_that_quote_a_query():
    walk = Walk({"target": "udp"})
    evidence = walk.resolve().evidence("x@target")
    query = walk.tape.frames["target"][0].data[14:]
    link, ours, theirs = walk.tape.ends("target")
    body = bytes((3, 3)) + bytes(6) + query
    walk.tape.send(link, ip(theirs, ours, ICMP, body), "resolver")
    evidence = walk.evidence()
    baseline = Walk({"target": "udp"}).resolve().evidence()
    judgement = judged(facts("target"), evidence, baseline)
    assert flags(judgement) == {"leak": "name"}
    assert judgement.ladder[-1].text == "ICMP: port unreachable (udp/53)"


def test_a_decision_about_an_unknown_server_does_no_harm():
    evidence = attacked()
    evidence.decisions.append(Decision(0.0, 0, "handshake", "", "192.0.2.99", "dot", True))
    evidence.decisions.append(Decision(0.0, 0, "handshake", "", "ns1.dnshost.net", "dot", True))
    assert reason(evidence) == ""


def test_packets_that_are_not_understood_bear_a_comment():
    walk = Walk().resolve()
    frame = walk.tape.datagram("target", b"some protocol", "far", 4000, at=9999)
    judgement = judged(facts("target"), walk.evidence("x@target"))
    assert judgement.comments == {
        "target": dict.fromkeys(
            (frame.number, frame.number + 1),
            "not understood by the verdict, which has searched it for the name only",
        )
    }
