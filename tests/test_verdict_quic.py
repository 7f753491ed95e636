"""QUIC and DNS over it, as an observer reads them: real connections of aioquic, and planted faults."""

import random
import ssl
from dataclasses import replace

import pytest
from aioquic import tls
from aioquic.quic.packet import QuicProtocolVersion, encode_quic_version_negotiation
from hypothesis import given, settings
from hypothesis import strategies as st
from packets import UDP, Tape, fragments, ip, make_query, make_response, udp
from phases import ADDRESS, LEAK, NAME, Walk, exposed, facts, flags, judged, terminated
from quic_flows import QuicFlow

from testbed.evidence import TlsSecret
from testbed.record import Verdict
from testbed.verdict.dissect import dissect
from testbed.verdict.judge import judge
from testbed.verdict.quic_packets import QuicFormatError, parts, split

QUERY = make_query("secret.example.org.")
ANSWER = make_response(QUERY, answer=["secret.example.org. 300 IN A 192.0.2.80"])
ASKED = ["secret.example.org. A", "secret.example.org. A 192.0.2.80"]
VERSIONS = QuicProtocolVersion.VERSION_1, QuicProtocolVersion.VERSION_2
SUITES = (
    tls.CipherSuite.AES_128_GCM_SHA256,
    tls.CipherSuite.AES_256_GCM_SHA384,
    tls.CipherSuite.CHACHA20_POLY1305_SHA256,
)


def view(tape: Tape, side: int = 0):
    return dissect(tape.evidence()).sides("target")[side]


def texts(tape: Tape, side: int = 0) -> list[str]:
    return [str(message.dns) for message in view(tape, side).messages]


def signs(tape: Tape) -> list[str]:
    return [sign.text for sign in view(tape).signs]


def exchange(flow: QuicFlow):
    return flow.message("far", QUERY), flow.message("resolver", ANSWER)


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("suite", SUITES)
def test_connections_are_read(version, suite):
    tape = Tape()
    flow = QuicFlow(
        tape, "target", cipher_suites=[suite], original_version=version, supported_versions=[version]
    ).shake()
    frames = exchange(flow) + exchange(flow)
    flow.settle()
    flow.close()
    for index, side in enumerate(dissect(tape.evidence()).sides("target")):
        assert [str(message.dns) for message in side.messages] == ASKED * 2
        assert [message.transport for message in side.messages] == ["doq"] * 4
        seen = [frame if frame.side == side_name(index) else twin(tape, frame) for frame in frames]
        assert [message.frame for message in side.messages] == seen
        assert [message.carriers() for message in side.messages] == [{frame.number} for frame in seen]
        (session,) = side.sessions
        assert session.hello.sni == "ns1.dnshost.net"
        assert session.holders == {"resolver", "target"}
        assert (session.finished is not None, session.alerts) == (True, [])
        assert (side.unread, side.opaque) == ([], set())
        assert [sign.text for sign in side.signs] == [
            "QUIC Initial, SNI ns1.dnshost.net",
            "TLS 1.3 over QUIC session",
        ]
        assert [sign.transport for sign in side.signs] == ["doq", "doq"]


def side_name(index: int) -> str:
    return ("resolver", "far")[index]


def twin(tape: Tape, frame):
    """The frame with the same datagram at the other side of the hop."""
    frames = tape.frames["target"]
    return next(other for other in frames if other.data == frame.data and other.side != frame.side)


def test_a_server_may_change_the_version():
    tape = Tape()
    both = list(VERSIONS)
    exchange(QuicFlow(tape, "target", original_version=VERSIONS[0], supported_versions=both[::-1]).shake())
    versions = {frame.data[43:47].hex() for frame in tape.frames["target"] if frame.data[42] & 0x80}
    assert versions == {"00000001", "6b3343cf"}
    assert texts(tape) == ASKED


