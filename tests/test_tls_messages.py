from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from testbed.core import pki
from testbed.core.tls_messages import (
    AlertDescription,
    ClientHello,
    TlsFormatError,
    alert_name,
    alert_record,
    parse_client_hello,
    sketched_client_hello,
    without_extensions,
)
from testbed.core.transport import Failure, TransportError
from testbed.transports.tls import ClientPump, ServerPump

NOW = 1767225600.0


def hello_of(**options):
    return ClientPump(**{"sni": "ns1.dnshost.net", "alpn": ("dot",), **options}).outgoing()


REAL = hello_of()


def vector(size, *parts):
    body = b"".join(parts)
    return len(body).to_bytes(size) + body


def extension(kind, body):
    return kind.to_bytes(2) + vector(2, body)


def message(*extensions, version=0x0303, session=b"", suites=b"\x13\x01", compression=b"\0", block=True):
    body = version.to_bytes(2) + bytes(range(32)) + vector(1, session) + vector(2, suites)
    body += vector(1, compression) + (vector(2, *extensions) if block else b"")
    return b"\x01" + vector(3, body)


def records(handshake, *cuts):
    pieces = [handshake[a:b] for a, b in pairwise([0, *cuts, len(handshake)]) if a < b]
    return b"".join(b"\x16\x03\x01" + vector(2, piece) for piece in pieces)


def server_name(*names):
    return extension(0, vector(2, *(bytes([kind]) + vector(2, name) for kind, name in names)))


class TestClientHello:
    def test_one_of_openssl(self):
        hello = parse_client_hello(REAL)
        assert hello.sni == "ns1.dnshost.net"
        assert hello.alpn == ("dot",)
        assert hello.versions == (0x0304,)
        assert hello.offers_tls13
        assert not hello.ticket
        assert not hello.early_data
        assert hello.size == len(REAL) - 5
        assert {0, 16, 43, 51} <= set(hello.extensions)

    def test_the_random_is_the_key_log_s(self):
        lines = []
        client = ClientPump(sni=None, secrets=lines.append)
        server = ServerPump(
            pki.self_signed(1, ["x.example"], not_before=NOW, not_after=NOW + 1), secrets=lines.append
        )
        first = client.outgoing()
        server.feed(first)
        assert {line.split()[1] for line in lines} == {parse_client_hello(first).random.hex()}
        assert lines

    def test_without_sni_and_alpn(self):
        hello = parse_client_hello(hello_of(sni=None, alpn=()))
        assert hello.sni is None
        assert hello.alpn == ()

    def test_several_protocols_in_order(self):
        assert parse_client_hello(hello_of(alpn=("h2", "dot"))).alpn == ("h2", "dot")

    def test_tls_1_2_as_an_option(self):
        assert parse_client_hello(hello_of(tls12=True)).versions == (0x0304, 0x0303)

    def test_one_without_extensions_speaks_the_version_of_the_message(self):
        hello = parse_client_hello(records(message(block=False)))
        assert hello.versions == (0x0303,)
        assert not hello.offers_tls13
        assert parse_client_hello(records(message())).versions == (0x0303,)

    def test_resumption(self):
        psk = extension(41, b"whatever")
        assert parse_client_hello(records(message(psk))).ticket
        assert parse_client_hello(records(message(extension(35, b"ticket")))).ticket
        assert not parse_client_hello(records(message(extension(35, b"")))).ticket
        assert parse_client_hello(records(message(extension(42, b""), psk))).early_data

    def test_whatever_follows_is_not_looked_at(self):
        assert parse_client_hello(REAL + b"garbage") == parse_client_hello(REAL)

    def test_octets_in_protocol_names(self):
        alpn = extension(16, vector(2, vector(1, b"\xfa\xfa"), vector(1, b"dot")))
        assert parse_client_hello(records(message(alpn))).alpn == ("\xfa\xfa", "dot")

    def test_names_of_other_types_are_skipped(self):
        names = server_name((9, b"\xff"), (0, b"a.example"))
        assert parse_client_hello(records(message(names))).sni == "a.example"


def test_every_prefix_is_incomplete():
    assert {parse_client_hello(REAL[:cut]) for cut in range(len(REAL))} == {None}


@given(st.lists(st.integers(1, len(REAL) - 6), max_size=12))
def test_record_boundaries_do_not_matter(cuts):
    handshake = REAL[5:]
    stream = records(handshake, *sorted(cuts))
    assert parse_client_hello(stream) == parse_client_hello(REAL)
    for end in range(0, len(stream), 37):
        assert parse_client_hello(stream[:end]) in (None, parse_client_hello(REAL))


def test_one_octet_a_record():
    handshake = REAL[5:]
    stream = records(handshake, *range(1, len(handshake)))
    assert parse_client_hello(stream) == parse_client_hello(REAL)
    assert parse_client_hello(stream[:-1]) is None


