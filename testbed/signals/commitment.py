"""A server's promise to encrypt from now on, in the manner of HSTS (RFC 6797).

There is no draft of it. A server adds an EDNS option to responses that go out over TLS or QUIC: for so many
seconds it will offer encryption, with a certificate that holds, and wants not to be asked in clear. Nothing
has to change in any zone. But a resolver that meets the server for the first time knows nothing of it, and
whoever is in the way then can see to it that this remains so.

    option    OPTION-CODE(16) OPTION-LENGTH(16) = 4 max-age(32), in seconds; 0 takes the promise back

What the promise is remembered for, and over what it has to come to be accepted, is the policy's affair
(``commitment``, ``commitment_from``). How the resolver first comes to encrypt is that of other signals.
"""

from typing import cast

import dns.edns
import dns.message
from pydantic import BaseModel, Field

from testbed.core import message as messages
from testbed.core.authoritative import Statement
from testbed.core.signal import DeployedServer, Heard, Parameters, Signal
from testbed.core.transport import Transport
from testbed.core.zone import Zone

OPTION = dns.edns.OptionType.make(65001)
"""EDNS option code, one of those for local use (RFC 6891 section 9)."""

LONGEST = 2**32 - 1
"""Seconds; the largest max-age there is room for."""

_WEEK = 7 * 86400


def encode(max_age: int) -> dns.edns.GenericOption:
    """The option for a promise of some seconds. Raises OverflowError beyond LONGEST."""
    return dns.edns.GenericOption(OPTION, max_age.to_bytes(4, "big"))


def decode(message: dns.message.Message) -> int | None:
    """The seconds that a response promises; None when it promises nothing that can be understood.

    Of several options the first one counts (RFC 6797 section 8.1).
    """
    for option in message.options:
        if option.otype == OPTION:
            data = cast(dns.edns.GenericOption, option).data
            return int.from_bytes(data, "big") if len(data) == 4 else None
    return None


class CommitmentParameters(Parameters):
    """What the operators choose."""

    max_age: int = Field(
        _WEEK, ge=0, le=LONGEST, description="For how many seconds servers promise to encrypt."
    )


class Commitment(Signal):
    """Servers that encrypt promise to go on doing so."""

    name = "commitment"
    summary = "servers promise in an EDNS option to encrypt from now on"
    source = "RFC 6797, for name servers"
    Parameters = CommitmentParameters

    def speak(self, server: DeployedServer, home: Zone, parameters: BaseModel) -> Statement | None:
        """A server that encrypts adds its promise, but not to what is in clear (RFC 6797 section 7.2)."""
        assert isinstance(parameters, CommitmentParameters)
        if not server.offers:
            return None
        promise = encode(parameters.max_age)

        def add(
            _query: dns.message.Message, response: dns.message.Message, _zone: Zone, transport: Transport
        ) -> None:
            if transport.encrypted and response.opt is not None:
                messages.add_option(response, promise)

        return add

    def read_response(self, heard: Heard, now: float) -> None:
        """Take the promise that a response contains."""
        promise = decode(heard.message)
        if promise is not None:
            heard.promise = promise


SIGNAL = Commitment()
