"""Builds worlds: signs the zones, makes the certificates, and says which server offers what."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field

import dns.edns
import dns.message
import dns.name
import dns.rdatatype
import dns.rrset

from testbed.attack.api import CertificateKind
from testbed.core import message, pki
from testbed.core.authoritative import Authoritative, ResponseExtension, Statement
from testbed.core.dohpath import DEFAULT_PATH
from testbed.core.notation import Record
from testbed.core.resolver.state import RootServer
from testbed.core.signer import ds_for
from testbed.core.transport import Transport
from testbed.core.zone import Zone
from testbed.scenario.world import Connections, Fragments
from testbed.scenario.world import World as Described
from testbed.topology import EVIL, MIRROR, TARGET, Server, Topology
from testbed.world import credentials
from testbed.world.draft import Draft, draft
from testbed.world.epoch import LASTING_LIFE, SIGNATURE_LIFE
from testbed.world.publication import Past, publish
from testbed.world.zones import TTL, name_servers, revise


@dataclass(frozen=True, slots=True)
class Revision:
    """What operators have changed since the world began.

    In each of the ``rounds``, records took the place of others of the same name and type. All zones were
    signed anew in the last one, ``age`` seconds after the beginning.
    """

    rounds: tuple[tuple[Record, ...], ...] = ()
    age: int = 0


UNCHANGED = Revision()


@dataclass(frozen=True, eq=False)
class World:
    """A built world.

    ``zones`` are by origin; ``hosting`` says which of them a role's server serves, ``services`` what
    encryption it offers and with which credential. ``authority`` is the CA that resolvers trust,
    ``extensions`` what signals have servers add to their responses, ``statements`` what they have the server
    of a role say of itself. ``topology`` has the names that servers go by in this world. ``past`` are zones
    as they once were. ``paths`` say where the server of a role has DoH, ``families`` over which IP versions
    it offers encryption, ``latency`` how many seconds it takes to answer, ``fragments`` how it cuts its
    responses over UDP, ``connections`` how many it keeps; those of the roles ``tls12`` have DoT over TLS 1.2,
    too. ``revision`` is what has changed since.
    """

    topology: Topology
    seed: int
    zones: Mapping[dns.name.Name, Zone]
    hosting: Mapping[str, tuple[Zone, ...]]
    services: Mapping[str, tuple[tuple[tuple[Transport, int], ...], pki.Credential]]
    authority: credentials.Issuer
    trust_anchor: dns.rrset.RRset | None
    extensions: tuple[ResponseExtension, ...] = ()
    statements: Mapping[str, tuple[Statement, ...]] = field(default_factory=dict)
    past: Mapping[dns.name.Name, Zone] = field(default_factory=dict)
    paths: Mapping[str, str] = field(default_factory=dict)
    families: Mapping[str, tuple[int, ...]] = field(default_factory=dict)
    latency: Mapping[str, float] = field(default_factory=dict)
    fragments: Mapping[str, Fragments] = field(default_factory=dict)
    connections: Mapping[str, Connections] = field(default_factory=dict)
    tls12: frozenset[str] = frozenset()
    revision: Revision = UNCHANGED
    _remake: Callable[[Revision], World] | None = None
    _authoritatives: dict[str, Authoritative] = field(default_factory=dict)
    _oracle: list[Authoritative] = field(default_factory=list)

    def changed(self, records: Iterable[Record], age: int) -> World:
        """The same world once operators have put records into the place of those of the same name and type.

        All zones are signed anew, ``age`` seconds after the world began. Certificates stay as they are.
        """
        assert self._remake is not None
        return self._remake(Revision((*self.revision.rounds, tuple(records)), age))

    def authoritative(self, role: str, further: tuple[Zone, ...] = ()) -> Authoritative:
        """The server logic of a role, with the zones that it serves and, for an attacker, further ones.

        Of further zones with the same name, as two attackers may want them, the first is served.
        """
        if further:
            once = {zone.origin: zone for zone in reversed(further)}
            return self._server(role, (*self.hosting[role], *once.values()))
        if role not in self._authoritatives:
            self._authoritatives[role] = self._server(role, self.hosting[role])
        return self._authoritatives[role]

    def _server(self, role: str, zones: tuple[Zone, ...]) -> Authoritative:
        statements = self.statements.get(role, ())
        return Authoritative(zones, extensions=self.extensions, statements=statements)

    def roots(self) -> tuple[RootServer, ...]:
        """The root hints, with the encryption that is known to be offered."""
        return tuple(self._hint(server) for server in name_servers(self.topology, dns.name.root))

    def root_sources(self) -> tuple[RootServer, ...]:
        """Where copies of the root zone are to be had, with the encryption that is known to be offered."""
        return tuple(self._hint(server) for server in self.topology.servers if server.link == MIRROR)

    def offers(self, role: str) -> tuple[tuple[Transport, int], ...]:
        """The encrypted transports that the server of a role offers, and their ports; none if it has none."""
        return self.services[role][0] if role in self.services else ()

    def _hint(self, server: Server) -> RootServer:
        path = self.paths.get(server.role, DEFAULT_PATH)
        return RootServer(server.name, server.addresses, self.offers(server.role), path)

    def truth(self, name: dns.name.Name, rdtype: dns.rdatatype.RdataType) -> dns.message.Message:
        """What the zones say to a question, aliases followed: what no attacker has touched."""
        if not self._oracle:
            self._oracle.append(Authoritative(tuple(self.zones.values()), transfers=False))
        query = message.query(name, rdtype, id=0, dnssec_ok=False)
        return self._oracle[0].respond(query, Transport.TCP)[0]

    def forged_credential(self, kind: CertificateKind, role: str) -> pki.Credential:
        """A certificate that an attacker presents in place of the server in a role."""
        victim = self.topology.by_role[role].name
        own = self.topology.by_role[EVIL].name if EVIL in self.topology.by_role else victim
        genuine = self.services[role][1] if role in self.services else None
        return credentials.forged(self.authority, kind, victim, own, genuine)


_BUILT: OrderedDict[tuple[str, str, int, bool, str], World] = OrderedDict()
_REMEMBERED_WORLDS = 64
_REMEMBERED_ZONES = 25_000


def build(
    topology: Topology,
    described: Described,
    seed: int = 0,
    *,
    lasting: bool = False,
    revision: Revision = UNCHANGED,
) -> World:
    """The world that a scenario describes. Worlds are remembered: building one again costs nothing.

    In a ``lasting`` world signatures and certificates are valid for years, for programs that go by this
    machine's clock. Of worlds with thousands of zones only the last few are, for the sake of memory.
    """
    zones_alone = described.model_copy(update={"servers": {}})  # what plays the servers is nothing to them
    key = (topology.name, repr(zones_alone), seed, lasting, repr(revision))
    world = _BUILT.get(key)
    if world is None:
        world = _BUILT[key] = _build(topology, described, seed, lasting, revision)
        while len(_BUILT) > _REMEMBERED_WORLDS or _zones_remembered() > _REMEMBERED_ZONES:
            _BUILT.popitem(last=False)
    return world


def _zones_remembered() -> int:
    return sum(len(world.zones) for world in _BUILT.values())


def _build(topology: Topology, described: Described, seed: int, lasting: bool, revision: Revision) -> World:
    plan = draft(topology, described, seed, lasting)
    for records in revision.rounds:
        revise(plan.files, records)
    first = LASTING_LIFE if lasting else SIGNATURE_LIFE
    life = (first[0] + revision.age, first[1] + revision.age)
    written, topology, hosted = topology, plan.topology, plan.hosted
    zones = {
        origin: publish(Zone(origin, file.rrsets()), plan.signing.get(origin), plan.keys.get(origin), life)
        for origin, file in plan.files.items()
    }
    shared = tuple(zones[zone] for zone in hosted)
    target = topology.by_role[TARGET].zone
    extensions = (signal.extend(plan.deployment, parameters) for signal, parameters in plan.published)
    return World(
        topology=topology,
        seed=seed,
        zones=zones,
        hosting={
            server.role: (zones[server.zone], *(shared if server.zone == target else ()))
            for server in topology.servers
        },
        paths={role: plan.secure[role].path for role in plan.services},
        families={role: plan.secure[role].families for role in plan.services},
        latency=described.latency,
        fragments=described.fragments,
        services={role: (plan.secure[role].offers, plan.services[role]) for role in plan.services},
        authority=plan.issuer,
        trust_anchor=_trust_anchor(plan),
        extensions=tuple(extension for extension in extensions if extension is not None),
        statements={
            server.role: _statements(server, plan, zones, described.report_channel.get(server.role))
            for server in topology.servers
        },
        past=Past(written, described, seed, first),
        connections=described.connections,
        tls12=frozenset(role for role, service in plan.secure.items() if service.tls12),
        revision=revision,
        _remake=lambda fresh: build(written, described, seed, lasting=lasting, revision=fresh),
    )


def _trust_anchor(plan: Draft) -> dns.rrset.RRset | None:
    keys = plan.keys.get(dns.name.root)
    return ds_for(dns.name.root, keys, ttl=TTL) if keys is not None else None


def _statements(
    server: Server, plan: Draft, zones: Mapping[dns.name.Name, Zone], agent: dns.name.Name | None
) -> tuple[Statement, ...]:
    """What the published signals have a server say of itself, and whom it wants failures reported to."""
    home = zones[plan.deployment.zone_of(server.name).origin]
    deployed = plan.deployed(server)
    said = (signal.speak(deployed, home, parameters) for signal, parameters in plan.published)
    reporting = (_report_channel(agent),) if agent is not None else ()
    return (*(statement for statement in said if statement is not None), *reporting)


def _report_channel(agent: dns.name.Name) -> Statement:
    """Whom failures are to be reported to, in each response to a query with EDNS (RFC 9567)."""

    def add(
        _query: dns.message.Message, response: dns.message.Message, _zone: Zone, _over: Transport
    ) -> None:
        if response.opt is not None:
            message.add_option(response, dns.edns.ReportChannelOption(agent))

    return add
