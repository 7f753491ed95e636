import random

import dns.edns
import dns.flags
import dns.message
import dns.rcode
import pytest
from dns.rdatatype import RdataType
from example_zones import DENIALS, EVERYTHING, name, rdtype, rrset, signed, zone
from hypothesis import given, settings
from hypothesis import strategies as st

from testbed.core import message as messages
from testbed.core import transfer
from testbed.core.authoritative import Authoritative
from testbed.core.transport import Transport
from testbed.core.zone import Zone

UDP, TCP, DOT = Transport.UDP, Transport.TCP, Transport.DOT
ORG = """
@ 3600 SOA a.nic hostmaster 1 1800 900 604800 300
@ NS a.nic
a.nic A 192.0.2.7
example NS ns1.example
example DS 12345 13 2 0000000000000000000000000000000000000000000000000000000000000000
ns1.example A 192.0.2.1
elsewhere CNAME secret.example
away CNAME www.elsewhere.test.
"""
SERVER = Authoritative([signed(zone("org.", ORG)), signed(zone("example.org.", EVERYTHING))])
ALONE = Authoritative([signed(zone("example.org.", EVERYTHING))])
PLAIN = Authoritative([zone("example.org.", EVERYTHING)])


def ask(text, kind="A", server=ALONE, transport=UDP, **options):
    query = messages.query(name(text), rdtype(kind), id=77, **options)
    (wire,) = server.respond_wire(messages.encode(query), transport)
    response = dns.message.from_wire(wire)
    assert response.id == 77
    assert response.flags & dns.flags.QR
    assert messages.same_question(query, response)
    return response


def lines(section, *, with_signatures=False):
    """Owner relative to example.org and type of each RRset."""
    return [
        f"{item.name.relativize(name('example.org.'))} {RdataType.to_text(item.rdtype)}"
        for item in section
        if with_signatures or item.rdtype != RdataType.RRSIG
    ]


def signatures(section):
    return {(item.name, item.covers) for item in section if item.rdtype == RdataType.RRSIG}


def authoritative(response):
    return bool(response.flags & dns.flags.AA)


# -- answers ---------------------------------------------------------------------------------------


def test_an_answer_with_and_without_signatures():
    response = ask("secret.example.org.")
    assert authoritative(response)
    assert response.answer[0][0].address == "192.0.2.80"
    assert signatures(response.answer) == {(name("secret.example.org."), RdataType.A)}
    assert response.authority == response.additional == []
    assert response.ednsflags == dns.flags.DO
    bare = ask("secret.example.org.", dnssec_ok=False)
    assert lines(bare.answer, with_signatures=True) == ["secret A"]
    assert bare.ednsflags == 0


def test_the_question_is_echoed_in_its_case():
    response = ask("sEcReT.eXaMpLe.OrG.")
    assert str(response.question[0].name) == "sEcReT.eXaMpLe.OrG."
    assert str(response.answer[0].name) == "sEcReT.eXaMpLe.OrG."


def test_rd_is_copied_and_ra_never_set():
    query = dns.message.make_query("secret.example.org.", "A", flags=dns.flags.RD)
    response = dns.message.from_wire(ALONE.respond_wire(query.to_wire(), UDP)[0])
    assert response.flags & dns.flags.RD
    assert not response.flags & dns.flags.RA


@pytest.mark.parametrize("denial", DENIALS)
def test_absence_comes_with_soa_and_proof(denial):
    server = Authoritative([signed(zone("example.org.", EVERYTHING), denial)])
    kind = "NSEC" if denial == "nsec" else "NSEC3"
    for text, rcode in {"secret": 0, "name": 0, "nothing": 3, "below.secret": 3}.items():
        response = ask(f"{text}.example.org.", "AAAA", server)
        assert authoritative(response)
        assert response.rcode() == rcode
        assert response.answer == []
        assert response.authority[0].rdtype == RdataType.SOA
        assert response.authority[0].ttl == 300
        denials = [item for item in response.authority if item.rdtype == rdtype(kind)]
        assert denials
        assert len(signatures(response.authority)) == len(denials) + 1
        bare = ask(f"{text}.example.org.", "AAAA", server, dnssec_ok=False)
        assert bare.rcode() == rcode
        assert lines(bare.authority, with_signatures=True) == ["@ SOA"]