def test_retry():
    tape = Tape()
    exchange(QuicFlow(tape, "target", retry=True).shake())
    assert texts(tape) == texts(tape, 1) == ASKED
    assert signs(tape) == [
        "QUIC Initial, SNI ns1.dnshost.net",
        "QUIC Retry",
        "TLS 1.3 over QUIC session",
    ]
    assert view(tape).signs[0].frame.number == 1
    assert view(tape).unread == []


def test_version_negotiation():
    """The client goes on with another version, as if for the first time (RFC 9000 section 6.2)."""
    tape = Tape()
    flow = QuicFlow(tape, "target", original_version=VERSIONS[1], supported_versions=list(VERSIONS)[::-1])
    flow.server._configuration.supported_versions = [VERSIONS[0]]
    (first,) = flow.sent("far")
    flow.pass_on("far", first)
    ids = first[6:14], first[15:23]
    negotiation = encode_quic_version_negotiation(
        source_cid=ids[0], destination_cid=ids[1], supported_versions=[VERSIONS[0]]
    )
    flow.pass_on("resolver", negotiation)
    flow.receive("resolver", negotiation)
    flow.shake()
    side = view(tape)
    assert signs(tape)[:3] == [
        "QUIC Initial, SNI ns1.dnshost.net",
        "QUIC Version Negotiation",
        "QUIC Initial, SNI ns1.dnshost.net",
    ]
    assert len(side.sessions) == 2
    assert side.unread == []


def test_unknown_version():
    tape = Tape()
    tape.datagram("target", b"\xc3\xfa\xfa\xfa\xfa" + bytes(1195), "far", 4000, at=853)
    ((frame, what),) = view(tape).unread
    assert (frame.number, what) == (1, "a QUIC connection")


def long_hello(tape: Tape) -> QuicFlow:
    """A connection whose ClientHello fills two datagrams."""
    alpn = ["doq", *("x" * 200 + str(number) for number in range(5))]
    return QuicFlow(tape, "target", sni="secret.example.org", alpn_protocols=alpn)


def test_a_hello_in_several_packets():
    tape = Tape()
    flow = long_hello(tape).shake()
    exchange(flow)
    session = view(tape).sessions[0]
    assert session.hello.sni == "secret.example.org"
    assert len(session.hello_numbers) > 1
    assert session.hello_frame.number == max(session.hello_numbers)
    assert texts(tape) == ASKED


@pytest.mark.parametrize("order", ["reversed", "twice"])
def test_a_hello_in_disorder(order):
    tape = Tape()
    datagrams = long_hello(tape).sent("far")
    datagrams = datagrams[::-1] if order == "reversed" else [*datagrams, *datagrams]
    flow = QuicFlow(tape, "target")
    for datagram in datagrams:
        flow.pass_on("far", datagram)
    side = view(tape)
    assert side.sessions[0].hello.sni == "secret.example.org"
    assert side.sessions[0].hello_frame.number == 3
    assert side.sessions[0].hello_numbers == {1, 3} | ({5, 7} if order == "twice" else set())
    assert side.unread == []


def test_half_a_hello_is_unread():
    tape = Tape()
    flow = long_hello(tape)
    flow.pass_on("far", flow.sent("far")[0])
    side = view(tape)
    assert side.sessions == []
    assert [(frame.number, what) for frame, what in side.unread] == [(1, "a QUIC connection")]


@pytest.mark.parametrize("at", [853, 443, 8853])
def test_any_port(at):
    tape = Tape()
    exchange(QuicFlow(tape, "target", at=at).shake())
    assert texts(tape) == ASKED
    assert {message.transport for message in view(tape).messages} == {"doq"}


def test_fragments():
    tape = Tape()
    flow = QuicFlow(tape, "target").shake()
    wire = QUERY.to_wire()
    flow.client.send_stream_data(0, len(wire).to_bytes(2) + wire, end_stream=True)
    (datagram,) = flow.sent("far")
    link, ours, theirs = tape.ends("target")
    before = len(tape.frames[link])
    for part in fragments(ip(ours, theirs, UDP, udp(flow.port, 853, datagram)), 48):
        tape.put(link, part, side="resolver", outgoing=False)
    (message,) = view(tape).messages
    assert message.carriers() == set(range(before + 1, len(tape.frames[link]) + 1))


