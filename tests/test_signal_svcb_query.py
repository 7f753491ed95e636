"""SVCB records that are asked for while the first query goes out in clear."""

from __future__ import annotations

import pytest
from signalling import CLEAR, ENCRYPTED, SECRET, asked, over
from worlds import attacker, network, policy, world

SIGNAL = "svcb-query"


def net(discovery="asynchronous", base="strict", attackers=None):
    of = world(signal=(SIGNAL,), secure=("target",))
    placed = {
        link: [attacker(of, name, link, **options)] for link, (name, options) in (attackers or {}).items()
    }
    return network(of, policy(base, discovery=discovery), [SIGNAL], placed)


@pytest.mark.parametrize(("discovery", "first"), [("asynchronous", CLEAR), ("synchronous", ENCRYPTED)])
def test_the_first_query_does_not_wait(discovery, first):
    run = net(discovery)
    run.ask(SECRET)
    assert over(run) == first


def test_the_answer_does_not_wait_either():
    run = net()
    run.ask(SECRET)
    order = [(sent.role, sent.query.question[0].name.to_text()) for sent in run.sent]
    assert order.index(("target", SECRET)) < len(order) - 1
    assert "_dns.ns1.dnshost.net." in {name for _, name in order}


def test_later_queries_are_encrypted():
    run = net()
    run.ask("www.example.org.")
    run.ask(SECRET)
    assert over(run, "www.example.org.") == CLEAR
    assert over(run) == ENCRYPTED


def test_nobody_asks_twice():
    run = net()
    for name in ("www.example.org.", SECRET, "mail.example.org."):
        run.ask(name)
    names = [name for _, name in asked(run, "ns-zone")]
    assert names.count("_dns.ns1.dnshost.net.") == 1


def test_a_signal_that_is_withheld_is_missed_by_the_second_query():
    run = net(attackers={"ns-zone": ("deny-svcb", {"how": "servfail"})})
    run.ask("www.example.org.")
    run.ask(SECRET)
    assert over(run) == CLEAR
