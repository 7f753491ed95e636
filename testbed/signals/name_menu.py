"""Name menu: what a server speaks, in its own name (draft-schwartz-dprive-name-signal).

For the time in which parents cannot carry SVCB records, the first label of the name to which zones are
delegated says what they would. ``svcb--doq-dot`` is a *menu*: each item stands for an SVCB record, the first
one first. ``svcb`` is a *flag*: ask for SVCB records at ``_dns.<name server>`` before anything else; unlike
with ``svcb-query`` no other server costs a query for that. SVCB records that come with the referral are to be
preferred to either: a policy names their signals first.

Nobody signs the NS RRset of a delegation, so the menu is as good as the way by which that came. Nor does it
say anything about keys.
"""

from __future__ import annotations

import functools
from collections.abc import Iterable
from typing import Literal

import dns.name
import dns.rdatatype
import dns.rrset
from pydantic import BaseModel, Field

from testbed.core import svcb
from testbed.core.delegation import Delegation, Offer
from testbed.core.resolver.cache import Security, Standing
from testbed.core.resolver.tasks import Task
from testbed.core.signal import Addition, DeployedServer, Deployment, Lookup, Parameters, Signal
from testbed.core.transport import Transport

FLAG = b"svcb"
MENU = b"svcb--"

MENU_TTL = 0
"""Of the records that a menu is decoded to, which nobody keeps: the name can be read again."""

PARAMETERS = {
    "dot": "alpn=dot",
    "doh": 'alpn=h2 key7="/dns-query{?dns}"',
    "doh3": 'alpn=h3 key7="/dns-query{?dns}"',
    "doq": "alpn=doq",
}
"""SvcParams by mnemonic (section "IANA Considerations")."""

_MNEMONICS = {Transport.DOT: "dot", Transport.DOH: "doh", Transport.DOH3: "doh3", Transport.DOQ: "doq"}


def flagged(name: dns.name.Name) -> bool:
    """Whether a name server's name asks resolvers to look for SVCB records."""
    return bool(name.labels) and name.labels[0].lower() == FLAG


@functools.lru_cache(maxsize=4096)
def decode(name: dns.name.Name) -> dns.rrset.RRset | None:
    """The SVCB RRset that a name server's name stands for; None when there is nothing known on its menu."""
    label = name.labels[0].lower() if name.labels else b""
    if not label.startswith(MENU):
        return None
    items = label.removeprefix(MENU).decode("ascii", "replace").split("-")
    target = name.to_text()
    texts = [
        f"{priority} {target} {PARAMETERS[item]}"
        for priority, item in enumerate(items, 1)
        if item in PARAMETERS
    ]
    return dns.rrset.from_text(svcb.owner(name), MENU_TTL, "IN", "SVCB", *texts) if texts else None


class NameMenuParameters(Parameters):
    """What the operators choose."""

    form: Literal["menu", "flag"] = Field(
        "menu", description="menu: transports in the name. flag: only that there are SVCB records."
    )
    ttl: int = Field(3600, ge=0, description="TTL of the SVCB records that a flag leads to, in seconds.")


class NameMenu(Signal):
    """Servers that encrypt go by a name that says so."""

    name = "name-menu"
    summary = "transports, or where to ask for them, in the server's name"
    source = "draft-schwartz-dprive-name-signal"
    discovers = True
    Parameters = NameMenuParameters

    def rename(self, server: DeployedServer, parameters: BaseModel) -> dns.name.Name | None:
        """The name with a menu, or a flag, before the ordinary one. A menu has no room for ports or paths."""
        assert isinstance(parameters, NameMenuParameters)
        if parameters.form == "flag":
            return dns.name.Name((FLAG, *server.name.labels)) if server.offers else None
        items = [_MNEMONICS[transport] for transport in server.usual]
        return dns.name.Name((MENU + "-".join(items).encode(), *server.name.labels)) if items else None

    def publish(self, deployment: Deployment, parameters: BaseModel) -> Iterable[Addition]:
        """SVCB records of the servers whose names have a flag."""
        assert isinstance(parameters, NameMenuParameters)
        for server in deployment.servers:
            if flagged(server.name) and server.offers:
                owner = svcb.owner(server.name)
                rrset = svcb.make(server.name, server.offers, parameters.ttl, owner, path=server.path)
                yield Addition(deployment.zone_of(server.name).origin, rrset)

    def read_name(self, server: dns.name.Name, delegation: Delegation) -> Offer | None:
        """What is on the menu, if the name has one."""
        menu = decode(server)
        transports = svcb.read(server, menu) if menu is not None else ()
        return Offer(self.name, transports, delegation.standing, delegation.until) if transports else None

    def discover(self, server: dns.name.Name, lookup: Lookup, now: float) -> Task[Offer | None]:
        """Ask for the SVCB records of a server whose name has the flag."""
        if not flagged(server):
            return None
        looked = yield from lookup(svcb.owner(server), dns.rdatatype.SVCB)
        standing = Standing.VALIDATED if looked.security is Security.SECURE else looked.standing
        return svcb.offer(self.name, server, looked.rrset, standing, looked.until)


SIGNAL = NameMenu()
