"""Name pin: labels as the draft has them, and what becomes of servers that do not satisfy theirs."""

from __future__ import annotations

import base64

import dns.name
import dns.rcode
import dns.rdatatype
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from hypothesis import given
from hypothesis import strategies as st
from signalling import SECRET, asked, over
from worlds import attacker, network, policy, world

from testbed.signals.name_pin import LABEL_LENGTH, decode, encode

SIGNAL = "name-pin"
EXAMPLE = "dot-tpwxmgqdaurcqxqsckxvdq5sty3opxlgcbjj43kumdq62kpqr72a"
EXAMPLE_HASH = "9bed761a030522285e1212af51c3b29e36e7dd6610529e6d5460e1ed29f08ff4"
ORDINARY = dns.name.from_text("ns1.dnshost.net.")
PARENTS = ("root", "target-parent", "target")


class TestLabels:
    def test_the_draft_s_example(self):
        assert decode(dns.name.from_text(f"{EXAMPLE}.example.com.")).hex() == EXAMPLE_HASH
        assert (
            base64.b64encode(bytes.fromhex(EXAMPLE_HASH)) == b"m+12GgMFIiheEhKvUcOynjbn3WYQUp5tVGDh7Snwj/Q="
        )

    def test_a_small_key(self):
        key = Ed25519PrivateKey.from_private_bytes(bytes(range(32))).public_key()
        spki = key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
        assert encode(spki) == b"dot-ubiig7mfa4cyfthxhffqtceeptbrfs4iewnyssez63zdttyxsgsq"

    def test_case_does_not_matter(self):
        assert decode(dns.name.from_text(EXAMPLE.upper() + ".example.")).hex() == EXAMPLE_HASH

    @pytest.mark.parametrize(
        "label",
        ["ns1", "dot-", EXAMPLE[:-1], EXAMPLE + "a", "tod" + EXAMPLE[3:], EXAMPLE[:-1] + "1", "\\000" * 56],
    )
    def test_what_is_no_pin(self, label):
        assert decode(dns.name.from_text(f"{label}.example.")) is None

    def test_only_the_first_label_counts(self):
        assert decode(dns.name.from_text(f"ns1.{EXAMPLE}.example.")) is None

    def test_the_root_pins_nothing(self):
        assert decode(dns.name.root) is None
        assert decode(dns.name.empty) is None

    @given(st.binary(min_size=1, max_size=63))
    def test_whatever_a_label_holds_never_raises(self, label):
        digest = decode(dns.name.Name((label, b"")))
        assert digest is None or len(digest) == 32

    @given(st.binary(min_size=1, max_size=300))
    def test_round_trip(self, spki):
        label = encode(spki)
        assert len(label) == LABEL_LENGTH
        assert decode(dns.name.Name((label, b""))) is not None


def pinned(secure=("target",), signed=("root",)):
    return world(signal=(SIGNAL,), secure=secure, signed=signed)


class TestWorld:
    def test_the_server_goes_by_its_pin(self):
        server = pinned().topology.by_role["target"]
        assert decode(server.name) is not None
        assert server.name.parent() == ORDINARY

    def test_servers_without_dot_keep_their_names(self):
        assert pinned().topology.by_role["ns-zone"].name == dns.name.from_text("ns0.dnshost.net.")

    @pytest.mark.parametrize("rdtype", ["A", "AAAA"])
    def test_the_ordinary_name_stays_in_use(self, rdtype):
        of = pinned()
        zone = of.zones[dns.name.from_text("dnshost.net.")]
        kind = dns.rdatatype.from_text(rdtype)
        assert zone.rrset(ORDINARY, kind)[0] == zone.rrset(of.topology.by_role["target"].name, kind)[0]


