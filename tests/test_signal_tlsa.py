"""TLSA records as signal and credential: asked for, and carried in the parent."""

from __future__ import annotations

import dns.name
import dns.rcode
import dns.rdata
import dns.rdatatype
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from hypothesis import given
from hypothesis import strategies as st
from signalling import SECRET, asked, over, referral, response
from worlds import ALL_SIGNED, attacker, network, policy, world

from testbed import signals
from testbed.core.identity import tlsa
from testbed.core.pki import self_signed
from testbed.core.resolver.cache import Standing
from testbed.core.transport import Transport
from testbed.signals.ds_glue import DSGLUE, VERBATIM, Carried, encode

QUERY, PARENT = "tlsa-query", "tlsa-in-parent"
NET = ("root", "ns-parent")
OFFERED = ["dot", "doq", "doh"]
NS_ZONE = (*NET, "ns-zone")
OWNER = dns.name.from_text("_853._tcp.ns1.dnshost.net.")
DNSHOST = dns.name.from_text("dnshost.net.")


def net_of(signal, base="strict", link=None, name=None, *, signed=ALL_SIGNED, secure=("target",), **options):
    of = world(signal=(signal,), secure=secure, signed=signed)
    placed = {link: [attacker(of, name, link, **options)]} if link else {}
    return network(of, policy(base), [signal], placed)


class TestPublishing:
    def test_the_record_of_the_server_s_key(self):
        of = world(signal=(QUERY,), secure=("target",))
        (record,) = of.zones[DNSHOST].rrset(OWNER, dns.rdatatype.TLSA)
        assert record == tlsa(of.services["target"][1].leaf)
        assert (record.usage, record.selector, record.mtype) == (3, 1, 1)

    def test_one_for_each_port(self):
        of = world(signal=(QUERY,), secure={"target": {"port": 8853}})
        owner = dns.name.from_text("_8853._tcp.ns1.dnshost.net.")
        assert of.zones[DNSHOST].rrset(owner, dns.rdatatype.TLSA) is not None

    @pytest.mark.parametrize(("usage", "number", "place"), [("dane-ta", 2, -1), ("pkix-ee", 1, 0)])
    def test_usages(self, usage, number, place):
        of = world(signal={QUERY: {"usage": usage}}, secure={"target": {"certificate": "private-authority"}})
        (record,) = of.zones[DNSHOST].rrset(OWNER, dns.rdatatype.TLSA)
        assert record == tlsa(of.services["target"][1].chain[place], number)

    def test_in_the_parent_it_is_ds_glue(self):
        of = world(signal=(PARENT,), secure=("target",))
        (record,) = [
            item
            for item in of.zones[dns.name.from_text("net.")].rrset(DNSHOST, dns.rdatatype.DS)
            if item.algorithm == DSGLUE
        ]
        carried = Carried(OWNER, dns.rdatatype.TLSA, 3600, (tlsa(of.services["target"][1].leaf),))
        assert record == encode(carried, DNSHOST)


def test_a_small_key_in_a_record():
    key = Ed25519PrivateKey.from_private_bytes(bytes(range(32))).public_key()
    spki = key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    record = dns.rdata.from_text(
        "IN", "TLSA", "3 1 1 a050837d85070582ccf7394b0988847cc312cb88259b894899f6f239cf1791a5"
    )
    assert tlsa(_Certificate(spki)).cert == record.cert


class _Certificate:
    """As much of a certificate as a record with a key's hash looks at."""

    def __init__(self, spki):
        self._spki = spki

    def public_key(self):
        return self

    def public_bytes(self, *_):
        return self._spki


