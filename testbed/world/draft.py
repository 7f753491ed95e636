"""Worlds in draft: everything that operators decide, and zones as they write them, before they are signed."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import dns.dnssectypes
import dns.name
from pydantic import BaseModel

from testbed import signals
from testbed.core import pki
from testbed.core.signal import Addition, DeployedServer, DeployedZone, Deployment, Removal, Signal
from testbed.core.signer import KeySet, ds_for
from testbed.scenario.world import Service, Signing
from testbed.scenario.world import World as Described
from testbed.topology import EVIL, TARGET, Server, Topology
from testbed.world import credentials
from testbed.world.zones import TTL, ZoneFile, hosted_zones, lay_out, name_servers, parents_of

Published = Sequence[tuple[Signal, BaseModel]]
"""The signals that operators publish, with their parameters."""


@dataclass(frozen=True, eq=False)
class Draft:
    """A world before its zones are signed.

    ``topology`` has the names that servers go by in it. ``secure`` and ``services`` say by role what
    encryption a server offers, and with which credential; ``signing`` and ``keys`` by zone how it is to be
    signed. ``hosted`` are the zones that the target's servers host beside the target zone.
    """

    topology: Topology
    issuer: credentials.Issuer
    secure: Mapping[str, Service]
    services: Mapping[str, pki.Credential]
    signing: Mapping[dns.name.Name, Signing]
    keys: Mapping[dns.name.Name, KeySet]
    hosted: tuple[dns.name.Name, ...]
    published: Published
    deployment: Deployment
    files: Mapping[dns.name.Name, ZoneFile]

    def deployed(self, server: Server) -> DeployedServer:
        """A server as its operator sees it."""
        return _deployed(server, self.secure, self.services)


def draft(topology: Topology, described: Described, seed: int, lasting: bool = False) -> Draft:
    """The world that a scenario describes, with what its signals publish, before its zones are signed.

    ``lasting``: its certificates are valid for years.
    """
    signed, secure = dict(described.signed), dict(described.secure)
    _fit_out_evil(topology, signed, secure)
    published = [(signals.load(name), parameters) for name, parameters in described.signal.items()]
    keys_of = {server.role: server.name.to_text() for server in topology.servers}
    issuer = credentials.authority(seed, lasting)
    topology = _renamed(topology, secure, published, issuer)
    services = {
        role: credentials.of_server(issuer, topology.by_role[role], service, keys_of[role])
        for role, service in secure.items()
    }
    hosted = hosted_zones(topology, described.hosted_zones)
    files = lay_out(topology, hosted, described.records)
    signing = {server.zone: signed[server.role] for server in topology.servers if server.role in signed}
    deployment = _deployment(topology, hosted, signing, secure, services)
    keys = {
        zone: KeySet.derive(
            seed.to_bytes(8),
            zone,
            dns.dnssectypes.Algorithm[how.algorithm],
            _key_flags(zone, deployment, published),
        )
        for zone, how in signing.items()
    }
    parents = parents_of(topology)
    for zone, how in signing.items():
        if zone in parents and not how.island:
            files[parents[zone]].merge(ds_for(zone, keys[zone], ttl=TTL))
    for signal, parameters in published:
        for change in signal.publish(deployment, parameters):
            match change:
                case Addition(zone, rrset):
                    files[zone].merge(rrset)
                case Removal(zone, name, rdtype):
                    files[zone].remove(name, rdtype)
    return Draft(topology, issuer, secure, services, signing, keys, hosted, published, deployment, files)


def _key_flags(zone: dns.name.Name, deployment: Deployment, published: Published) -> int:
    """DNSKEY flags that signals have a zone's keys bear, beside the usual ones."""
    flags = 0
    for signal, parameters in published:
        flags |= signal.key_flags(zone, deployment, parameters)
    return flags


def _deployment(
    topology: Topology,
    hosted: tuple[dns.name.Name, ...],
    signing: Mapping[dns.name.Name, Signing],
    secure: Mapping[str, Service],
    services: Mapping[str, pki.Credential],
) -> Deployment:
    """All zones with their servers, those that share the target's servers included."""
    parents = parents_of(topology)
    zones = [
        DeployedZone(
            zone,
            parents.get(zone),
            zone in signing,
            tuple(_deployed(server, secure, services) for server in name_servers(topology, zone)),
        )
        for zone in dict.fromkeys(server.zone for server in topology.servers)
    ]
    target = next(zone for zone in zones if zone.origin == topology.by_role[TARGET].zone)
    zones += [DeployedZone(zone, target.parent, False, target.servers) for zone in hosted]
    return Deployment(tuple(zones))


def _fit_out_evil(topology: Topology, signed: dict[str, Signing], secure: dict[str, Service]) -> None:
    """The attacker's own server lacks nothing: encryption, a certificate, signatures where they can be."""
    evil = topology.by_role.get(EVIL)
    if evil is None:
        return
    secure.setdefault(EVIL, Service())
    if evil.parent in signed:
        signed.setdefault(EVIL, Signing())


def _renamed(
    topology: Topology, secure: Mapping[str, Service], published: Published, issuer: credentials.Issuer
) -> Topology:
    """The topology with the names that signals have servers go by."""
    servers = []
    for server in topology.servers:
        name = server.name
        if server.role in secure:
            service = secure[server.role]
            credential = credentials.of_server(issuer, server, service, server.name.to_text())
            deployed = DeployedServer(
                server.name, server.addresses, service.offers, credential.chain, service.path
            )
            for signal, parameters in published:
                name = signal.rename(deployed, parameters) or name
        servers.append(dataclasses.replace(server, name=name))
    return dataclasses.replace(topology, servers=tuple(servers))


def _deployed(
    server: Server, secure: Mapping[str, Service], services: Mapping[str, pki.Credential]
) -> DeployedServer:
    if server.role not in secure:
        return DeployedServer(server.name, server.addresses, ())
    service, chain = secure[server.role], services[server.role].chain
    return DeployedServer(server.name, server.addresses, service.offers, chain, service.path)
