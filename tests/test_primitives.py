"""Attackers that a scenario file puts together: they do what the parameters say, and leave the rest alone."""

from __future__ import annotations

from dataclasses import replace

import dns.flags
import dns.message
import dns.name
import dns.rcode
import dns.rdatatype
import dns.rrset
import pytest
from pydantic import ValidationError
from signalling import SECRET, over
from worlds import attacker, network, policy, scene_of, world

from testbed.attack import catalogue
from testbed.attack.api import (
    Alert,
    Connect,
    Delay,
    Drop,
    Handshake,
    Query,
    Reset,
    Response,
    Unreachable,
)
from testbed.attack.selecting import meets, rrsets
from testbed.core import message
from testbed.core.message import encode
from testbed.core.notation import parse_record
from testbed.core.transport import Transport

A = dns.rdatatype.A
PLAIN = world(signed=())
ENCRYPTED = world(signal=("preconfigured",), secure=("root", "target"), signed=())


def met(name, link="target", of=PLAIN, looks_for=(), **parameters):
    """A network with one attacker, which it is returned with."""
    one = attacker(of, name, link, **parameters)
    return network(of, policy("strict"), looks_for, {link: [one]}), one


def types(response):
    return {rrset.rdtype for section in response.sections[1:] for rrset in section}


# -- what files say ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("pattern", "name", "expected"),
    [
        ("{target-zone}", "example.org.", True),
        ("{target-zone}", "secret.example.org.", False),
        ("*.{target-zone}", "secret.example.org.", True),
        ("*.{target-zone}", "example.org.", False),
        ("{server:target}", "NS1.dnshost.net.", True),
        ("_dns.{server:target}", "_dns.ns1.dnshost.net.", True),
    ],
)
def test_patterns_of_names(pattern, name, expected):
    assert meets(scene_of(PLAIN, "target"), [pattern], dns.name.from_text(name)) is expected


@pytest.mark.parametrize(
    ("parameters", "said"),
    [
        ({"types": ["NOSUCH"]}, "unknown record type 'NOSUCH'"),
        ({"names": ["a..b"]}, "empty label"),
        ({"names": ["{victim}"]}, "{victim} stands for nothing; known are {target-zone}"),
    ],
)
def test_what_is_no_type_or_name_is_said(parameters, said):
    with pytest.raises(ValidationError) as error:
        catalogue.load("hinder").Parameters(**parameters)
    assert said in str(error.value)


def test_records_with_one_owner_and_type_are_one_rrset():
    lines = ["{own-name} 60 A {own-ipv4}", "{own-name} 60 A 192.0.2.9", "{target-zone} NS {own-name}"]
    found = rrsets(scene_of(PLAIN, "target"), lines)
    assert [(rrset.rdtype.name, len(rrset)) for rrset in found] == [("A", 2), ("NS", 1)]


# -- hinder ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("messages", ["queries", "responses"])
@pytest.mark.parametrize("how", ["drop", "reset"])
def test_hindered_messages_do_not_arrive(messages, how):
    net, one = met("hinder", messages=messages, how=how, types=["A"], names=["{sensitive-name}"])
    assert net.ask("example.org.", "MX").rcode() == dns.rcode.NOERROR
    assert not one.actions
    assert not net.ask(SECRET).answer
    assert one.actions[how]
    assert sum(one.actions.values()) == one.matches


def test_delayed_messages_do():
    net, one = met("hinder", how="delay", seconds=0.5)
    began = net.now
    assert net.ask(SECRET).answer
    assert net.now >= began + 0.5
    assert one.actions["delay"]


def test_messages_inside_tls_are_left_alone_unless_a_certificate_is_given():
    net, one = met("hinder", "root", ENCRYPTED, ("preconfigured",))
    assert net.ask(SECRET).answer
    assert not one.matches
    assert one.ports == frozenset()
    net, one = met("hinder", "root", ENCRYPTED, ("preconfigured",), certificate="stolen")
    assert not net.ask(SECRET).answer
    assert one.actions["impersonate"]


# -- strip, forge, answer ----------------------------------------------------------------------------


def test_records_are_stripped_by_type_and_owner():
    of = world()
    net, one = met("strip-records", of=of, strip=["A"], owners=["{sensitive-name}"])
    net.ask(SECRET)
    assert one.actions["alter"]
    net, one = met("strip-records", of=of, strip=["A"], owners=["*.{sensitive-name}"])
    assert net.ask(SECRET).answer
    assert not one.matches


