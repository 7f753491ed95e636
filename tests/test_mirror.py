"""The local root: what is asked of whom, and when; what is believed, and what is refused. In virtual time."""

from __future__ import annotations

import dataclasses

import dns.dnssectypes
import dns.message
import dns.name
import dns.rcode
import dns.rdatatype
import dns.rrset
import pytest
from worlds import attacker, network, policy, world

from testbed.attack.api import Attacker, Capability, Delay, Drop, Parameters, Replace, Reset
from testbed.core import zonemd
from testbed.core.resolver import mirror
from testbed.core.resolver.cache import Standing
from testbed.core.signer import KeySet
from testbed.core.transport import Transport
from testbed.core.zone import Zone
from testbed.scenario.world import Signing
from testbed.world.epoch import DAY, EPOCH
from testbed.world.publication import publish

SECRET = "secret.example.org."
ROOT = dns.name.root
ORG = dns.name.from_text("org.")
REFRESH, RETRY, EXPIRE = 1800, 900, 7 * DAY
MODES = ("ignore", "verify", "require")


def mirrored(mode="require", base="strict", attackers=None, of=None, **switches):
    built = of or world(signal=["root-mirror"])
    return network(built, policy(base, mirror=mode, **switches), (), attackers)


def asked(net, role, rdtype=None):
    kinds = [sent.query.question[0].rdtype for sent in net.sent if sent.role == role]
    return len(kinds) if rdtype is None else kinds.count(dns.rdatatype.from_text(rdtype))


def notes(net, kind="mirror"):
    return [event.text for event in net.trace if event.kind == kind and "local root" in event.text]


class Switch(Attacker):
    """Counts what it sees, and does something about it when told to."""

    capability = Capability.ON_PATH
    source = "a test"

    def __init__(self):
        super().__init__(None, Parameters())
        self.action = None
        self.seen = []

    def query(self, query):
        self.seen.append(dns.rdatatype.to_text(query.message.question[0].rdtype))
        return self.action

    def transfer(self, transfer):
        self.seen.append("transfer")
        return self.action


# -- answers ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("mode", MODES)
def test_no_packet_goes_to_the_root(mode):
    net = mirrored(mode)
    assert net.ask(SECRET).rcode() == dns.rcode.NOERROR
    assert net.ask("nothing.").rcode() == dns.rcode.NXDOMAIN
    assert net.ask(".", "NS").answer
    assert net.ask("org.", "DS").answer
    assert asked(net, "root") == 0
    assert asked(net, "root-source") == asked(net, "root-source", "AXFR") == 1


def test_switched_off_there_is_no_transfer():
    net = mirrored("off")
    net.ask(SECRET)
    assert asked(net, "root-source") == 0
    assert asked(net, "root") > 0
    assert net.resolver.alarm is None


def test_without_sources_the_root_is_asked():
    net = mirrored()
    configuration = dataclasses.replace(net.configuration, root_sources=())
    net = dataclasses.replace(net, configuration=configuration)
    assert net.ask(SECRET).rcode() == dns.rcode.NOERROR
    assert asked(net, "root") > 0


@pytest.mark.parametrize("name", [SECRET, "nothing.", "nothing.org.", "hosted-2.org."])
@pytest.mark.parametrize("rdtype", ["A", "TXT"])
def test_answers_are_those_of_a_resolver_without(name, rdtype):
    with_copy, without = mirrored(), mirrored("off")
    answers = [net.ask(name, rdtype, dnssec_ok=True) for net in (with_copy, without)]
    assert answers[0].to_text().split("\n")[3:] == answers[1].to_text().split("\n")[3:]


def test_questions_that_come_together_share_a_transfer():
    net = mirrored()
    for number in range(3):
        net.resolver.ask(dns.message.make_query(f"www{number}.example.org.", "A"), number)
    net.run()
    assert len(net.resolver.answers) == 3
    assert asked(net, "root-source") == 1
    assert asked(net, "root") == 0


def test_the_copy_outlives_a_flush():
    net = mirrored()
    net.ask(SECRET)
    net.resolver.flush()
    net.ask(SECRET)
    assert asked(net, "root-source") == 1
    assert asked(net, "root") == 0


# -- timers ----------------------------------------------------------------------------------------


def test_refresh_asks_for_the_serial_only():
    net = mirrored()
    net.ask(SECRET)
    assert net.resolver.alarm == net.now + REFRESH
    net.advance(REFRESH - 1)
    assert asked(net, "root-source", "SOA") == 0
    net.advance(1)
    assert asked(net, "root-source", "SOA") == 1
    net.advance(DAY)
    assert asked(net, "root-source", "SOA") == 1 + DAY // REFRESH
    assert asked(net, "root-source", "AXFR") == 1


