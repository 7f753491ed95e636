"""DNS over HTTP/2 and HTTP/3, as an observer with keys reads it."""

import pytest
from http_flows import H2Flow, H3Flow, get, post
from hypothesis import given, settings
from hypothesis import strategies as st
from packets import Tape, make_query, make_response
from phases import NAME, OVER, Walk, exposed, facts, flags, judged

from testbed.evidence import Frame
from testbed.record import Verdict
from testbed.verdict import http2, http3
from testbed.verdict.dissect import dissect
from testbed.verdict.judge import judge
from testbed.verdict.streams import Octets

QUERY = make_query("secret.example.org.")
ANSWER = make_response(QUERY, answer=["secret.example.org. 300 IN A 192.0.2.80"])
LARGE = make_response(
    QUERY, answer=[f"secret.example.org. 300 IN TXT {'x' * 200}{number}" for number in range(20)]
)
ASKED = ["secret.example.org. A", "secret.example.org. A 192.0.2.80"]

flows = pytest.mark.parametrize("kind", [H2Flow, H3Flow])


def view(tape: Tape, side: int = 0):
    return dissect(tape.evidence()).sides("target")[side]


def texts(tape: Tape) -> list[str]:
    return [str(message.dns) for message in view(tape).messages]


@flows
def test_posted(kind):
    tape = Tape()
    flow = kind(tape, "target").shake()
    frames = [flow.message(towards, each) for towards, each in (("far", QUERY), ("resolver", ANSWER)) * 3]
    for side in dissect(tape.evidence()).sides("target"):
        assert [str(message.dns) for message in side.messages] == ASKED * 3
        assert [message.transport for message in side.messages] == ["doh" if kind is H2Flow else "doh3"] * 6
        numbers = [message.frame.number for message in side.messages]
        assert all(
            0 <= abs(number - frame.number) <= 1 for number, frame in zip(numbers, frames, strict=True)
        )
        assert all(message.frame.number in message.carriers() for message in side.messages)
        assert side.unread == []
        assert [(request.authority, request.path) for request in side.requests] == [
            ("ns1.dnshost.net", "/dns-query")
        ] * 3


@flows
@pytest.mark.parametrize("path", [b"/dns-query", b"/q"])
def test_got(kind, path):
    tape = Tape()
    flow = kind(tape, "target").shake()
    stream, frame = flow.request(get(QUERY.to_wire(), path=path))
    flow.respond(stream, ANSWER.to_wire())
    stream, _ = flow.request(get(QUERY.to_wire(), path=path))
    flow.respond(stream, ANSWER.to_wire())
    assert texts(tape) == ASKED * 2
    assert view(tape).messages[0].frame.number in (frame.number, frame.number - 1)
    assert view(tape).unread == []


@flows
def test_large_responses(kind):
    tape = Tape()
    flow = kind(tape, "target").shake()
    flow.message("far", QUERY)
    flow.respond(flow.last, LARGE.to_wire(max_size=65535))
    if kind is H3Flow:
        flow.settle()
    _, response = view(tape).messages
    assert response.dns.whole
    assert len(response.carriers()) > 2
    assert response.frame.number == max(response.carriers())


@flows
def test_many_names_in_the_header_tables(kind):
    """What compression remembers from request to request is kept, in the order in which it came."""
    tape = Tape()
    flow = kind(tape, "target").shake()
    names = [f"name{number}.example.org." for number in range(40)]
    for name in names:
        flow.request(get(make_query(name).to_wire(), path=b"/" + name.encode() * 3))
    assert texts(tape) == [f"{name} A" for name in names]
    assert view(tape).unread == []


@flows
def test_errors_of_http_are_told(kind):
    tape = Tape()
    flow = kind(tape, "target").shake()
    stream, _ = flow.request(*post(QUERY.to_wire()))
    flow.respond(stream, b"no such thing", b"404")
    side = view(tape)
    assert [str(message.dns) for message in side.messages] == ASKED[:1]
    assert [sign.text for sign in side.signs][2:] == ["HTTP status 404"]


@flows
@pytest.mark.parametrize(
    "request_",
    [
        get(b""),
        get(QUERY.to_wire(), path=b"/dns-query?secret=secret.example.org&x"),
        post(b"not a message"),
        [(b":method", b"GET"), (b":scheme", b"https"), (b":authority", b"x"), (b":path", b"/secret")],
    ],
    ids=["empty", "odd", "nonsense", "other"],
)
def test_requests_that_carry_no_dns_are_unread(kind, request_):
    tape = Tape()
    flow = kind(tape, "target").shake()
    flow.request(*(request_ if isinstance(request_, tuple) else (request_,)))
    carrier = "TLS session" if kind is H2Flow else "QUIC connection"
    assert [what for _, what in view(tape).unread] == [f"what is no DNS in a {carrier}"]


@flows
def test_a_connection_without_requests_is_read(kind):
    tape = Tape()
    kind(tape, "target").shake()
    assert view(tape).unread == []


# -- verdicts --------------------------------------------------------------------------------------


