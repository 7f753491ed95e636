"""What off-path attackers send must not pass for what servers sent, nor for something that was exposed."""

import pytest
from packets import ICMP, RST, UDP, ip, make_query, make_response, tcp, udp
from phases import ADDRESS, FORGED, NAME, SIGNATURE, Walk, exposed, facts, flags, judged

from testbed.record import Verdict

OFF_PATH = {"attacker_roles": ("evil",)}
EVIL = "spoof@"
PORT_UNREACHABLE = b"\x03\x03\0\0\0\0\0\0"


def forged(walk, number=1, role="target", name=NAME, answer=(FORGED,)):
    """Forged responses in a server's name, over the attacker's link."""
    _, ours, theirs = walk.tape.ends(role)
    for _ in range(number):
        response = make_response(make_query(name, ids=walk.tape.ids), answer=answer)
        packet = ip(theirs, ours, UDP, udp(53, 40123, response.to_wire()))
        walk.tape.send("evil", packet, "resolver")
    return packet


def shown(judgement, link):
    return [
        (crossing.text, crossing.seen, crossing.altered)
        for crossing in judgement.ladder
        if crossing.link == link
    ]


def test_forged_responses_that_lose_the_race_expose_nothing():
    walk = Walk()

    def target():
        forged(walk, 3)
        walk.target()

    judgement = judged(facts(**OFF_PATH), walk.resolve(target).evidence(EVIL))
    assert flags(judgement) == {}
    assert exposed(judgement) == []
    assert shown(judgement, "evil") == [(f"{NAME} A 203.0.113.66 (and 2 more like it)", "none", True)]
    assert not any(crossing.altered for crossing in judgement.ladder if crossing.link == "target")


def test_each_forgery_is_told_of():
    walk = Walk()

    def target():
        forged(walk, 2)
        forged(walk, 1, name="other.example.org.")
        walk.target()

    judgement = judged(facts(**OFF_PATH), walk.resolve(target).evidence(EVIL))
    texts = [text for text, _, _ in shown(judgement, "evil")]
    assert len(texts) == 2
    assert texts[0].endswith("(and 1 more like it)")


def test_a_forged_response_that_wins_the_race_is_a_hijack():
    walk = Walk(how={"target": "udp"})
    baseline = Walk(how={"target": "udp"}).resolve().evidence()

    def target():
        query = make_query(NAME, ids=walk.tape.ids)
        walk.tape.ask("target", query)
        forged(walk)

    judgement = judged(facts(**OFF_PATH), walk.resolve(target, answer=[FORGED]).evidence(EVIL), baseline)
    assert flags(judgement) == {"verdict": Verdict.HIJACK, "hijack": True}
    assert exposed(judgement) == []


def test_what_goes_to_the_attackers_own_server_still_counts():
    walk = Walk()

    def target():
        forged(walk)
        walk.tape.ask(
            "evil", make_query(NAME, ids=walk.tape.ids), make_response(make_query(NAME), answer=[FORGED])
        )

    judgement = judged(facts(**OFF_PATH), walk.resolve(target, answer=[FORGED]).evidence(EVIL))
    assert flags(judgement)["leak"] == "name"
    assert [found[:3] for found in exposed(judgement)] == [("evil", "name", "served")]


def test_a_server_s_own_response_is_not_taken_for_a_forged_one():
    walk = Walk(how={"target": "udp"})
    baseline = Walk(how={"target": "udp"}).resolve().evidence()
    judgement = judged(facts(**OFF_PATH), walk.resolve().evidence(EVIL), baseline)
    assert not any(crossing.altered for crossing in judgement.ladder)


def complaints(walk, link="target", number=2):
    """ICMP errors about forged responses, which go to the server that these claim to be from."""
    for _ in range(number):
        packet = forged(walk)
        _, ours, theirs = walk.tape.ends("target")
        walk.tape.send(link, ip(ours, theirs, ICMP, PORT_UNREACHABLE + packet), "far")


@pytest.mark.parametrize("attacked", [(), ("target",)])
def test_icmp_errors_about_forged_responses_expose_nothing(attacked):
    """Not even to somebody who reads along where the resolver encrypts."""
    walk = Walk()

    def target():
        complaints(walk)
        walk.target()

    judgement = judged(facts(*attacked, **OFF_PATH), walk.resolve(target).evidence(EVIL))
    assert flags(judgement) == {}
    assert exposed(judgement) == []


def test_icmp_errors_that_the_resolver_sends_are_no_round_trips():
    walk, quiet = Walk(), Walk()

    def target():
        complaints(walk, number=5)
        walk.target()

    noisy = judged(facts(**OFF_PATH), walk.resolve(target).evidence(EVIL)).outcome.counts
    alone = judged(facts(**OFF_PATH), quiet.resolve().evidence(EVIL)).outcome.counts
    assert noisy.round_trips == alone.round_trips
    assert noisy.packets == alone.packets + 10
    assert noisy.queries == alone.queries


def test_forged_resets_and_errors_are_the_attackers_doing():
    walk = Walk()

    def target():
        _, ours, theirs = walk.tape.ends("target")
        for sequence in (1, 2):
            walk.tape.send("evil", ip(theirs, ours, 6, tcp(853, 40000, sequence, 0, RST)), "resolver")
        about = ip(ours, theirs, UDP, udp(40123, 53, b""))
        walk.tape.send("evil", ip(theirs, ours, ICMP, PORT_UNREACHABLE + about), "resolver")
        walk.target()

    judgement = judged(facts(**OFF_PATH), walk.resolve(target).evidence(EVIL))
    assert flags(judgement) == {}
    assert {altered for _, _, altered in shown(judgement, "evil")} == {True}
    assert shown(judgement, "evil")


def test_without_anything_sent_it_never_fired():
    evidence = Walk().resolve().evidence(EVIL, acted=0)
    outcome = judged(facts(**OFF_PATH), evidence).outcome
    assert outcome.verdict is Verdict.INCONCLUSIVE
    assert outcome.reason == "the attack never fired: spoof matched 1 and did nothing"


def test_the_signature_of_the_truth_is_no_part_of_a_forgery():
    """A copied response with the true data, sent by the attacker, hijacks nothing."""
    walk = Walk(how={"target": "udp"})
    baseline = Walk(how={"target": "udp"}).resolve().evidence()

    def target():
        walk.tape.ask("target", make_query(NAME, ids=walk.tape.ids))
        forged(walk, answer=(ADDRESS, SIGNATURE))

    judgement = judged(facts(**OFF_PATH), walk.resolve(target).evidence(EVIL), baseline)
    assert flags(judgement) == {}


def test_what_it_sends_exposes_nothing_on_its_own_link_either():
    """It may sit there, too, and do something about its own server."""
    walk = Walk()

    def target():
        forged(walk, 2)
        walk.target()

    judgement = judged(facts("evil", **OFF_PATH), walk.resolve(target).evidence(EVIL, "block@evil"))
    assert flags(judgement) == {}
    assert exposed(judgement) == []
