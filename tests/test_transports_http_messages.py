"""RFC 8484's mapping, without any network; and what is read of records for it."""

import base64

import dns.edns
import dns.message
import dns.rrset
import pytest
from hypothesis import given
from hypothesis import strategies as st
from loopback import query, response

from testbed.core.dohpath import Template
from testbed.core.transport import Failure, TransportError
from testbed.transports import http_messages, records
from testbed.transports.http_messages import HttpError

MEDIA_TYPE = ("content-type", "application/dns-message")

# -- records -----------------------------------------------------------------------------------------


def message(*answers, authority=(), options=None):
    made = dns.message.make_response(dns.message.make_query("www.example.org", "A", id=0))
    made.answer = [dns.rrset.from_text(*answer) for answer in answers]
    made.authority = [dns.rrset.from_text(*one) for one in authority]
    if options is not None:
        made.use_edns(0, options=[dns.edns.GenericOption(*option) for option in options])
    return made.to_wire()


SOA = ("example.org.", 3600, "IN", "SOA", "ns1.dnshost.net. mail.example.org. 1 2 3 4 900")


@pytest.mark.parametrize(
    ("wire", "seconds"),
    [
        (message(("www.example.org.", 300, "IN", "A", "192.0.2.1")), 300),
        (
            message(
                ("www.example.org.", 600, "IN", "CNAME", "x.example.org."),
                ("x.example.org.", 60, "IN", "A", "192.0.2.1", "192.0.2.2"),
                authority=[("example.org.", 5, "IN", "NS", "ns1.dnshost.net.")],
            ),
            60,
        ),
        (message(authority=[SOA]), 900),
        (message(authority=[(SOA[0], 30, *SOA[2:])]), 30),
        (message(authority=[("example.org.", 5, "IN", "NS", "ns1.dnshost.net.")]), 0),
        (message(options=[(12, bytes(100))]), 0),
        (message(("www.example.org.", 300, "IN", "A", "192.0.2.1"))[:-1], 0),
        (b"short", 0),
    ],
)
def test_lifetimes(wire, seconds):
    assert records.lifetime(wire) == seconds


def test_a_negative_lifetime_is_none():
    wire = bytearray(message(("www.example.org.", 300, "IN", "A", "192.0.2.1")))
    (record,) = records.records(wire)
    wire[record.rdata - 6] = 0x80
    assert records.lifetime(bytes(wire)) == 0


@given(
    st.lists(st.tuples(st.sampled_from([11, 12, 65001, 65002]), st.binary(max_size=300)), max_size=6),
    st.integers(0, 3),
)
def test_keepalive_is_taken_out_and_nothing_else(options, answers):
    answer = ("www.example.org.", 300, "IN", "TXT", *([r"\000\011\000\011"] * answers))
    wire = message(*([answer] if answers else []), options=options)
    found = dns.message.from_wire(wire)
    assert records.has_keepalive(wire) is any(kind == 11 for kind, _ in options)
    stripped = dns.message.from_wire(records.without_keepalive(wire))
    kept = [option.to_wire() for option in found.options if option.otype != 11]
    assert [option.to_wire() for option in stripped.options] == kept
    assert stripped.answer == found.answer
    if len(kept) == len(options):
        assert records.without_keepalive(wire) is wire


@given(st.binary(max_size=200))
def test_broken_messages_are_left_alone(data):
    for wire in (data, query(1)[:10] + b"\0\2" + data, b"\0\x0b" + data):
        records.without_keepalive(wire)
        records.lifetime(wire)


# -- templates ---------------------------------------------------------------------------------------

EXAMPLE = base64.urlsafe_b64decode("AAABAAABAAAAAAAAA3d3dwdleGFtcGxlA2NvbQAAAQAB")
"""The query of RFC 8484 section 4.1.1."""


def test_the_example_of_the_rfc():
    headers, content = http_messages.request(Template(), "GET", "dnsserver.example.net", EXAMPLE)
    assert dict(headers) == {
        ":method": "GET",
        ":scheme": "https",
        ":authority": "dnsserver.example.net",
        ":path": "/dns-query?dns=AAABAAABAAAAAAAAA3d3dwdleGFtcGxlA2NvbQAAAQAB",
        "accept": "application/dns-message",
    }
    assert content == b""
    headers, content = http_messages.request(Template(), "POST", "dnsserver.example.net", EXAMPLE)
    assert dict(headers) == {
        ":method": "POST",
        ":scheme": "https",
        ":authority": "dnsserver.example.net",
        ":path": "/dns-query",
        "accept": "application/dns-message",
        "content-type": "application/dns-message",
        "content-length": "33",
    }
    assert content == EXAMPLE


@pytest.mark.parametrize(
    ("text", "post", "get"),
    [
        ("/dns-query{?dns}", "/dns-query", "/dns-query?dns=Zm9v"),
        ("/{?dns}", "/", "/?dns=Zm9v"),
        ("/q?ct=1{&dns}", "/q?ct=1", "/q?ct=1&dns=Zm9v"),
        ("/q/{dns}/end", "/q//end", "/q/Zm9v/end"),
    ],
)
def test_templates(text, post, get):
    template = Template(text)
    assert (template.expand(None), template.expand(b"foo")) == (post, get)
    assert (template.message(post), template.message(get)) == ("", "Zm9v")
    for other in ("", "/other", "/other?dns=Zm9v", post + "x"):
        assert template.message(other) is None or text.startswith("/q/{")


