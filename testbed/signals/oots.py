"""Hints that a server gives of itself in passing (draft-johani-dnsop-transport-signaling-03, OOTS).

A resolver that wants to hear them sets the EDNS option OOTS in its queries. A server then adds the SVCB
records at ``_dns.<its own name>`` to responses from zones whose NS RRset names it. They say nothing about
whether that NS RRset is the right one. So, signed or not, the draft does not allow to base a strict policy on
them: a resolver must be ready to go back to clear text.

    option    OPTION-CODE(16) OPTION-LENGTH(16) = 0
    oots      SvcParamValue { protocol(8) weight(8) }, each protocol at most once
              protocol: 0 do53, 1 dot, 2 doh, 3 doq; weight: 0 to 100, 0 means that it is not offered
"""

from collections.abc import Iterable

import dns.edns
import dns.flags
import dns.message
import dns.name
import dns.rdata
import dns.rdataclass
import dns.rdatatype
import dns.rrset
from pydantic import BaseModel, Field

from testbed.core import message as messages
from testbed.core import svcb
from testbed.core.authoritative import Statement
from testbed.core.delegation import Offer
from testbed.core.resolver.cache import lifetime
from testbed.core.signal import Addition, DeployedServer, Deployment, Heard, Parameters, Signal
from testbed.core.transport import Transport
from testbed.core.zone import Zone

OPTION = dns.edns.OptionType.make(65002)
"""EDNS option code; none was assigned, this one is for local use (RFC 6891 section 9)."""

KEY = 65280
"""SvcParamKey "oots"; none was assigned, this one is for private use (RFC 9460 section 14.3.2)."""

FULL = 100
"""Weight of a transport over which a server takes all of its queries."""

_PROTOCOLS = {Transport.DOT: 1, Transport.DOH: 2, Transport.DOQ: 3}
_TRANSPORTS = {number: transport for transport, number in _PROTOCOLS.items()}


def encode(transports: Iterable[Transport]) -> dns.rdata.Rdata:
    """The SVCB record of a server that takes all queries over Do53 and each of these transports."""
    value = bytes((0, FULL)) + b"".join(bytes((_PROTOCOLS[item], FULL)) for item in transports)
    wire = b"\x00\x01\x00" + KEY.to_bytes(2, "big") + len(value).to_bytes(2, "big") + value
    return dns.rdata.from_wire(dns.rdataclass.IN, dns.rdatatype.SVCB, wire, 0, len(wire))


def decode(rrset: dns.rrset.RRset) -> tuple[Transport, ...]:
    """The encrypted transports that are offered, those with the largest weight first.

    Records in AliasMode, without the key, or with a value that is malformed are ignored, and so are all other
    parameters. Whether the weight asks for some of the queries only is not looked at.
    """
    weights: dict[Transport, int] = {}
    for rdata in rrset:
        value = getattr(rdata.params.get(KEY), "value", b"") if rdata.priority else b""
        protocols = value[::2]
        if len(value) % 2 or len(set(protocols)) < len(protocols):
            continue
        for protocol, weight in zip(protocols, value[1::2], strict=True):
            if weight and protocol in _TRANSPORTS:
                weights[_TRANSPORTS[protocol]] = min(weight, FULL)
    return tuple(sorted(weights, key=lambda transport: -weights[transport]))


class OotsParameters(Parameters):
    """What the operators choose."""

    ttl: int = Field(86400, ge=0, description="TTL of the SVCB records, in seconds.")
    minimal: bool = Field(
        False,
        description="Whether responses are minimal. Then they name the zone's servers only where these are "
        "asked for, and there is no other place for a hint.",
    )


class Oots(Signal):
    """Servers hint at what they offer, to resolvers that want to hear it."""

    name = "oots"
    summary = "SVCB records that servers add to their responses, as a hint"
    source = "draft-johani-dnsop-transport-signaling"
    Parameters = OotsParameters

    def publish(self, deployment: Deployment, parameters: BaseModel) -> Iterable[Addition]:
        """SVCB records in the zones that hold the names of the servers that encrypt."""
        assert isinstance(parameters, OotsParameters)
        for server in deployment.servers:
            transports = _hinted(server)
            if transports:
                owner = svcb.owner(server.name)
                rrset = dns.rrset.from_rdata(owner, parameters.ttl, encode(transports))
                yield Addition(deployment.zone_of(server.name).origin, rrset)

    def speak(self, server: DeployedServer, home: Zone, parameters: BaseModel) -> Statement | None:
        """A server adds its SVCB records, signed if they are, to responses from zones that are its own."""
        assert isinstance(parameters, OotsParameters)
        owner = svcb.owner(server.name)
        records = home.rrset(owner, dns.rdatatype.SVCB)
        if not _hinted(server) or records is None:
            return None
        signatures = home.signatures(owner, dns.rdatatype.SVCB)
        minimal = parameters.minimal

        def hint(
            query: dns.message.Message, response: dns.message.Message, zone: Zone, _transport: Transport
        ) -> None:
            if not _asked(query) or not response.flags & dns.flags.AA:
                return
            dnssec = bool(query.ednsflags & dns.flags.DO)
            servers = zone.rrset(zone.origin, dns.rdatatype.NS)
            if servers is None or server.name not in _targets(servers):
                return
            if servers not in response.answer:
                if minimal:
                    return
                response.authority.append(servers)
                signed = zone.signatures(zone.origin, dns.rdatatype.NS)
                if dnssec and signed is not None:
                    response.authority.append(signed)
            response.additional.append(records)
            if dnssec and signatures is not None:
                response.additional.append(signatures)

        return hint

    def dress(self, query: dns.message.Message) -> None:
        """Ask for hints."""
        messages.add_option(query, dns.edns.GenericOption(OPTION, b""))

    def read_response(self, heard: Heard, now: float) -> None:
        """Take hints about servers that the same response names as the zone's."""
        named = {
            target
            for rrset in (*heard.message.answer, *heard.message.authority)
            if rrset.rdtype == dns.rdatatype.NS and rrset.name == heard.zone
            for target in _targets(rrset)
        }
        for server, rrset in svcb.riding(heard.message):
            transports = tuple((transport, transport.port) for transport in decode(rrset))
            if server in named and transports:
                until = lifetime(rrset, now)
                heard.offers.append((server, Offer(self.name, transports, heard.standing, until, hint=True)))


def _hinted(server: DeployedServer) -> tuple[Transport, ...]:
    """What a hint can say of a server: transports where they usually are, and none without a number."""
    return tuple(transport for transport in server.usual if transport in _PROTOCOLS)


def _asked(query: dns.message.Message) -> bool:
    return any(option.otype == OPTION for option in query.options)


def _targets(servers: dns.rrset.RRset) -> set[dns.name.Name]:
    return {rdata.target for rdata in servers}


SIGNAL = Oots()