@pytest.mark.parametrize(
    ("stream", "why"),
    [
        (b"G", "type 71"),
        (b"\x15\x03\x03\x00\x02\x02\x28", "type 21"),
        (b"\x16\x02", "version 2"),
        (b"\x16\x03\x01\x00\x00", "of 0 octets"),
        (b"\x16\x03\x01\x40\x01", "of 16385 octets"),
        (b"\x16\x03\x01\x00\x05\x02", "type 2 "),
        (b"\x16\x03\x01\x00\x05\x01\x01\x00\x01", "longer than 65536"),
        (records(b"\x01" + vector(3, b"\x03\x03")), "too early"),
        (records(message(suites=b"")), "without cipher suites"),
        (records(message(suites=b"\x13")), "without cipher suites"),
        (records(message(compression=b"")), "compression"),
        (records(message(extension(16, b""), extension(16, b""))), "appears twice"),
        (records(message(extension(0, b"\x00\x05ab"))), "too early"),
        (records(message(extension(0, vector(2) + b"x"))), "octets follow"),
        (records(message(server_name((0, b"")))), "no single ASCII"),
        (records(message(server_name((0, b"\xc3\xa4.example")))), "no single ASCII"),
        (records(message(server_name((0, b"a"), (0, b"b")))), "no single ASCII"),
        (records(message(extension(16, vector(2, vector(1, b""))))), "empty ALPN"),
        (records(message(extension(43, vector(1, b"\x03")))), "too early"),
        (records(b"\x01" + vector(3, message(block=False)[4:] + b"\x00\x00\x00")), "octets follow"),
    ],
)
def test_garbage(stream, why):
    with pytest.raises(TlsFormatError, match=why):
        parse_client_hello(stream)


@settings(max_examples=200)
@given(st.data())
def test_mutated_octets_raise_nothing_else(data):
    octets = bytearray(REAL)
    for _ in range(data.draw(st.integers(1, 8))):
        octets[data.draw(st.integers(0, len(octets) - 1))] = data.draw(st.integers(0, 255))
    try:
        assert isinstance(parse_client_hello(bytes(octets)), ClientHello | None)
    except TlsFormatError:
        return


@given(st.binary(max_size=200))
def test_random_octets_raise_nothing_else(data):
    for stream in (data, b"\x16\x03\x01" + data, records(b"\x01" + vector(3, data))):
        try:
            parse_client_hello(stream)
        except TlsFormatError:
            continue


@pytest.mark.parametrize("alert", [a for a in AlertDescription if a is not AlertDescription.CLOSE_NOTIFY])
def test_openssl_reads_our_alerts(alert):
    client = ClientPump(sni=None)
    client.outgoing()
    with pytest.raises(TransportError) as caught:
        client.feed(alert_record(alert))
    assert caught.value.failure is Failure.TLS
    assert caught.value.detail == f"alert {alert.name.lower()} ({int(alert)})"


def test_alert_records():
    assert alert_record(40) == bytes.fromhex("15030300020228")
    assert alert_record(0, fatal=False) == bytes.fromhex("15030300020100")
    with pytest.raises(ValueError, match="256"):
        alert_record(256)


def test_alert_names():
    assert alert_name(40) == "handshake_failure (40)"
    assert alert_name(199) == "alert 199"


@pytest.mark.parametrize(("sni", "alpn"), [("ns1.dnshost.net", ("dot",)), (None, ()), ("a", ("h2", "dot"))])
def test_a_sketched_one_shows_what_observers_look_at(sni, alpn):
    hello = parse_client_hello(sketched_client_hello(sni, alpn))
    assert (hello.sni, hello.alpn, hello.versions) == (sni, alpn, (0x0304,))


class TestWithoutExtensions:
    @pytest.mark.parametrize("kind", [0, 16, 43])
    def test_only_these_are_gone(self, kind):
        before, after = (parse_client_hello(data) for data in (REAL, without_extensions(REAL, [kind])))
        assert after.extensions == tuple(other for other in before.extensions if other != kind)
        assert after.random == before.random
        assert after.size < before.size

    def test_nothing_changes_where_there_is_nothing_to_remove(self):
        assert without_extensions(REAL, [0xFF01]) == REAL

    def test_records_may_cut_it_anywhere_and_what_follows_stays(self):
        whole = message(server_name((0, b"a")), extension(16, b"\0\2\1d"), extension(43, b"\2\3\4"))
        expected = records(message(server_name((0, b"a")), extension(43, b"\2\3\4"))) + b"and more"
        for cut in range(1, len(whole)):
            assert without_extensions(records(whole, cut) + b"and more", [16]) == expected

    def test_there_may_be_no_extensions_at_all(self):
        for bare in (message(block=False), message()):
            assert without_extensions(records(bare), [43]) == records(bare)

    def test_a_part_of_one_is_refused(self):
        with pytest.raises(TlsFormatError):
            without_extensions(REAL[:-1], [43])

    @given(st.binary(max_size=300))
    def test_garbage_is_refused(self, data):
        with pytest.raises(TlsFormatError):
            without_extensions(data, [43])

    @pytest.mark.parametrize(("kind", "tls12"), [(16, False), (43, False), (43, True)])
    def test_handshakes_fail_by_it(self, kind, tls12):
        credential = pki.Authority(1, not_before=NOW, not_after=NOW + 86400).issue(
            ["ns1.dnshost.net"], not_before=NOW, not_after=NOW + 86400
        )
        client = ClientPump(sni="ns1.dnshost.net", alpn=("dot",), tls12=tls12)
        server = ServerPump(credential, alpn=("dot",), tls12=tls12)
        with pytest.raises(TransportError) as failed:  # noqa: PT012 - either side may notice
            try:
                server.feed(without_extensions(client.outgoing(), [kind]))
            except TransportError:
                client.feed(server.outgoing())
                raise
            client.feed(server.outgoing())
        assert failed.value.failure is Failure.TLS
