"""Attackers do in memory what they do on a bare link, and what shows it there shows when they do not."""

from __future__ import annotations

import random

import pytest
from bare_link import ENTRIES, WORLD, query
from deeds import CLEAR, EVERYWHERE, Flow, Passed, Side, Untouched

from testbed import topology
from testbed.attack import catalogue
from testbed.attack.api import Capability
from testbed.core.policy import POLICIES
from testbed.core.resolver.requests import Datagram, Dial, Transfer, Transmit
from testbed.core.resolver.state import Configuration
from testbed.core.transfer import Incoming
from testbed.core.transport import Transport, TransportError
from testbed.memory import MemoryNetwork
from testbed.run.cast import scene
from testbed.scenario.world import World as Described
from testbed.world.build import build

HOSTED = topology.load("hosted")
OF = build(HOSTED, Described.model_validate(WORLD))
PATIENCE = 2.0


class BareLink(MemoryNetwork):
    """A link in memory, and what there is to be seen on both sides of it."""

    def __init__(self, link, attackers):
        configuration = Configuration(POLICIES["strict"], OF.roots(), None, (), ())
        super().__init__(OF, configuration, {link: attackers})
        self.server = next(one for one in HOSTED.servers if one.link == link)
        self._seen = Side()

    def _server(self, role):
        return self

    def respond_wire(self, wire, transport):
        """Answer as the server, and note what it is asked."""
        self._seen.queries.append(Passed(self.now, wire))
        for response in OF.authoritative(self.server.role).respond_wire(wire, transport):
            self._seen.responses.append(Passed(self.now, response))
            yield response

    def _line(self, address, transport):
        self._seen.reached = self.now
        return super()._line(address, transport)

    def ask_over(self, transport, ask):
        """A question over a transport."""
        asked, near, outcome = query(ask, 7), Side(reached=self.now), ""
        self._seen = far = Side()
        try:
            session = None if transport is Transport.UDP else self._perform(self._call(transport))
            near.queries.append(Passed(self.now, asked.to_wire()))
            if transport.encrypted and self._lines[session.number].terminated:
                near.sent, far.sent = b"to the hop", b"from the hop"
            near.responses = self._exchanged(session, asked, far)
        except TransportError as error:
            outcome = str(error.failure)
        return Flow(f"{transport}", transport, near, far, outcome)

    def _call(self, transport):
        path = OF.paths[self.server.role] if transport.http else None
        name = str(self.server.name).rstrip(".")
        return Dial(self.server.ipv4, transport.port, transport, name, PATIENCE, path=path)

    def _exchanged(self, session, asked, far):
        wire = asked.to_wire()
        if "AXFR" in str(asked.question[0]):
            incoming = Noting(asked)
            self._perform(Transfer(session, wire, incoming, PATIENCE))
            return [Passed(self.now, one) for one in incoming.wires]
        if session is None:
            return [Passed(self.now, self._perform(Datagram(self.server.ipv4, 53, 0, wire, PATIENCE)))]
        return [Passed(self.now, self._perform(Transmit(session, wire, PATIENCE)))]


class Noting(Incoming):
    """A zone transfer, and the messages that it came in."""

    def __init__(self, asked):
        super().__init__(asked.question[0].name, asked.id)
        self.wires = []

    def take(self, wire):
        self.wires.append(wire)
        return super().take(wire)


def flows(entry, attackers):
    """Everything that an entry asks for, with what becomes of it."""
    link = BareLink(entry.on, attackers)
    for transport in EVERYWHERE:
        for ask in entry.asked(transport):
            yield entry.deed(ask, transport), link.ask_over(transport, ask), ask


def made(entry):
    kind = catalogue.load(entry.attacker)
    attacker = kind(scene(OF, entry.on, random.Random(0)), kind.Parameters(**entry.parameters))
    entry.prepare(attacker)
    return attacker


def test_there_is_an_entry_for_every_attacker_on_a_link():
    on_links = {
        name for name in catalogue.names() if catalogue.load(name).capability is not Capability.OFF_PATH
    }
    assert {entry.attacker for entry in ENTRIES} == on_links


@pytest.mark.parametrize("entry", ENTRIES, ids=lambda entry: entry.id)
def test_in_memory_messages_fare_as_on_the_link(entry):
    for deed, flow, ask in flows(entry, [made(entry)]):
        if deed is None or not deed.to_connections:
            assert not list((deed or Untouched()).complaints(flow)), (ask, flow.where)


@pytest.mark.parametrize("entry", [entry for entry in ENTRIES if entry.acts], ids=lambda entry: entry.id)
def test_without_the_attacker_its_deeds_are_missed(entry):
    missed = [list(deed.complaints(flow)) for deed, flow, _ in flows(entry, []) if deed is not None]
    assert missed
    assert all(missed)


@pytest.mark.parametrize("entry", [entry for entry in ENTRIES if entry.acts], ids=lambda entry: entry.id)
def test_what_it_does_does_not_pass_for_leaving_alone(entry):
    for deed, flow, ask in flows(entry, [made(entry)]):
        if deed is not None and flow.transport in CLEAR:
            assert list(Untouched().complaints(flow)), (ask, flow.where)