def test_wildcards():
    response = ask("a.b.wild.example.org.")
    assert lines(response.answer) == ["a.b.wild A"]
    assert response.answer[1][0].labels == 3
    assert len([item for item in response.authority if item.rdtype == RdataType.NSEC]) == 1
    nodata = ask("x.wild.example.org.", "AAAA")
    assert nodata.rcode() == dns.rcode.NOERROR
    assert nodata.authority[0].rdtype == RdataType.SOA
    itself = ask("*.wild.example.org.")
    assert lines(itself.answer) == ["*.wild A"]
    assert itself.authority == []
    assert ask("wild.example.org.").answer == []


def test_aliases_are_followed_within_the_zones_of_the_server():
    assert lines(ask("alias.example.org.").answer) == ["alias CNAME", "secret A"]
    assert lines(ask("alias.example.org.", "CNAME").answer) == ["alias CNAME"]
    assert lines(ask("outside.example.org.").answer) == ["outside CNAME"]
    assert lines(ask("x.cwild.example.org.").answer) == ["x.cwild CNAME", "secret A"]
    assert lines(ask("loop1.example.org.").answer) == ["loop1 CNAME", "loop2 CNAME"]
    dangling = ask("dangling.example.org.")
    assert lines(dangling.answer) == ["dangling CNAME"]
    assert dangling.rcode() == dns.rcode.NXDOMAIN
    across = ask("elsewhere.org.", server=SERVER)
    assert [str(item.name) for item in across.answer if item.rdtype != RdataType.RRSIG] == [
        "elsewhere.org.",
        "secret.example.org.",
    ]
    assert ask("away.org.", server=SERVER).rcode() == dns.rcode.NOERROR


def test_an_alias_into_a_delegated_zone_gets_no_referral():
    text = EVERYTHING + "into CNAME x.signed\n"
    response = ask("into.example.org.", server=Authoritative([zone("example.org.", text)]))
    assert lines(response.answer) == ["into CNAME"]
    assert authoritative(response)
    assert response.authority == []


def test_long_chains_of_aliases_end():
    text = "@ SOA a b 1 2 3 4 5\n" + "".join(f"c{i} CNAME c{i + 1}\n" for i in range(100))
    response = ask("c0.example.org.", server=Authoritative([zone("example.org.", text)]), transport=TCP)
    assert 8 <= len(response.answer) <= 20


def test_dname():
    response = ask("x.old.example.org.")
    assert lines(response.answer) == ["old DNAME", "x.old CNAME", "x.new A"]
    assert (name("x.old.example.org."), RdataType.CNAME) not in signatures(response.answer)
    cname = next(item for item in response.answer if item.rdtype == RdataType.CNAME)
    assert cname[0].target == name("x.new.example.org.")
    assert cname.ttl == 3600
    assert lines(ask("x.old.example.org.", "CNAME").answer) == ["old DNAME", "x.old CNAME"]
    assert lines(ask("old.example.org.", "DNAME").answer) == ["old DNAME"]
    assert lines(ask("old.example.org.", "A").authority)[0] == "@ SOA"


def test_dname_that_makes_a_name_too_long():
    text = f"@ SOA a b 1 2 3 4 5\nd DNAME {'.'.join(['x' * 50] * 4)}.test.\n"
    response = ask(f"{'y' * 60}.d.example.org.", server=Authoritative([zone("example.org.", text)]))
    assert response.rcode() == dns.rcode.YXDOMAIN
    assert lines(response.answer) == ["d DNAME"]


def test_any_gets_one_rrset():
    response = ask("ns1.example.org.", "ANY")
    assert lines(response.answer) == ["ns1 A"]
    assert len(signatures(response.answer)) == 1
    assert ask("name.example.org.", "ANY").answer == []
    assert lines(ask("alias.example.org.", "ANY").answer) == ["alias CNAME"]
    rrsigs = ask("ns1.example.org.", "RRSIG").answer
    assert [item.covers for item in rrsigs] == [RdataType.A]


# -- referrals -------------------------------------------------------------------------------------


