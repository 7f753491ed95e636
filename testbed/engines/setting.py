"""What engines' templates are filled in with: the resolver's place in the network, and what it must know."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.serialization import Encoding

from testbed.core.policy import Policy
from testbed.core.resolver.state import Configuration, RootServer
from testbed.core.transport import Transport
from testbed.topology import within

HINTS, AUTHORITIES = "root.hints", "ca.pem"


@dataclass(frozen=True)
class Known:
    """A server that the resolver knows by configuration. ``dot`` is the port of its DoT service, or None."""

    name: str
    addresses: tuple[str, ...]
    dot: int | None


def setting(
    folder: Path,
    listen: tuple[str, str],
    configuration: Configuration,
    policy: Policy,
    signals: tuple[str, ...],
) -> dict[str, Any]:
    """The names that templates may use, and what they stand for.

    ``folder`` is the program's own, with a file of root hints and one of certificates in it; ``listen`` are
    the addresses that it serves, ``outgoing`` those that it asks from. ``trust_anchors`` are DS records as
    text, none when it shall not validate. ``mirrored`` says whether it shall have a copy of the root zone,
    which ``root_sources`` have.
    """
    anchor = configuration.trust_anchor if policy.dnssec else None
    return {
        "folder": str(folder),
        "listen": listen,
        "outgoing": tuple(within(listen, configuration.families)),
        "families": configuration.families,
        "trust_anchors": tuple(f". IN DS {rdata.to_text()}" for rdata in anchor or ()),
        "roots": tuple(map(_known, configuration.roots)),
        "root_sources": tuple(map(_known, configuration.root_sources)),
        "mirrored": policy.mirror != "off" and bool(configuration.root_sources),
        "policy": policy,
        "signals": signals,
    }


def common_files(configuration: Configuration) -> dict[str, str]:
    """The files that every program gets: root hints, and the certificates of the CAs that it trusts."""
    certificates = (each.public_bytes(Encoding.PEM).decode() for each in configuration.authorities)
    return {HINTS: _hints(configuration.roots), AUTHORITIES: "".join(certificates)}


def _known(server: RootServer) -> Known:
    dot = next((port for transport, port in server.offers if transport is Transport.DOT), None)
    return Known(server.name.to_text(omit_final_dot=True), server.addresses, dot)


def _hints(roots: tuple[RootServer, ...]) -> str:
    """Root hints as a master file (RFC 1035 section 5)."""
    lines = []
    for server in roots:
        lines.append(f". 3600000 IN NS {server.name}")
        for address in server.addresses:
            lines.append(f"{server.name} 3600000 IN {'AAAA' if ':' in address else 'A'} {address}")
    return "\n".join(lines) + "\n"
