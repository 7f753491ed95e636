"""The deployment in a scenario: what is published, which zones are signed, which servers encrypt."""

from __future__ import annotations

from typing import Any, Literal, Self, TypeVar

from pydantic import (
    BaseModel,
    Field,
    SerializeAsAny,
    StrictBool,
    StrictFloat,
    StrictInt,
    StrictStr,
    ValidationError,
    ValidationInfo,
    field_validator,
    model_validator,
)

from testbed import signals
from testbed.core.dohpath import DEFAULT_PATH, usable
from testbed.core.notation import NameText, RecordText
from testbed.core.transport import Full, Transport
from testbed.scenario import checks
from testbed.scenario.context import Context, context_of
from testbed.scenario.engine import REFERENCE, authoritative_named
from testbed.scenario.errors import unknown
from testbed.scenario.parts import Part, Problems, as_list, checked, problems, spelt_out

SERVED = tuple(transport for transport in Transport if transport.encrypted)
"""The encrypted transports that the testbed's servers can offer."""

LONGEST_LATENCY = 60
"""Seconds; no resolver waits longer for an answer."""

Algorithm = Literal["RSASHA256", "RSASHA512", "ECDSAP256SHA256", "ECDSAP384SHA384", "ED25519", "ED448"]
"""DNSSEC algorithms that the testbed signs with, by their mnemonics in the registry."""

Certificate = Literal["valid", "address", "private-authority", "self-signed", "expired", "wrong-name"]
"""Kinds of certificates that servers have."""

AnyPart = TypeVar("AnyPart", bound=Part)


class Signing(Part):
    """How a zone is signed."""

    denial: Literal["nsec", "nsec3"] = Field(
        "nsec", description="How absence is proved (RFC 4034, RFC 5155)."
    )
    opt_out: StrictBool = Field(False, description="NSEC3 without unsigned delegations (RFC 5155 section 6).")
    algorithm: Algorithm = Field("ECDSAP256SHA256", description="Algorithm of the zone's keys.")
    island: StrictBool = Field(False, description="Signed, but without a DS record in the parent zone.")

    @model_validator(mode="after")
    def _possible(self) -> Self:
        with problems() as found:
            if self.opt_out and self.denial != "nsec3":
                found.add(("opt_out",), "opting out is part of NSEC3; add `denial: nsec3`")
        return self


class Service(Part):
    """The encryption that a server offers, and the credential that it has."""

    transports: tuple[Transport, ...] = Field(
        (Transport.DOT,), min_length=1, description="Encrypted transports that the server offers."
    )
    certificate: Certificate = Field(
        "valid",
        description="Kind of the certificate that the server has for its name; or, with address, for its "
        "addresses. private-authority: from a CA of its operator's own, whose certificate comes along.",
    )
    port: StrictInt | None = Field(
        None, ge=1, le=65535, description="Port of the encrypted transports; default: that of each."
    )

    tls12: StrictBool = Field(False, description="Whether the server has DoT over TLS 1.2, too.")
    families: tuple[Literal[4, 6], ...] = Field(
        (4, 6), min_length=1, description="IP versions over which the server offers encryption."
    )
    path: StrictStr = Field(
        DEFAULT_PATH, description="Where the server has DoH: a URI template (RFC 9461 section 5)."
    )

    @field_validator("path")
    @classmethod
    def _template(cls, value: str) -> str:
        with problems() as found:
            if not usable(value):
                message = "no path of DoH; write one with the variable dns, such as /dns-query{?dns}"
                found.add((), message)
        return value

    @field_validator("families", mode="before")
    @classmethod
    def _one_or_both(cls, value: Any) -> Any:
        return as_list(value)

    @field_validator("transports", mode="before")
    @classmethod
    def _offered(cls, value: Any) -> Any:
        with problems() as found:
            for index, name in enumerate(as_list(value)):
                if name in ("udp", "tcp"):
                    found.add(
                        (index,), f"{name} is clear text, which every server offers; name an encrypted one"
                    )
                elif name not in SERVED:
                    where = " among those that servers of the testbed offer"
                    found.add((index,), unknown("transport", str(name), SERVED, where))
        return as_list(value)

    @property
    def offers(self) -> tuple[tuple[Transport, int], ...]:
        """Each transport with its port."""
        return tuple((transport, self.port or transport.port) for transport in self.transports)


class Fragments(Part):
    """How a server cuts responses over UDP and IPv4 that are larger than some packet."""

    mtu: StrictInt = Field(552, ge=68, le=1500, description="The largest packet, in octets.")
    ids: Literal["random", "sequential"] = Field(
        "random", description="Identifications of datagrams that are cut: unpredictable, or counted from 1."
    )


class Connections(Part):
    """How many connections a server keeps open at a time, over TCP and QUIC together."""

    most: StrictInt = Field(ge=1, le=1000, description="How many.")
    full: Full = Field(
        "refuse",
        description="What becomes of the next one. refuse: it is reset, or refused. close-idle: the one that "
        "has been idle for longest is closed in its favour.",
    )


class CertificateAuthority(Part):
    """How the CA that resolvers trust looks at DNS before it issues a certificate."""

    dnssec: StrictBool = Field(
        True, description="Whether it validates what it finds (CA/Browser Forum ballot SC-085v2)."
    )


