"""RFC 9539's state machine, in virtual time."""

from __future__ import annotations

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from testbed.core.probing import DAMPING, PERSISTENCE, Advice, Link, Prober, Status
from testbed.core.transport import Transport

DOT, DOQ = Transport.DOT, Transport.DOQ
SERVER = "192.0.2.1"
HOUR = 3600.0


@pytest.fixture
def prober():
    return Prober((DOT,))


def connect(prober, now, server=SERVER, transport=DOT):
    prober.connecting(server, transport, now)
    prober.connected(server, transport, now)


def test_first_contact_uses_do53_and_connects_beside_it(prober):
    assert prober.advise(SERVER, 0) == Advice(session=None, do53=True, connect=(DOT,))


def test_while_connecting_do53_is_used_and_no_second_connection_opened(prober):
    prober.connecting(SERVER, DOT, 0)
    assert prober.advise(SERVER, 1) == Advice(session=None, do53=True, connect=())


def test_an_established_session_is_used_alone(prober):
    connect(prober, 0)
    assert prober.advise(SERVER, 1) == Advice(session=DOT, do53=False, connect=())


def test_after_a_response_do53_is_not_used_for_three_days(prober):
    connect(prober, 0)
    prober.responded(SERVER, DOT, 10)
    prober.closed(SERVER, DOT)
    assert prober.advise(SERVER, 10 + PERSISTENCE - 1) == Advice(None, False, (DOT,))
    assert prober.advise(SERVER, 10 + PERSISTENCE) == Advice(None, True, (DOT,))


def test_a_session_that_never_answered_does_not_keep_do53_away(prober):
    connect(prober, 0)
    prober.closed(SERVER, DOT)
    assert prober.advise(SERVER, 1) == Advice(None, True, (DOT,))


@pytest.mark.parametrize(("timed_out", "status"), [(False, Status.FAIL), (True, Status.TIMEOUT)])
def test_a_failure_is_damped_for_a_day(prober, timed_out, status):
    prober.connecting(SERVER, DOT, 0)
    prober.failed(SERVER, DOT, 5, timed_out=timed_out)
    assert prober.record(SERVER, DOT).status is status
    assert prober.advise(SERVER, 5 + DAMPING - 1) == Advice(None, True, ())
    assert prober.advise(SERVER, 5 + DAMPING) == Advice(None, True, (DOT,))


def test_a_broken_session_counts_as_a_failure_whatever_it_answered_before(prober):
    connect(prober, 0)
    prober.responded(SERVER, DOT, 1)
    prober.failed(SERVER, DOT, 2)
    assert prober.advise(SERVER, 3) == Advice(None, True, ())


def test_state_is_kept_by_address_and_transport():
    prober = Prober((DOQ, DOT))
    prober.connecting(SERVER, DOQ, 0)
    prober.failed(SERVER, DOQ, 0)
    assert prober.advise(SERVER, 1) == Advice(None, True, (DOT,))
    assert prober.advise("192.0.2.2", 1) == Advice(None, True, (DOQ, DOT))


def test_the_better_transport_is_preferred_when_both_are_established():
    prober = Prober((DOQ, DOT))
    connect(prober, 0, transport=DOT)
    connect(prober, 0, transport=DOQ)
    assert prober.advise(SERVER, 1).session is DOQ


def test_sessions_end_at_a_restart_and_what_was_found_out_stays(prober):
    connect(prober, 0)
    prober.responded(SERVER, DOT, 1)
    prober.restart()
    assert prober.advise(SERVER, 2) == Advice(None, False, (DOT,))


def test_a_failure_is_remembered_over_a_restart(prober):
    prober.connecting(SERVER, DOT, 0)
    prober.failed(SERVER, DOT, 0)
    prober.restart()
    assert prober.advise(SERVER, 1) == Advice(None, True, ())


class ProberMachine(RuleBasedStateMachine):
    """Whatever happens, the advice can be followed, and never loses a query."""

    def __init__(self):
        super().__init__()
        self.prober = Prober((DOQ, DOT))
        self.now = 0.0

    @rule(seconds=st.floats(0, 5 * 86400))
    def advance(self, seconds):
        self.now += seconds

    @rule(transport=st.sampled_from([DOT, DOQ]))
    def connect(self, transport):
        if self.prober.record(SERVER, transport).link is Link.NULL:
            self.prober.connecting(SERVER, transport, self.now)

    @rule(transport=st.sampled_from([DOT, DOQ]), works=st.booleans(), timed_out=st.booleans())
    def finish(self, transport, works, timed_out):
        if self.prober.record(SERVER, transport).link is Link.PENDING:
            if works:
                self.prober.connected(SERVER, transport, self.now)
            else:
                self.prober.failed(SERVER, transport, self.now, timed_out=timed_out)

    @rule(transport=st.sampled_from([DOT, DOQ]))
    def respond(self, transport):
        if self.prober.record(SERVER, transport).link is Link.ESTABLISHED:
            self.prober.responded(SERVER, transport, self.now)

    @rule(transport=st.sampled_from([DOT, DOQ]), clean=st.booleans())
    def end(self, transport, clean):
        if self.prober.record(SERVER, transport).link is Link.ESTABLISHED:
            if clean:
                self.prober.closed(SERVER, transport)
            else:
                self.prober.failed(SERVER, transport, self.now)

    @invariant()
    def advice_leads_somewhere(self):
        advice = self.prober.advise(SERVER, self.now)
        assert advice.session or advice.do53 or advice.connect
        if advice.session:
            assert self.prober.record(SERVER, advice.session).link is Link.ESTABLISHED
            assert not advice.do53
        for transport in advice.connect:
            record = self.prober.record(SERVER, transport)
            recent = record.completed is not None and self.now - record.completed < DAMPING
            assert not (record.status in (Status.FAIL, Status.TIMEOUT) and recent)


TestProberMachine = ProberMachine.TestCase


def test_all_that_may_work_are_connected_even_if_one_is_known_to():
    prober = Prober((DOT, DOQ))
    for transport in (DOT, DOQ):
        connect(prober, 0, transport=transport)
    prober.responded(SERVER, DOT, 1)
    for transport in (DOT, DOQ):
        prober.closed(SERVER, transport)
    assert prober.advise(SERVER, 2) == Advice(None, False, (DOT, DOQ))
    prober.failed(SERVER, DOQ, 3)
    assert prober.advise(SERVER, 4) == Advice(None, False, (DOT,))
    assert prober.advise(SERVER, 3 + DAMPING) == Advice(None, False, (DOT, DOQ))


def test_no_second_connection_beside_an_established_one():
    prober = Prober((DOT, DOQ))
    connect(prober, 0, transport=DOQ)
    assert prober.advise(SERVER, 1) == Advice(DOQ, False, ())