def test_a_failed_refresh_is_tried_again_after_the_retry_interval():
    blocking = Switch()
    net = mirrored(attackers={"mirror": [blocking]})
    net.ask(SECRET)
    blocking.action = Reset()
    net.advance(REFRESH)
    blocking.action = None
    assert net.resolver.alarm - net.now == pytest.approx(RETRY, abs=1)
    count = asked(net, "root-source", "SOA")
    net.advance(RETRY)
    assert asked(net, "root-source", "SOA") == count + 1
    assert net.resolver.alarm - net.now == pytest.approx(REFRESH, abs=1)


def test_the_copy_is_used_until_it_expires_and_not_longer():
    blocking = Switch()
    net = mirrored(attackers={"mirror": [blocking]})
    net.ask(SECRET)
    blocking.action = Drop()
    net.advance(EXPIRE - 60)
    net.ask("www.example.org.")
    assert asked(net, "root") == 0
    net.advance(120)
    assert net.ask("other.").rcode() == dns.rcode.NXDOMAIN
    assert asked(net, "root") > 0
    assert any("expired" in note for note in notes(net))


def test_after_expiry_a_copy_is_fetched_as_soon_as_there_is_one():
    blocking = Switch()
    net = mirrored(attackers={"mirror": [blocking]})
    net.ask(SECRET)
    blocking.action = Drop()
    net.advance(EXPIRE + DAY)
    blocking.action = None
    net.advance(RETRY + 60)
    assert asked(net, "root-source", "AXFR") >= 2
    before = asked(net, "root")
    net.ask("www.example.org.")
    assert asked(net, "root") == before


def test_a_refresh_lets_the_time_to_expiry_begin_anew():
    blocking = Switch()
    net = mirrored(attackers={"mirror": [blocking]})
    net.ask(SECRET)
    net.advance(5 * DAY)
    blocking.action = Drop()
    net.advance(5 * DAY)
    net.ask("www.example.org.")
    assert asked(net, "root") == 0


def test_without_a_first_copy_the_root_is_asked_and_the_source_later():
    blocking = Switch()
    blocking.action = Reset()
    net = mirrored(attackers={"mirror": [blocking]})
    assert net.ask(SECRET).rcode() == dns.rcode.NOERROR
    assert asked(net, "root") > 0
    tried = asked(net, "root-source")
    net.ask("www.example.net.")
    assert asked(net, "root-source") == tried
    assert net.resolver.alarm - net.now == pytest.approx(mirror.RETRY, abs=1)
    blocking.action = None
    net.advance(mirror.RETRY)
    before = asked(net, "root")
    net.ask("other.")
    assert asked(net, "root") == before


def test_a_source_sets_no_limits_of_its_own():
    """A copy that nobody verified may say anything of its timers."""
    built = world(signal=["root-mirror"], signed=())
    root = built.zones[ROOT]
    soa = root.soa[0].replace(refresh=0, retry=0, expire=2**31 - 1)
    changed = [rrset for rrset in root if rrset is not root.soa]
    changed.append(dns.rrset.from_rdata(ROOT, root.soa.ttl, soa))
    net = mirrored("ignore", of=serving(built, Zone(ROOT, changed)))
    net.ask(SECRET)
    assert net.resolver.alarm == net.now + mirror.LEAST_INTERVAL
    net = mirrored("ignore", of=serving(built, Zone(ROOT, changed)), attackers={"mirror": [Switch()]})
    net.ask(SECRET)
    net.attackers["mirror"][0].action = Reset()
    net.advance(mirror.LONGEST_AGE + 60)
    net.ask("www.example.org.")
    assert asked(net, "root") > 0


# -- serials ---------------------------------------------------------------------------------------


def serving(of, root):
    """The world, but that the source of copies has another root zone."""
    return dataclasses.replace(of, hosting={**of.hosting, "root-source": (root,)}, _authoritatives={})


def newer(of, by=1):
    """The root zone with another serial, published as ever."""
    root = of.zones[ROOT]
    made = {dns.rdatatype.RRSIG, dns.rdatatype.NSEC, dns.rdatatype.DNSKEY, dns.rdatatype.ZONEMD}
    plain = [rrset for rrset in root if rrset.rdtype not in made and rrset is not root.soa]
    soa = root.soa[0].replace(serial=(root.soa[0].serial + by) % 2**32)
    plain += [dns.rrset.from_rdata(ROOT, root.soa.ttl, soa), zonemd.placeholder(ROOT, [zonemd.Hash.SHA384])]
    life = (EPOCH - DAY, EPOCH + 30 * DAY)
    return publish(Zone(ROOT, plain), Signing(), keys_of_root(), life)