def test_a_secure_referral():
    for text in ("signed", "x.y.signed", "ns.signed"):
        response = ask(f"{text}.example.org.")
        assert not authoritative(response)
        assert response.answer == []
        assert lines(response.authority) == ["signed NS", "signed DS"]
        assert signatures(response.authority) == {(name("signed.example.org."), RdataType.DS)}
        assert lines(response.additional, with_signatures=True) == ["ns.signed A"]
        assert lines(ask(f"{text}.example.org.", dnssec_ok=False).authority) == ["signed NS"]


@pytest.mark.parametrize("denial", DENIALS)
def test_an_insecure_referral(denial):
    server = Authoritative([signed(zone("example.org.", EVERYTHING), denial)])
    response = ask("x.unsigned.example.org.", server=server)
    assert lines(response.authority)[0] == "unsigned NS"
    denials = [item for item in response.authority if item.rdtype in (RdataType.NSEC, RdataType.NSEC3)]
    assert len(denials) == {"nsec": 1, "nsec3": 1, "opt-out": 2}[denial]
    assert len(signatures(response.authority)) == len(denials)


def test_glue_of_the_delegated_zone_comes_first_and_other_addresses_with_signatures():
    response = ask("x.unsigned.example.org.")
    assert lines(response.additional) == [
        "ns.unsigned A",
        "ns.unsigned AAAA",
        "ns1 A",
        "ns1 AAAA",
        "ns.signed A",
    ]
    assert signatures(response.additional) == {
        (name("ns1.example.org."), RdataType.A),
        (name("ns1.example.org."), RdataType.AAAA),
    }


def test_ds_is_answered_at_the_parent():
    response = ask("signed.example.org.", "DS")
    assert authoritative(response)
    assert lines(response.answer) == ["signed DS"]
    absent = ask("unsigned.example.org.", "DS")
    assert authoritative(absent)
    assert lines(absent.authority) == ["@ SOA", "unsigned NSEC"]
    assert not authoritative(ask("x.signed.example.org.", "DS"))


def test_ds_of_a_zone_whose_parent_is_here_too_and_of_one_whose_is_not():
    both = ask("example.org.", "DS", SERVER)
    assert [item.rdtype for item in both.answer] == [RdataType.DS, RdataType.RRSIG]
    assert both.answer[1][0].signer == name("org.")
    child_only = ask("example.org.", "DS", ALONE)
    assert authoritative(child_only)
    assert lines(child_only.authority) == ["@ SOA", "@ NSEC"]
    assert ask("example.org.", "SOA", SERVER).answer[0].name == name("example.org.")


def test_the_deepest_zone_answers():
    assert authoritative(ask("secret.example.org.", server=SERVER))
    assert ask("example.org.", "NS", SERVER).answer[1][0].signer == name("example.org.")


def test_name_servers_come_with_their_addresses():
    response = ask("example.org.", "NS")
    assert lines(response.answer) == ["@ NS"]
    assert lines(response.additional) == ["ns1 A", "ns1 AAAA"]


# -- protocol --------------------------------------------------------------------------------------


def test_refused_outside_of_its_zones():
    for text, kind in (("example.net.", "A"), (".", "NS"), ("org.", "DS")):
        response = ask(text, kind)
        assert response.rcode() == dns.rcode.REFUSED
        assert not authoritative(response)
        assert response.authority == []
    chaos = dns.message.make_query("version.bind.", "TXT", "CH")
    assert dns.message.from_wire(ALONE.respond_wire(chaos.to_wire(), UDP)[0]).rcode() == dns.rcode.REFUSED


def test_no_edns_unless_asked():
    query = dns.message.make_query("secret.example.org.", "A", use_edns=False)
    response = dns.message.from_wire(ALONE.respond_wire(query.to_wire(), UDP)[0])
    assert response.edns == -1
    assert lines(response.answer, with_signatures=True) == ["secret A"]
    assert ask("secret.example.org.").payload == 1232


