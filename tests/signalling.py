"""What tests of signals have in common: what was asked of whom, and changes in the middle of a run."""

from __future__ import annotations

import dns.rdatatype
import dns.rrset

from testbed.core import message
from testbed.core.delegation import Referral
from testbed.core.resolver.cache import Standing
from testbed.core.resolver.core import Resolver
from testbed.core.signal import Heard
from testbed.core.transport import Transport

SECRET = "secret.example.org."
CLEAR = {"udp"}
ENCRYPTED = {"dot"}


def asked(net, role="target", since=0):
    """Transport and name of each query that reached a role's server."""
    return [
        (sent.transport.value, sent.query.question[0].name.to_text())
        for sent in net.sent[since:]
        if sent.role == role
    ]


def over(net, name=SECRET, role="target"):
    """The transports over which a name was asked of a role's server."""
    return {transport for transport, asked_for in asked(net, role) if asked_for == name}


def switch(net, link, on):
    """Switch the attackers on a link on or off."""
    net._chains[link].active = set(range(len(net.attackers[link]))) if on else set()


def restart(net):
    """Start the resolver anew."""
    net.resolver = Resolver(net.configuration, lambda: net.now, net._rng)


def response(*additional, authority=(), answer=(), name=SECRET, rdtype="A"):
    """A response with RRsets in master file form."""
    query = message.query(dns.name.from_text(name), dns.rdatatype.from_text(rdtype), id=7)
    made = dns.message.make_response(query)
    sections = ((made.answer, answer), (made.authority, authority), (made.additional, additional))
    for section, lines in sections:
        for line in lines:
            owner, ttl, rrtype, *rdatas = line.split("|")
            section.append(dns.rrset.from_text(owner, int(ttl), "IN", rrtype, *rdatas))
    return made


def referral(made, parent="org.", zone="example.org.", standing=Standing.NONE):
    """A referral, as signals get to see it."""
    servers = made.authority[0]
    return Referral(
        parent=dns.name.from_text(parent),
        zone=dns.name.from_text(zone),
        servers=tuple(rdata.target for rdata in servers),
        servers_standing=standing,
        addresses={},
        ds=None,
        ds_standing=standing,
        standing=standing,
        message=made,
        until=3600.0,
    )


def heard(made, zone="example.org.", server="ns1.dnshost.net.", transport=Transport.UDP):
    """A response, as signals get to hear it."""
    return Heard(
        dns.name.from_text(zone),
        dns.name.from_text(server),
        "198.51.100.6",
        transport,
        Standing.LINK if transport.encrypted else Standing.NONE,
        made,
    )
