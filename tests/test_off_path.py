"""Off-path attackers: what they guess, when they act, what is counted; in memory."""

from __future__ import annotations

import dns.name
import dns.rdatatype
import pytest
from worlds import policy

from testbed.attack.api import Attacker, Capability, Parameters, SpoofedDatagram, Timing
from testbed.attack.events import Moment
from testbed.attack.timing import Post
from testbed.rehearsal import rehearse

SECRET = "secret.example.org."
EVILS = "www.evil-dns.net."
FORGED = "198.51.100.66"
WEAK = {"message_ids": "sequential", "source_ports": "fixed"}
SLOW = {"latency": {"target-parent": 0.2}}


def addresses(response):
    return [rdata.address for rrset in response.answer for rdata in rrset]


def spoofing(world=SLOW, guesses=20, seconds=0.1, switches=WEAK, base="opportunistic", **parameters):
    chosen = {"server": "target-parent", "forge": "referral", "minimised": True, **parameters}
    chosen_policy = policy(base, **switches)
    return rehearse(
        "spoof-responses", world=world, policy=chosen_policy, guesses=guesses, seconds=seconds, **chosen
    )


def test_predictable_ports_and_ids_are_guessed():
    network, attacker = spoofing()
    network.ask(EVILS)
    assert not attacker.matches
    assert addresses(network.ask(SECRET)) == [FORGED]
    assert attacker.matches == 1
    assert 1 <= attacker.actions["spoofeddatagram"] <= attacker.spent.injected <= 20


@pytest.mark.parametrize("switches", [{}, {"message_ids": "sequential"}, {"source_ports": "fixed"}])
def test_one_of_both_at_random_is_not(switches):
    network, attacker = spoofing(switches=switches)
    network.ask(EVILS)
    assert addresses(network.ask(SECRET)) == ["203.0.113.99"]
    assert attacker.spent.injected == 20


def test_nor_is_what_was_never_seen():
    network, attacker = spoofing()
    assert addresses(network.ask(SECRET)) == ["203.0.113.99"]
    assert attacker.spent.injected == 20


def test_a_server_that_answers_at_once_wins_the_race():
    network, _ = spoofing(world={})
    network.ask(EVILS)
    assert addresses(network.ask(SECRET)) == ["203.0.113.99"]


def test_whoever_is_late_loses_the_race():
    network, attacker = spoofing(seconds=30)
    network.ask(EVILS)
    assert addresses(network.ask(SECRET)) == ["203.0.113.99"]
    assert attacker.spent.injected == 0
    network.advance(60)
    network.ask("mail.example.org.")
    assert attacker.spent.injected == 20


def test_a_validated_zone_is_not_taken_over():
    signed = ["root", "target-parent", "target"]
    network, attacker = spoofing(world={**SLOW, "signed": signed})
    network.ask(EVILS)
    assert not addresses(network.ask(SECRET))
    assert attacker.matches


def test_forged_answers_are_for_the_question():
    switches = {**WEAK, "minimisation": "off"}
    network, _ = spoofing(
        world={"latency": {"target": 0.2}},
        server="target",
        forge="answer",
        minimised=False,
        switches=switches,
    )
    network.ask(EVILS)
    assert addresses(network.ask(SECRET)) == [FORGED]


def test_only_questions_about_the_target_are_worth_it():
    network, attacker = spoofing()
    network.ask(EVILS)
    network.ask("ns1.dnshost.net.")
    assert not attacker.matches


class Spray(Attacker):
    """Sends three datagrams, one a second."""

    capability = Capability.OFF_PATH
    source = "a test"

    def off_path(self, moment):
        for number in (3, 1, 2):
            yield SpoofedDatagram(("192.0.2.9", 53), ("192.0.2.53", number), b"", float(number))


class Clock:
    now = 0.0

    def __call__(self):
        return self.now


def sent(clock, post, moments=1):
    """The ports of what is sent in each of some steps, a minute apart."""
    found = []
    for step in range(moments):
        clock.now, ports = 60.0 * step, []
        post.begin_step(step)
        name = dns.name.from_text(SECRET)
        for packet in post.caused(post.attacker.off_path, Moment(name, dns.rdatatype.A)):
            clock.now = 60.0 * step + packet.after
            if post.sends(packet):
                ports.append(packet.target[1])
        found.append(ports)
    return found


def posted(**timing):
    attacker = Spray(None, Parameters())
    attacker.timing = Timing(**timing)
    clock = Clock()
    post = Post(attacker, clock)
    post.switch(True)
    return clock, post


@pytest.mark.parametrize(
    ("timing", "expected"),
    [
        ({}, [[1, 2, 3], [1, 2, 3]]),
        ({"start": 2.0}, [[2, 3], [1, 2, 3]]),
        ({"end": 2.5}, [[1, 2], []]),
        ({"at_most": 4}, [[1, 2, 3], [1]]),
        ({"from_event": 3}, [[3], [1, 2, 3]]),
        ({"when": "first-contact"}, [[1, 2, 3], []]),
        ({"when": "cache-lapsed"}, [[], [1, 2, 3]]),
    ],
)
def test_when_they_act_is_the_scenario_s_to_say(timing, expected):
    clock, post = posted(**timing)
    assert sent(clock, post, moments=2) == expected
    assert post.attacker.spent.injected == sum(map(len, expected))


def test_they_send_in_order_of_time_and_nothing_once_they_are_gone():
    clock, post = posted()
    packets = post.caused(post.attacker.off_path, Moment(dns.name.root, dns.rdatatype.A))
    assert [packet.after for packet in packets] == [1.0, 2.0, 3.0]
    clock.now = 5.0
    post.switch(False)
    assert not post.sends(packets[0])
    assert post.attacker.spent.presence == 5.0
    assert post.caused(post.attacker.off_path, Moment(dns.name.root, dns.rdatatype.A)) == []