# -- disorder and loss -----------------------------------------------------------------------------


def test_datagrams_in_disorder():
    """What the hop saw in any order, and twice, comes to the same."""
    tape = Tape()
    flow = QuicFlow(tape, "target", scope="resolver").shake()
    for _ in range(3):
        exchange(flow)
    frames = tape.frames["target"]
    for seed in range(20):
        order = [*frames, *frames[::2]]
        random.Random(seed).shuffle(order)
        order.remove(frames[0])
        mixed = Tape()
        mixed.secrets = tape.secrets
        mixed.frames["target"] = [
            replace(frame, number=number) for number, frame in enumerate([frames[0], *order], 1)
        ]
        assert sorted(texts(mixed)) == sorted(ASKED * 3)
        assert view(mixed).unread == []


def test_lost_datagrams_are_sent_again():
    tape = Tape()
    flow = QuicFlow(tape, "target").shake()
    wire = QUERY.to_wire()
    flow.client.send_stream_data(0, len(wire).to_bytes(2) + wire, end_stream=True)
    for datagram in flow.sent("far"):
        flow.pass_on("far", datagram, "resolver")
    flow.wait()
    flow.settle()
    flow.answer(0, ANSWER)
    assert texts(tape) == texts(tape, 1) == ASKED
    (query, _) = view(tape).messages
    assert len(query.carriers()) > 1


def test_a_gap_in_a_stream_is_unread():
    tape = Tape()
    flow = QuicFlow(tape, "target").shake()
    flow.client.send_stream_data(0, (1000).to_bytes(2) + bytes(300))
    flow.sent("far")
    flow.client.send_stream_data(0, bytes(600))
    flow.flush("far")
    assert ("a QUIC connection", 9) in [(what, frame.number) for frame, what in view(tape).unread]


def test_half_a_query_is_unread():
    tape = Tape()
    flow = QuicFlow(tape, "target").shake()
    flow.client.send_stream_data(0, (1000).to_bytes(2) + bytes(300))
    flow.flush("far")
    assert [what for _, what in view(tape).unread] == ["what is no DNS in a QUIC connection"]


# -- keys ------------------------------------------------------------------------------------------


def test_without_secrets_only_the_initial_is_read():
    tape = Tape()
    exchange(QuicFlow(tape, "target", holders=()).shake())
    side = view(tape)
    assert side.messages == []
    assert signs(tape) == ["QUIC Initial, SNI ns1.dnshost.net", "TLS 1.3 over QUIC ServerHello"]
    ((frame, what),) = side.unread
    assert what == "a QUIC connection"
    assert frame.side == "resolver"
    assert not frame.outgoing


@pytest.mark.parametrize("label", ["CLIENT_TRAFFIC_SECRET_0", "CLIENT_HANDSHAKE_TRAFFIC_SECRET"])
def test_missing_and_wrong_secrets(label):
    tape = Tape()
    exchange(QuicFlow(tape, "target").shake())
    lines = tape.secrets
    tape.secrets = [secret for secret in lines if not secret.line.startswith(label)]
    assert view(tape).unread
    tape.secrets = [TlsSecret(secret.line[:-64] + bytes(32).hex(), "resolver") for secret in lines]
    side = view(tape)
    assert (side.messages, bool(side.unread)) == ([], True)


def test_key_updates():
    tape = Tape()
    flow = QuicFlow(tape, "target").shake()
    flow.settle()
    for _ in range(4):
        flow.client.request_key_update()
        exchange(flow)
        flow.settle()
    assert texts(tape) == ASKED * 4
    assert view(tape).unread == []


def resumed(tape: Tape, keep: bool = True, **options) -> QuicFlow:
    """A connection with early data, after one that gave a ticket."""
    tickets = {}
    first = QuicFlow(tape, "target", tickets=tickets).shake()
    first.settle()
    first.close()
    for frames in tape.frames.values():
        frames.clear()
    flow = QuicFlow(tape, "target", ticket=first.tickets[0], tickets=tickets if keep else {}, **options)
    flow.message("far", QUERY)
    return flow


