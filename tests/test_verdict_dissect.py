"""The dissector against another one (tshark), and against nonsense."""

import random
import shutil
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest
from aioquic.tls import CipherSuite
from http_flows import H2Flow, H3Flow
from hypothesis import given, settings
from hypothesis import strategies as st
from packets import (
    ACK,
    ICMP,
    PSH,
    UDP,
    Flow,
    Tape,
    TlsFlow,
    fragments,
    ip,
    make_query,
    make_response,
    pcap,
    udp,
)
from phases import ADDRESS, NAME, REFERRAL, SIGNATURE, TLS12, Walk, control, facts, sound, terminated
from quic_flows import QuicFlow

from testbed.evidence import Frame, LinkCapture, TlsSecret
from testbed.verdict.dissect import dissect
from testbed.verdict.judge import judge
from testbed.verdict.messages import name_text

QUERY = make_query("SeCrEt.example.org.")
ANSWER = make_response(QUERY, answer=[ADDRESS, SIGNATURE])


def wires(*messages) -> bytes:
    octets = [message.to_wire() for message in messages]
    return b"".join(len(wire).to_bytes(2) + wire for wire in octets)


def plain(tape: Tape) -> None:
    tape.ask("target", QUERY, ANSWER)
    tape.ask("target", make_query("_dns.ns1.dnshost.net.", "SVCB"), make_response(QUERY, rcode="NXDOMAIN"))
    tape.ask("target", make_query("."), None)
    tape.family = 1
    tape.ask("target", QUERY, make_response(QUERY, authority=REFERRAL, aa=False))


def segmented(tape: Tape) -> None:
    for size in (1400, 30, 7):
        flow = Flow(tape, "target", 53).open()
        flow.message("far", QUERY, size)
        flow.data("resolver", wires(ANSWER, ANSWER), size)
        flow.close()


def pipelined(tape: Tape) -> None:
    flow = Flow(tape, "target", 53).open()
    flow.data("far", wires(QUERY, make_query("a.example.org."), make_query("b.example.org.")))
    flow.data("resolver", wires(make_response(make_query("b.example.org.")), ANSWER), 25)


def disordered(tape: Tape) -> None:
    flow = Flow(tape, "target", 53).open()
    stream, start = wires(QUERY), flow.next["far"]
    flow.segment("far", PSH | ACK, stream[20:], seq=start + 20)
    flow.segment("far", PSH | ACK, stream[:20], seq=start)
    flow.segment("far", PSH | ACK, stream[:20], seq=start)


def fragmented(tape: Tape) -> None:
    for tape.family in (0, 1):
        link, ours, theirs = tape.ends("target")
        answer = make_response(QUERY, answer=[ADDRESS, SIGNATURE])
        for part in fragments(ip(theirs, ours, UDP, udp(53, 4000, answer.to_wire())), 48):
            tape.send(link, part, "resolver")


def dot(tape: Tape) -> None:
    for size in (1400, 60):
        flow = TlsFlow(tape, "target").shake()
        flow.message("far", QUERY, size)
        flow.message("resolver", ANSWER, size)
        flow.message("far", make_query("a.example.org."), size)


def dot12(tape: Tape) -> None:
    flow = TlsFlow(tape, "target", version=TLS12, ciphers=b"ECDHE-ECDSA-AES128-GCM-SHA256").shake()
    flow.message("far", QUERY)
    flow.message("resolver", ANSWER)


def icmp(tape: Tape) -> None:
    tape.ask("target", QUERY)
    link, ours, theirs = tape.ends("target")
    query = tape.frames[link][0].data[14:]
    tape.send(link, ip(theirs, ours, ICMP, bytes((3, 3)) + bytes(6) + query), "resolver")


def doq(tape: Tape) -> None:
    for options in ({}, {"cipher_suites": [CipherSuite.CHACHA20_POLY1305_SHA256]}):
        flow = QuicFlow(tape, "target", **options).shake()
        flow.message("far", QUERY)
        flow.message("resolver", ANSWER)
        flow.message("far", make_query("a.example.org."))


