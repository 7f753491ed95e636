"""A query under way in a session, and what has come in answer to it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field

from testbed.core.transport import Failure, TransportError
from testbed.transports.framing import is_response, message_id, question


def only(_: bytes) -> bool:
    """Whether a response is the last one, where there is but one."""
    return True


@dataclass(eq=False, slots=True)
class Exchange:
    """An exchange with a stream of its own, so that the message ID is 0 there (RFC 9250 section 4.2.1).

    ``last`` says of a response whether it is the last one. Raises ValueError when the query has no header.
    """

    query: bytes
    last: Callable[[bytes], bool]
    done: asyncio.Future[list[bytes]]
    responses: list[bytes] = field(default_factory=list)
    stream: int | None = None
    """The stream that it is on, once it is on one."""

    def __post_init__(self) -> None:
        message_id(self.query)

    @property
    def answered(self) -> bool:
        """Whether all responses are in."""
        return self.done.done() and not self.done.cancelled() and self.done.exception() is None

    @property
    def wire(self) -> bytes:
        """The query as it is sent."""
        return b"\0\0" + self.query[2:]

    def fail(self, failure: Failure, detail: str) -> None:
        """Let it fail, if it is not done."""
        if not self.done.done():
            self.done.set_exception(TransportError(failure, detail))

    def take(self, message: bytes) -> None:
        """Add a response, under the message ID of the query."""
        if self.done.done():
            return
        # A server that could not read the query may answer without the question (RFC 1035 section 4.1.1).
        if not is_response(message) or question(message) not in (question(self.query), None):
            self.fail(Failure.PROTOCOL, "not a response to the query")
            return
        message = self.query[:2] + message[2:]
        self.responses.append(message)
        try:
            if self.last(message):
                self.done.set_result(self.responses)
        except Exception as error:  # whatever it is, it belongs to the caller
            self.done.set_exception(error)
