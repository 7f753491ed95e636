"""DELEG with transports: the parent signs how servers are to be reached (draft-wesplaap-deleg-transport).

A record without ``alpn`` is about Do53, one with it lists encrypted transports. Servers are recognised by the
record's ``tlsa``, or else by a certificate for their name. What becomes of a server of which no listed
transport works is for the resolver's policy to say.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from pydantic import Field

from testbed.core import identity
from testbed.core.deleg import KNOWN, Key, Record
from testbed.core.delegation import Offer, Referral
from testbed.core.dohpath import DEFAULT_PATH
from testbed.core.signal import DeployedServer
from testbed.signals.deleg_base import DelegBase, DelegBaseParameters, Source


class DelegParameters(DelegBaseParameters):
    """What the operators choose."""

    tlsa: bool = Field(
        False,
        description="Whether records hold TLSA records. Those with addresses always do, as they lack a name.",
    )
    mandatory: bool = Field(True, description="Whether resolvers must understand transports to use a record.")
    do53: bool = Field(False, description="Whether Do53 is listed beside encryption.")


class Deleg(DelegBase):
    """Zones whose servers encrypt are delegated with DELEG records that list the transports."""

    name = "deleg"
    summary = "DELEG records that list transports"
    source = "draft-ietf-deleg; draft-ietf-dnsop-delext; draft-wesplaap-deleg-transport"
    Parameters = DelegParameters
    known = KNOWN

    def describe(
        self, server: DeployedServer, plain: Record, parameters: DelegBaseParameters
    ) -> Iterable[Record]:
        """A record with the transports of a server that are at their default ports, one without for Do53."""
        assert isinstance(parameters, DelegParameters)
        announced = tuple(item for item, port in server.offers if port == item.port)
        if announced:
            yield replace(
                plain,
                alpn=tuple(str(item.alpn) for item in announced),
                tlsa=(identity.tlsa(server.chain[0]),) if parameters.tlsa or plain.addresses else (),
                dohpath=server.path if any(item.http for item in announced) else "",
                mandatory=(Key.ALPN,) if parameters.mandatory else (),
            )
        if parameters.do53 or not announced:
            yield plain

    def offer(self, record: Record, source: Source, referral: Referral) -> Offer | None:
        """What a record with ``alpn`` offers, for this zone alone: others may be served differently."""
        if not record.alpn:
            return None
        return Offer(
            self.name,
            record.transports,
            source.standing,
            source.until,
            tlsa=record.tlsa,
            zone=referral.zone,
            path=record.dohpath or DEFAULT_PATH,
        )


SIGNAL = Deleg()
