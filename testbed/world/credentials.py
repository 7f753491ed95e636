"""Certificates of a world: those that the operators have, and those that attackers come by."""

from __future__ import annotations

import functools
from collections.abc import Iterable

import dns.name

from testbed.attack.api import CertificateKind
from testbed.core import pki
from testbed.scenario.world import Service
from testbed.topology import Server
from testbed.world.epoch import AUTHORITY_LIFE, CERTIFICATE_LIFE, EXPIRED_LIFE, LASTING_LIFE


class Issuer(pki.Authority):
    """The CA that resolvers trust. ``life`` is how long certificates that are not expired are valid."""

    def __init__(self, seed: int, life: tuple[int, int]) -> None:
        not_before, not_after = AUTHORITY_LIFE
        super().__init__(seed, not_before=not_before, not_after=not_after)
        self.life = life


@functools.lru_cache(maxsize=16)
def authority(seed: int, lasting: bool = False) -> Issuer:
    """The CA of a world. ``lasting``: what it issues is valid for years."""
    return Issuer(seed, LASTING_LIFE if lasting else CERTIFICATE_LIFE)


def _issue(
    issuer: pki.Authority,
    names: Iterable[dns.name.Name],
    life: tuple[float, float],
    key: str,
    addresses: Iterable[str] = (),
    usage: pki.Usage = "server",
) -> pki.Credential:
    return issuer.issue(
        tuple(names), tuple(addresses), not_before=life[0], not_after=life[1], key=key, usage=usage
    )


def _self_signed(issuer: Issuer, names: Iterable[dns.name.Name], key: str) -> pki.Credential:
    not_before, not_after = issuer.life
    return pki.self_signed(issuer.seed, tuple(names), not_before=not_before, not_after=not_after, key=key)


def of_server(issuer: Issuer, server: Server, service: Service, key: str) -> pki.Credential:
    """The certificate that the operator of a server has. ``key`` is the label of its key."""
    match service.certificate:
        case "valid":
            return _issue(issuer, (server.name,), issuer.life, key)
        case "address":
            return _issue(issuer, (), issuer.life, key, server.addresses)
        case "private-authority":
            not_before, not_after = AUTHORITY_LIFE
            own = pki.Authority(issuer.seed, f"operator {key}", not_before=not_before, not_after=not_after)
            not_before, not_after = issuer.life
            return own.issue(
                (server.name,), not_before=not_before, not_after=not_after, key=key, with_root=True
            )
        case "expired":
            return _issue(issuer, (server.name,), EXPIRED_LIFE, key)
        case "wrong-name":
            other = dns.name.from_text("wrong-name", server.name.parent())
            return _issue(issuer, (other,), issuer.life, key)
        case "self-signed":
            return _self_signed(issuer, (server.name,), key)


def forged(
    issuer: Issuer,
    kind: CertificateKind,
    victim: dns.name.Name,
    own: dns.name.Name,
    genuine: pki.Credential | None = None,
) -> pki.Credential:
    """A certificate that an attacker presents in a server's place; ``own`` is the name of its own server.

    ``genuine`` is what the victim has, and what a thief presents. Where there is nothing to steal, a thief
    has to make one up.
    """
    key = f"attacker {victim}"
    if kind == "stolen" and genuine is not None:
        return genuine
    if kind in ("self-signed", "stolen"):
        return _self_signed(issuer, (victim,), key)
    if kind == "own-name":
        return _issue(issuer, (own,), issuer.life, f"attacker {own}")
    signer: pki.Authority = issuer
    if kind == "unknown-authority":
        not_before, not_after = AUTHORITY_LIFE
        signer = pki.Authority(issuer.seed, "attacker", not_before=not_before, not_after=not_after)
    life = EXPIRED_LIFE if kind == "expired" else issuer.life
    return _issue(signer, (victim,), life, key, usage="client" if kind == "wrong-usage" else "server")
