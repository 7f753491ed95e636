"""What a new attacker begins as: one that works, and a test that shows it."""

from __future__ import annotations

from testbed.attack.resources import Capability

_ATTACKER = '''"""Keeps the resolver from learning records of some type."""

import dns.rdatatype
from pydantic import Field

from testbed.attack.api import Attacker, Capability, Drop, MessageAction, Parameters, Query
from testbed.attack.selecting import TypeName


class {name}Parameters(Parameters):
    """What a scenario may set with ``with``."""

    rdtype: TypeName = Field("A", description="The type of records that nobody is to learn.")


class {name}(Attacker):
    """Swallows queries for records of a type."""

    capability = Capability.ON_PATH
    source = "RFC 3833 section 2.5"
    Parameters = {name}Parameters

    def query(self, query: Query) -> MessageAction:
        """Drop it, or let it pass. The other hooks: response, transfer, connect, handshake, established."""
        asked = query.question
        if asked is None or dns.rdatatype.to_text(asked.rdtype) != self.parameters.rdtype:
            return None
        self.matched()
        return Drop()
'''

_TEST = '''"""What the attacker {plain} does, without packets."""

from testbed.rehearsal import rehearse

SECRET = "secret.example.org."


def test_it_does_what_it_says():
    network, attacker = rehearse("{plain}", on="target", near=__file__, rdtype="A")
    assert not network.ask(SECRET, "A").answer
    assert attacker.matches
    assert attacker.actions["drop"]


def test_it_leaves_the_rest_alone():
    network, attacker = rehearse("{plain}", on="target", near=__file__, rdtype="TXT")
    assert network.ask(SECRET, "A").answer
    assert not attacker.actions
'''

_OFF_PATH = '''"""Answers in a server's name, without having seen the query."""

from collections.abc import Iterable

import dns.message
from pydantic import Field

from testbed.attack.api import Moment, Spoofed, SpoofedDatagram
from testbed.attack.guessing import Guessing, GuessingParameters


class {name}Parameters(GuessingParameters):
    """What a scenario may set with ``with``, beside what is guessed and how often."""

    identifier: int = Field(0, ge=0, le=65535, description="The message ID that it tries.")


class {name}(Guessing):
    """Says that there is no such record, to one port after the other."""

    source = "RFC 5452 section 3"
    Parameters = {name}Parameters

    def off_path(self, moment: Moment) -> Iterable[Spoofed]:
        """Answer. The other packets: SpoofedError (ICMP), SpoofedSegment (TCP), SpoofedFragment."""
        query = dns.message.make_query(moment.name, moment.rdtype, id=self.parameters.identifier)
        wire = dns.message.make_response(query).to_wire()
        for guess in self.guesses(moment, 53):
            yield SpoofedDatagram(guess.server, guess.resolver, wire, guess.after)
'''

_OFF_PATH_TEST = '''"""What the attacker {plain} does, without packets."""

from testbed.rehearsal import rehearse

SECRET = "secret.example.org."
SLOW = {{"latency": {{"target": 0.5}}}}


def test_it_sends_what_it_may_and_guesses_nothing():
    network, attacker = rehearse("{plain}", near=__file__, world=SLOW, guesses=5)
    assert network.ask(SECRET, "A").answer
    assert attacker.matches
    assert attacker.spent.injected == 5


def test_it_leaves_other_questions_alone():
    network, attacker = rehearse("{plain}", near=__file__, world=SLOW)
    network.ask("www.evil-dns.net.", "A")
    assert not attacker.actions
'''

_BY_CAPABILITY = {
    Capability.ON_PATH: (_ATTACKER, _TEST),
    Capability.OFF_PATH: (_OFF_PATH, _OFF_PATH_TEST),
}


def attacker(name: str, capability: Capability) -> str:
    """The file of an attacker of this name, on a link or on none."""
    return _BY_CAPABILITY[capability][0].format(name=_class(name))


def test(name: str, capability: Capability) -> str:
    """The file of its test."""
    return _BY_CAPABILITY[capability][1].format(plain=name)


def _class(name: str) -> str:
    return "".join(word.capitalize() for word in name.split("-"))
