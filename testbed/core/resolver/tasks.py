"""Tasks without I/O: generators that yield what they wait for, and the scheduler that runs them.

A task is a generator. It yields an operation and is resumed with its result, or with the exception that the
operation ended in. Operations that the scheduler does not know are *requests*: they are handed to the
owner, who answers each, some time, with ``succeed`` or ``fail``. Everything runs when the owner calls; there
is no clock, no thread and no event loop here, so that a test can play every interleaving by hand.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Generator, Hashable, Iterable
from dataclasses import dataclass
from functools import partial
from typing import Any, TypeAlias, TypeVar

T = TypeVar("T")
Task: TypeAlias = Generator[Any, Any, T]


@dataclass(frozen=True, slots=True)
class All:
    """Run tasks side by side; the results come as a list. The first exception ends the others."""

    tasks: tuple[Task[Any], ...]


@dataclass(frozen=True, slots=True)
class First:
    """Run tasks side by side; the first result that is no exception wins, and ends the others.

    When all of them fail, the exception of the last one that failed is raised.
    """

    tasks: tuple[Task[Any], ...]


@dataclass(frozen=True, slots=True)
class Spawn:
    """Start a task and go on at once. Nobody waits for it, so it has to handle its own exceptions."""

    task: Task[Any]


@dataclass(frozen=True, slots=True)
class Once:
    """Share a task between all who ask for the same key while it runs.

    Where waiting would close a circle (the running task waits for the asking one), the asking task gets
    a run of its own: it has to break the circle itself.
    """

    key: Hashable
    start: Callable[[], Task[Any]]


class _Running:
    """A task that has started: its generator, who waits for it, and what it waits for."""

    __slots__ = ("children", "done", "generator", "requests", "shared", "waiters")

    def __init__(self, generator: Task[Any]) -> None:
        self.generator = generator
        self.waiters: list[Callable[[Any, BaseException | None], None]] = []
        self.children: list[_Running] = []
        self.shared: Hashable | None = None
        self.requests: set[int] = set()
        self.done = False


class Scheduler:
    """Runs tasks. ``request`` is called with a ticket and an operation that is not the scheduler's own.

    ``withdraw`` is called with the ticket of a request whose task was cancelled.
    """

    def __init__(self, request: Callable[[int, Any], None], withdraw: Callable[[int], None]) -> None:
        self._request = request
        self._withdraw = withdraw
        self._waiting: dict[int, _Running] = {}
        self._shared: dict[Hashable, _Running] = {}
        self._ready: deque[tuple[_Running, Any, BaseException | None]] = deque()
        self._next_ticket = 1
        self._stepping = False
        self._live = 0

    @property
    def idle(self) -> bool:
        """Whether no task is left, background tasks included."""
        return self._live == 0

    def start(self, task: Task[T], done: Callable[[T | None, BaseException | None], None]) -> None:
        """Run a task; ``done`` is called with its result or its exception."""
        running = self._launch(task)
        running.waiters.append(done)
        self._run()

    def succeed(self, ticket: int, value: Any) -> None:
        """Answer a request. An unknown ticket belongs to a cancelled task and is ignored."""
        self._answer(ticket, value, None)

    def fail(self, ticket: int, error: BaseException) -> None:
        """Answer a request with an exception."""
        self._answer(ticket, None, error)

    def _answer(self, ticket: int, value: Any, error: BaseException | None) -> None:
        running = self._waiting.pop(ticket, None)
        if running is None:
            return
        running.requests.discard(ticket)
        self._ready.append((running, value, error))
        self._run()

    def _launch(self, task: Task[Any]) -> _Running:
        running = _Running(task)
        self._live += 1
        self._ready.append((running, None, None))
        return running

    def _run(self) -> None:
        if self._stepping:
            return
        self._stepping = True
        try:
            while self._ready:
                self._step(*self._ready.popleft())
        finally:
            self._stepping = False

    def _step(self, running: _Running, value: Any, error: BaseException | None) -> None:
        if running.done:
            return
        running.children = []
        try:
            operation = running.generator.throw(error) if error is not None else running.generator.send(value)
        except StopIteration as stop:
            self._finish(running, stop.value, None)
        except Exception as failure:
            self._finish(running, None, failure)
        else:
            self._perform(running, operation)

    def _perform(self, running: _Running, operation: Any) -> None:
        match operation:
            case All(tasks):
                self._all(running, tasks)
            case First(tasks):
                self._first(running, tasks)
            case Spawn(task):
                self._launch(task)
                self._ready.append((running, None, None))
            case Once(key, start):
                self._once(running, key, start)
            case _:
                ticket = self._next_ticket
                self._next_ticket += 1
                self._waiting[ticket] = running
                running.requests.add(ticket)
                self._request(ticket, operation)

    def _finish(self, running: _Running, value: Any, error: BaseException | None) -> None:
        running.done = True
        self._live -= 1
        if running.shared is not None:
            self._shared.pop(running.shared, None)
        if error is not None and not running.waiters:
            raise error
        for waiter in running.waiters:
            waiter(value, error)
        running.waiters.clear()

    def _cancel(self, running: _Running) -> None:
        if running.done:
            return
        running.done = True
        self._live -= 1
        for ticket in running.requests:
            self._waiting.pop(ticket, None)
            self._withdraw(ticket)
        for child in running.children:
            if child.shared is None:
                self._cancel(child)
        running.generator.close()

    def _all(self, parent: _Running, tasks: Iterable[Task[Any]]) -> None:
        children = [self._launch(task) for task in tasks]
        parent.children = children
        results: list[Any] = [None] * len(children)
        missing = len(children)
        if not children:
            self._ready.append((parent, [], None))
            return

        def collect(index: int, value: Any, error: BaseException | None) -> None:
            nonlocal missing
            if missing <= 0:
                return
            if error is not None:
                missing = 0
                for child in children:
                    self._cancel(child)
                self._ready.append((parent, None, error))
                return
            results[index] = value
            missing -= 1
            if missing == 0:
                self._ready.append((parent, results, None))

        for index, child in enumerate(children):
            child.waiters.append(partial(collect, index))

    def _first(self, parent: _Running, tasks: Iterable[Task[Any]]) -> None:
        children = [self._launch(task) for task in tasks]
        parent.children = children
        missing = len(children)

        def collect(value: Any, error: BaseException | None) -> None:
            nonlocal missing
            if missing <= 0:
                return
            missing -= 1
            if error is None:
                missing = 0
                for child in children:
                    self._cancel(child)
                self._ready.append((parent, value, None))
            elif missing == 0:
                self._ready.append((parent, None, error))

        for child in children:
            child.waiters.append(collect)

    def _once(self, parent: _Running, key: Hashable, start: Callable[[], Task[Any]]) -> None:
        running = self._shared.get(key)
        if running is None or self._reaches(running, parent):
            owner = running is None
            running = self._launch(start())
            if owner:
                running.shared = key
                self._shared[key] = running
        parent.children = [running]

        def resume(value: Any, error: BaseException | None) -> None:
            if not parent.done:
                self._ready.append((parent, value, error))

        running.waiters.append(resume)

    def _reaches(self, origin: _Running, target: _Running) -> bool:
        seen: set[int] = set()
        stack = [origin]
        while stack:
            running = stack.pop()
            if running is target:
                return True
            if id(running) not in seen:
                seen.add(id(running))
                stack.extend(running.children)
        return False
