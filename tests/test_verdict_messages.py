import dns.flags
import dns.message
import dns.name
import dns.rdatatype
import dns.rrset
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from packets import make_query, make_response

from testbed.verdict.messages import Dns, DnsFormatError, looks_like_dns, name_text, read_name, scan
from testbed.verdict.secret import NAME, NONE, ZONE, SecretNames

SECRET = SecretNames(dns.name.from_text("example.org."), dns.name.from_text("secret.example.org."))

labels = st.binary(min_size=1, max_size=12)
names = st.lists(labels, max_size=5).map(lambda parts: dns.name.Name([*parts, b""]))


def read(message: dns.message.Message) -> Dns:
    return scan(message.to_wire())


def lower(name: dns.name.Name) -> tuple[bytes, ...]:
    return tuple(label.lower() for label in name.labels[:-1])


@given(names)
def test_names_are_read_and_written_as_dnspython_does(name):
    assert read_name(name.to_wire(), 0) == (lower(name), len(name.to_wire()))
    if name.labels != (b"",):
        assert dns.name.from_text(name_text(lower(name))) == name


@settings(max_examples=60)
@given(names, st.lists(st.tuples(st.sampled_from((1, 2, 3)), names, names), max_size=8), st.booleans())
def test_messages_are_read_as_dnspython_reads_them(qname, records, dnssec):
    message = dns.message.make_response(
        dns.message.make_query(qname, "NS", use_edns=0, want_dnssec=dnssec, payload=1232)
    )
    expected = []
    for section, owner, target in records:
        rrset = message.find_rrset(
            message.sections[section], owner, dns.rdataclass.IN, dns.rdatatype.NS, create=True
        )
        rrset.add(dns.rdata.from_text("IN", "NS", target.to_text()), 300)
    wire = message.to_wire()
    found = scan(wire)
    assert found.whole
    assert found.is_response
    assert found.questions == ((lower(qname), 2),)
    parsed = dns.message.from_wire(wire)
    for number in (1, 2, 3):
        for rrset in parsed.sections[number]:
            expected += [(number, lower(rrset.name), (lower(rdata.target),)) for rdata in rrset]
    got = [
        (record.section, found.owner(record), tuple(found.names_in(record)))
        for record in found.records
        if record.rdtype == 2
    ]
    assert sorted(got) == sorted(expected)


@pytest.mark.parametrize(
    "record",
    [
        "www.other.net. 300 IN CNAME secret.example.org.",
        "other.net. 300 IN DNAME secret.example.org.",
        "other.net. 300 IN NS secret.example.org.",
        "other.net. 300 IN MX 10 secret.example.org.",
        "_dns.other.net. 300 IN SRV 0 0 853 secret.example.org.",
        "_dns.other.net. 300 IN SVCB 1 secret.example.org. alpn=dot",
        "other.net. 300 IN HTTPS 0 secret.example.org.",
        "1.2.0.192.in-addr.arpa. 300 IN PTR secret.example.org.",
        "other.net. 300 IN SOA ns.other.net. secret.example.org. 1 2 3 4 5",
        "other.net. 300 IN SOA secret.example.org. root.other.net. 1 2 3 4 5",
        "secret.example.org. 300 IN A 192.0.2.80",
        "other.net. 300 IN RRSIG A 13 3 300 20260201000000 20260101000000 1 secret.example.org. AAAA",
    ],
)
@pytest.mark.parametrize("section", ["answer", "authority"])
def test_records_that_give_the_name_away(record, section):
    message = read(make_response(make_query("other.net."), **{section: [record]}))
    assert SECRET.in_message(message) == NAME
    assert SECRET.accounts_for(message)


@pytest.mark.parametrize(
    "fields",
    [
        {"additional": ["secret.example.org. 300 IN A 192.0.2.80"]},
        {"authority": ["a.example.org. 300 IN NSEC secret.example.org. A NSEC"]},
        {"authority": ["secret.example.org. 300 IN NSEC z.example.org. A NSEC"]},
        {
            "authority": [
                "secret.example.org. 300 IN RRSIG NSEC 13 3 300 20260201000000 20260101000000 1 org. AAAA"
            ]
        },
    ],
)
def test_glue_and_neighbours_give_nothing_away(fields):
    message = read(make_response(make_query("other.net."), **fields))
    assert SECRET.in_message(message) == NONE
    assert SECRET.accounts_for(message)


@pytest.mark.parametrize(
    ("qname", "level"),
    [
        ("secret.example.org.", NAME),
        ("SeCrEt.eXaMpLe.OrG.", NAME),
        ("_.secret.example.org.", NAME),
        ("_er.1.secret.example.org.22._er.agent.net.", NAME),
        ("_.example.org.", ZONE),
        ("EXAMPLE.org.", ZONE),
        ("other.example.org.", ZONE),
        ("_er.6.example.org.9._er.agent.net.", ZONE),
        ("secret.example.net.", NONE),
        ("secret.org.", NONE),
        ("example.x.org.", NONE),
        ("notexample.org.", NONE),
        (r"secret\.example.org.", NONE),
        ("org.", NONE),
        (".", NONE),
    ],
)
def test_what_a_question_gives_away(qname, level):
    query = make_query(qname)
    assert SECRET.in_message(read(query)) == level
    assert SECRET.in_message(read(make_response(query, rcode="SERVFAIL"))) == level


