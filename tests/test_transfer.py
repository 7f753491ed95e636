"""Zone transfers as they come in: what makes one, and what does not."""

from __future__ import annotations

import dns.flags
import dns.message
import dns.name
import dns.rcode
import dns.rdatatype
import dns.rrset
import pytest
from hypothesis import given
from hypothesis import strategies as st
from worlds import world

from testbed.core import message
from testbed.core.authoritative import Authoritative
from testbed.core.transfer import Incoming, transfer
from testbed.core.transport import Failure, Transport, TransportError

ROOT = dns.name.root
ZONE = world(signal=["root-mirror"]).zones[ROOT]
QUERY = message.query(ROOT, dns.rdatatype.AXFR, id=7)
AXFR = Authoritative([ZONE]).respond_wire(QUERY.to_wire(), Transport.TCP)


def new_message() -> dns.message.Message:
    return dns.message.make_response(QUERY)


def messages(size: int = 500) -> list[dns.message.Message]:
    return list(transfer(ZONE, new_message, size))


def take(series) -> Incoming:
    incoming = Incoming(ROOT, QUERY.id)
    for each in series:
        wire = each if isinstance(each, bytes) else message.encode(each)
        done = incoming.take(wire)
    assert done
    return incoming


def test_what_a_server_sends_is_the_zone():
    assert len(AXFR) == 1
    assert take(AXFR).zone() == ZONE


@pytest.mark.parametrize("size", [1, 200, 1000, 100_000])
def test_in_any_number_of_messages(size):
    series = messages(size)
    assert (len(series) == 1) is (size == 100_000)
    assert take(series).zone() == ZONE


def test_later_messages_may_come_without_the_question():
    series = messages()
    for each in series[1:]:
        each.question.clear()
    assert take(series).zone() == ZONE


def test_a_question_for_changes_may_be_answered_with_the_zone():
    query = message.query(ROOT, dns.rdatatype.IXFR, id=7)
    (wire,) = Authoritative([ZONE]).respond_wire(query.to_wire(), Transport.TCP)
    with pytest.raises(TransportError):
        Incoming(ROOT, query.id).take(wire)
    incoming = Incoming(ROOT, query.id, dns.rdatatype.IXFR)
    assert incoming.take(wire)
    assert incoming.zone() == ZONE
    assert not incoming.unchanged


def test_a_question_for_changes_may_be_answered_with_the_soa_record_alone():
    query = message.query(ROOT, dns.rdatatype.IXFR, id=7)
    (wire,) = Authoritative([ZONE]).respond_wire(query.to_wire(), Transport.UDP)
    incoming = Incoming(ROOT, query.id, dns.rdatatype.IXFR)
    assert not incoming.take(wire)
    assert incoming.unchanged


def test_out_of_zone_records_are_left_out():
    origin = dns.name.from_text("org.")
    zone = world().zones[origin]
    query = message.query(origin, dns.rdatatype.AXFR, id=7)
    (only,) = transfer(zone, lambda: dns.message.make_response(query))
    only.answer.insert(1, dns.rrset.from_text("www.example.net.", 60, "IN", "A", "203.0.113.1"))
    incoming = Incoming(origin, 7)
    assert incoming.take(message.encode(only))
    assert incoming.zone() == zone


def refused(series: list[dns.message.Message]) -> None:
    series[0].set_rcode(dns.rcode.REFUSED)


def without_authority(series: list[dns.message.Message]) -> None:
    series[1].flags &= ~dns.flags.AA


def another_id(series: list[dns.message.Message]) -> None:
    series[1].id = 8


def a_query(series: list[dns.message.Message]) -> None:
    series[0].flags &= ~dns.flags.QR


def no_question(series: list[dns.message.Message]) -> None:
    series[0].question.clear()


def another_question(series: list[dns.message.Message]) -> None:
    series[1].question[0] = dns.rrset.RRset(ROOT, 1, dns.rdatatype.SOA)


def an_empty_message(series: list[dns.message.Message]) -> None:
    series[1].answer.clear()


def authority(series: list[dns.message.Message]) -> None:
    series[1].authority.append(ZONE.soa)


def no_soa_first(series: list[dns.message.Message]) -> None:
    del series[0].answer[0]


def another_soa_last(series: list[dns.message.Message]) -> None:
    changed = ZONE.soa[0].replace(serial=1)
    series[-1].answer[-1] = dns.rrset.from_rdata(ROOT, ZONE.soa.ttl, changed)


def more_after_the_end(series: list[dns.message.Message]) -> None:
    series[-1].answer.append(dns.rrset.from_text("late.", 60, "IN", "A", "203.0.113.1"))


def another_class(series: list[dns.message.Message]) -> None:
    series[0].answer.append(dns.rrset.from_text("late.", 60, "CH", "TXT", "x"))


def no_zone(series: list[dns.message.Message]) -> None:
    series[0].answer.append(dns.rrset.from_text("*.", 60, "IN", "NS", "a.nic.org."))


BREAK = (
    refused,
    without_authority,
    another_id,
    a_query,
    no_question,
    another_question,
    an_empty_message,
    authority,
    no_soa_first,
    another_soa_last,
    more_after_the_end,
    another_class,
    no_zone,
)


@pytest.mark.parametrize("spoil", BREAK, ids=lambda spoil: spoil.__name__)
def test_what_is_no_transfer(spoil):
    series = messages()
    spoil(series)
    with pytest.raises(TransportError) as caught:
        take(series).zone()
    assert caught.value.failure is Failure.PROTOCOL


def test_one_that_is_cut_off_is_none():
    series = messages()
    incoming = Incoming(ROOT, QUERY.id)
    assert not any(incoming.take(message.encode(each)) for each in series[:-1])
    with pytest.raises(TransportError):
        incoming.zone()


@given(st.data())
def test_garbage_is_an_error_or_a_zone(data):
    wire = bytearray(AXFR[0])
    for _ in range(data.draw(st.integers(1, 4))):
        wire[data.draw(st.integers(2, len(wire) - 1))] = data.draw(st.integers(0, 255))
    incoming = Incoming(ROOT, QUERY.id)
    try:
        if incoming.take(bytes(wire[: data.draw(st.integers(0, len(wire)))])):
            incoming.zone()
    except TransportError:
        pass


@given(st.binary(max_size=100))
def test_octets_that_are_nothing_at_all(octets):
    with pytest.raises(TransportError):
        Incoming(ROOT, QUERY.id).take(octets)
