"""Builds worlds: signs the zones, makes the certificates, and says which server offers what."""

from __future__ import annotations

import dataclasses
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import dns.dnssectypes
import dns.message
import dns.name
import dns.rdatatype
import dns.rrset
from pydantic import BaseModel

from testbed import signals
from testbed.attack.api import CertificateKind
from testbed.core import message, pki
from testbed.core.authoritative import Authoritative, ResponseExtension, Statement
from testbed.core.resolver.state import RootServer
from testbed.core.signal import DeployedServer, DeployedZone, Deployment, Signal
from testbed.core.signer import KeySet, ds_for, sign_zone
from testbed.core.transport import Transport
from testbed.core.zone import Zone
from testbed.scenario.world import Service, Signing
from testbed.scenario.world import World as Described
from testbed.topology import Server, Topology
from testbed.world import credentials
from testbed.world.epoch import SIGNATURE_LIFE
from testbed.world.zones import TTL, hosted_zones, lay_out, name_servers, parents_of

EVIL = "evil"
"""The role that the attacker's own server plays."""


@dataclass(frozen=True, eq=False)
class World:
    """A built world.

    ``zones`` are by origin; ``hosting`` says which of them a role's server serves, ``services`` what
    encryption it offers and with which credential. ``authority`` is the CA that resolvers trust,
    ``extensions`` what signals have servers add to their responses, ``statements`` what they have the server
    of a role say of itself. ``topology`` has the names that servers go by in this world.
    """

    topology: Topology
    seed: int
    zones: Mapping[dns.name.Name, Zone]
    hosting: Mapping[str, tuple[Zone, ...]]
    services: Mapping[str, tuple[tuple[tuple[Transport, int], ...], pki.Credential]]
    authority: pki.Authority
    trust_anchor: dns.rrset.RRset | None
    extensions: tuple[ResponseExtension, ...] = ()
    statements: Mapping[str, tuple[Statement, ...]] = field(default_factory=dict)
    _authoritatives: dict[str, Authoritative] = field(default_factory=dict)
    _oracle: list[Authoritative] = field(default_factory=list)

    def authoritative(self, role: str, further: tuple[Zone, ...] = ()) -> Authoritative:
        """The server logic of a role, with the zones that it serves and, for an attacker, further ones."""
        if further:
            return self._server(role, (*self.hosting[role], *further))
        if role not in self._authoritatives:
            self._authoritatives[role] = self._server(role, self.hosting[role])
        return self._authoritatives[role]

    def _server(self, role: str, zones: tuple[Zone, ...]) -> Authoritative:
        statements = self.statements.get(role, ())
        return Authoritative(zones, extensions=self.extensions, statements=statements)

    def roots(self) -> tuple[RootServer, ...]:
        """The root hints, with the encryption that is known to be offered."""
        return tuple(
            RootServer(
                server.name,
                server.addresses,
                self.services[server.role][0] if server.role in self.services else (),
            )
            for server in name_servers(self.topology, dns.name.root)
        )

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
        return credentials.forged(self.authority, kind, victim, own)


_BUILT: OrderedDict[tuple[str, str, int], World] = OrderedDict()
_REMEMBERED = 64


def build(topology: Topology, described: Described, seed: int = 0) -> World:
    """The world that a scenario describes. Worlds are remembered: building one again costs nothing."""
    key = (topology.name, repr(described), seed)
    world = _BUILT.get(key)
    if world is None:
        world = _BUILT[key] = _build(topology, described, seed)
        if len(_BUILT) > _REMEMBERED:
            _BUILT.popitem(last=False)
    return world