def test_the_apex_may_be_the_sensitive_name():
    apex = dns.name.from_text("example.org.")
    assert SecretNames(apex, apex).in_labels((b"example", b"org")) == NAME


@pytest.mark.parametrize(
    ("host", "level"),
    [("ns1.example.org", ZONE), ("NS1.Example.ORG", ZONE), ("ns1.dnshost.net", NONE), (None, NONE)],
)
def test_what_a_host_name_gives_away(host, level):
    assert SECRET.in_host(host) == level


def test_the_name_is_found_in_any_octets():
    assert SECRET.find(b"xx\x06SECRET\x07example\x03org\0") == [(2, 21)]
    assert SECRET.find(b"no Secret.Example.Org here") == [(3, 21)]
    assert SECRET.find(b"\x06secret\x07example\x03net\0") == []


QUERY = make_query("secret.example.org.")
DELEGATION = ["example.org. 3600 IN NS ns2.dnshost.net.", "example.org. 3600 IN NS ns1.dnshost.net."]


@pytest.mark.parametrize(
    ("message", "text"),
    [
        (QUERY, "secret.example.org. A"),
        (make_query("_dns.ns1.dnshost.net.", "SVCB"), "_dns.ns1.dnshost.net. SVCB"),
        (make_query(r"a\.b.", "TYPE65432"), r"a\.b. TYPE65432"),
        (make_response(QUERY, rcode="NXDOMAIN"), "NXDOMAIN secret.example.org. A"),
        (make_response(QUERY, rcode="SERVFAIL", ede=22), "SERVFAIL secret.example.org. A (EDE 22)"),
        (make_response(QUERY), "no data, secret.example.org. A"),
        (
            make_response(QUERY, answer=["secret.example.org. 1 IN A 192.0.2.80"]),
            "secret.example.org. A 192.0.2.80",
        ),
        (
            make_response(QUERY, authority=[*DELEGATION, "example.org. 1 IN DS 1 13 2 " + "00" * 32]),
            "referral example.org. NS ns1.dnshost.net. ns2.dnshost.net., DS 13 2",
        ),
        (
            make_response(
                QUERY,
                authority=[r"example.org. 1 IN TYPE61440 \# 18 0003 0006 026e7301 7800 ff00 0004 03646f74"],
            ),
            "referral example.org. DELEG server-name=ns.x. alpn=dot",
        ),
        (
            make_response(
                QUERY,
                answer=["secret.example.org. 1 IN CNAME b.net.", "b.net. 1 IN AAAA 2001:db8::1"],
            ),
            "secret.example.org. CNAME b.net., b.net. AAAA 2001:db8::1",
        ),
    ],
)
def test_text(message, text):
    assert str(read(message)) == text


def test_truncated():
    response = make_response(QUERY)
    response.flags |= dns.flags.TC
    assert str(read(response)) == "truncated, secret.example.org. A"


def test_a_broken_message_still_shows_its_question():
    wire = make_response(QUERY, answer=["secret.example.org. 1 IN A 192.0.2.80"]).to_wire()
    message = scan(wire[:45])
    assert not message.whole
    assert message.questions == (((b"secret", b"example", b"org"), 1),)
    assert str(message)


@pytest.mark.parametrize(
    "wire",
    [
        b"",
        bytes(11),
        bytes(5) + b"\1" + bytes(6) + b"\3ab",
        bytes(5) + b"\1" + bytes(6) + b"\xc0\x0c\0\1\0\1",
        bytes(5) + b"\1" + bytes(6) + b"\xc0\x20\0\1\0\1",
        bytes(5) + b"\1" + bytes(6) + b"\x40\0\0\1\0\1",
        bytes(5) + b"\1" + bytes(6) + b"\x3f" + b"a" * 63 * 5,
        bytes(5) + b"\1" + bytes(6) + (b"\x3f" + b"a" * 63) * 4 + b"\0\0\1\0\1",
    ],
)
def test_what_is_no_message(wire):
    with pytest.raises(DnsFormatError):
        scan(wire)


def test_what_is_taken_for_dns_on_other_ports():
    assert looks_like_dns(read(QUERY))
    assert not looks_like_dns(scan(QUERY.to_wire() + b"\0"))
    assert not looks_like_dns(scan(bytes(12)))


@given(st.binary(max_size=80), st.integers(0, 60))
def test_random_messages_raise_nothing_else(octets, position):
    mutated = bytearray(make_response(QUERY, authority=DELEGATION).to_wire())
    mutated[position : position + len(octets)] = octets
    for wire in (octets, bytes(12) + octets, b"\0\0\x80\0\0\1\0\2\0\1\0\1" + octets, bytes(mutated)):
        try:
            message = scan(wire)
        except DnsFormatError:
            continue
        str(message)
        SECRET.in_message(message)
        SECRET.accounts_for(message)