def _is_nobodys(role: str, info: ValidationInfo, found: Problems) -> bool:
    """Whether the topology has no such role, which then is among the problems."""
    known = context_of(info).topology
    if known is None or role in known.by_role:
        return False
    found.add((role,), unknown("role", role, known.roles), key=True)
    return True


def _by_role(model: type[AnyPart], value: Any, info: ValidationInfo) -> dict[str, AnyPart]:
    """A mapping from role to options, of roles that the topology has."""
    options: dict[str, AnyPart] = {}
    with problems() as found:
        for role, given in spelt_out(value, "role").items():
            if _is_nobodys(role, info, found):
                continue
            try:
                options[role] = given if isinstance(given, model) else model.model_validate(given)
            except ValidationError as error:
                found.take((role,), error)
    return options


_OPTIONS: dict[str, type[Part]] = {
    "signed": Signing,
    "secure": Service,
    "fragments": Fragments,
    "connections": Connections,
}
"""Fields of a world that have options for roles, and what these may be."""


class World(Part):
    """The deployment: what the operators publish, which zones are signed, which servers encrypt."""

    signal_options: dict[str, SerializeAsAny[BaseModel] | None] = Field(
        default_factory=dict,
        alias="signal",
        description="Signals that the operators publish: names, or a mapping to parameters.",
    )
    signed: dict[str, Signing] = Field(
        default_factory=dict, description="Zones that are signed, by role: a list, or a mapping to options."
    )
    secure: dict[str, Service] = Field(
        default_factory=dict,
        description="Servers that offer encryption, by role: a list, or a mapping to options.",
    )
    latency: dict[StrictStr, StrictFloat] = Field(
        default_factory=dict,
        description="Seconds that a server takes to answer, by role; the others answer at once.",
    )
    fragments: dict[str, Fragments] = Field(
        default_factory=dict,
        description="Servers that cut responses over UDP into fragments, by role: a list, or a mapping to "
        "options.",
    )
    connections: dict[str, Connections] = Field(
        default_factory=dict,
        description="Connections that a server keeps, by role; the others keep all that come.",
    )
    servers: dict[str, StrictStr] = Field(
        default_factory=dict,
        description="What plays the servers, by role: names of authoritative servers, or paths of one's own. "
        "Default: reference, the testbed's own.",
    )
    ca: CertificateAuthority = Field(
        CertificateAuthority(), description="How the CA checks who controls a name, where one is ordered."
    )
    report_channel: dict[str, NameText] = Field(
        default_factory=dict,
        description="Agent domains that servers name for reports of failures (RFC 9567), by role.",
    )
    records: tuple[RecordText, ...] = Field(
        (), description="Further records, NAME TTL TYPE RDATA, for the zones that their names lie in."
    )
    hosted_zones: StrictInt = Field(
        None,
        validate_default=True,
        ge=1,
        le=10_000,
        description="How many zones the target's servers host, the target zone included. "
        "Default: what the topology says.",
    )

    @field_validator("latency", mode="after")
    @classmethod
    def _slow(cls, value: dict[str, float], info: ValidationInfo) -> dict[str, float]:
        with problems() as found:
            for role, seconds in value.items():
                if not _is_nobodys(role, info, found) and not 0 < seconds <= LONGEST_LATENCY:
                    found.add((role,), f"{seconds:g} is out of range; give up to {LONGEST_LATENCY} seconds")
        return value

    @field_validator("hosted_zones", mode="before")
    @classmethod
    def _hosted(cls, value: Any, info: ValidationInfo) -> Any:
        known = context_of(info).topology or Context().topology
        return known.hosted_zones if value is None and known is not None else value

    @field_validator("signal_options", mode="before")
    @classmethod
    def _signals(cls, value: Any) -> dict[str, BaseModel | None]:
        published: dict[str, BaseModel | None] = {}
        known = signals.names()
        with problems() as found:
            for name, given in spelt_out(value, "signal").items():
                if name not in known:
                    found.add((name,), unknown("signal", name, known), key=True)
                    continue
                try:
                    published[name] = checked(signals.load(name).Parameters, given) if given else None
                except ValidationError as error:
                    found.take((name,), error)
        return published

    @field_validator(*_OPTIONS, mode="before")
    @classmethod
    def _options(cls, value: Any, info: ValidationInfo) -> dict[str, Any]:
        return _by_role(_OPTIONS[info.field_name or ""], value, info)

    @field_validator("servers", mode="after")
    @classmethod
    def _servers(cls, value: dict[str, str], info: ValidationInfo) -> dict[str, str]:
        played: dict[str, str] = {}
        with problems() as found:
            for role, name in value.items():
                if _is_nobodys(role, info, found):
                    continue
                try:
                    played[role] = authoritative_named(name, context_of(info).folder)
                except ValueError as error:
                    found.add((role,), str(error))
        return played

    @property
    def programs(self) -> dict[str, str]:
        """The roles that programs play, and which."""
        return {role: name for role, name in self.servers.items() if name != REFERENCE}

    @property
    def signal(self) -> dict[str, BaseModel]:
        """Each published signal and its parameters, in the order of the file.

        One that was given none has its defaults; its file is not loaded before they are wanted.
        """
        return {name: given or signals.load(name).Parameters() for name, given in self.signal_options.items()}

    @model_validator(mode="after")
    def _possible(self, info: ValidationInfo) -> Self:
        with problems() as found:
            for path, message in checks.world(self, context_of(info).topology):
                found.add(path, message)
        return self