@pytest.mark.parametrize("how", ["doh2", "doh3"])
def test_a_query_that_nobody_sees(how):
    baseline = Walk({"target": how}).resolve().evidence()
    judgement = judged(facts("target"), Walk({"target": how}).resolve().evidence("x@target"), baseline)
    assert (flags(judgement), exposed(judgement)) == ({}, [])
    asked = [each for each in judgement.ladder if each.text == ASKED[0] and each.link == "target"]
    assert [(each.transport, each.protection, each.seen) for each in asked] == [(OVER[how], "secure", "none")]


def test_costs():
    """A query costs the same round trips inside HTTP: nobody waits for settings."""

    def cost(how):
        return judge(facts(), Walk({"target": how}).resolve().evidence(), None).outcome.counts

    udp, dot, doh2, doh3 = (cost(how) for how in ("udp", "dot", "doh2", "doh3"))
    assert [each.round_trips - udp.round_trips for each in (dot, doh2, doh3)] == [2, 2, 1]
    assert [each.handshakes - udp.handshakes for each in (dot, doh2, doh3)] == [1, 1, 1]
    assert {each.queries for each in (udp, dot, doh2, doh3)} == {udp.queries}


@flows
@pytest.mark.parametrize(
    ("authority", "path", "secret"),
    [
        ("ns1.example.org", b"/dns-query", "zone"),
        ("ns1.example.org:8443", b"/dns-query", "zone"),
        ("ns1.dnshost.net", b"/example.org/q", "zone"),
        ("secret.example.org", b"/dns-query", "name"),
    ],
)
def test_what_a_terminating_attacker_reads_of_a_request(kind, authority, path, secret):
    walk = Walk()

    def target() -> None:
        walk.target()
        flow = kind(walk.tape, "target", holders=("attacker", "resolver"), scope="resolver").shake()
        query = make_query("harmless.net.")
        flow.request(*post(query.to_wire(), authority.encode(), path))

    judgement = judged(facts("target"), walk.resolve(target).evidence("x@target"))
    assert exposed(judgement) == [("target", secret, "terminated", False)]
    assert judgement.outcome.verdict is Verdict.LEAK
    (exposure,) = judgement.outcome.exposures
    assert exposure.text.startswith(f"HTTP request for {authority.partition(':')[0]}{path.decode()} on the")


@flows
@pytest.mark.parametrize("where", ["header", "content"])
def test_the_name_where_no_message_is(kind, where):
    walk = Walk().resolve()
    flow = kind(walk.tape, "target", holders=("attacker", "resolver"), scope="resolver").shake()
    headers, content = post(make_query("harmless.net.").to_wire())
    if where == "header":
        headers.append((b"user-agent", b"for secret.example.org"))
    stream, _ = flow.request(headers, content)
    if where == "content":
        flow.respond(stream, b"no secret.example.org here", b"404")
    outcome = judged(facts("target"), walk.evidence("x@target")).outcome
    assert "stands unread in the stream of packet" in outcome.reason


def test_sessions_without_secrets():
    for kind in (H2Flow, H3Flow):
        walk = Walk()

        def target(kind=kind, walk=walk) -> None:
            kind(walk.tape, "target", holders=()).shake().message("far", make_query(NAME))

        outcome = judged(facts("root"), walk.resolve(target).evidence("x@root")).outcome
        assert outcome.verdict is Verdict.INCONCLUSIVE
        assert "cannot be read (packet " in outcome.reason


# -- nonsense --------------------------------------------------------------------------------------


def octets(data: bytes) -> Octets:
    made = Octets()
    for start in range(0, len(data), 7):
        number = start // 7 + 1
        made.append(data[start : start + 7], Frame(number, 0.0, "far", False, 0, b""), (number,))
    return made


FRAME2 = st.builds(
    lambda body, kind, flags: len(body).to_bytes(3) + bytes((kind, flags, 0, 0, 0, 1)) + body,
    st.binary(max_size=40),
    st.integers(0, 10),
    st.sampled_from([0, 4, 5, 8, 12, 32, 36, 44]),
)
FRAME3 = st.builds(
    lambda body, kind: bytes((kind, len(body))) + body, st.binary(max_size=40), st.sampled_from([0, 1, 4, 33])
)


@settings(deadline=None)
@given(st.lists(FRAME2, max_size=6), st.binary(max_size=20))
def test_any_octets_in_http2(frames, rest):
    data = octets(http2.PREFACE + b"".join(frames) + rest)
    conversation = http2.read(data, octets(b"".join(frames)))
    http2.unawaited(data, len(http2.PREFACE))
    assert (conversation.broken is not None) or not rest


@settings(deadline=None)
@given(
    st.lists(st.tuples(st.sampled_from([0, 4, 2, 6, 3]), st.lists(FRAME3, max_size=4)), max_size=4),
    st.binary(max_size=20),
)
def test_any_octets_in_http3(streams, rest):
    halves = {
        stream: (octets(b"".join(frames) + rest), octets(rest + b"".join(frames)))
        for stream, frames in streams
    }
    for request, response in http3.read(halves).streams.values():
        assert request.message is None or request.message.data
        assert response.status >= 0