def test_early_data():
    tape = Tape()
    flow = resumed(tape)
    flow.message("resolver", ANSWER)
    flow.settle()
    side = view(tape)
    assert texts(tape) == ASKED
    assert side.messages[0].frame.number == 1
    assert side.sessions[0].hello.early_data
    assert side.unread == []


def test_early_data_before_the_server_says_a_word():
    tape = Tape()
    resumed(tape)
    tape.frames["target"] = tape.frames["target"][:1]
    assert texts(tape) == ASKED[:1]
    tape.secrets = [secret for secret in tape.secrets if "EARLY" not in secret.line]
    assert texts(tape) == []
    assert [what for _, what in view(tape).unread] == ["a QUIC connection"]


def test_early_data_that_is_refused_may_be_sent_again():
    tape = Tape()
    flow = resumed(tape, keep=False)
    flow.settle()
    flow.wait()
    flow.settle()
    flow.message("resolver", ANSWER)
    side = view(tape)
    assert side.unread == []
    assert texts(tape) == [ASKED[0], *ASKED]
    assert side.messages[0].frame.number == 1
    assert side.sessions[0].finished is not None


# -- how connections end ---------------------------------------------------------------------------


def test_refused_certificate_shows_as_an_alert():
    tape = Tape()
    flow = QuicFlow(tape, "target")
    flow.client._configuration.verify_mode = ssl.CERT_REQUIRED
    flow.client.tls._verify_mode = ssl.CERT_REQUIRED
    flow.shake()
    side = view(tape)
    assert [sign.text for sign in side.signs] == [
        "QUIC Initial, SNI ns1.dnshost.net",
        "TLS 1.3 over QUIC ServerHello",
        "TLS alert bad_certificate (42)",
    ]
    assert side.signs[-1].towards == "far"
    assert side.unread == []


@pytest.mark.parametrize(
    ("code", "frame_type", "text"),
    [
        (0, None, []),
        (5, None, ["QUIC connection closed, application (0x5)"]),
        (2, 0, ["QUIC connection closed, CONNECTION_REFUSED (0x2)"]),
        (0x4711, 0, ["QUIC connection closed, error (0x4711)"]),
    ],
)
def test_connection_close(code, frame_type, text):
    tape = Tape()
    flow = QuicFlow(tape, "target").shake()
    flow.close("resolver", code, frame_type)
    assert signs(tape)[2:] == text


def test_refused_at_once():
    tape = Tape()
    flow = QuicFlow(tape, "target", sni="secret.example.org")
    flow.server._configuration.alpn_protocols = ["h3"]
    flow.shake()
    assert signs(tape) == ["QUIC Initial, SNI secret.example.org", "TLS alert no_application_protocol (120)"]


def test_stateless_reset():
    tape = Tape()
    flow = QuicFlow(tape, "target").shake()
    for token in (flow.server._host_cids[0].stateless_reset_token, bytes(16)):
        flow.pass_on("resolver", b"\x45" + bytes(30) + token)
    side = view(tape)
    assert [sign.text for sign in side.signs][2:] == ["QUIC stateless reset"]
    assert len(side.opaque) == 1


def test_connections_one_after_the_other_between_the_same_ports():
    tape = Tape()
    flows = [QuicFlow(tape, "target") for _ in range(3)]
    for flow in flows:
        flow.port = 4000
        exchange(flow.shake())
    assert texts(tape) == ASKED * 3
    assert len(view(tape).sessions) == 3


# -- verdicts --------------------------------------------------------------------------------------


def doq(**how) -> Walk:
    return Walk({"target": "doq", **how})


def test_a_query_that_nobody_sees():
    baseline = doq().resolve().evidence()
    attack = doq().resolve().evidence("x@target")
    judgement = judged(facts("target"), attack, baseline)
    assert (flags(judgement), exposed(judgement)) == ({}, [])
    (crossing,) = [
        each for each in judgement.ladder if each.text == "secret.example.org. A" and each.link == "target"
    ]
    assert (crossing.transport, crossing.protection, crossing.seen) == ("doq", "secure", "none")
    assert "TLS 1.3 over QUIC session, authenticated" in [each.text for each in judgement.ladder]


