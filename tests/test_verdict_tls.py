import hashlib
import hmac

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from OpenSSL import SSL
from packets import Tape, TlsFlow, make_query, make_response

from testbed.evidence import TlsSecret
from testbed.verdict import tls
from testbed.verdict.dissect import dissect
from testbed.verdict.tls_keys import TLS13, KeyLog

QUERY = make_query("secret.example.org.")
ANSWER = make_response(QUERY, answer=["secret.example.org. 300 IN A 192.0.2.80"])
TLS13_SUITES = (
    "TLS_AES_128_GCM_SHA256",
    "TLS_AES_256_GCM_SHA384",
    "TLS_CHACHA20_POLY1305_SHA256",
    "TLS_AES_128_CCM_SHA256",
)
TLS12_SUITES = (
    "ECDHE-ECDSA-AES128-GCM-SHA256",
    "ECDHE-ECDSA-AES256-GCM-SHA384",
    "ECDHE-ECDSA-CHACHA20-POLY1305",
)


def view(tape: Tape):
    return dissect(tape.evidence()).resolver["target"]


def exchange(flow: TlsFlow, size: int = 1400):
    return flow.message("far", QUERY, size), flow.message("resolver", ANSWER, size)


@pytest.mark.parametrize(
    ("version", "suite", "text"),
    [(SSL.TLS1_3_VERSION, suite, "TLS 1.3") for suite in TLS13_SUITES]
    + [(SSL.TLS1_2_VERSION, suite, "TLS 1.2") for suite in TLS12_SUITES],
)
@pytest.mark.parametrize("size", [1400, 50])
def test_sessions_are_read(version, suite, text, size):
    tape = Tape()
    flow = TlsFlow(tape, "target", version=version, ciphers=suite.encode()).shake()
    assert suite == flow.ends["far"].get_cipher_name()
    frames = exchange(flow, size) + exchange(flow, size)
    side = view(tape)
    assert [str(message.dns) for message in side.messages] == [
        "secret.example.org. A",
        "secret.example.org. A 192.0.2.80",
    ] * 2
    assert [message.frame for message in side.messages] == [
        frame if frame.side == "resolver" else tape.frames["target"][frame.number] for frame in frames
    ]
    assert [message.transport for message in side.messages] == ["dot"] * 4
    (session,) = side.sessions
    assert session.version_text == text
    assert session.hello.sni == "ns1.dnshost.net"
    assert session.finished is not None
    assert session.holders == {"resolver", "target"}
    assert side.unread == []
    assert [sign.text for sign in side.signs] == [
        "TLS ClientHello, SNI ns1.dnshost.net",
        f"{text} session",
    ]


def test_without_secrets_it_is_known_that_something_is_unread():
    tape = Tape()
    flow = TlsFlow(tape, "target", holders=()).shake()
    query, _ = exchange(flow)
    side = view(tape)
    assert side.messages == []
    ((frame, what),) = side.unread
    assert what == "a TLS session"
    assert frame.number < query.number  # already its Finished could not be told from a query


def test_wrong_and_broken_secrets():
    tape = Tape()
    exchange(TlsFlow(tape, "target").shake())
    lines = [secret.line for secret in tape.secrets]
    broken = [line[:-2] + ("00" if line[-2:] != "00" else "11") for line in lines]
    odd = ["", "# comment", "A B C", "CLIENT_RANDOM 00", lines[0] + "x"]
    tape.secrets = [TlsSecret(line, "resolver") for line in broken + odd]
    side = view(tape)
    assert side.messages == []
    assert side.unread


def test_half_the_secrets_are_enough_for_the_queries():
    tape = Tape()
    exchange(TlsFlow(tape, "target").shake())
    tape.secrets = [secret for secret in tape.secrets if secret.line.startswith("CLIENT_TRAFFIC_SECRET_0")]
    side = view(tape)
    assert [str(message.dns) for message in side.messages] == ["secret.example.org. A"]


def test_hello_retry_request():
    tape = Tape()
    exchange(TlsFlow(tape, "target", curve=ec.SECP384R1()).shake())
    side = view(tape)
    assert any(tls._RETRY in frame.data for frame in tape.frames["target"])
    assert len(side.messages) == 2
    assert len(side.sessions) == 1
    assert side.sessions[0].answer_random != tls._RETRY


