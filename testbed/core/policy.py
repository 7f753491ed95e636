"""What a resolver does with signals and with failures: named policies, and the switches they are made of."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

Encryption = Literal["never", "opportunistic", "signalled", "always"]
"""never: clear text only. opportunistic: encrypt where a signal or a probe allows it, fall back to clear
text when that fails. signalled: once a signal was accepted, encrypted or not at all. always: no clear text,
except to servers that no answer could be had without (the discovery of signals)."""

Authentication = Literal["none", "required"]
"""Whether a server must prove its identity before it is sent a query over TLS or QUIC."""

Acceptance = Literal["any", "secure-link", "secure-path", "validated"]
"""Which signals count. any: every one. secure-link: validated with DNSSEC, or received over an authenticated
session. secure-path: validated, or received over an authenticated session with a server whose own name was
learned that way, back to the root. validated: with DNSSEC only."""

Revalidation = Literal["off", "parallel", "strict", "serialised"]
"""Whether a delegated zone is asked for its own NS RRset (draft-ietf-dnsop-ns-revalidation). parallel: beside
the first query to it. strict: likewise, and the answer is thrown away when the zone names other servers.
serialised: before that query."""

Minimisation = Literal["off", "relaxed", "strict"]
"""QNAME minimisation (RFC 9156): relaxed falls back to the full name after an error, strict never does."""


class Policy(BaseModel):
    """A resolver's policy. ``signals`` is in order of preference; None means those that are published."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str = Field("custom", description="The named policy that this one is, or is derived from.")
    signals: tuple[str, ...] | None = Field(None, description="Signals, in order of preference.")
    encryption: Encryption = Field("opportunistic", description="When queries must be encrypted.")
    authentication: Authentication = Field("none", description="Whether servers must prove their identity.")
    accept: Acceptance = Field("any", description="Which signals are accepted.")
    minimisation: Minimisation = Field("relaxed", description="QNAME minimisation (RFC 9156).")
    revalidation: Revalidation = Field("off", description="Whether zones are asked for their NS RRset.")
    dnssec: bool = Field(True, description="Whether answers are validated (RFC 4035).")
    preconfigured_root: bool = Field(
        True, description="Whether the resolver ships with the knowledge that root servers encrypt."
    )


POLICIES: dict[str, Policy] = {
    policy.name: policy
    for policy in (
        Policy(name="opportunistic", encryption="opportunistic", authentication="none"),
        Policy(name="strict", encryption="signalled", authentication="required", minimisation="strict"),
    )
}
"""The named policies. Scenario files name one, or give a mapping over one with ``base``."""