def _build(topology: Topology, described: Described, seed: int) -> World:
    signed, secure = dict(described.signed), dict(described.secure)
    _fit_out_evil(topology, signed, secure)
    published = [
        (signal, parameters or signal.Parameters())
        for signal, parameters in (
            (signals.load(name), parameters) for name, parameters in described.signal.items()
        )
    ]
    keys_of = {server.role: server.name.to_text() for server in topology.servers}
    issuer = credentials.authority(seed)
    topology = _renamed(topology, secure, published, issuer)
    services = {
        role: credentials.of_server(issuer, topology.by_role[role], service, keys_of[role])
        for role, service in secure.items()
    }
    hosted = hosted_zones(topology, described.hosted_zones)
    files = lay_out(topology, hosted, described.records)
    signing = {server.zone: signed[server.role] for server in topology.servers if server.role in signed}
    keys = {
        zone: KeySet.derive(seed.to_bytes(8), zone, dns.dnssectypes.Algorithm[how.algorithm])
        for zone, how in signing.items()
    }
    parents = parents_of(topology)
    for zone, how in signing.items():
        if zone in parents and not how.island:
            files[parents[zone]].merge(ds_for(zone, keys[zone], ttl=TTL))
    deployment = Deployment(
        tuple(
            DeployedZone(
                zone,
                parents.get(zone),
                zone in signing,
                tuple(_deployed(server, secure, services) for server in name_servers(topology, zone)),
            )
            for zone in dict.fromkeys(server.zone for server in topology.servers)
        )
    )
    for signal, parameters in published:
        for addition in signal.publish(deployment, parameters):
            files[addition.zone].merge(addition.rrset)
    zones = _signed({origin: Zone(origin, file.rrsets()) for origin, file in files.items()}, signing, keys)
    extensions = (signal.extend(deployment, parameters) for signal, parameters in published)
    return World(
        topology=topology,
        seed=seed,
        zones=zones,
        hosting={
            server.role: (
                zones[server.zone],
                *(zones[zone] for zone in hosted if server.role == "target"),
            )
            for server in topology.servers
        },
        services={role: (secure[role].offers, services[role]) for role in services},
        authority=issuer,
        trust_anchor=ds_for(dns.name.root, keys[dns.name.root], ttl=TTL) if dns.name.root in keys else None,
        extensions=tuple(extension for extension in extensions if extension is not None),
        statements={
            server.role: _statements(_deployed(server, secure, services), deployment, zones, published)
            for server in topology.servers
        },
    )


def _fit_out_evil(topology: Topology, signed: dict[str, Signing], secure: dict[str, Service]) -> None:
    """The attacker's own server lacks nothing: encryption, a certificate, signatures where they can be."""
    evil = topology.by_role.get(EVIL)
    if evil is None:
        return
    secure.setdefault(EVIL, Service())
    if evil.parent in signed:
        signed.setdefault(EVIL, Signing())


def _renamed(
    topology: Topology,
    secure: Mapping[str, Service],
    published: Sequence[tuple[Signal, BaseModel]],
    issuer: pki.Authority,
) -> Topology:
    """The topology with the names that signals have servers go by."""
    servers = []
    for server in topology.servers:
        name = server.name
        if server.role in secure:
            service = secure[server.role]
            credential = credentials.of_server(issuer, server, service, server.name.to_text())
            deployed = DeployedServer(server.name, server.addresses, service.offers, credential.chain)
            for signal, parameters in published:
                name = signal.rename(deployed, parameters) or name
        servers.append(dataclasses.replace(server, name=name))
    return dataclasses.replace(topology, servers=tuple(servers))


def _deployed(
    server: Server, secure: Mapping[str, Service], services: Mapping[str, pki.Credential]
) -> DeployedServer:
    if server.role not in secure:
        return DeployedServer(server.name, server.addresses, ())
    offers, chain = secure[server.role].offers, services[server.role].chain
    return DeployedServer(server.name, server.addresses, offers, chain)


def _statements(
    server: DeployedServer,
    deployment: Deployment,
    zones: Mapping[dns.name.Name, Zone],
    published: Sequence[tuple[Signal, BaseModel]],
) -> tuple[Statement, ...]:
    """What the published signals have a server say of itself."""
    home = zones[deployment.zone_of(server.name).origin]
    said = (signal.speak(server, home, parameters) for signal, parameters in published)
    return tuple(statement for statement in said if statement is not None)


def _signed(
    zones: dict[dns.name.Name, Zone],
    signing: Mapping[dns.name.Name, Signing],
    keys: Mapping[dns.name.Name, KeySet],
) -> dict[dns.name.Name, Zone]:
    """The zones, those signed that are to be."""
    inception, expiration = SIGNATURE_LIFE
    for zone, how in signing.items():
        zones[zone] = sign_zone(
            zones[zone],
            keys[zone],
            inception=inception,
            expiration=expiration,
            denial=how.denial,
            opt_out=how.opt_out,
        )
    return zones
