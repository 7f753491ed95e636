"""Adds a promise to encrypt to responses, in the name of servers that never made one."""

from pydantic import Field

from testbed.attack.api import Capability, MessageAction, Replace, Response, Rewriter, RewriterParameters
from testbed.signals import commitment


class InjectCommitmentParameters(RewriterParameters):
    """What is promised."""

    max_age: int = Field(
        30 * 86400, ge=0, le=commitment.LONGEST, description="For how many seconds; 0 takes a promise back."
    )


class InjectCommitment(Rewriter):
    """Promises encryption in a server's name, in clear text and in sessions that it manages to terminate.

    A resolver that believes it will not ask that server in clear any more, long after the attacker has gone.
    RFC 6797 section 8.1 has promises ignored that do not come over a session with an authenticated server.
    """

    capability = Capability.ON_PATH
    source = "RFC 6797 sections 8.1 and 14.3"
    Parameters = InjectCommitmentParameters
    parameters: InjectCommitmentParameters

    def response(self, response: Response) -> MessageAction:
        """Put the promise in, in place of any other, where there is room for it."""
        message = response.message
        if message.opt is None:
            return None
        self.matched()
        others = [option for option in message.options if option.otype != commitment.OPTION]
        promise = commitment.encode(self.parameters.max_age)
        message.use_edns(message.edns, message.ednsflags, message.payload, options=[*others, promise])
        return Replace(message)