def doh2(tape: Tape) -> None:
    flow = H2Flow(tape, "target").shake()
    flow.message("far", QUERY)
    flow.message("resolver", ANSWER)
    flow.message("far", make_query("a.example.org."))


def hellos(tape: Tape) -> None:
    """Server names, one of them in a ClientHello that fills two datagrams, one said again after a Retry."""
    TlsFlow(tape, "target", sni="a.example.org").shake()
    H2Flow(tape, "target", sni="b.example.org").shake()
    H3Flow(tape, "target", sni="c.example.org").shake()
    QuicFlow(tape, "target", sni="d.example.org", retry=True).shake()
    long = ["doq", *("x" * 200 + str(number) for number in range(5))]
    QuicFlow(tape, "target", sni="e.example.org", alpn_protocols=long).shake()
    QuicFlow(tape, "target", sni="f.example.org", holders=()).shake()


def tshark(tape: Tape, folder: Path, what: str, *fields: str) -> list[list[str]]:
    """What tshark finds at the resolver's side of the target's link."""
    frames = [frame for frame in tape.frames["target"] if frame.side == "resolver"]
    capture, keys = folder / "target.pcap", folder / "keys.txt"
    capture.write_bytes(pcap(frames))
    keys.write_text("".join(f"{secret.line}\n" for secret in tape.secrets))
    command = ["tshark", "-n", "-r", capture, "-Y", what, "-T", "fields", "-E", "aggregator=|"]
    command += ["-o", f"tls.keylog_file:{keys}", "-o", "tcp.reassemble_out_of_order:TRUE"]
    command += ["-d", "udp.port==853,quic", *(f"-e{field}" for field in ("frame.number", *fields))]
    output = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    return [line.split("\t") for line in output.splitlines()]


def numbers(tape: Tape) -> dict[int, int]:
    """How frames are numbered when those at the resolver's side are alone."""
    frames = [frame for frame in tape.frames["target"] if frame.side == "resolver"]
    return {frame.number: index for index, frame in enumerate(frames, 1)}


needs_tshark = pytest.mark.skipif(shutil.which("tshark") is None, reason="tshark is not installed")


@needs_tshark
@pytest.mark.parametrize(
    "traffic", [plain, segmented, pipelined, disordered, fragmented, dot, dot12, icmp, doq, doh2]
)
def test_tshark_sees_the_same_names_in_the_same_packets(traffic, tmp_path):
    tape = Tape()
    traffic(tape)
    expected = [
        (int(number), name.lower().rstrip("."))
        for number, names in tshark(tape, tmp_path, "dns", "dns.qry.name")
        for name in names.replace("<Root>", ".").split("|")
    ]
    new = numbers(tape)
    got = [
        (new[message.frame.number], name_text(message.dns.questions[0][0]).rstrip("."))
        for message in dissect(tape.evidence()).resolver["target"].messages
    ]
    assert got
    assert sorted(got) == sorted(expected)


@needs_tshark
def test_tshark_sees_the_same_server_names_in_the_same_packets(tmp_path):
    tape = Tape()
    hellos(tape)
    field = "tls.handshake.extensions_server_name"
    seen: dict[str, int] = {}
    for number, name in tshark(tape, tmp_path, field, field):
        seen.setdefault(name, int(number))
    new = numbers(tape)
    signs = dissect(tape.evidence()).resolver["target"].signs
    got = {sign.session.hello.sni: new[sign.frame.number] for sign in signs if sign.kind == "hello"}
    assert sorted(got) == [f"{letter}.example.org" for letter in "abcdef"]
    assert got == seen