def test_refused_certificate_shows_as_an_alert():
    tape = Tape()
    flow = TlsFlow(tape, "target")
    flow.ends["far"].set_verify(SSL.VERIFY_PEER, lambda *_: False)
    flow.hello()
    flow.step("resolver")
    flow.flush("resolver")
    with pytest.raises(SSL.Error):
        flow.ends["far"].do_handshake()
    flow.flush("far")
    side = view(tape)
    assert side.unread == []
    assert [sign.text for sign in side.signs][1:] in (
        ["TLS 1.3 ServerHello", "TLS alert unknown_ca (48)"],
        ["TLS 1.3 ServerHello", "TLS alert bad_certificate (42)"],
        ["TLS 1.3 ServerHello", "TLS alert certificate_unknown (46)"],
    )
    assert side.signs[-1].towards == "far"


def test_alert_in_clear_and_reset():
    tape = Tape()
    flow = TlsFlow(tape, "target")
    flow.hello()
    flow.data("resolver", bytes((21, 3, 3, 0, 2, 2, 40)))
    flow.segment("resolver", 0x04)
    assert [sign.text for sign in view(tape).signs] == [
        "TLS ClientHello, SNI ns1.dnshost.net",
        "TLS alert handshake_failure (40)",
        "TCP RST",
    ]


def test_what_is_no_dns_is_not_passed_over():
    tape = Tape()
    flow = TlsFlow(tape, "target", at=443, alpn=b"http/1.1").shake()
    flow.ends["far"].sendall(b"GET /dns-query?dns=AAAA HTTP/1.1\r\n\r\n")
    frame = flow.flush("far")
    side = view(tape)
    assert [sign.transport for sign in side.signs] == ["doh", "doh"]
    ((unread, what),) = side.unread
    assert (unread.number, what) == (frame.number, "what is no DNS in a TLS session")


def expand(secret: bytes, label: bytes, length: int) -> bytes:
    """HKDF-Expand-Label (RFC 8446 section 7.1), written once more."""
    info = length.to_bytes(2) + bytes((len(label) + 6,)) + b"tls13 " + label + b"\0"
    block, output = b"", b""
    for counter in range(1, 3):
        block = hmac.new(secret, block + info + bytes((counter,)), hashlib.sha256).digest()
        output += block
    return output[:length]


def test_key_updates_and_early_data():
    random = bytes(range(32))
    secrets = {
        label: hashlib.sha256(label.encode()).digest()
        for label in (
            "CLIENT_EARLY_TRAFFIC_SECRET",
            "CLIENT_HANDSHAKE_TRAFFIC_SECRET",
            "CLIENT_TRAFFIC_SECRET_0",
        )
    }
    log = KeyLog(TlsSecret(f"{label} {random.hex()} {s.hex()}", "resolver") for label, s in secrets.items())
    opener, _ = log.openers(random, b"", TLS13, 0x1301)
    last = secrets["CLIENT_TRAFFIC_SECRET_0"]
    updated = expand(last, b"traffic upd", 32)
    epochs = [*secrets.values(), updated, expand(updated, b"traffic upd", 32)]
    for number, secret in enumerate(epochs):
        key, iv = expand(secret, b"key", 16), expand(secret, b"iv", 12)
        for sequence in range(2):
            text = f"{number} {sequence}".encode()
            nonce = (int.from_bytes(iv) ^ sequence).to_bytes(12)
            size = len(text) + 1 + 3 + 16
            header = b"\x17\x03\x03" + size.to_bytes(2)
            body = AESGCM(key).encrypt(nonce, text + b"\x17\0\0\0", header)
            assert opener.open(header, body) == (23, text)
    assert opener.open(b"\x17\x03\x03\0\x20", bytes(32)) is None


def test_the_secret_of_early_data_may_be_held_by_others():
    random = bytes(32)
    log = KeyLog(
        TlsSecret(f"{label} {random.hex()} {bytes(32).hex()}", holder)
        for label, holder in (
            ("CLIENT_EARLY_TRAFFIC_SECRET", "resolver"),
            ("CLIENT_TRAFFIC_SECRET_0", "resolver"),
            ("CLIENT_TRAFFIC_SECRET_0", "attacker"),
        )
    )
    assert log.holders(random) == {"resolver", "attacker"}
    assert log.early_holders(random) == {"resolver"}