def test_costs_of_handshakes():
    def cost(how):
        return judged(facts(), Walk({"target": how}).resolve().evidence("x@root")).outcome.counts

    udp_, dot, doq_ = cost("udp"), cost("dot"), cost("doq")
    assert [each.handshakes - udp_.handshakes for each in (dot, doq_)] == [1, 1]
    assert [each.round_trips - udp_.round_trips for each in (dot, doq_)] == [2, 1]
    assert udp_.queries == dot.queries == doq_.queries


def test_early_data_costs_no_round_trip():
    def cost(early: bool) -> int:
        walk = Walk()
        tickets = {}
        first = QuicFlow(walk.tape, "target", tickets=tickets).shake()
        first.settle()
        first.close()
        ticket = first.tickets[0]

        def target():
            flow = QuicFlow(walk.tape, "target", ticket=ticket if early else None, tickets=tickets)
            if not early:
                flow.shake()
            flow.message("far", QUERY)
            flow.message("resolver", ANSWER)

        evidence = walk.resolve(target).evidence()
        return judge(facts(), evidence, None).outcome.counts.round_trips

    assert cost(early=False) - cost(early=True) == 1


def test_early_data_are_not_for_the_eyes_of_who_refuses_them():
    """The one who terminates the connection has its keys, but not those of the session before."""
    walk = Walk()
    tickets = {}
    first = QuicFlow(walk.tape, "target", tickets=tickets).shake()
    first.settle()
    first.close()

    def target() -> None:
        walk.target()
        flow = QuicFlow(walk.tape, "target", scope="resolver", ticket=first.tickets[0])
        flow.message("far", QUERY)
        early = {secret.line for secret in walk.tape.secrets}
        flow.flush("resolver")
        flow.flush("far")
        later = [secret.line for secret in walk.tape.secrets if secret.line not in early]
        walk.tape.secrets += (TlsSecret(line, "attacker") for line in later)

    judgement = judged(facts("target"), walk.resolve(target).evidence("x@target"))
    assert exposed(judgement) == []
    asked = [each for each in judgement.ladder if each.link == "target" and each.transport == "doq"]
    texts_ = [each.text for each in asked if each.towards == "far"]
    assert texts_[-2:] == ["QUIC Initial, SNI ns1.dnshost.net", "secret.example.org. A"]


@pytest.mark.parametrize(("sni", "secret"), [("ns1.example.org", "zone"), ("secret.example.org", "name")])
def test_the_server_name_is_exposed(sni, secret):
    walk = Walk()

    def target() -> None:
        walk.decide("target", authenticated=True, transport="doq")
        walk.flow = QuicFlow(walk.tape, "target", sni=sni)
        walk.hello = walk.flow.hello()
        walk.flow.shake()
        exchange(walk.flow)

    judgement = judged(facts("target"), walk.resolve(target).evidence("x@target"))
    assert exposed(judgement) == [("target", secret, "sni", False)]
    (exposure,) = judgement.outcome.exposures
    assert exposure.packet == walk.hello.number
    assert exposure.text == f"SNI {sni} in the QUIC Initial to target"
    assert judgement.outcome.verdict is Verdict.LEAK


@pytest.mark.parametrize("how", ["doq", "doh2", "doh3"])
@pytest.mark.parametrize("relay", [True, False])
def test_sessions_that_the_attacker_terminates(how, relay):
    baseline = Walk({"target": how}).resolve().evidence()
    walk = Walk({"target": how})
    evidence = walk.resolve(terminated(walk, relay=relay, how=how)).evidence("x@target")
    judgement = judged(facts("target"), evidence, baseline)
    assert flags(judgement) == {**LEAK, "downgrade": True}
    assert exposed(judgement)[0] == ("target", "name", "terminated", False)
    carrier = "TLS" if how == "doh2" else "QUIC"
    assert f"over {carrier} on the link" in judgement.outcome.exposures[0].text


