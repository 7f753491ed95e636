"""Which credentials count: those that a policy accepts, and that a server is known to have."""

from __future__ import annotations

import dns.name
import dns.rcode
import dns.rdatatype
import pytest
from signalling import SECRET, over
from worlds import attacker, network, policy, world

from testbed.core import svcb
from testbed.core.transport import Transport

NS1 = dns.name.from_text("ns1.dnshost.net.")
EVERY = ("webpki-name", "webpki-address", "dane")


def deployment(certificate="valid", dane=False, named=None):
    """A server with a certificate, perhaps TLSA records, and SVCB records that perhaps name what it has."""
    signal = {"svcb-query": {"credentials": named} if named is not None else {}}
    if dane:
        signal["tlsa-query"] = {}
    return world(signal=signal, secure={"target": {"certificate": certificate}})


def ask(of, accepted, base="strict", link=None, name=None, **options):
    placed = {link: [attacker(of, name, link, **options)]} if link else {}
    net = network(of, policy(base, credentials=accepted), ["svcb-query"], placed)
    return net, net.ask(SECRET)


COMBINATIONS = [
    ("valid", False, {"webpki-name"}),
    ("address", False, {"webpki-address"}),
    ("self-signed", True, {"dane"}),
    ("valid", True, {"webpki-name", "dane"}),
    ("expired", True, {"dane"}),
    ("private-authority", False, set()),
]


@pytest.mark.parametrize(("certificate", "dane", "has"), COMBINATIONS)
@pytest.mark.parametrize(
    "accepted",
    [
        ("webpki-name",),
        ("webpki-address",),
        ("dane",),
        ("webpki-name", "dane"),
        ("dane", "webpki-address"),
        EVERY,
    ],
    ids=" ".join,
)
def test_one_that_both_know_is_enough(certificate, dane, has, accepted):
    net, response = ask(deployment(certificate, dane), accepted)
    common = has.intersection(accepted)
    assert bool(response.answer) is bool(common)
    assert over(net) == ({"dot"} if common else set())


def test_none_at_all():
    _, response = ask(deployment(), ())
    assert response.rcode() == dns.rcode.SERVFAIL


class TestNamed:
    def test_in_records(self):
        offers = ((Transport.DOT, 853), (Transport.DOQ, 8853))
        made = svcb.make(NS1, offers, 60, svcb.owner(NS1), ("dane", "webpki-name"))
        assert 'key65280="dane,webpki-name"' in made.to_text()
        assert svcb.read(NS1, made) == offers
        assert svcb.credentials(NS1, made) == ("webpki-name", "dane")

    @pytest.mark.parametrize(
        ("text", "expected"),
        [
            ("alpn=dot", None),
            ('alpn=dot key65280="dane"', ("dane",)),
            ('alpn=dot key65280="x509-notary,dane"', ("dane",)),
            ('alpn=dot key65280="x509-notary"', ()),
            ('alpn=dot key65280="\\255,"', ()),
            ('alpn=dot mandatory=key65280 key65280="dane"', ("dane",)),
            ('alpn=dot mandatory=key65281 key65280="dane" key65281="?"', None),
        ],
    )
    def test_read(self, text, expected):
        rrset = dns.rrset.from_text(svcb.owner(NS1), 60, "IN", "SVCB", f"1 . {text}")
        assert svcb.credentials(NS1, rrset) == expected

    def test_what_is_not_named_is_not_tried(self):
        impostor = {"link": "target", "name": "impersonate", "certificate": "mis-issued"}
        net, _ = ask(deployment("valid", dane=True), EVERY, **impostor)
        assert over(net) == {"dot"}
        net, response = ask(deployment("valid", dane=True, named=["dane"]), EVERY, **impostor)
        assert response.rcode() == dns.rcode.SERVFAIL
        assert not over(net)

    @pytest.mark.parametrize(
        ("base", "answered"),
        [("strict", True), ("opportunistic", True), ("committed", True), ("always", False)],
    )
    def test_what_cannot_be_checked_is_not_insisted_on(self, base, answered):
        of = deployment("self-signed", dane=True, named=["dane"])
        net, response = ask(of, ("webpki-name",), base)
        assert bool(response.answer) is answered
        assert over(net) == ({"dot"} if answered else set())
        assert not [event for event in net.trace if event.authenticated]

    def test_then_clear_text_is_as_good(self):
        of = deployment("self-signed", dane=True, named=["dane"])
        net, response = ask(of, ("webpki-name",), "strict", "target", "block-tls")
        assert response.answer
        assert over(net) == {"udp"}

    def test_one_of_them_is_enough_to_insist(self):
        of = deployment("self-signed", dane=True, named=["webpki-name", "dane"])
        _, response = ask(of, ("webpki-name",))
        assert response.rcode() == dns.rcode.SERVFAIL


def test_tlsa_records_that_are_withheld_rule_the_server_out():
    of = deployment("self-signed", dane=True)
    deny = attacker(of, "deny-tlsa", "ns-zone")
    net = network(of, policy(credentials=("dane",)), ["svcb-query"], {"ns-zone": [deny]})
    assert net.ask(SECRET).rcode() == dns.rcode.SERVFAIL
    assert deny.matches
    assert not over(net)


KINDS = ("own-name", "self-signed", "expired", "mis-issued", "wrong-usage", "unknown-authority", "stolen")


@pytest.mark.parametrize("kind", KINDS)
def test_what_an_attacker_presents_counts_when_it_proves_the_identity(kind):
    net, response = ask(deployment(), ("webpki-name",), link="target", name="impersonate", certificate=kind)
    accepted = kind in ("mis-issued", "stolen")
    assert bool(response.answer) is accepted
    assert any(sent.terminated for sent in net.sent) is accepted


def test_a_thief_who_finds_nothing_makes_something_up():
    of = world(secure=())
    assert of.forged_credential("stolen", "target").leaf.issuer.rfc4514_string() == "CN=ns1.dnshost.net"