@pytest.mark.parametrize(("signatures", "left"), [("stripped", False), ("kept", True)])
def test_signatures_go_with_what_they_cover_or_stay(signatures, left):
    of = world()
    one = attacker(of, "strip-records", "target", strip=["A"], signatures=signatures)
    response = _answered(of)
    assert bool(dns.message.from_wire(one.response(response).payload).answer) is left


def _answered(of):
    query = message.query(dns.name.from_text(SECRET), dns.rdatatype.A, id=1)
    (response,) = of.authoritative("target").respond(query, Transport.TCP)
    return Response(encode(response), Query(encode(query), Transport.TCP, "target"))


def test_records_beside_unusual_ones_are_stripped_too():
    query = message.query(dns.name.from_text(SECRET), dns.rdatatype.A, id=1)
    response = dns.message.make_response(query)
    for line in ("A 192.0.2.1", "SRV 0 0 853 example.org."):
        response.answer.append(dns.rrset.from_text(SECRET, 60, "IN", *line.split(maxsplit=1)))
    one = attacker(PLAIN, "strip-records", "target", strip=["A"])
    asked = Query(encode(query), Transport.TCP, "target")
    made = dns.message.from_wire(one.response(Response(encode(response), asked)).payload)
    assert [rrset.rdtype.name for rrset in made.answer] == ["SRV"]


def test_forged_records_take_the_place_of_true_ones():
    net, one = met("forge-records", names=["{sensitive-name}"])
    (found,) = net.ask(SECRET).answer
    assert found[0].address == one.scene.own_addresses[0]


def test_forged_records_beside_true_ones():
    net, _ = met("forge-records", names=["{sensitive-name}"], replace=False)
    assert len(net.ask(SECRET).answer[0]) == 2


@pytest.mark.parametrize("rcode", ["SERVFAIL", "REFUSED"])
def test_errors_in_the_servers_place(rcode):
    net, one = met("answer", rcode=rcode, types=["A"])
    assert net.ask(SECRET).rcode() == dns.rcode.SERVFAIL
    assert one.spent.injected == one.matches > 0


@pytest.mark.parametrize("rcode", ["NOERROR", "NXDOMAIN"])
def test_denials_in_the_servers_place(rcode):
    net, _ = met("answer", rcode=rcode, names=["{sensitive-name}"])
    response = net.ask(SECRET)
    assert response.rcode() == dns.rcode.from_text(rcode)
    assert not response.answer


def test_data_in_the_servers_place():
    net, _ = met("answer", names=["{sensitive-name}"], records=["{sensitive-name} 60 A 192.0.2.66"])
    assert net.ask(SECRET).answer[0][0].address == "192.0.2.66"


def test_truncated_answers_bring_the_resolver_to_tcp():
    net, _ = met("answer", rcode="SERVFAIL", truncated=True, names=["{sensitive-name}"])
    net.ask(SECRET)
    assert "tcp" in over(net)


# -- block -------------------------------------------------------------------------------------------

HELLO = Handshake("target", 853, "ns1.dnshost.net", ("dot",), 300)
DOT = Connect("tcp", 853, "target")
QUIC = Connect("udp", 853, "target", 1200)
DOH = Connect("tcp", 443, "target")


@pytest.mark.parametrize(
    ("parameters", "dot", "quic", "doh", "hello"),
    [
        ({}, Reset(), Reset(), Reset(), None),
        ({"how": "drop"}, Drop(), Drop(), Drop(), None),
        ({"how": "icmp", "transports": ["dot"]}, Unreachable(), None, None, None),
        ({"transports": ["doq"]}, None, Reset(), None, None),
        ({"transports": ["doh"]}, None, None, Reset(), None),
        ({"how": "alert"}, None, Reset(), None, Alert(40)),
        ({"sni": ["{server:target}"]}, None, None, None, Reset()),
        ({"sni": ["{server:root}"]}, None, None, None, None),
        ({"alpn": ["dot"], "how": "drop"}, None, None, None, Drop()),
        ({"alpn": ["h2"]}, None, None, None, None),
        ({"offers": "a-ticket"}, None, None, None, None),
        ({"larger_than": 299}, None, Reset(), None, Reset()),
        ({"larger_than": 1199}, None, Reset(), None, None),
        ({"smaller_than": 301}, None, None, None, Reset()),
    ],
)
def test_what_is_blocked(parameters, dot, quic, doh, hello):
    one = attacker(PLAIN, "block", "target", **parameters)
    assert [one.connect(event) for event in (DOT, QUIC, DOH)] == [dot, quic, doh]
    assert one.handshake(HELLO) == hello