def test_an_attacker_who_blocks():
    walk = doq()

    def target() -> None:
        flow = QuicFlow(walk.tape, "target", scope="resolver")
        flow.hello()
        in_clear_query = make_query(NAME)
        walk.tape.ask("target", in_clear_query, make_response(in_clear_query, answer=[ADDRESS]))

    judgement = judged(facts("target"), walk.resolve(target).evidence("x@target"), doq().resolve().evidence())
    assert flags(judgement) == {**LEAK, "downgrade": True}
    (blocked,) = [each for each in judgement.ladder if each.text.startswith("QUIC Initial")]
    assert blocked.altered


def test_missing_secrets_are_inconclusive():
    walk = doq()

    def target() -> None:
        exchange(QuicFlow(walk.tape, "target", holders=()).shake())

    outcome = judged(facts("root"), walk.resolve(target).evidence("x@root")).outcome
    assert outcome.verdict is Verdict.INCONCLUSIVE
    assert outcome.reason.startswith("link target: a QUIC connection cannot be read (packet ")


def test_the_name_in_what_the_attacker_reads_and_is_no_dns():
    walk = Walk().resolve()
    flow = QuicFlow(walk.tape, "target", scope="resolver", holders=("attacker",)).shake()
    flow.message("far", make_query("harmless.net."))
    flow.server.send_stream_data(flow.last, b"\0\x20junk\x06secret\x07example\x03org\0" + bytes(9))
    flow.flush("resolver")
    outcome = judged(facts("target"), walk.evidence("x@target")).outcome
    assert "stands unread in the stream of packet" in outcome.reason


def test_cut_off_captures():
    """With every packet that is missing, the queries or a reason not to trust them are missing, too."""
    tape = Tape()
    exchange(QuicFlow(tape, "target", scope="resolver").shake())
    frames = tape.frames["target"]
    for size in range(1, len(frames)):
        tape.frames["target"] = frames[size:]
        side = view(tape)
        asked_later = any(not frame.outgoing for frame in frames[size:])
        assert bool(side.unread) is asked_later
        assert side.messages == []


# -- nonsense --------------------------------------------------------------------------------------


@given(st.binary(max_size=200))
def test_packets_and_frames_raise_their_own_error_only(data):
    for read in (lambda octets: list(split(octets)), parts):
        try:
            read(data)
        except QuicFormatError:
            continue


@pytest.fixture(scope="module")
def taped():
    walk = doq(root="doh3")
    walk.resolve()
    resumed(walk.tape)
    again = doq()
    again.tape.ids = walk.tape.ids
    return [walk.evidence("x@target"), doq(root="doh2").resolve().evidence("x@target")]


@settings(max_examples=60, deadline=None)
@given(seed=st.integers(0, 1 << 32))
def test_mutated_datagrams_never_raise(taped, seed):
    rng = random.Random(seed)
    evidence = rng.choice(taped)
    captures = {}
    for link, capture in evidence.captures.items():
        frames = list(capture.frames)
        for _ in range(rng.randrange(8) if frames else 0):
            index = rng.randrange(len(frames))
            data = bytearray(frames[index].data)
            deed = rng.randrange(4)
            if deed == 0:
                frames.insert(rng.randrange(len(frames)), frames.pop(index))
                continue
            if deed == 1:
                data = data[: rng.randrange(42, len(data))] if len(data) > 42 else data
            else:
                for _ in range(rng.randrange(1, 9)):
                    data[rng.randrange(min(42, len(data) - 1), min(len(data), 80 if deed == 2 else 9999))] = (
                        rng.choice((0, 255, rng.randrange(256)))
                    )
            frames[index] = replace(frames[index], data=bytes(data))
        frames = [replace(frame, number=number) for number, frame in enumerate(frames, 1)]
        captures[link] = replace(capture, frames=frames)
    judge(facts("target"), evidence, replace(evidence, captures=captures))
