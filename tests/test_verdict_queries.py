"""What counts as a downgrade, on bare lists of queries, and whom sessions are with."""

from types import SimpleNamespace

import pytest
from packets import EPOCH
from phases import NAME, Walk, facts

from testbed.core.transport import Protection
from testbed.evidence import Decision
from testbed.topology import load
from testbed.verdict.dissect import dissect
from testbed.verdict.facts import Facts, packed
from testbed.verdict.messages import Question
from testbed.verdict.queries import Asked, Trust, downgrades, encrypting_share

LEVEL = {"clear": Protection.CLEAR, "encrypted": Protection.ENCRYPTED, "secure": Protection.SECURE}
SENSITIVE = {"name": 2, "zone": 1}


def asked(text: str) -> list[Asked]:
    """Queries from lines such as "0 target name clear": step, role, question, protection."""
    found = []
    for line in filter(None, text.split(";")):
        step, role, what, how = line.split()
        question: Question = ((what.encode(),), 1)
        secret = SENSITIVE.get(what.partition("/")[0], 0)
        found.append(Asked(SimpleNamespace(), int(step), question, role, secret, LEVEL[how]))
    return found


@pytest.mark.parametrize(
    ("baseline", "attack", "downgraded"),
    [
        # the same question, the same server
        ("0 target name secure", "0 target name secure", False),
        ("0 target name secure", "0 target name encrypted", True),
        ("0 target name secure", "0 target name clear", True),
        ("0 target name encrypted", "0 target name clear", True),
        ("0 target name clear", "0 target name clear", False),
        ("0 target name clear", "0 target name secure", False),
        ("0 target name secure", "0 target name secure;0 target name clear", True),
        # probing asks both ways at once at first, and later in encrypted sessions only
        ("0 target name clear;0 target name encrypted", "0 target name clear", False),
        ("0 target name clear;1 target name encrypted", "0 target name clear;1 target name clear", True),
        # without QNAME minimisation the ancestors are asked the same, in clear
        (
            "0 root name clear;0 target-parent name clear;0 target name secure",
            "0 root name clear;0 target-parent name clear;0 target name clear",
            True,
        ),
        (
            "0 root name clear;0 target-parent name clear;0 target name secure",
            "0 root name clear;0 target-parent name clear",
            False,
        ),
        # the query goes astray
        ("0 target name secure", "0 evil name clear", True),
        ("0 target name secure", "0 evil name encrypted", True),
        ("0 target name secure", "0 evil name secure", False),
        ("0 target name clear", "0 evil name clear", False),
        ("0 root name clear;0 target name secure", "0 root name clear;0 evil name clear", True),
        ("0 root name clear;0 target name clear", "0 root name clear;0 evil name clear", False),
        # it goes to one more server, which has no right to it
        ("0 target name secure", "0 target-parent name clear;0 target name secure", True),
        (
            "0 root name clear;0 target name secure",
            "0 root name clear;0 evil name clear;0 target name secure",
            False,
        ),
        # a new question to a server that was asked as much in this step
        ("0 target name secure", "0 target name/2 clear", True),
        ("0 target name clear;0 target zone secure", "0 target name/2 clear", False),
        ("0 target name clear;0 target zone secure", "0 target zone/2 clear", True),
        # or anything at all, whenever
        ("0 target zone secure", "1 target name clear", True),
        ("0 ns-zone other clear", "0 ns-zone _dns clear", False),
        ("0 ns-zone other secure", "0 ns-zone _dns clear", True),
        # or nothing: what is new cannot have been better before
        ("0 target name secure", "0 target name secure;0 ns-zone report clear", False),
        ("", "0 target name clear", False),
        ("0 target name secure", "", False),
    ],
)
def test_downgrades(baseline, attack, downgraded):
    found = downgrades(facts(), asked(baseline), asked(attack))
    assert bool(found) is downgraded
    for downgrade in found:
        assert downgrade.asked.protection < downgrade.before


