"""The scheduler: every operation, in every order in which the outside may answer."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from testbed.core.resolver.tasks import All, First, Once, Scheduler, Spawn


class Outside:
    """Keeps what the tasks ask for, to be answered by hand."""

    def __init__(self):
        self.asked = {}
        self.withdrawn = []
        self.scheduler = Scheduler(self.asked.__setitem__, self.withdrawn.append)
        self.result = None

    def start(self, task):
        self.scheduler.start(task, self._done)

    def _done(self, value, error):
        self.result = (value, error)

    def answer(self, request, value):
        (ticket,) = [t for t, r in self.asked.items() if r == request]
        del self.asked[ticket]
        self.scheduler.succeed(ticket, value)

    def refuse(self, request, error):
        (ticket,) = [t for t, r in self.asked.items() if r == request]
        del self.asked[ticket]
        self.scheduler.fail(ticket, error)


def ask(what):
    answer = yield what
    return answer


@pytest.fixture
def outside():
    return Outside()


def test_a_request_is_answered(outside):
    outside.start(ask("a"))
    assert outside.result is None
    outside.answer("a", 7)
    assert outside.result == (7, None)
    assert outside.scheduler.idle


def test_a_failure_is_raised_in_the_task(outside):
    def task():
        try:
            yield "a"
        except KeyError as error:
            return f"caught {error.args[0]}"

    outside.start(task())
    outside.refuse("a", KeyError("x"))
    assert outside.result == ("caught x", None)


@given(st.permutations(["a", "b", "c"]))
def test_all_waits_for_all_in_whatever_order(order):
    outside = Outside()

    def task():
        return (yield All((ask("a"), ask("b"), ask("c"))))

    outside.start(task())
    for name in order:
        assert outside.result is None
        outside.answer(name, name.upper())
    assert outside.result == (["A", "B", "C"], None)
    assert outside.scheduler.idle


def test_all_of_nothing_is_nothing(outside):
    def task():
        return (yield All(()))

    outside.start(task())
    assert outside.result == ([], None)


def test_all_fails_with_the_first_and_withdraws_the_rest(outside):
    def task():
        yield All((ask("a"), ask("b")))

    outside.start(task())
    ticket = next(t for t, r in outside.asked.items() if r == "b")
    outside.refuse("a", ValueError("x"))
    assert isinstance(outside.result[1], ValueError)
    assert outside.withdrawn == [ticket]
    outside.scheduler.succeed(ticket, "late")
    assert outside.scheduler.idle


@given(st.permutations(["a", "b", "c"]))
def test_first_takes_the_first_success(order):
    outside = Outside()

    def task():
        return (yield First((ask("a"), ask("b"), ask("c"))))

    outside.start(task())
    outside.refuse(order[0], ValueError("x"))
    assert outside.result is None
    outside.answer(order[1], order[1])
    assert outside.result == (order[1], None)
    assert len(outside.withdrawn) == 1
    assert outside.scheduler.idle


def test_first_fails_when_all_have(outside):
    def task():
        yield First((ask("a"), ask("b")))

    outside.start(task())
    outside.refuse("a", ValueError("first"))
    outside.refuse("b", ValueError("last"))
    assert outside.result[1].args == ("last",)


def test_spawn_goes_on_at_once_and_keeps_the_scheduler_busy(outside):
    def task():
        yield Spawn(ask("background"))
        return "done"

    outside.start(task())
    assert outside.result == ("done", None)
    assert not outside.scheduler.idle
    outside.answer("background", None)
    assert outside.scheduler.idle


def test_a_fault_in_a_spawned_task_is_not_swallowed(outside):
    def broken():
        yield "a"
        raise ZeroDivisionError

    def task():
        yield Spawn(broken())

    outside.start(task())
    with pytest.raises(ZeroDivisionError):
        outside.answer("a", None)


def test_once_is_shared_while_it_runs_and_started_anew_afterwards(outside):
    started = []

    def shared():
        started.append(1)
        return (yield "a")

    def task():
        return (yield All(tuple(wait() for _ in range(3))))

    def wait():
        return (yield Once("key", shared))

    outside.start(task())
    assert started == [1]
    outside.answer("a", 5)
    assert outside.result == ([5, 5, 5], None)
    outside.start(wait())
    assert started == [1, 1]


def test_once_gives_its_failure_to_all(outside):
    def wait():
        try:
            yield Once("key", lambda: ask("a"))
        except ValueError:
            return "failed"

    def task():
        return (yield All((wait(), wait())))

    outside.start(task())
    outside.refuse("a", ValueError("x"))
    assert outside.result == (["failed", "failed"], None)


def test_once_outlives_the_one_who_asked_first(outside):
    def wait():
        return (yield Once("key", lambda: ask("a")))

    def hasty():
        return (yield First((wait(), ask("b"))))

    def task():
        return (yield All((hasty(), wait())))

    outside.start(task())
    outside.answer("b", "quick")
    outside.answer("a", "slow")
    assert outside.result == (["quick", "slow"], None)


def test_a_circle_of_shared_tasks_does_not_hang(outside):
    depth = []

    def first():
        depth.append("first")
        if len(depth) > 4:
            return "broken off"
        return (yield Once("second", second))

    def second():
        depth.append("second")
        return (yield Once("first", first))

    def task():
        return (yield Once("first", first))

    outside.start(task())
    assert outside.result == ("broken off", None)
    assert outside.scheduler.idle


def test_an_unknown_ticket_is_ignored(outside):
    outside.scheduler.succeed(99, None)
    outside.scheduler.fail(99, ValueError("x"))
    assert outside.scheduler.idle
