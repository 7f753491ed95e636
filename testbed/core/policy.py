"""What a resolver does with signals and with failures: named policies, and the switches they are made of."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

Encryption = Literal["never", "opportunistic", "signalled", "always"]
"""never: clear text only. opportunistic: encrypt where a signal or a probe allows it, fall back to clear
text when that fails. signalled: once a signal was accepted, encrypted or not at all. always: no clear text,
except to find signals."""

Authentication = Literal["none", "when-possible", "required"]
"""Whether a server must prove its identity before it is sent a query over TLS or QUIC. when-possible: it is
found out whether it can, and the query is sent in any case."""

Credential = Literal["webpki-name", "webpki-address", "dane"]
"""How a server may prove its identity, apart from pins that come with a signal: a certificate for its name
or for its address, from a trusted CA (RFC 9525), or one that TLSA records stand for (RFC 7671)."""

Acceptance = Literal["any", "secure-link", "secure-path", "validated"]
"""Which signals count. any: every one. secure-link: validated with DNSSEC, or received over an authenticated
session. secure-path: validated, or received over an authenticated session with a server whose own name was
learned that way, back to the root. validated: with DNSSEC only."""

Scope = Literal["server", "zone"]
"""Of what encryption is demanded once a signal was accepted: of that server, or of all of the zone's."""

Fallback = Literal["policy", "record"]
"""Who decides whether clear text may take the place of encryption that fails. policy: ``encryption`` alone,
whatever a delegation lists. record: a delegation that describes its servers, by listing Do53 or not."""

Discovery = Literal["synchronous", "asynchronous"]
"""Whether a query waits for a signal that has to be asked for, or goes out in clear meanwhile."""

CommitmentKey = Literal["none", "name-server", "address", "zone"]
"""What a server's promise to encrypt is remembered for, if it is."""

CommitmentSource = Literal["authenticated", "encrypted", "any"]
"""Over which sessions a promise is accepted: with a server that proved its identity (as RFC 6797 section 8.1
has it), over any TLS or QUIC, or over anything."""

Revalidation = Literal["off", "parallel", "strict", "serialised"]
"""Whether a delegated zone is asked for its own NS RRset (draft-ietf-dnsop-ns-revalidation). parallel: beside
the first query to it. strict: likewise, and the answer is thrown away when the zone names other servers.
serialised: before that query."""

Mirror = Literal["off", "ignore", "verify", "require"]
"""Whether a local copy of the root zone is used (RFC 8806), and what is done about its ZONEMD (RFC 8976).
ignore: nothing. verify: a copy whose digest is wrong is not used, one without digest is, unless signatures
prove that there should be one. require: the digest must be there, be right and be signed."""

Resumption = Literal["off", "tickets", "early-data"]
"""Whether sessions are resumed (RFC 8446 section 2.2). early-data: queries over DoQ leave in the first flight
(RFC 9250 section 4.5); over DoT and DoH it is the same as tickets."""

Timers = Literal["monotonic", "wall-clock"]
"""By which clock what is remembered ages: by one that only counts (POSIX CLOCK_MONOTONIC), or by the time of
day, which can be set wrong."""

Probed = Literal["dot", "doq"]
"""Transports that are tried unasked. RFC 9539 asks resolvers for one of them at least; DoH needs a path that
nobody tells them."""

Sought = Literal["dot", "doq", "doh", "doh3"]
"""Transports for which TLSA records are asked for where nothing but them announces encryption."""

Minimisation = Literal["off", "relaxed", "strict"]
"""QNAME minimisation (RFC 9156): relaxed falls back to the full name after an error, strict never does."""


SourcePorts = Literal["random", "fixed"]
"""From which ports queries go out over UDP. random: each from another one (RFC 5452 section 9.2). fixed: all
from the same one, as long as it is free, as resolvers did before 2008."""

MessageIds = Literal["random", "sequential"]
"""Message IDs of queries. random: unpredictable (RFC 5452 section 9.2). sequential: each the last one plus 1,
as resolvers had them before 1997."""


class Policy(BaseModel):
    """A resolver's policy. ``signals`` is in order of preference; None means those that are published."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str = Field("custom", description="The named policy that this one is, or is derived from.")
    signals: tuple[str, ...] | None = Field(None, description="Signals, in order of preference.")
    encryption: Encryption = Field("opportunistic", description="When queries must be encrypted.")
    scope: Scope = Field("server", description="Of which servers encryption is demanded.")
    authentication: Authentication = Field("none", description="Whether servers must prove their identity.")
    credentials: tuple[Credential, ...] = Field(
        ("webpki-name",), description="How they may; any one of these suffices."
    )
    accept: Acceptance = Field("any", description="Which signals are accepted.")
    fallback: Fallback = Field("policy", description="Who decides about clear text where DELEG is used.")
    adt: bool = Field(
        True, description="Whether zones are held to their ADT flag (draft-ietf-dnsop-delext section 6)."
    )
    discovery: Discovery = Field("synchronous", description="Whether queries wait for signals.")
    commitment: CommitmentKey = Field("none", description="What promises to encrypt are remembered for.")
    commitment_from: CommitmentSource = Field("authenticated", description="Which promises are accepted.")
    preconfigured_root: bool = Field(
        True, description="Whether the resolver ships with the knowledge that root servers encrypt."
    )
    prefer_encrypted: bool = Field(
        False, description="Whether servers that are known to encrypt are asked before others."
    )
    mirror: Mirror = Field("off", description="Whether there is a local copy of the root zone.")
    minimisation: Minimisation = Field("relaxed", description="QNAME minimisation (RFC 9156).")
    revalidation: Revalidation = Field("off", description="Whether zones are asked for their NS RRset.")
    resumption: Resumption = Field("off", description="Whether sessions are resumed.")
    probing: tuple[Probed, ...] = Field(
        ("dot",),
        min_length=1,
        description="Transports that are tried unasked, side by side, the preferred one first (RFC 9539).",
    )
    sought: tuple[Sought, ...] = Field(
        ("dot",),
        min_length=1,
        description="Transports for which TLSA records are asked for where these are the signal, one after "
        "the other until there are some.",
    )
    timers: Timers = Field("monotonic", description="By which clock what is remembered ages.")
    tls12: bool = Field(False, description="Whether DoT is spoken over TLS 1.2, too.")
    persistent: bool = Field(
        False,
        description="Whether what probing found out, and promises, outlive a restart (RFC 9539 section 4.6).",
    )
    padding: bool = Field(True, description="Whether encrypted queries are padded (RFC 8467).")
    error_reports: bool = Field(
        False, description="Whether failures are reported to the agent that a zone names (RFC 9567)."
    )
    source_ports: SourcePorts = Field("random", description="From which UDP ports queries go out (RFC 5452).")
    message_ids: MessageIds = Field("random", description="The message IDs of queries (RFC 5452).")
    dnssec: bool = Field(True, description="Whether answers are validated (RFC 4035).")


POLICIES: dict[str, Policy] = {
    policy.name: policy
    for policy in (
        Policy(name="opportunistic", encryption="opportunistic", authentication="none"),
        Policy(name="strict", encryption="signalled", authentication="required", minimisation="strict"),
        Policy(
            name="committed",
            encryption="opportunistic",
            authentication="when-possible",
            commitment="name-server",
        ),
        Policy(name="always", encryption="always", authentication="required", minimisation="strict"),
    )
}
"""The named policies. Scenario files name one, or give a mapping over one with ``base``."""
