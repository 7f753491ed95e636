"""Attackers at one place: in what order they have their say, when they act, what they are counted for."""

from __future__ import annotations

import dns.name
import dns.rdatatype
import pytest
from worlds import network, policy, scene_of, world

from testbed.attack import catalogue
from testbed.attack.api import (
    Alter,
    Answer,
    Attacker,
    Capability,
    Connect,
    Datagram,
    Delay,
    Drop,
    Established,
    Handshake,
    Impersonate,
    Parameters,
    Query,
    Replace,
    Reply,
    Reset,
    Timing,
    Unreachable,
)
from testbed.attack.chain import Chain
from testbed.attack.fates import Forward, Return
from testbed.attack.pending import Pending
from testbed.core import message
from testbed.core.authoritative import Authoritative
from testbed.core.message import encode
from testbed.core.transport import Transport

OF = world(signed=())


class Scripted(Attacker):
    """Answers every event with the same action, and remembers what it was shown."""

    capability = Capability.ON_PATH
    source = "none"

    def __init__(self, action=None, **timing):
        super().__init__(scene_of(OF, "target"), Parameters())
        self.timing = Timing(**timing)
        self.action = action
        self.shown = []

    def _act(self, event):
        self.shown.append(event)
        return self.action

    query = response = connect = handshake = established = datagram = _act


class Narrow(Scripted):
    """Is interested in one port."""

    ports = frozenset((853,))


def a_query(number=1):
    asked = message.query(dns.name.from_text("a.example."), dns.rdatatype.A, id=number)
    return Query(encode(asked), Transport.UDP, "target")


def a_datagram(port=853):
    return Datagram(b"sent", port, "target", "server", 1)


def test_the_first_that_acts_decides_about_a_connection():
    first, second, third = Scripted(), Scripted(Drop()), Scripted(Reset())
    chain = Chain([first, second, third])
    assert chain.connect(Connect("tcp", 853, "target")) == Drop()
    assert (len(first.shown), len(third.shown)) == (1, 0)
    assert second.actions == {"drop": 1}
    assert not first.actions


@pytest.mark.parametrize(
    ("action", "fate"),
    [
        (None, Forward(b"sent")),
        (Delay(2), Forward(b"sent", 2)),
        (Alter(b"other"), Forward(b"other")),
        (Answer(b"back"), Return(b"back")),
        (Drop(), Drop()),
        (Unreachable(), Unreachable()),
    ],
)
def test_what_becomes_of_a_datagram(action, fate):
    assert Chain([Scripted(action)]).datagram(a_datagram()) == fate


def test_each_sees_what_those_before_it_made_of_a_datagram():
    second = Scripted(Delay(1))
    assert Chain([Scripted(Alter(b"x")), second]).datagram(a_datagram()) == Forward(b"x", 1)
    assert second.shown[0].payload == b"x"


def test_delays_add_up():
    fate, _ = Chain([Scripted(Delay(1)), Scripted(Delay(2))]).query(a_query())
    assert fate.delay == 3


def test_only_events_at_its_ports_are_shown():
    one = Narrow(Drop())
    chain = Chain([one])
    assert chain.connect(Connect("tcp", 443, "target")) is None
    assert chain.handshake(Handshake("target", 443, None, (), 300)) is None
    assert chain.established(Established("target", 443, None, 1)) is None
    assert chain.datagram(a_datagram(443)) == Forward(b"sent")
    assert not one.shown
    assert chain.ports("handshake") == {853}


def test_who_is_switched_off_wants_and_sees_nothing():
    one = Scripted(Drop())
    chain = Chain([one])
    chain.active = set()
    assert not chain.wants("query")
    assert chain.ports("connect") == frozenset()
    assert isinstance(chain.query(a_query())[0], Forward)


def test_what_is_no_message_is_none_of_its_business():
    class Reader(Scripted):
        def query(self, query):
            return Replace(query.message)

    wire = b"\0\1" + bytes(3)
    assert Chain([Reader()]).query(Query(wire, Transport.UDP, "target"))[0] == Forward(wire)


# -- time ----------------------------------------------------------------------------------------------


def acts(one, chain, event=None):
    """Whether it acted on one more event."""
    before = sum(one.actions.values())
    chain.connect(event or Connect("tcp", 853, "target"))
    return sum(one.actions.values()) > before


def test_it_acts_in_its_part_of_the_timeline_only():
    now = [0.0]
    one = Scripted(Drop(), start=10, end=20)
    chain = Chain([one], lambda: now[0])
    seen = {}
    for now[0] in (0, 9.9, 10, 19.9, 20, 100):
        seen[now[0]] = acts(one, chain)
    assert [moment for moment, acted in seen.items() if acted] == [10, 19.9]


def test_it_starts_with_a_later_event_and_has_enough_after_some():
    one = Scripted(Drop(), from_event=2, at_most=2)
    chain = Chain([one])
    assert [acts(one, chain) for _ in range(5)] == [False, True, True, False, False]


def test_presence_is_counted_while_it_is_there_and_has_not_had_enough():
    now = [0.0]
    window, brief = Scripted(Drop(), start=10, end=20), Scripted(Drop(), at_most=1)
    chain = Chain([window, brief], lambda: now[0])
    now[0] = 5
    chain.connect(Connect("tcp", 853, "target"))
    now[0] = 100
    chain.active = set()
    assert window.spent.presence == 10
    assert brief.spent.presence == 5