def test_unknown_options_are_ignored_and_versions_refused():
    option = dns.edns.GenericOption(65001, b"?")
    assert ask("secret.example.org.", options=[option]).options == ()
    query = messages.query(name("secret.example.org."), RdataType.A, id=1)
    query.use_edns(1)
    response = dns.message.from_wire(ALONE.respond_wire(messages.encode(query), UDP)[0])
    assert response.rcode() == dns.rcode.BADVERS
    assert response.edns == 0
    assert response.answer == []


@pytest.mark.parametrize(
    ("opcode", "flags"), [(dns.opcode.NOTIFY, 0x2400), (dns.opcode.UPDATE, 0x2800), (3, 0x1800)]
)
def test_other_opcodes_are_not_implemented(opcode, flags):
    wire = b"\x12\x34" + flags.to_bytes(2, "big") + bytes(8) + b"whatever"
    (answer,) = ALONE.respond_wire(wire, UDP)
    assert answer[:2] == b"\x12\x34"
    response = dns.message.from_wire(answer)
    assert response.rcode() == dns.rcode.NOTIMP
    assert response.opcode() == opcode


def test_garbage():
    query = messages.encode(messages.query(name("secret.example.org."), RdataType.A, id=1))
    assert ALONE.respond_wire(b"", UDP) == []
    assert ALONE.respond_wire(query[:11], UDP) == []
    assert ALONE.respond_wire(query[:2] + b"\x80" + query[3:], UDP) == []
    for wire in (query[:12], query[:20], query + b"x", query[:4] + b"\x00\x02" + query[6:]):
        (answer,) = ALONE.respond_wire(wire, UDP)
        assert dns.message.from_wire(answer).rcode() == dns.rcode.FORMERR
    none = query[:4] + bytes(8)
    assert dns.message.from_wire(ALONE.respond_wire(none, UDP)[0]).rcode() == dns.rcode.FORMERR


@pytest.mark.parametrize(
    ("kind", "rcode"), [("TYPE0", 1), ("OPT", 1), ("TSIG", 4), ("TKEY", 4), ("MAILA", 4)]
)
def test_types_that_cannot_be_asked_for(kind, rcode):
    assert ask("secret.example.org.", kind).rcode() == rcode


def test_keepalive_is_answered_in_sessions_only():
    keepalive = dns.edns.GenericOption(messages.KEEPALIVE, b"")
    for transport in Transport:
        response = ask("secret.example.org.", transport=transport, options=[keepalive])
        expected = 30.0 if transport in (TCP, DOT) else None
        assert messages.keepalive_timeout(response) == expected
    assert not messages.has_keepalive(ask("secret.example.org.", transport=DOT))


@pytest.mark.parametrize("transport", Transport)
@pytest.mark.parametrize("padded", [True, False])
def test_padding_answers_padding_where_it_is_of_use(transport, padded):
    query = messages.query(name("secret.example.org."), RdataType.A, id=1)
    wire = messages.pad(query, 128) if padded else messages.encode(query)
    (answer,) = SERVER.respond_wire(wire, transport)
    if padded and transport.encrypted:
        assert len(answer) == 468
    assert messages.is_padded(dns.message.from_wire(answer)) == (padded and transport.encrypted)


# -- truncation ------------------------------------------------------------------------------------


def big_zone(count, targets="ns{}.big"):
    text = "@ SOA a b 1 2 3 4 5\n@ NS a\na A 192.0.2.1\n"
    text += "".join(f"big NS {targets.format(i)}\n{targets.format(i)} A 192.0.2.{i}\n" for i in range(count))
    text += "".join(f'much TXT "{i}-{"x" * 100}"\n' for i in range(20))
    return Authoritative([Zone.from_text("example.org.", text)])


def raw(server, text, kind="A", transport=UDP, payload=4096):
    query = messages.query(name(text), rdtype(kind), id=1, payload=payload)
    return server.respond_wire(messages.encode(query), transport)[0]


def test_what_does_not_fit_into_a_datagram_is_truncated():
    server = big_zone(1)
    for payload, limit in ((4096, 1232), (1232, 1232), (600, 600), (100, 512)):
        wire = raw(server, "much.example.org.", "TXT", payload=payload)
        assert len(wire) <= limit
        response = dns.message.from_wire(wire)
        assert response.flags & dns.flags.TC
        assert response.opt is not None
    whole = dns.message.from_wire(raw(server, "much.example.org.", "TXT", TCP))
    assert not whole.flags & dns.flags.TC
    assert len(whole.answer[0]) == 20