@pytest.mark.parametrize("signal", [QUERY, PARENT])
class TestBoth:
    @pytest.mark.parametrize("base", ["strict", "opportunistic", "committed"])
    def test_is_followed(self, signal, base):
        net = net_of(signal, base)
        assert net.ask(SECRET).answer
        assert over(net) == {"dot"}

    @pytest.mark.parametrize("certificate", ["self-signed", "expired", "wrong-name"])
    def test_the_key_is_all_that_counts(self, signal, certificate):
        net = net_of(signal, secure={"target": {"certificate": certificate}})
        assert net.ask(SECRET).answer
        assert over(net) == {"dot"}
        proofs = [event.text for event in net.trace if event.kind == "handshake"]
        assert all("authenticated by TLSA 3 1 1" in proof for proof in proofs)

    def test_a_certificate_for_the_name_is_not_enough(self, signal):
        net = net_of(signal, "strict", "target", "impersonate", certificate="mis-issued")
        assert net.ask(SECRET).rcode() == dns.rcode.SERVFAIL
        assert not over(net)

    def test_unsigned_it_does_not_count_whatever_the_policy_accepts(self, signal):
        signed = () if signal == PARENT else NET
        net = net_of(signal, signed=signed)
        assert net.ask(SECRET).answer
        assert over(net) == {"udp"}

    def test_nor_does_a_secure_link_make_up_for_signatures(self, signal):
        net = net_of(signal, signed=(), secure=ALL_SIGNED)
        assert net.ask(SECRET).answer
        assert over(net) == {"udp"}

    def test_its_absence_is_no_error(self, signal):
        of = world(secure=("target",))
        net = network(of, policy(), [signal])
        assert net.ask(SECRET).answer
        assert over(net) == {"udp"}

    def test_swapped_name_servers_have_tlsa_records_too(self, signal):
        net = net_of(signal, "strict", "target-parent", "forge-ns")
        assert net.ask(SECRET).answer
        assert ("dot", SECRET) in asked(net, "evil")


def test_what_is_in_the_parent_needs_no_signature_of_the_zone_itself():
    assert over(_asked(PARENT, NET)) == {"dot"}
    assert over(_asked(QUERY, NET)) == {"udp"}


def _asked(signal, signed):
    net = net_of(signal, signed=signed)
    net.ask(SECRET)
    return net


class TestQuery:
    @pytest.mark.parametrize("how", ["nodata", "nxdomain", "servfail", "drop"])
    @pytest.mark.parametrize("signed", [NET, NS_ZONE])
    def test_denied(self, signed, how):
        net = net_of(QUERY, "strict", "ns-zone", "deny-tlsa", signed=signed, how=how)
        answer = net.ask(SECRET)
        assert net.attackers["ns-zone"][0].matches
        assert (answer.rcode() == dns.rcode.SERVFAIL) == (signed == NS_ZONE)
        assert over(net) == (set() if signed == NS_ZONE else {"udp"})

    def test_absence_is_remembered(self):
        net = network(world(), policy(), [QUERY])
        net.ask(SECRET)
        net.ask("www.example.org.")
        # Minimised, the query ends where nothing exists any more (RFC 8020).
        names = [name for _, name in asked(net, "ns-zone") if "_tcp.ns1" in name]
        assert names == ["_tcp.ns1.dnshost.net."]

    def test_an_authority_of_the_operator_s_own(self):
        secure = {"target": {"certificate": "private-authority"}}
        of = world(signal={QUERY: {"usage": "dane-ta"}}, secure=secure)
        net = network(of, policy(), [QUERY])
        assert net.ask(SECRET).answer
        proofs = [event.text for event in net.trace if event.kind == "handshake"]
        assert all("authenticated by TLSA 2 1 1 name ns1.dnshost.net" in proof for proof in proofs)

    @pytest.mark.parametrize(("certificate", "answered"), [("valid", True), ("self-signed", False)])
    def test_records_that_add_to_webpki_do_not_replace_it(self, certificate, answered):
        of = world(signal={QUERY: {"usage": "pkix-ee"}}, secure={"target": {"certificate": certificate}})
        net = network(of, policy(), [QUERY])
        assert bool(net.ask(SECRET).answer) is answered


