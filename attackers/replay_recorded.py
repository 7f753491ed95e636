"""Replays responses that it has recorded, whatever the server would say by now."""

from __future__ import annotations

import dns.flags
import dns.name
import dns.rdatatype
import dns.rrset
from pydantic import BaseModel, Field

from testbed.attack.api import Answer, Capability, MessageAction, Query, Response, Scene
from testbed.attack.selecting import Asked, Selecting

_HEADER = 12
_Key = tuple[str, dns.name.Name, dns.rdatatype.RdataType]


class ReplayRecordedParameters(Asked):
    """What is recorded, and when it is replayed."""

    steps: tuple[int, ...] = Field(
        (),
        description="Numbers of the steps, counted from 0, in which it replays; empty: each that is later "
        "than the one in which it recorded.",
    )


class ReplayRecorded(Selecting):
    """Records responses while it lets them pass, and gives them again to the same question later.

    It changes nothing in them but the ID and the letter case of the question, which are the query's.
    Signatures stay good until they expire, and say nothing of what took the place of what they cover. Of
    several responses to a question the first is kept.
    """

    capability = Capability.ON_PATH
    source = "RFC 4033 section 12; RFC 6781 section 4.4.2"
    Parameters = ReplayRecordedParameters

    def __init__(self, scene: Scene, parameters: BaseModel) -> None:
        super().__init__(scene, parameters)
        self._recorded: dict[_Key, tuple[int, bytes]] = {}

    def query(self, query: Query) -> MessageAction:
        """Answer with what was recorded, if this is a step for it."""
        question = query.question
        if question is None or not self.fits(question):
            return None
        step, wire = self._recorded.get(_key(query, question), (self.step, b""))
        due = self.step in self.parameters.steps if self.parameters.steps else step < self.step
        if not wire or not due:
            return None
        self.matched()
        asked = _HEADER + len(question.name.to_wire() or b"")
        return Answer(query.wire[:2] + wire[2:_HEADER] + query.wire[_HEADER:asked] + wire[asked:])

    def response(self, response: Response) -> MessageAction:
        """Record it; not what only sends the resolver to TCP."""
        question = response.query.question
        truncated = int.from_bytes(response.wire[2:4]) & dns.flags.TC
        if question is not None and self.fits(question) and not truncated:
            self._recorded.setdefault(_key(response.query, question), (self.step, response.wire))
        return None


def _key(query: Query, question: dns.rrset.RRset) -> _Key:
    return query.server, question.name, question.rdtype
