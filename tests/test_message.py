import dns.edns
import dns.flags
import dns.message
import dns.rdatatype
import pytest
from example_zones import name, rrset
from hypothesis import given
from hypothesis import strategies as st

from testbed.core import message as messages

A = dns.rdatatype.A


def test_a_query_is_iterative_with_edns_and_do():
    query = messages.query(name("Secret.example.org."), A, id=0x1234)
    read = dns.message.from_wire(messages.encode(query))
    assert (read.id, read.edns, read.payload) == (0x1234, 0, 1232)
    assert read.ednsflags == dns.flags.DO
    assert not read.flags & (dns.flags.RD | dns.flags.QR)
    assert str(read.question[0].name) == "Secret.example.org."


def test_a_query_without_dnssec_and_with_options():
    option = dns.edns.GenericOption(65001, b"xyz")
    query = messages.query(name("."), dns.rdatatype.NS, id=1, dnssec_ok=False, payload=4096, options=[option])
    read = dns.message.from_wire(messages.encode(query))
    assert read.ednsflags == 0
    assert read.payload == 4096
    assert [(o.otype, o.data) for o in read.options] == [(65001, b"xyz")]


@given(st.integers(0, 65535), st.booleans(), st.lists(st.binary(max_size=20), max_size=3), st.booleans())
def test_the_short_way_to_encode_gives_the_same_octets(identifier, edns, data, question):
    query = messages.query(name("a.Example.org."), A, id=identifier, options=[])
    query.use_edns(0 if edns else -1, 0x8000, 1400, options=[dns.edns.GenericOption(9, d) for d in data])
    if not question:
        query.question = []
    assert messages.encode(query) == query.to_wire(max_size=65535)


@pytest.mark.parametrize("block", [messages.QUERY_BLOCK, messages.RESPONSE_BLOCK])
@given(length=st.integers(0, 230), options=st.integers(0, 2))
def test_padding_fills_up_to_a_block(block, length, options):
    message = messages.query(name("example.org."), A, id=1)
    message.answer.append(rrset("example.org.", "TXT", f'"{"x" * length}"'))
    for _ in range(options):
        messages.add_option(message, dns.edns.GenericOption(65001, b"abc"))
    bare = len(messages.encode(message)) + 4
    wire = messages.pad(message, block)
    assert len(wire) % block == 0
    assert bare <= len(wire) < bare + block
    read = dns.message.from_wire(wire)
    assert [o.otype for o in read.options] == [65001] * options + [messages.PADDING]
    assert not any(read.options[-1].data)
    assert read.answer == message.answer
    assert messages.is_padded(read)


def test_padding_is_not_added_twice():
    message = dns.message.from_wire(messages.pad(messages.query(name("example.org."), A, id=1), 128))
    again = dns.message.from_wire(messages.pad(message, 468))
    assert [o.otype for o in again.options] == [messages.PADDING]


def test_what_cannot_grow_to_a_multiple_is_not_padded():
    message = messages.query(name("example.org."), A, id=1)
    message.answer.append(rrset("example.org.", "TXT", *(f'"{i:03}" "{"x" * 240}"' for i in range(253))))
    room = 65525 - len(messages.encode(message))
    messages.add_option(message, dns.edns.GenericOption(65001, bytes(room - 4)))
    wire = messages.encode(message)
    assert len(wire) == 65525
    assert messages.pad(message, 468) == wire


def test_padding_and_options_need_edns():
    message = dns.message.make_query("example.org.", "A", use_edns=False)
    with pytest.raises(ValueError, match="EDNS"):
        messages.pad(message, 128)
    with pytest.raises(ValueError, match="EDNS"):
        messages.add_ede(message, 6)


def test_extended_errors_survive_the_wire_with_everything_else():
    message = messages.query(name("example.org."), A, id=1)
    message.flags |= dns.flags.QR
    message.set_rcode(dns.rcode.BADVERS)
    messages.add_ede(message, 6, "wrong signature")
    messages.add_ede(message, 22)
    messages.add_ede(message, 4711, "unassigned")
    read = dns.message.from_wire(messages.encode(message))
    assert messages.ede(read) == ((6, "wrong signature"), (22, ""), (4711, "unassigned"))
    assert read.rcode() == dns.rcode.BADVERS
    assert read.payload == 1232
    assert read.ednsflags & dns.flags.DO


def test_keepalive_goes_without_a_timeout_and_comes_with_one():
    message = messages.query(name("example.org."), A, id=1)
    assert not messages.has_keepalive(message)
    messages.add_keepalive(message)
    read = dns.message.from_wire(messages.encode(message))
    assert messages.has_keepalive(read)
    assert messages.keepalive_timeout(read) is None
    response = messages.query(name("example.org."), A, id=1)
    messages.add_keepalive(response, 12.5)
    assert messages.keepalive_timeout(dns.message.from_wire(messages.encode(response))) == 12.5
    assert messages.encode(response)[-2:] == (125).to_bytes(2, "big")


def test_the_same_question_in_whatever_case():
    asked = messages.query(name("Example.org."), A, id=1)
    response = dns.message.make_response(messages.query(name("eXample.org."), A, id=2))
    assert messages.same_question(asked, response)
    for other in (
        messages.query(name("example.net."), A, id=1),
        messages.query(name("example.org."), dns.rdatatype.AAAA, id=1),
        dns.message.make_query("example.org.", "A", "CH"),
        dns.message.Message(1),
    ):
        assert not messages.same_question(asked, other)
        assert not messages.same_question(other, asked)


def test_records_keep_their_order_in_the_wire():
    message = messages.query(name("example.org."), A, id=1)
    message.answer.append(rrset("example.org.", "A", *(f"192.0.2.{i}" for i in range(50))))
    wires = {messages.encode(message) for _ in range(10)}
    assert len(wires) == 1
    assert dns.message.from_wire(wires.pop()).answer[0][49].address == "192.0.2.49"


def test_decoding_twice_gives_independent_messages():
    query = messages.query(name("example.org."), A, id=1)
    query.answer.append(rrset("example.org.", "A", "192.0.2.1"))
    wire = messages.encode(query)
    first, second = messages.decode(wire), messages.decode(b"\x12\x34" + wire[2:])
    assert (first.id, second.id) == (1, 0x1234)
    messages.add_ede(first, 6)
    first.set_rcode(dns.rcode.BADVERS)
    first.answer.clear()
    first.find_rrset(first.authority, name("x."), dns.rdataclass.IN, A, create=True)
    third = messages.decode(wire)
    for message in (second, third):
        assert message.answer == query.answer
        assert message.authority == []
        assert message.rcode() == 0
        assert messages.ede(message) == ()
        assert message.get_rrset(message.authority, name("x."), dns.rdataclass.IN, A) is None


def test_decoding_garbage_fails_as_dnspython_does():
    with pytest.raises(dns.exception.DNSException):
        messages.decode(b"\x00\x01garbage")
