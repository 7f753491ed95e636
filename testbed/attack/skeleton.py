"""What a new attacker begins as: one that works, and a test that shows it."""

from __future__ import annotations

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


def attacker(name: str) -> str:
    """The file of an attacker of this name."""
    return _ATTACKER.format(name=_class(name))


def test(name: str) -> str:
    """The file of its test."""
    return _TEST.format(plain=name)


def _class(name: str) -> str:
    return "".join(word.capitalize() for word in name.split("-"))
