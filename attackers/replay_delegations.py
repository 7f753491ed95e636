"""Replays delegations as they once were: genuine, validly signed, from before anything was announced."""

import dns.flags
import dns.message
import dns.name
import dns.rdatatype
import dns.rrset

from testbed.attack.api import Capability, MessageAction, Replace, Response, Rewriter
from testbed.core.authoritative import Authoritative


class ReplayDelegations(Rewriter):
    """Gives the answers that servers gave before their operators published any signal.

    It changes nothing in them. What a parent signed is good for as long as the signature says, and a DS RRset
    does not tell that another one took its place (RFC 6781 section 4.4.2 weighs how long that should be).
    """

    capability = Capability.ON_PATH
    source = "RFC 6781 section 4.4.2"
    position = "the link of a parent"

    def response(self, response: Response) -> MessageAction:
        """Replace what is said about a zone cut, where its DS records were others then."""
        child = _cut(response.message)
        if child is None:
            return None
        above = [zone for zone in self.scene.past if child.is_subdomain(zone) and child != zone]
        if not above:
            return None
        parent = self.scene.past[max(above, key=len)]
        then = Authoritative((parent,)).respond(response.query.message, response.transport)[0]
        if _ds(then, child) == _ds(response.message, child):
            return None
        self.matched()
        return Replace(then)


def _cut(message: dns.message.Message) -> dns.name.Name | None:
    """The zone whose delegation a response is about: it refers to it, or answers for its DS records."""
    if message.question and message.question[0].rdtype == dns.rdatatype.DS:
        return message.question[0].name
    if message.flags & dns.flags.AA:
        return None
    return next((rrset.name for rrset in message.authority if rrset.rdtype == dns.rdatatype.NS), None)


def _ds(message: dns.message.Message, child: dns.name.Name) -> dns.rrset.RRset | None:
    """The DS RRset of a zone in a response."""
    for rrset in (*message.answer, *message.authority):
        if rrset.rdtype == dns.rdatatype.DS and rrset.name == child:
            return rrset
    return None
