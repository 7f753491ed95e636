"""A digest of the root zone, so that resolvers can rely on a copy of it and need not ask root servers.

It announces no server's encryption. What it secures is where other signals are read from first: a verified
copy gives delegations from the root, signals in them included, the standing of validated data. What a
resolver makes of it is no matter of order among signals but of ``policy.mirror``; the resolver's half is in
``testbed.core.resolver.mirror``.
"""

from collections.abc import Iterable
from typing import Literal

import dns.name
from pydantic import BaseModel, Field

from testbed.core import zonemd
from testbed.core.signal import Addition, Deployment, Parameters, Signal


class RootMirrorParameters(Parameters):
    """What the operators of the root choose."""

    hashes: tuple[Literal["SHA384", "SHA512"], ...] = Field(
        ("SHA384",), min_length=1, description="Hash algorithms, with a ZONEMD record for each."
    )


class RootMirror(Signal):
    """The root zone has ZONEMD records; they are signed if it is."""

    name = "root-mirror"
    summary = "the root zone has a digest, so that a local copy of it can be verified"
    source = "RFC 8806; RFC 8976"
    Parameters = RootMirrorParameters

    def publish(self, deployment: Deployment, parameters: BaseModel) -> Iterable[Addition]:
        """The ZONEMD records, whose digests are filled in once the zone is complete."""
        assert isinstance(parameters, RootMirrorParameters)
        algorithms = dict.fromkeys(zonemd.Hash[name] for name in parameters.hashes)
        yield Addition(dns.name.root, zonemd.placeholder(dns.name.root, algorithms))


SIGNAL = RootMirror()