def test_a_server_without_adox_cannot_be_downgraded():
    baseline, attack = asked("0 target name secure"), asked("0 target name clear")
    assert downgrades(facts(offers=["root"]), baseline, attack) == []


def test_all_downgraded_queries_are_named():
    found = downgrades(
        facts(),
        asked("0 target name secure;0 target zone secure"),
        asked("0 target name clear;0 target zone encrypted;0 target name clear"),
    )
    assert [(d.asked.secret, d.asked.protection.label, d.before.label) for d in found] == [
        (2, "clear", "secure"),
        (1, "encrypted", "secure"),
        (2, "clear", "secure"),
    ]


def test_decisions_belong_to_sessions_in_order():
    walk = Walk(authenticates=True)
    for authenticated in (True, False, True):
        walk.authenticates = authenticated
        walk.exchange("target", NAME)
        walk.flows.clear()
    view = dissect(walk.evidence())
    trust = Trust(view, reports=True)
    assert [trust.of(message).label for message in view.resolver["target"].messages] == [
        "secure",
        "secure",
        "encrypted",
        "encrypted",
        "secure",
        "secure",
    ]


@pytest.mark.parametrize(
    ("said", "expected"),
    [((), "encrypted"), ((True,), "secure"), ((False,), "encrypted"), ((True, False), "encrypted")],
)
def test_when_numbers_differ_the_least_counts(said, expected):
    walk = Walk(authenticates=None)
    for _ in range(3):
        walk.exchange("target", NAME)
        walk.flows.clear()
    for authenticated in said:
        walk.decide("target", authenticated=authenticated)
    view = dissect(walk.evidence())
    trust = Trust(view, reports=True)
    assert {trust.of_session(session).label for session in view.resolver["target"].sessions} == {expected}


@pytest.mark.parametrize(
    ("decision", "secure"),
    [
        (Decision(EPOCH, 0, "handshake", "", "198.51.100.6", "dot", True), True),
        (Decision(EPOCH, 1, "handshake", "", "198.51.100.6", "dot", True), False),
        (Decision(EPOCH, 0, "handshake", "", "2001:db8:51::6", "dot", True), False),
        (Decision(EPOCH, 0, "handshake", "", "198.51.100.6", "doq", True), False),
        (Decision(EPOCH, 0, "fallback", "", "198.51.100.6", "dot", True), False),
        (Decision(EPOCH, 0, "handshake", "", "no address", "dot", True), False),
        (Decision(EPOCH, 0, "handshake", "", None, "dot", True), False),
    ],
)
def test_only_the_decision_about_the_session_counts(decision, secure):
    walk = Walk(authenticates=None)
    walk.exchange("target", NAME)
    evidence = walk.evidence(decisions=[decision])
    view = dissect(evidence)
    trust = Trust(view, reports=True)
    (session,) = view.resolver["target"].sessions
    assert (trust.of_session(session) is Protection.SECURE) is secure


@pytest.mark.parametrize(
    ("offers", "queries", "share"),
    [
        (["root-b"], "0 root-b org clear;0 root-b net clear", 100),
        (["root-b"], "0 root org clear;0 root-b net clear;0 root-c . clear", 33),
        (["root-b"], "0 root org clear", 0),
        (["root-b"], "0 target-parent org clear", None),
        (["target"], "0 root org clear", None),
        ([], "0 root org clear", None),
        (["root", *(f"root-{letter}" for letter in "bcdefghijklm")], "0 root org clear", None),
        (["root-source"], "0 root org clear", None),
    ],
)
def test_the_share_of_servers_that_encrypt_where_some_do(offers, queries, share):
    assert encrypting_share(Facts.of(load("roots"), offers=offers), asked(queries)) == share


@pytest.mark.parametrize("role", ["target", "target-2", "target-3"])
def test_an_address_tells_the_target_where_its_server_has_nothing_else(role):
    place = load("multi-ns")
    address = packed(place.by_role[role].ipv6)
    for zones in (1, 2):
        hosted = Facts.of(place, zones_hosted={role: zones})
        assert hosted.tells_target(address) is (zones == 1)