def test_queries_with_further_fields():
    template = Template()
    assert template.message("/dns-query?ct=a&dns=Zm9v") == "Zm9v"
    assert template.message("/dns-query?dnssec=1") == ""
    assert Template("/q?ct=1{&dns}").message("/q?dns=Zm9v") is None


@pytest.mark.parametrize(
    "text",
    ["", "dns-query{?dns}", "/dns-query", "/{?dns}{?dns}", "/{?dns,x}", "/{+dns}", "/{?dns", "/{?DNS}"],
)
def test_what_is_no_template_of_this_kind(text):
    with pytest.raises(ValueError, match="template"):
        Template(text)


def test_authorities():
    assert http_messages.authority("ns1.dnshost.net", ("192.0.2.1", 443)) == "ns1.dnshost.net"
    assert http_messages.authority("ns1.dnshost.net", ("192.0.2.1", 8443)) == "ns1.dnshost.net:8443"
    assert http_messages.authority(None, ("192.0.2.1", 443)) == "192.0.2.1"
    assert http_messages.authority(None, ("2001:db8::1", 8443)) == "[2001:db8::1]:8443"


# -- requests and responses --------------------------------------------------------------------------


@given(st.binary(min_size=12, max_size=600), st.sampled_from(["GET", "POST"]))
def test_a_request_is_understood(wire, method):
    headers, content = http_messages.request(Template(), method, "x", wire)
    assert http_messages.query_of(Template(), headers, content) == wire


@pytest.mark.parametrize(
    ("fields", "content", "status"),
    [
        ({":path": "/"}, b"", 404),
        ({":path": "/dns-query/"}, bytes(12), 404),
        ({}, bytes(12), 404),
        ({":method": "PUT"}, bytes(12), 405),
        ({":method": "HEAD"}, b"", 405),
        ({":method": "POST"}, bytes(12), 415),
        ({":method": "POST", "content-type": "text/plain"}, bytes(12), 415),
        ({":method": "POST", "content-type": "application/dns-message"}, bytes(11), 400),
        ({":method": "POST", "content-type": "application/dns-message"}, bytes(65536), 413),
        ({":method": "GET"}, b"", 400),
        ({":method": "GET", ":path": "/dns-query?dns="}, b"", 400),
        ({":method": "GET", ":path": "/dns-query?dns=AAAA"}, b"", 400),
        ({":method": "GET", ":path": "/dns-query?dns=" + "A" * 17}, b"", 400),
        ({":method": "GET", ":path": "/dns-query?dns=" + "A" * 16 + "=="}, b"", 400),
        ({":method": "GET", ":path": "/dns-query?dns=" + "+/" * 16}, b"", 400),
    ],
)
def test_requests_that_are_answered_with_an_error(fields, content, status):
    headers = list((({":path": "/dns-query"} if fields else {}) | fields).items())
    with pytest.raises(HttpError) as caught:
        http_messages.query_of(Template(), headers, content)
    assert caught.value.status == status
    answer = http_messages.error_response(caught.value)
    assert answer[:2] == [(":status", str(status)), ("content-length", "0")]
    assert dict(answer).get("allow") == ("GET, POST" if status == 405 else None)


def test_media_types_have_parameters_and_no_case():
    headers = [(":path", "/dns-query"), (":method", "POST"), ("content-type", "Application/DNS-Message; x=y")]
    assert http_messages.query_of(Template(), headers, bytes(12)) == bytes(12)


def test_a_response():
    wire = message(("www.example.org.", 300, "IN", "A", "192.0.2.1"))
    headers, content = http_messages.response([wire])
    assert dict(headers) == {
        ":status": "200",
        "content-type": "application/dns-message",
        "content-length": str(len(wire)),
        "cache-control": "max-age=300",
    }
    assert content == wire
    assert http_messages.message_of(headers, content) == content
    headers, content = http_messages.response([wire, wire])
    assert (headers, content) == ([(":status", "501"), ("content-length", "0")], b"")


@pytest.mark.parametrize(
    ("headers", "content", "detail"),
    [
        ([(":status", "404")], b"", "HTTP status 404"),
        ([(":status", "301"), MEDIA_TYPE], response(query(0)), "HTTP status 301"),
        ([(":status", "500"), MEDIA_TYPE], response(query(0)), "HTTP status 500"),
        ([(":status", "200")], response(query(0)), "media type not given"),
        ([(":status", "200"), ("content-type", "text/html")], b"<html>", "media type text/html"),
        ([(":status", "200"), MEDIA_TYPE], b"", "12 octets"),
        ([], b"", "HTTP status "),
    ],
)
def test_responses_without_a_message(headers, content, detail):
    with pytest.raises(TransportError, match=detail) as caught:
        http_messages.message_of(headers, content)
    assert caught.value.failure is Failure.PROTOCOL