def test_without_edns_the_limit_is_512():
    query = dns.message.make_query("much.example.org.", "TXT", use_edns=False)
    (wire,) = big_zone(1).respond_wire(query.to_wire(), UDP)
    assert len(wire) <= 512
    assert dns.message.from_wire(wire).flags & dns.flags.TC


def test_missing_glue_of_the_delegated_zone_is_truncation():
    needed = dns.message.from_wire(raw(big_zone(16), "x.big.example.org.", payload=512))
    assert needed.flags & dns.flags.TC
    assert len(needed.authority[0]) == 16
    assert 0 < len(needed.additional) < 16
    fitting = dns.message.from_wire(raw(big_zone(16), "x.big.example.org."))
    assert not fitting.flags & dns.flags.TC
    assert len(fitting.additional) == 16


def test_missing_addresses_of_other_names_are_not():
    response = dns.message.from_wire(raw(big_zone(16, "ns{}"), "x.big.example.org.", payload=512))
    assert not response.flags & dns.flags.TC
    assert len(response.authority[0]) == 16
    assert 0 < len(response.additional) < 16


# -- transfers -------------------------------------------------------------------------------------


def received_zone(series):
    rrsets = {}
    for item in (item for part in series for item in part.answer):
        rrsets.setdefault((item.name, item.rdtype, item.covers), item).update(item)
    return Zone(name("example.org."), rrsets.values())


def test_a_zone_can_be_transferred_over_streams_only():
    query = messages.encode(messages.query(name("example.org."), RdataType.AXFR, id=5))
    for transport in (TCP, DOT):
        (wire,) = ALONE.respond_wire(query, transport)
        response = dns.message.from_wire(wire, xfr=True)
        assert authoritative(response)
        assert response.answer[0].rdtype == response.answer[-1].rdtype == RdataType.SOA
        assert received_zone([response]) == signed(zone("example.org.", EVERYTHING))
    assert dns.message.from_wire(ALONE.respond_wire(query, UDP)[0]).rcode() == dns.rcode.REFUSED
    closed = Authoritative([zone("example.org.", EVERYTHING)], transfers=False)
    assert dns.message.from_wire(closed.respond_wire(query, TCP)[0]).rcode() == dns.rcode.REFUSED
    assert ask("secret.example.org.", "AXFR", transport=TCP).rcode() == dns.rcode.NOTAUTH


def test_a_large_zone_takes_several_messages():
    records = [rrset(f"host{i}.example.org.", "TXT", '"' + "x" * 200 + '"') for i in range(1000)]
    large = Zone(name("example.org."), [*zone("example.org.", EVERYTHING), *records])
    server = Authoritative([large])
    query = messages.encode(messages.query(name("example.org."), RdataType.AXFR, id=5))
    wires = server.respond_wire(query, TCP)
    assert len(wires) > 5
    assert all(len(wire) <= transfer.MESSAGE_SIZE for wire in wires)
    series = [dns.message.from_wire(wire, xfr=True) for wire in wires]
    assert all(part.id == 5 and authoritative(part) and part.opt for part in series)
    assert series[0].answer[0].rdtype == series[-1].answer[-1].rdtype == RdataType.SOA
    assert received_zone(series) == large


def test_ixfr_gives_the_soa_over_udp_and_the_whole_zone_over_streams():
    assert lines(ask("example.org.", "IXFR").answer, with_signatures=True) == ["@ SOA"]
    assert len(ask("example.org.", "IXFR", transport=TCP).answer) > 20


# -- the server as a whole -------------------------------------------------------------------------


def test_two_zones_of_one_name_are_an_error():
    with pytest.raises(ValueError, match="two zones"):
        Authoritative([zone("example.org.", EVERYTHING), signed(zone("example.org.", EVERYTHING))])