# -- resources -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("action", "spent"),
    [
        (Drop(), (0, 0, 0)),
        (Delay(1), (0, 0, 0)),
        (Reset(), (1, 0, 0)),
        (Unreachable(), (1, 0, 0)),
        (Answer(b""), (1, 0, 0)),
        (Alter(b""), (0, 1, 0)),
        (Reply(a_query().message), (1, 0, 0)),
        (Replace(a_query().message), (0, 1, 0)),
        (Impersonate("own-name"), (0, 0, 1)),
    ],
)
def test_what_an_action_takes(action, spent):
    one = Scripted(action)
    one.count(action)
    assert (one.spent.injected, one.spent.altered, one.spent.held) == spent


@pytest.mark.parametrize(
    ("certificate", "needed"),
    [("own-name", ()), ("mis-issued", (Capability.MISISSUED,)), ("stolen", (Capability.KEY_THIEF,))],
)
def test_certificates_need_a_capability_of_their_own(certificate, needed):
    kind = catalogue.load("impersonate")
    assert kind.needs(kind.Parameters(certificate=certificate)) == (Capability.ON_PATH, *needed)


# -- in memory -----------------------------------------------------------------------------------------


class Late(Scripted):
    """Interferes with what is named, and lets all else pass."""

    def __init__(self, hook, action):
        super().__init__(action)
        self._hook = hook

    def _only(name):  # noqa: N805 makes a hook, is none
        return lambda self, event: self._act(event) if self._hook == name else None

    query, response, connect, handshake, established = map(
        _only, ("query", "response", "connect", "handshake", "established")
    )


def secured(one):
    of = world(signal=("preconfigured",), secure=("root", "target"), signed=())
    link = "root"
    return of, network(of, policy("strict"), ("preconfigured",), {link: [one]})


def test_a_response_that_comes_too_late_is_none():
    one = Late("response", Delay(100))
    net = network(OF, attackers={"target": [one]})
    assert not net.ask("secret.example.org.").answer
    assert one.actions["delay"]


def test_a_response_that_comes_late_takes_its_time():
    net = network(OF, attackers={"target": [Late("response", Delay(0.5))]})
    began = net.now
    assert net.ask("secret.example.org.").answer
    assert net.now - began >= 0.5


def test_a_session_is_reset_when_data_are_sent():
    one = Late("established", Reset())
    _, net = secured(one)
    assert not net.ask("secret.example.org.").answer
    assert {event.records for event in one.shown} == {1}


@pytest.mark.parametrize(("seconds", "answered"), [(0.5, True), (1000, False)])
def test_a_slow_handshake(seconds, answered):
    _, net = secured(Late("handshake", Delay(seconds)))
    assert bool(net.ask("secret.example.org.").answer) is answered


def test_a_response_to_what_was_not_asked_passes():
    pending = Pending(Chain([Scripted(Drop())]), Transport.UDP, "target")
    assert pending.response(b"\0\1rest") == Forward(b"\0\1rest")


@pytest.mark.parametrize("rdtype", ["AXFR", "IXFR"])
def test_a_whole_zone_is_shown_as_a_transfer_whatever_was_asked(rdtype):
    built = world(signal=["root-mirror"])
    kind = catalogue.load("tamper-transfer")
    attack = kind(scene_of(built, "mirror"), kind.Parameters(gives="old"))
    pending = Pending(Chain([attack]), Transport.TCP, "root-source")
    query = encode(message.query(dns.name.root, rdtype, id=1))
    pending.query(query)
    (wire,) = Authoritative([built.zones[dns.name.root]]).respond_wire(query, Transport.TCP)
    (fate,) = pending.responses(wire)
    assert fate != Forward(wire)
    assert attack.matches == 1


def test_the_soa_record_alone_is_a_response_to_a_question_for_changes():
    built = world(signal=["root-mirror"])
    pending = Pending(Chain([Scripted()]), Transport.TCP, "root-source")
    query = encode(message.query(dns.name.root, "IXFR", id=1))
    pending.query(query)
    (wire,) = Authoritative([built.zones[dns.name.root]]).respond_wire(query, Transport.UDP)
    assert pending.responses(wire) == (Forward(wire),)


# -- what it waits for ---------------------------------------------------------------------------------


def in_steps(one, *events):
    """Whether it acted on each of some events, which fall into a step each."""
    chain = Chain([one])
    acted = []
    for number, event in enumerate(events):
        chain.begin_step(number)
        before = sum(one.actions.values())
        {Query: chain.query, Connect: chain.connect, Handshake: chain.handshake}[type(event)](event)
        acted.append(sum(one.actions.values()) > before)
    return acted


def hello(server, resuming=False):
    return Handshake(server, 853, None, ("dot",), 300, (0x0304,), resuming)


def test_first_contact_only():
    events = [Connect("tcp", 853, server) for server in ("a", "a", "b", "b")]
    assert in_steps(Scripted(Drop(), when="first-contact"), *events) == [True, False, True, False]


def test_what_is_asked_again_has_lapsed():
    queries = [
        Query(encode(message.query(dns.name.from_text(name), "A", id=1)), Transport.UDP, "target")
        for name in ("a.", "b.", "a.", "B.")
    ]
    assert in_steps(Scripted(Drop(), when="cache-lapsed"), *queries) == [False, False, True, True]


def test_both_ways_of_a_first_question_are_left_alone():
    one = Scripted(Drop(), when="cache-lapsed")
    pending = Pending(Chain([one]), Transport.UDP, "target")
    query = a_query()
    assert isinstance(pending.query(query.wire), Forward)
    assert isinstance(pending.response(query.wire), Forward)


def test_a_ticket_that_expired():
    events = [
        hello("a"),
        hello("a", resuming=True),
        Connect("tcp", 853, "a"),
        hello("a"),
        hello("b"),
        Connect("tcp", 853, "a"),
        hello("a", resuming=True),
    ]
    one = Scripted(Drop(), when="ticket-expired")
    assert in_steps(one, *events) == [False, False, False, True, False, True, False]
