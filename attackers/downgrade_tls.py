"""Tries to talk the two ends of a TLS handshake into less than both can do."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from testbed.attack.api import (
    Alert,
    Alter,
    Attacker,
    Capability,
    Handshake,
    HandshakeAction,
    Parameters,
)
from testbed.core.tls_messages import (
    ALPN,
    SUPPORTED_VERSIONS,
    AlertDescription,
    TlsFormatError,
    without_extensions,
)

_REMOVED = {"version": SUPPORTED_VERSIONS, "alpn": ALPN}
_SAID = {
    "old-server": AlertDescription.PROTOCOL_VERSION,
    "other-alpn": AlertDescription.NO_APPLICATION_PROTOCOL,
}


class DowngradeTlsParameters(Parameters):
    """What it does to ClientHellos."""

    how: Literal["version", "alpn", "old-server", "other-alpn"] = Field(
        "version",
        description="version: the offer of TLS 1.3 is removed. alpn: the protocols are removed. old-server: "
        "it is answered as by a server of earlier versions only. other-alpn: as by a server that has none of "
        "the protocols.",
    )


class DowngradeTls(Attacker):
    """Alters ClientHellos, or answers them, as if one side knew no better. Over TCP; QUIC is left alone."""

    capability = Capability.ON_PATH
    source = "RFC 8446 section 4.1.3 and appendix E.1; RFC 7301 section 5; RFC 9325 section 3.1"
    Parameters = DowngradeTlsParameters

    def handshake(self, handshake: Handshake) -> HandshakeAction:
        """Alter or answer it."""
        if handshake.protocol != "tcp":
            return None
        self.matched()
        how = self.parameters.how
        if how in _SAID:
            return Alert(_SAID[how])
        try:
            altered = without_extensions(handshake.octets, (_REMOVED[how],))
        except TlsFormatError:
            return None
        return Alter(altered) if altered != handshake.octets else None
