"""Tickets: one for each server, used once, and not for longer than they are of use."""

from dataclasses import dataclass

import pytest

from testbed.core.transport import Transport
from testbed.engines.tickets import LIFETIME, Tickets

SERVER = ("192.0.2.1", 853, Transport.DOQ, "ns1.example.net")


@dataclass
class Session:
    ticket: object


class Kept:
    def __init__(self):
        self.now = 0.0
        self.tickets = Tickets(lambda: self.now)


@pytest.fixture
def kept():
    return Kept()


def test_a_ticket_is_used_once(kept):
    kept.tickets.keep(SERVER, Session("a"))
    assert kept.tickets.take(SERVER) == "a"
    assert kept.tickets.take(SERVER) is None


def test_the_ticket_may_come_late(kept):
    session = Session(None)
    kept.tickets.keep(SERVER, session)
    session.ticket = "late"
    assert kept.tickets.take(SERVER) == "late"


@pytest.mark.parametrize(
    "other",
    [
        ("192.0.2.2", 853, Transport.DOQ, "ns1.example.net"),
        ("192.0.2.1", 8853, Transport.DOQ, "ns1.example.net"),
        ("192.0.2.1", 853, Transport.DOT, "ns1.example.net"),
        ("192.0.2.1", 853, Transport.DOQ, "ns2.example.net"),
        ("192.0.2.1", 853, Transport.DOQ, None),
    ],
)
def test_another_server_has_none(kept, other):
    kept.tickets.keep(SERVER, Session("a"))
    assert kept.tickets.take(other) is None


def test_it_gets_too_old(kept):
    kept.tickets.keep(SERVER, Session("a"))
    kept.now = LIFETIME
    assert kept.tickets.take(SERVER) is None


def test_all_are_forgotten(kept):
    kept.tickets.keep(SERVER, Session("a"))
    kept.tickets.forget()
    assert kept.tickets.take(SERVER) is None