def test_the_same_query_again_gets_the_same_response_with_its_own_id():
    server = Authoritative([signed(zone("example.org.", EVERYTHING))])
    query = messages.encode(messages.query(name("secret.example.org."), RdataType.A, id=1))
    calls = []
    server._respond_wire = lambda *a, inner=server._respond_wire: calls.append(a) or inner(*a)
    (first,) = server.respond_wire(query, UDP)
    (second,) = server.respond_wire(b"\xab\xcd" + query[2:], UDP)
    assert second == b"\xab\xcd" + first[2:]
    assert len(calls) == 1
    server.respond_wire(query, TCP)
    server.respond_wire(query.replace(b"secret", b"seCret"), UDP)
    assert len(calls) == 3


def test_what_is_remembered_is_bounded(monkeypatch):
    monkeypatch.setattr("testbed.core.authoritative.MOST_REMEMBERED", 10)
    server = Authoritative([zone("example.org.", EVERYTHING)])
    for i in range(50):
        ask(f"n{i}.example.org.", server=server)
    assert len(server._remembered) == 10


def test_extensions_are_applied_in_order_to_responses_from_zones():
    def add_flag(query, response, zone):
        response.ednsflags |= 0x2000

    def add_svcb(query, response, zone):
        assert response.ednsflags & 0x2000
        response.additional.append(rrset(f"_dns.ns1.{zone.origin}", "SVCB", "1 . alpn=dot"))

    server = Authoritative([zone("example.org.", EVERYTHING)], extensions=[add_flag, add_svcb])
    for _ in range(2):
        response = ask("x.signed.example.org.", server=server)
        assert lines(response.additional) == ["ns.signed A", "_dns.ns1 SVCB"]
        assert response.ednsflags & 0x2000
    assert ask("example.net.", server=server).additional == []


def test_responses_do_not_change_the_zones():
    plain = signed(zone("example.org.", EVERYTHING))
    before = plain.fingerprint
    server = Authoritative([plain])
    for text in ("x.wild", "nothing", "x.old", "alias", "x.unsigned"):
        ask(f"{text}.example.org.", server=server)
        ask(f"{text}.example.org.", server=server, transport=DOT)
    assert Zone(plain.origin, plain).fingerprint == before


# -- anything at all -------------------------------------------------------------------------------

GOOD = [
    messages.encode(messages.query(name(f"{text}.example.org."), rdtype(kind), id=9, payload=payload))
    for text in ("secret", "x.wild", "nothing", "x.old", "x.signed", "x.unsigned", "loop1")
    for kind, payload in (("A", 1232), ("DS", 512), ("ANY", 4096), ("AXFR", 0))
]


def check(wire, transport):
    answers = SERVER.respond_wire(wire, transport)
    if len(wire) < 12 or wire[2] & 0x80:
        assert answers == []
        return
    assert len(answers) >= 1
    for answer in answers:
        assert answer[:2] == wire[:2]
        assert answer[2] & 0x80
        assert len(answer) <= (1232 if transport is UDP else 65535)
        assert dns.message.from_wire(answer, xfr=True).rcode() != dns.rcode.SERVFAIL


@settings(max_examples=300)
@given(st.binary(max_size=80), st.sampled_from(list(Transport)))
def test_any_octets_get_a_response_or_none(wire, transport):
    check(wire, transport)
    check(b"\x00\x01\x01\x00\x00\x01\x00\x00\x00\x00\x00\x01" + wire, transport)


@settings(max_examples=300)
@given(st.sampled_from(GOOD), st.integers(0, 2**32), st.sampled_from(list(Transport)))
def test_damaged_queries_get_a_response_or_none(wire, seed, transport):
    rng = random.Random(seed)
    octets = bytearray(wire)
    for _ in range(rng.randint(1, 4)):
        place = rng.randrange(len(octets))
        choice = rng.randrange(4)
        if choice == 0:
            octets[place] = rng.randrange(256)
        elif choice == 1:
            octets[place] ^= 1 << rng.randrange(8)
        elif choice == 2:
            del octets[place : place + rng.randint(1, 5)]
        else:
            octets[place:place] = rng.randbytes(rng.randint(1, 12))
        octets = octets or bytearray(b"\0")
    check(bytes(octets), transport)
    assert ask("secret.example.org.", server=SERVER).rcode() == dns.rcode.NOERROR
