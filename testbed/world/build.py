"""Builds worlds: signs the zones, makes the certificates, and says which server offers what."""

from __future__ import annotations

import functools
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass, field

import dns.dnssectypes
import dns.message
import dns.name
import dns.rdatatype
import dns.rrset

from testbed import signals
from testbed.attack.api import CertificateKind
from testbed.core import message, pki
from testbed.core.authoritative import Authoritative
from testbed.core.resolver.state import RootServer
from testbed.core.signal import DeployedServer, DeployedZone, Deployment
from testbed.core.signer import KeySet, ds_for, sign_zone
from testbed.core.transport import Transport
from testbed.core.zone import Zone
from testbed.scenario.world import Service, Signing
from testbed.scenario.world import World as Described
from testbed.topology import Server, Topology
from testbed.world.zones import TTL, hosted_zones, lay_out, name_servers

EPOCH = 1767225600
"""Unix time at which every world begins: 2026-01-01, 00:00 UTC."""

DAY = 86400
SIGNATURE_LIFE = (EPOCH - DAY, EPOCH + 30 * DAY)
"""Validity of signatures (RFC 6781 section 4.4.2 speaks of days to weeks)."""

CERTIFICATE_LIFE = (EPOCH - 30 * DAY, EPOCH + 60 * DAY)
EXPIRED_LIFE = (EPOCH - 120 * DAY, EPOCH - 30 * DAY)
AUTHORITY_LIFE = (EPOCH - 3650 * DAY, EPOCH + 3650 * DAY)

EVIL = "evil"
"""The role that the attacker's own server plays."""


@dataclass(frozen=True, eq=False)
class World:
    """A built world.

    ``zones`` are by origin; ``hosting`` says which of them a role's server serves, ``services`` what
    encryption it offers and with which credential. ``authority`` is the CA that resolvers trust.
    """

    topology: Topology
    seed: int
    zones: Mapping[dns.name.Name, Zone]
    hosting: Mapping[str, tuple[Zone, ...]]
    services: Mapping[str, tuple[tuple[tuple[Transport, int], ...], pki.Credential]]
    authority: pki.Authority
    trust_anchor: dns.rrset.RRset | None
    _authoritatives: dict[str, Authoritative] = field(default_factory=dict)
    _oracle: list[Authoritative] = field(default_factory=list)

    def authoritative(self, role: str) -> Authoritative:
        """The server logic of a role, with the zones that it serves."""
        if role not in self._authoritatives:
            self._authoritatives[role] = Authoritative(self.hosting[role])
        return self._authoritatives[role]

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

    def forged_credential(self, kind: CertificateKind, victim: dns.name.Name) -> pki.Credential:
        """A certificate that an attacker presents in place of a server with this name."""
        own = self.topology.by_role[EVIL].name if EVIL in self.topology.by_role else victim
        match kind:
            case "own-name":
                return _issue(self.authority, own, CERTIFICATE_LIFE, f"attacker {own}")
            case "mis-issued":
                return _issue(self.authority, victim, CERTIFICATE_LIFE, f"attacker {victim}")
            case "expired":
                return _issue(self.authority, victim, EXPIRED_LIFE, f"attacker {victim}")
            case "self-signed":
                not_before, not_after = CERTIFICATE_LIFE
                return pki.self_signed(
                    self.seed,
                    (victim,),
                    not_before=not_before,
                    not_after=not_after,
                    key=f"attacker {victim}",
                )


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
    hosted = hosted_zones(topology, described.hosted_zones)
    files = lay_out(topology, hosted, described.records)
    signing = {server.zone: signed[server.role] for server in topology.servers if server.role in signed}
    keys = {
        zone: KeySet.derive(seed.to_bytes(8), zone, dns.dnssectypes.Algorithm[how.algorithm])
        for zone, how in signing.items()
    }
    parents = {
        server.zone: topology.by_role[server.parent].zone
        for server in topology.servers
        if server.parent is not None
    }
    for zone, how in signing.items():
        if zone in parents and not how.island:
            files[parents[zone]].merge(ds_for(zone, keys[zone], ttl=TTL))
    deployment = Deployment(
        tuple(
            DeployedZone(
                zone,
                parents.get(zone),
                zone in signing,
                tuple(_deployed(server, secure) for server in name_servers(topology, zone)),
            )
            for zone in dict.fromkeys(server.zone for server in topology.servers)
        )
    )
    for name, parameters in described.signal.items():
        signal = signals.load(name)
        for addition in signal.publish(deployment, parameters or signal.Parameters()):
            files[addition.zone].merge(addition.rrset)
    zones = {origin: Zone(origin, file.rrsets()) for origin, file in files.items()}
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
    authority = _authority(seed)
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
        services={
            role: (service.offers, _credential(authority, topology.by_role[role], service))
            for role, service in secure.items()
        },
        authority=authority,
        trust_anchor=ds_for(dns.name.root, keys[dns.name.root], ttl=TTL) if dns.name.root in keys else None,
    )


def _fit_out_evil(topology: Topology, signed: dict[str, Signing], secure: dict[str, Service]) -> None:
    """The attacker's own server lacks nothing: encryption, a certificate, signatures where they can be."""
    evil = topology.by_role.get(EVIL)
    if evil is None:
        return
    secure.setdefault(EVIL, Service())
    if evil.parent in signed:
        signed.setdefault(EVIL, Signing())


def _deployed(server: Server, secure: Mapping[str, Service]) -> DeployedServer:
    offers = secure[server.role].offers if server.role in secure else ()
    return DeployedServer(server.name, server.addresses, offers)


@functools.lru_cache(maxsize=16)
def _authority(seed: int) -> pki.Authority:
    not_before, not_after = AUTHORITY_LIFE
    return pki.Authority(seed, not_before=not_before, not_after=not_after)


def _issue(
    authority: pki.Authority, name: dns.name.Name, life: tuple[float, float], key: str
) -> pki.Credential:
    return authority.issue((name,), not_before=life[0], not_after=life[1], key=key)


def _credential(authority: pki.Authority, server: Server, service: Service) -> pki.Credential:
    """The certificate that the operator of a server has."""
    key = server.name.to_text()
    match service.certificate:
        case "valid":
            return _issue(authority, server.name, CERTIFICATE_LIFE, key)
        case "expired":
            return _issue(authority, server.name, EXPIRED_LIFE, key)
        case "wrong-name":
            other = dns.name.from_text("wrong-name", server.name.parent())
            return _issue(authority, other, CERTIFICATE_LIFE, key)
        case "self-signed":
            not_before, not_after = CERTIFICATE_LIFE
            return pki.self_signed(
                authority.seed, (server.name,), not_before=not_before, not_after=not_after, key=key
            )
