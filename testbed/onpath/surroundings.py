"""What relays on a hop need to know."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from testbed.attack.actions import CertificateKind
from testbed.attack.chain import Chain
from testbed.core.pki import Credential
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
