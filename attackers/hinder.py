"""Swallows, delays or breaks off what is asked or answered, chosen by what it is about."""

from typing import Literal

from pydantic import Field

from testbed.attack.api import Capability, Delay, Drop, MessageAction, Query, Reset, Response
from testbed.attack.selecting import Asked, Selecting
from testbed.core.transport import Transport


class HinderParameters(Asked):
    """Which messages, and what becomes of them."""

    how: Literal["drop", "delay", "reset"] = Field(
        "drop",
        description="drop: swallow it. delay: send it on later. reset: break the TCP connection off, or "
        "answer a datagram with ICMP port unreachable.",
    )
    messages: Literal["queries", "responses"] = Field("queries", description="On which way.")
    seconds: float = Field(1.0, gt=0, le=3600, description="How long it delays, in seconds.")
    transports: tuple[Transport, ...] = Field((), description="Over which transports; empty: any.")


class Hinder(Selecting):
    """Keeps messages from arriving, or from arriving in time; changes nothing in them."""

    capability = Capability.ON_PATH
    source = "RFC 3833 section 2.5"
    Parameters = HinderParameters

    def query(self, query: Query) -> MessageAction:
        """Hinder a query."""
        return self._hindered(query) if self.parameters.messages == "queries" else None

    def response(self, response: Response) -> MessageAction:
        """Hinder the response to a query."""
        return self._hindered(response.query) if self.parameters.messages == "responses" else None

    def _hindered(self, query: Query) -> MessageAction:
        transports = self.parameters.transports
        if (transports and query.transport not in transports) or not self.wanted(query.question):
            return None
        match self.parameters.how:
            case "delay":
                return Delay(self.parameters.seconds)
            case "reset":
                return Reset()
            case _:
                return Drop()