class TestTransports:
    """A server that has one transport only, or several."""

    def net(self, signal, *offered, sought=("dot",), base="strict", **options):
        of = world(signal=(signal,), secure={"target": {"transports": list(offered)}}, **options)
        return network(of, policy(base, sought=sought), [signal])

    @staticmethod
    def lookups(net):
        questions = (sent.query.question[0] for sent in net.sent)
        return [item.name.to_text() for item in questions if item.rdtype == dns.rdatatype.TLSA]

    @pytest.mark.parametrize("offered", OFFERED)
    def test_in_the_parent_each_is_found(self, offered):
        net = self.net(PARENT, offered)
        assert net.ask(SECRET).answer
        assert over(net) == {offered}

    def test_in_the_parent_all_are_found(self):
        net = self.net(PARENT, "doq", "doh")
        offer = net.resolver._memory.offers
        assert net.ask(SECRET).answer
        found = offer.get(dns.name.from_text("ns1.dnshost.net."), PARENT, net.now)
        assert found.transports == ((Transport.DOH, 443), (Transport.DOQ, 853))
        assert len(found.tlsa) == 1

    @pytest.mark.parametrize("offered", OFFERED)
    def test_asked_for_each_is_found_by_who_seeks_it(self, offered):
        net = self.net(QUERY, offered, sought=(offered,))
        assert net.ask(SECRET).answer
        assert over(net) == {offered}
        proofs = [event for event in net.trace if event.kind == "handshake"]
        assert proofs
        assert all(event.authenticated for event in proofs)

    @pytest.mark.parametrize("offered", ["doq", "doh"])
    def test_who_seeks_dot_asks_for_nothing_else(self, offered):
        net = self.net(QUERY, offered, base="opportunistic")
        net.ask(SECRET)
        assert over(net) == {"udp"}
        assert set(self.lookups(net)) <= {
            f"_853._tcp.{server.name}" for server in net.world.topology.servers if server.role != "client"
        }

    def test_the_first_that_is_there_ends_the_search(self):
        net = self.net(QUERY, "dot", "doh", sought=("doq", "doh", "dot"))
        assert net.ask(SECRET).answer
        assert over(net) == {"doh"}
        questions = [name for _, name in asked(net, "ns-zone") if name.endswith(".ns1.dnshost.net.")]
        assert questions[-1] == "_443._tcp.ns1.dnshost.net."
        assert "_udp.ns1.dnshost.net." in questions
        assert "_853._tcp.ns1.dnshost.net." not in questions

    def test_an_unsigned_zone_is_asked_once(self):
        net = self.net(QUERY, "doq", sought=("dot", "doq"), base="opportunistic", signed=())
        net.ask(SECRET)
        assert over(net) == {"udp"}
        of_target = [name for name in self.lookups(net) if name.endswith(".ns1.dnshost.net.")]
        assert set(of_target) == {"_853._tcp.ns1.dnshost.net."}


class TestInParent:
    @pytest.mark.parametrize("base", ["strict", "opportunistic"])
    @pytest.mark.parametrize("signed", [(), NET])
    def test_stripped(self, signed, base):
        net = net_of(PARENT, base, "ns-parent", "strip-ds-glue", signed=signed)
        answer = net.ask(SECRET)
        assert net.attackers["ns-parent"][0].matches
        assert (answer.rcode() == dns.rcode.SERVFAIL) == bool(signed)
        assert over(net) == (set() if signed else {"udp"})

    def test_costs_no_query(self):
        net = net_of(PARENT)
        net.ask(SECRET)
        assert not [sent for sent in net.sent if sent.query.question[0].rdtype == dns.rdatatype.TLSA]

    def read(self, *rdatas, owner="_853._tcp.ns1.dnshost.net.", zone="dnshost.net."):
        made = response(authority=(f"{zone}|3600|NS|ns0.dnshost.net.",))
        found = referral(made, parent="net.", zone=zone, standing=Standing.VALIDATED)
        carried = Carried(dns.name.from_text(owner), dns.rdatatype.TLSA, 60, rdatas)
        found.ds = dns.rrset.from_rdata(DNSHOST, 3600, encode(carried, DNSHOST))
        signals.load(PARENT).read_referral(found, 1000.0)
        return found.offers

    def test_what_is_read(self):
        record = tlsa(self_signed(0, ("ns1.dnshost.net",), not_before=0, not_after=1).leaf)
        ((server, offer),) = self.read(record)
        assert server == dns.name.from_text("ns1.dnshost.net.")
        assert offer.transports == ((Transport.DOT, 853),)
        assert offer.tlsa == (record,)
        assert offer.until == 1060.0

    def test_an_empty_rrset_says_that_there_is_no_dot(self):
        ((_, offer),) = self.read()
        assert offer.transports == ()

    @pytest.mark.parametrize(
        "owner", ["_25._tcp.ns1.dnshost.net.", "_853._sctp.ns1.dnshost.net.", "dnshost.net."]
    )
    def test_other_services_are_none_of_it(self, owner):
        assert not self.read(owner=owner)

    @given(st.binary(max_size=80))
    def test_garbage_never_raises(self, digest):
        made = response(authority=("dnshost.net.|3600|NS|ns0.dnshost.net.",))
        found = referral(made, parent="net.", zone="dnshost.net.")
        wire = bytes((0, 1, DSGLUE, VERBATIM)) + digest
        if digest:
            found.ds = dns.rrset.from_rdata(DNSHOST, 60, dns.rdata.from_wire("IN", "DS", wire, 0, len(wire)))
        signals.load(PARENT).read_referral(found, 1000.0)