@pytest.mark.parametrize(
    ("offers", "blocked"), [("anything", (1, 1, 1)), ("a-ticket", (0, 1, 1)), ("early-data", (0, 0, 1))]
)
def test_resumption_can_be_refused(offers, blocked):
    one = attacker(PLAIN, "block", "target", offers=offers, how="alert")
    resuming = replace(HELLO, resuming=True)
    hellos = (HELLO, resuming, replace(resuming, early_data=True))
    assert tuple(one.handshake(hello) is not None for hello in hellos) == tuple(map(bool, blocked))


def test_tcp_to_port_53_can_be_blocked():
    one = attacker(PLAIN, "block", "target", transports=["tcp"])
    assert one.ports == {53}
    assert one.connect(Connect("tcp", 53, "target")) == Reset()
    assert one.connect(Connect("udp", 53, "target")) is None


def test_delays_are_in_seconds():
    one = attacker(PLAIN, "hinder", "target", how="delay", seconds=3)
    assert one.query(_answered(PLAIN).query) == Delay(3)


@pytest.mark.parametrize("offers", ["anything", "a-ticket", "early-data"])
def test_resumption_can_be_refused_over_quic(offers):
    one = attacker(PLAIN, "block", "target", offers=offers, transports=["doq"])
    for resuming, early_data in ((False, False), (True, False), (True, True)):
        hello = replace(HELLO, protocol="udp", resuming=resuming, early_data=early_data)
        meant = {"anything": False, "a-ticket": resuming, "early-data": early_data}[offers]
        assert (one.handshake(hello) is not None) is meant


# -- replay ------------------------------------------------------------------------------------------

MOVED = parse_record("secret.example.org 3600 A 203.0.113.200")
DAY = 86400


def replayed(of, age, **parameters):
    """The answer after a change, from a network in which earlier answers are replayed, and the attacker."""
    net, one = met("replay-recorded", of=of, **parameters)
    assert net.ask(SECRET).answer
    net.advance(age)
    net.world = of.changed([MOVED], age)
    return net.ask(SECRET), one


def addresses(response):
    return {record.to_text() for rrset in response.answer for record in rrset if rrset.rdtype == A}


def test_what_was_recorded_is_replayed_once_the_zone_has_changed():
    answer, one = replayed(PLAIN, 2 * DAY, names=["{sensitive-name}"])
    assert addresses(answer) == {"203.0.113.99"}
    assert one.actions == {"answer": 1}
    assert one.spent.injected == one.matches == 1


@pytest.mark.parametrize(
    "parameters", [{"names": ["www.{target-zone}"]}, {"types": ["AAAA"]}, {"steps": [7]}]
)
def test_what_is_not_asked_for_is_not_replayed(parameters):
    answer, one = replayed(PLAIN, 2 * DAY, **parameters)
    assert addresses(answer) == {"203.0.113.200"}
    assert not one.matches


@pytest.mark.parametrize(("age", "expected"), [(2 * DAY, "203.0.113.99"), (40 * DAY, None)])
def test_a_signed_answer_is_good_until_its_signature_expires(age, expected):
    answer, one = replayed(world(), age, names=["{sensitive-name}"], types=["A"])
    assert addresses(answer) == ({expected} if expected else set())
    assert one.actions["answer"]


def test_only_the_id_and_the_letter_case_of_what_is_replayed_are_the_querys():
    def asked(name, number):
        return Query(encode(message.query(dns.name.from_text(name), A, id=number)), Transport.UDP, "target")

    one = attacker(PLAIN, "replay-recorded", "target")
    first, again = asked(SECRET, 7), asked("SeCrEt.Example.ORG.", 8)
    (wire,) = PLAIN.authoritative("target").respond_wire(first.wire, Transport.UDP)
    assert one.query(first) is None
    assert one.response(Response(wire, first)) is None
    assert one.query(first) is None
    one.step = 1
    end = 12 + len("secret.example.org.") + 1
    assert one.query(again).payload == again.wire[:2] + wire[2:12] + again.wire[12:end] + wire[end:]