def keys_of_root():
    return KeySet.derive((0).to_bytes(8), ROOT, dns.dnssectypes.Algorithm["ECDSAP256SHA256"])


@pytest.mark.parametrize("mode", MODES)
def test_a_newer_serial_is_fetched(mode):
    built = world(signal=["root-mirror"])
    net = mirrored(mode, of=built)
    net.ask(SECRET)
    net.world = serving(built, newer(built))
    net.advance(REFRESH)
    assert asked(net, "root-source", "AXFR") == 2
    assert f"serial {built.zones[ROOT].soa[0].serial + 1}" in notes(net)[-1]


@pytest.mark.parametrize("mode", MODES)
def test_an_older_serial_is_refused_and_the_copy_stays(mode):
    built = world(signal=["root-mirror"])
    net = mirrored(mode, of=built)
    net.ask(SECRET)
    net.world = serving(built, built.past[ROOT])
    net.advance(REFRESH)
    assert asked(net, "root-source", "AXFR") == 1
    assert "older" in notes(net, "alarm")[-1]
    net.ask("www.example.net.")
    assert asked(net, "root") == 0


def test_the_serial_is_remembered_when_the_copy_has_expired():
    built = world(signal=["root-mirror"])
    blocking = Switch()
    net = mirrored("ignore", of=built, attackers={"mirror": [blocking]})
    net.ask(SECRET)
    blocking.action = Reset()
    net.advance(EXPIRE + 60)
    blocking.action = None
    net.world = serving(built, built.past[ROOT])
    net.advance(RETRY)
    assert "transfer" in blocking.seen[-2:]
    assert "older" in notes(net, "alarm")[-1]
    net.ask("www.example.org.")
    assert asked(net, "root") > 0


@pytest.mark.parametrize(
    ("serial", "than", "older"),
    [(1, 2, True), (2, 1, False), (5, 5, False), (2**32 - 1, 0, True), (0, 2**32 - 1, False)],
)
def test_serials_wrap_around(serial, than, older):
    assert mirror._older(serial, than) is older


# -- what is refused -------------------------------------------------------------------------------

ALTERED = [
    {"forge": forge, "digest": digest}
    for forge in ("name-servers", "glue")
    for digest in ("kept", "removed", "renewed")
]


@pytest.mark.parametrize("how", ALTERED, ids=lambda how: f"{how['forge']}-{how['digest']}")
@pytest.mark.parametrize("mode", MODES)
def test_an_altered_copy(mode, how):
    built = world(signal=["root-mirror"])
    attack = attacker(built, "tamper-transfer", "mirror", **how)
    net = mirrored(mode, of=built, attackers={"mirror": [attack]})
    net.ask(SECRET)
    assert attack.actions["substitute"] > 0
    assert (asked(net, "evil") > 0) is (mode == "ignore")
    assert bool(notes(net, "alarm")) is (mode != "ignore")
    assert (asked(net, "root") > 0) is (mode != "ignore")


@pytest.mark.parametrize("digest", ["kept", "removed", "renewed"])
@pytest.mark.parametrize("mode", MODES)
def test_an_altered_copy_without_validation(mode, digest):
    built = world(signal=["root-mirror"])
    attack = attacker(built, "tamper-transfer", "mirror", digest=digest)
    net = mirrored(mode, of=built, attackers={"mirror": [attack]}, dnssec=False)
    net.ask(SECRET)
    fooled = mode == "ignore" or (mode == "verify" and digest != "kept")
    assert (asked(net, "evil") > 0) is fooled


@pytest.mark.parametrize("mode", MODES)
def test_a_root_without_digest(mode):
    net = mirrored(mode, of=world(signal=["none"]))
    net.ask(SECRET)
    assert (asked(net, "root") > 0) is (mode == "require")


def test_a_refused_copy_does_not_replace_the_one_in_use():
    built = world(signal=["root-mirror"])
    attack = attacker(built, "tamper-transfer", "mirror", serial="raised", digest="renewed")
    net = mirrored("require", of=built, attackers={"mirror": [attack]})
    net._chains["mirror"].active = set()
    net.ask(SECRET)
    net._chains["mirror"].active = {0}
    net.advance(REFRESH)
    assert attack.actions["substitute"] > 0
    assert notes(net, "alarm")
    net.ask("www.example.net.")
    assert asked(net, "root") == asked(net, "evil") == 0