class TestResolver:
    def ask(self, of, base, link=None, name=None, **options):
        placed = {link: [attacker(of, name, link, **options)]} if link else {}
        net = network(of, policy(base), [SIGNAL], placed)
        return net, net.ask(SECRET)

    @pytest.mark.parametrize("base", ["strict", "opportunistic", "committed"])
    def test_is_followed(self, base):
        net, response = self.ask(pinned(), base)
        assert response.answer
        assert over(net) == {"dot"}

    def test_every_server_on_the_way_is_recognised_by_its_pin(self):
        net, response = self.ask(pinned((*PARENTS, "ns-parent", "ns-zone"), ()), "always")
        assert response.answer
        proofs = [event.text for event in net.trace if event.kind == "handshake"]
        assert (
            sum("authenticated by pin" in proof for proof in proofs) == len(proofs) - 1
        )  # the root's is known
        assert {sent.transport.value for sent in net.sent} == {"dot"}

    @pytest.mark.parametrize("certificate", ["self-signed", "mis-issued", "own-name"])
    def test_strict_drops_a_server_with_another_key(self, certificate):
        net, response = self.ask(pinned(), "strict", "target", "impersonate", certificate=certificate)
        assert response.rcode() == dns.rcode.SERVFAIL
        assert not over(net)

    def test_opportunistic_uses_it_anyway(self):
        net, response = self.ask(pinned(), "opportunistic", "target", "impersonate")
        assert response.answer
        assert over(net) == {"dot"}

    def test_opportunistic_does_without_encryption(self):
        net, response = self.ask(pinned(), "opportunistic", "target", "block-tls")
        assert response.answer
        assert over(net) == {"udp"}

    @pytest.mark.parametrize("base", ["strict", "opportunistic"])
    def test_renamed_over_a_clear_link_it_is_gone(self, base):
        net, response = self.ask(pinned(), base, "target-parent", "rename-ns")
        assert response.answer
        assert over(net) == {"udp"}

    @pytest.mark.parametrize("base", ["strict", "opportunistic"])
    def test_a_pin_of_the_attacker_s_is_as_good(self, base):
        rename = {"label": "own-pin", "glue": "attackers"}
        net, response = self.ask(pinned(), base, "target-parent", "rename-ns", **rename)
        assert response.answer
        assert ("dot", SECRET) in asked(net, "evil")

    @pytest.mark.parametrize("label", ["ordinary", "own-pin", "nobodys-pin"])
    def test_over_a_secure_link_it_stays(self, label):
        net, response = self.ask(
            pinned(PARENTS), "strict", "target-parent", "rename-ns", label=label, glue="attackers"
        )
        assert response.rcode() == dns.rcode.SERVFAIL
        assert not over(net)
        assert not asked(net, "evil")

    @pytest.mark.parametrize("base", ["strict", "opportunistic"])
    def test_a_poisoned_pin_does_not_stick_to_the_address(self, base):
        of = pinned()
        rename = attacker(of, "rename-ns", "target-parent", label="nobodys-pin", zone="hosted-2.org")
        net = network(of, policy(base), [SIGNAL], {"target-parent": [rename]})
        poisoned = net.ask("hosted-2.org.")
        assert rename.matches
        assert (poisoned.rcode() == dns.rcode.SERVFAIL) == (base == "strict")
        assert net.ask(SECRET).answer
        assert over(net) == {"dot"}

    @pytest.mark.parametrize(
        ("accept", "secure", "counts"),
        [
            ("any", ("target",), True),
            ("secure-path", ("target",), False),
            ("secure-path", PARENTS, True),
            ("validated", PARENTS, False),
        ],
    )
    def test_it_is_as_good_as_the_delegation(self, accept, secure, counts):
        net = network(pinned(secure), policy("strict", accept=accept), [SIGNAL])
        assert net.ask(SECRET).answer
        assert over(net) == ({"dot"} if counts else {"udp"})

    def test_a_zone_s_own_ns_records_make_it_validated(self):
        of = pinned(signed=("root", "target-parent", "target"))
        net = network(of, policy("strict", accept="validated", revalidation="serialised"), [SIGNAL])
        assert net.ask(SECRET).answer
        assert over(net) == {"dot"}
