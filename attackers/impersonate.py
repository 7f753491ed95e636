"""Terminates TLS in the server's place, with a certificate of some kind, and relays to the true server."""

from typing import Literal

from pydantic import Field

from testbed.attack.api import (
    Attacker,
    Capability,
    CertificateKind,
    Handshake,
    HandshakeAction,
    Impersonate,
    MessageAction,
    Parameters,
    Replace,
    Response,
)


class ImpersonateParameters(Parameters):
    """What is presented, and what is answered."""

    certificate: CertificateKind = Field("self-signed", description="The certificate that is presented.")
    answers: Literal["relayed", "forged"] = Field(
        "relayed", description="forged: another address for the sensitive name, without its signature."
    )


class ImpersonateServer(Attacker):
    """Sits between the two ends of a TLS session, if the resolver lets it."""

    capability = Capability.ON_PATH
    source = "RFC 8310 section 5; RFC 9539 section 4.6.3.4"
    Parameters = ImpersonateParameters
    parameters: ImpersonateParameters

    def handshake(self, handshake: Handshake) -> HandshakeAction:
        """Terminate every session."""
        self.matched()
        return Impersonate(self.parameters.certificate)

    def response(self, response: Response) -> MessageAction:
        """Forge the answer for the sensitive name, inside sessions that were terminated."""
        if self.parameters.answers != "forged" or not response.transport.encrypted:
            return None
        message = response.message
        forged = [
            self.scene.led_away(rrset)
            for rrset in message.answer
            if rrset.name == self.scene.sensitive_name and self.scene.own_address(rrset.rdtype)
        ]
        if not forged:
            return None
        message.answer[:] = forged
        return Replace(message)
