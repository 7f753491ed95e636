"""What relays on a hop need to know."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from testbed.attack.actions import CertificateKind
from testbed.attack.chain import Chain
from testbed.attack.events import Handshake
from testbed.core.pki import Credential
from testbed.core.tls_messages import ClientHello
from testbed.transports import Host
from testbed.transports.tls import Secrets


@dataclass(frozen=True)
class Surroundings:
    """What a relay needs to know: who is where, what to present in whose place, who takes TLS secrets."""

    host: Host
    chain: Chain
    role_at: Callable[[str], str]
    credential: Callable[[CertificateKind, str], Credential]
    """Certificate to present in place of the server in a role."""
    secrets: Secrets


def greeting(
    role: str,
    port: int,
    hello: ClientHello,
    protocol: Literal["tcp", "udp"] = "tcp",
    octets: bytes = b"",
) -> Handshake:
    """What attackers are shown of a ClientHello that is on its way to the server in a role."""
    return Handshake(
        role,
        port,
        hello.sni,
        hello.alpn,
        hello.size,
        hello.versions,
        hello.ticket,
        hello.early_data,
        protocol,
        octets,
    )