def test_undecodable_packets_are_kept():
    tape = Tape()
    link, ours, theirs = tape.ends("target")
    tape.send(link, ip(ours, theirs, 132, bytes(30)), "far")
    tape.send(link, b"\x45" + bytes(9), "far")
    tape.datagram("target", b"what is this", "far", 4000)
    Flow(tape, "target", 53).open().data("far", b"\xff\xff neither")
    tape.put(link, bytes(28), side="resolver", outgoing=False)  # IPv0
    orphan = fragments(ip(ours, theirs, UDP, udp(4000, 53, QUERY.to_wire())), 24)[1]
    tape.put(link, orphan, side="resolver", outgoing=False)
    evidence = tape.evidence()
    arp = Frame(99, 0.0, "resolver", False, 0, bytes(12) + b"\x08\x06" + bytes(28))
    evidence.captures["target"].frames.append(arp)
    view = dissect(evidence)
    assert [side.messages for side in view.sides("target")] == [[], []]
    last = len(tape.frames["target"])
    near, far = (side.opaque for side in view.sides("target"))
    data = [frame.number for frame in tape.frames["target"] if b"neither" in frame.data]
    assert near == {1, 3, 5, data[0], last - 1, last}
    assert far == {2, 4, 6, data[1]}


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(st.binary(max_size=90), st.sampled_from((0, 0x0800, 0x86DD)), st.booleans())))
def test_random_frames_never_raise(parts):
    frames = []
    for number, (data, kind, outgoing) in enumerate(parts, 1):
        head = bytes(12) + kind.to_bytes(2) if kind else b""
        frames.append(Frame(number, 0.0, "resolver", outgoing, 0, head + data))
    capture = LinkCapture("target", frames, {"resolver": len(frames), "far": 0})
    evidence = sound().evidence
    judge(facts("target"), sound(), replace(evidence, captures={**evidence.captures, "target": capture}))


PHASES = []


def mutated(rng: random.Random) -> None:
    """A real phase in which frames are cut, changed, repeated, dropped, or come in another order."""
    if not PHASES:
        for how in ({"target": "tcp", "target-parent": "udp", "evil": "tcp"}, {}):
            walk = Walk(how)
            PHASES.append(walk.resolve(terminated(walk)).evidence("x@target"))
    evidence = rng.choice(PHASES)
    captures = {}
    for link, capture in evidence.captures.items():
        frames = list(capture.frames)
        for _ in range(rng.randrange(6) if frames else 0):
            index = rng.randrange(len(frames))
            data = bytearray(frames[index].data)
            if len(data) < 15:
                continue
            deed = rng.randrange(6)
            if deed == 0:
                data = data[: rng.randrange(len(data))]
            elif deed == 1:
                del frames[index]
                if not frames:
                    break
                continue
            elif deed == 2:
                other = rng.randrange(len(frames))
                frames[index], frames[other] = frames[other], frames[index]
                continue
            elif deed == 3:
                frames.insert(index, frames[index])
                continue
            else:
                for _ in range(rng.randrange(1, 9)):
                    data[rng.randrange(14 if deed == 4 else 0, len(data))] = rng.choice(
                        (0, 255, rng.randrange(256))
                    )
            frames[index] = replace(frames[index], data=bytes(data))
        frames = [replace(frame, number=number) for number, frame in enumerate(frames, 1)]
        counted = {side: sum(frame.side == side for frame in frames) for side in ("resolver", "far")}
        captures[link] = replace(capture, frames=frames, counted=counted)
    secrets = [
        TlsSecret(secret.line[: rng.choice((200, 200, 80))], secret.holder) for secret in evidence.secrets
    ]
    view = facts("target", "target-parent", attacker_roles=["evil"])
    judge(view, evidence, replace(evidence, captures=captures, secrets=secrets))


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 1 << 32))
def test_mutated_phases_never_raise(seed):
    mutated(random.Random(seed))


def test_the_dissection_can_be_reused():
    baseline, run = control(), Walk({"target": "udp"}).resolve().evidence("x@target")
    view = dissect(baseline)
    for links in (("target",), ("root",), ("target", "root")):
        assert judge(facts(*links), view, run) == judge(facts(*links), baseline, run)


def test_frames_of_both_sides_have_their_directions():
    tape = Tape()
    tape.ask("target", make_query(NAME), ANSWER)
    near, far = dissect(tape.evidence()).sides("target")
    assert [(m.towards, m.arrived, m.frame.number) for m in near.messages] == [
        ("far", True, 1),
        ("resolver", False, 4),
    ]
    assert [(m.towards, m.arrived, m.frame.number) for m in far.messages] == [
        ("far", False, 2),
        ("resolver", True, 3),
    ]