def test_that_a_verified_copy_is_current_must_be_signed():
    """Or anybody could keep it in use for ever; when nothing proves it, the whole is fetched again."""

    class Stripped(Attacker):
        capability = Capability.ON_PATH
        source = "a test"

        def response(self, response):
            message = response.message
            message.answer[:] = [rrset for rrset in message.answer if rrset.rdtype == dns.rdatatype.SOA]
            return Replace(message)

    for mode, transfers in (("require", 2), ("ignore", 1)):
        net = mirrored(mode, attackers={"mirror": [Stripped(None, Parameters())]})
        net.ask(SECRET)
        net.advance(REFRESH)
        assert asked(net, "root-source", "AXFR") == transfers


# -- standing --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("mode", "secure", "signed", "standing"),
    [
        ("require", (), ("root",), Standing.VALIDATED),
        ("verify", (), ("root",), Standing.VALIDATED),
        ("ignore", (), ("root",), Standing.NONE),
        ("verify", (), (), Standing.NONE),
        ("ignore", ("root-source",), ("root",), Standing.PATH),
        ("verify", ("root-source",), (), Standing.PATH),
        ("require", ("root-source",), ("root",), Standing.VALIDATED),
    ],
)
def test_what_the_copy_says_stands_as_the_copy_does(mode, secure, signed, standing):
    net = mirrored(mode, of=world(signal=["root-mirror"], secure=secure, signed=signed))
    net.ask(SECRET)
    assert net.resolver._memory.delegations[ORG].standing is standing


# -- transports ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("base", "secure", "blocked", "over"),
    [
        ("strict", (), False, {Transport.TCP}),
        ("strict", ("root-source",), False, {Transport.DOT}),
        ("strict", ("root-source",), True, set()),
        ("opportunistic", ("root-source",), False, {Transport.DOT}),
        ("opportunistic", ("root-source",), True, {Transport.TCP}),
        ("always", ("root-source",), True, set()),
    ],
)
def test_over_what_the_copy_comes(base, secure, blocked, over):
    built = world(signal=["root-mirror"], secure=secure)
    attack = [attacker(built, "block-tls", "mirror")] if blocked else []
    net = mirrored("require", base, of=built, attackers={"mirror": attack})
    net.ask(SECRET)
    assert {sent.transport for sent in net.sent if sent.role == "root-source"} == over


def test_always_does_not_fetch_a_copy_in_clear():
    net = mirrored("require", "always")
    net.ask(SECRET)
    assert asked(net, "root-source") == 0


def test_over_tls_a_session_is_used_for_the_serial_too():
    net = mirrored("require", of=world(signal=["root-mirror"], secure=("root-source",)))
    net.ask(SECRET)
    net.advance(REFRESH)
    assert asked(net, "root-source", "SOA") == 1
    assert {sent.transport for sent in net.sent if sent.role == "root-source"} == {Transport.DOT}


def test_a_source_that_must_prove_its_name_by_dane_is_looked_up_at_the_root():
    """Which cannot be answered from a copy that is not there yet."""
    built = world(signal=["root-mirror"], secure=("root-source",))
    net = mirrored("require", of=built, credentials=("dane", "webpki-name"))
    assert net.ask(SECRET).rcode() == dns.rcode.NOERROR
    assert asked(net, "root") > 0
    assert asked(net, "root-source", "AXFR") == 1


# -- the hook --------------------------------------------------------------------------------------


@pytest.mark.parametrize("action", [Drop(), Reset()])
def test_attackers_can_keep_a_transfer_from_arriving(action):
    class Keeps(Attacker):
        capability = Capability.ON_PATH
        source = "a test"

        def transfer(self, transfer):
            assert transfer.zone.origin == ROOT
            return action

    net = mirrored(attackers={"mirror": [Keeps(None, Parameters())]})
    assert net.ask(SECRET).rcode() == dns.rcode.NOERROR
    assert asked(net, "root") > 0


def test_a_delayed_transfer_arrives():
    class Delays(Attacker):
        capability = Capability.ON_PATH
        source = "a test"

        def transfer(self, transfer):
            return Delay(1.0)

    net = mirrored(attackers={"mirror": [Delays(None, Parameters())]})
    net.ask(SECRET)
    assert asked(net, "root") == 0


def test_messages_of_transfers_are_not_shown_as_responses():
    seen = []

    class Sees(Attacker):
        capability = Capability.ON_PATH
        source = "a test"

        def response(self, response):
            seen.append(response.message.question[0].rdtype)

    net = mirrored(attackers={"mirror": [Sees(None, Parameters())]})
    net.ask(SECRET)
    net.advance(REFRESH)
    assert seen == [dns.rdatatype.SOA]
