"""SVCB records of name servers (RFC 9460, RFC 9461): made by operators, read by resolvers."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, get_args

import dns.flags
import dns.message
import dns.name
import dns.rdata
import dns.rdataclass
import dns.rdatatype
import dns.rdtypes.svcbbase
import dns.rrset

from testbed.core import dohpath
from testbed.core.delegation import Offer
from testbed.core.dohpath import DEFAULT_PATH
from testbed.core.policy import Credential
from testbed.core.resolver.cache import Standing
from testbed.core.transport import Transport

PREFIX = "_dns"
_BY_ALPN = {transport.alpn: transport for transport in Transport if transport.alpn}
_HTTP = {transport.alpn for transport in Transport if transport.http}
_KEYS = dns.rdtypes.svcbbase.ParamKey
DOHPATH_KEY = 7
"""SvcParamKey dohpath (RFC 9461 section 5)."""

CREDENTIALS_KEY = 65280
"""A SvcParamKey for private use (RFC 9460 section 14.3.2): which credentials the server has, as a list of the
policies' names for them with commas between. No document defines one."""

_UNDERSTOOD = {_KEYS.MANDATORY, _KEYS.ALPN, _KEYS.NO_DEFAULT_ALPN, _KEYS.PORT, DOHPATH_KEY, CREDENTIALS_KEY}


def owner(server: dns.name.Name) -> dns.name.Name:
    """Where the SVCB records of a name server stand (RFC 9461 section 4)."""
    return dns.name.Name((PREFIX.encode(), *server.labels))


def server_at(name: dns.name.Name) -> dns.name.Name | None:
    """The name server that SVCB records at a name are about; None when that is no place for them."""
    if len(name) < 2 or name.labels[0].lower() != PREFIX.encode():
        return None
    return name.parent()


def delegated(response: dns.message.Message) -> dns.rrset.RRset | None:
    """The NS RRset of a referral; None when the response is no referral (RFC 9499 section 7)."""
    if response.flags & dns.flags.AA or response.answer or not response.authority:
        return None
    first = response.authority[0]
    return first if first.rdtype == dns.rdatatype.NS else None


def riding(response: dns.message.Message) -> Iterator[tuple[dns.name.Name, dns.rrset.RRset]]:
    """SVCB records that ride in the additional section, each with the name server that it is about."""
    for rrset in response.additional:
        server = server_at(rrset.name) if rrset.rdtype == dns.rdatatype.SVCB else None
        if server is not None:
            yield server, rrset


def make(
    server: dns.name.Name,
    offers: Iterable[tuple[Transport, int]],
    ttl: int,
    owner_name: dns.name.Name,
    credentials: Iterable[Credential] | None = None,
    path: str = DEFAULT_PATH,
) -> dns.rrset.RRset:
    """SVCB records that announce a name server's transports, one record for each port, best first.

    ``credentials`` are those that they name; None has them name none. ``path`` is that of DoH.
    """
    by_port: dict[int | None, list[str]] = {}
    for transport, port in offers:
        by_port.setdefault(None if port == transport.port else port, []).append(str(transport.alpn))
    rdatas = []
    for priority, (explicit_port, alpns) in enumerate(by_port.items(), 1):
        text = f"{priority} {server.to_text()} alpn={','.join(alpns)}"
        if explicit_port is not None:
            text += f" port={explicit_port}"
        if not set(alpns).isdisjoint(_HTTP):
            text += f' key{DOHPATH_KEY}="{path}"'
        if credentials is not None:
            text += f' key{CREDENTIALS_KEY}="{",".join(credentials)}"'
        rdatas.append(dns.rdata.from_text(dns.rdataclass.IN, dns.rdatatype.SVCB, text))
    return dns.rrset.from_rdata_list(owner_name, ttl, rdatas)


def read(server: dns.name.Name, rrset: dns.rrset.RRset) -> tuple[tuple[Transport, int], ...]:
    """The transports and ports that SVCB records offer for a name server, in the order of preference.

    Skipped are records without a known ALPN (RFC 9461 section 4.1), and those that are of no use anyway. DoH
    is at the path of the best record that has one, and records that have another are no alternative.
    """
    found: dict[tuple[Transport, int], None] = {}
    best = path(server, rrset)
    for params in _usable(server, rrset):
        alpn = params.get(_KEYS.ALPN)
        port = params.get(_KEYS.PORT)
        for identifier in alpn.ids if alpn is not None else ():
            transport = _BY_ALPN.get(identifier.decode("ascii", "replace"))
            if transport is None or (transport.http and (best is None or _named_path(params) != best)):
                continue
            found[(transport, port.port if port is not None else transport.port)] = None
    return tuple(found)


def path(server: dns.name.Name, rrset: dns.rrset.RRset) -> str | None:
    """Where a server has DoH, by the best record that says so; None where none does (RFC 9461 section 5)."""
    paths = (_named_path(params) for params in _usable(server, rrset))
    return next((one for one in paths if one is not None), None)


def offer(
    signal: str, server: dns.name.Name, rrset: dns.rrset.RRset | None, standing: Standing, until: float
) -> Offer:
    """What SVCB records offer for a name server; none at all say that it offers no encryption."""
    if rrset is None:
        return Offer(signal, (), standing, until)
    return Offer(signal, read(server, rrset), standing, until, path=path(server, rrset) or DEFAULT_PATH)


def _named_path(params: dict[int, Any]) -> str | None:
    """The path in the parameters of a record; None when there is none, or none that could be followed."""
    value = params.get(DOHPATH_KEY)
    text = value.value.decode("utf-8", "replace") if value is not None else ""
    return text if dohpath.usable(text) else None


def credentials(server: dns.name.Name, rrset: dns.rrset.RRset) -> tuple[Credential, ...] | None:
    """The credentials that SVCB records name for a server; None when they do not say.

    Names that we do not know are skipped: what is left may be nothing.
    """
    named: dict[str, None] = {}
    said = False
    for params in _usable(server, rrset):
        value = params.get(CREDENTIALS_KEY)
        if value is not None:
            said = True
            named.update(dict.fromkeys(value.value.decode("ascii", "replace").split(",")))
    known: tuple[Credential, ...] = get_args(Credential)
    return tuple(item for item in known if item in named) if said else None


def _usable(server: dns.name.Name, rrset: dns.rrset.RRset) -> Iterator[dict[int, Any]]:
    """The parameters of records that can be used, best first.

    Those in AliasMode cannot, nor those with mandatory parameters that we do not know (RFC 9460 section 8),
    nor those that lead to another host than the name server itself.
    """
    for rdata in sorted(rrset, key=lambda item: int(item.priority)):
        if rdata.priority == 0 or rdata.target not in (dns.name.root, server):
            continue
        mandatory = rdata.params.get(_KEYS.MANDATORY)
        if mandatory is None or set(mandatory.keys) <= _UNDERSTOOD:
            yield rdata.params
