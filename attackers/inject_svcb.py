"""Adds SVCB records to referrals, for servers that offer no encryption."""

from collections.abc import Iterable

import dns.message
import dns.name
import dns.rdatatype
from pydantic import Field

from testbed.attack.api import Capability, MessageAction, Replace, Response, Rewriter, RewriterParameters
from testbed.core import svcb
from testbed.core.transport import Transport


class InjectSvcbParameters(RewriterParameters):
    """What is claimed."""

    ttl: int = Field(172800, ge=0, description="TTL of the SVCB records, in seconds.")


class InjectSvcb(Rewriter):
    """Announces DoT in the name of servers, so that resolvers insist on what nobody offers.

    Records are added about the servers that a referral names, and about those whose names are below the zone
    that is referred to.
    """

    capability = Capability.ON_PATH
    source = "RFC 9461 section 8; draft-rescorla-dprive-adox"
    position = "the link of the zone that holds the servers' names"
    Parameters = InjectSvcbParameters
    parameters: InjectSvcbParameters

    def response(self, response: Response) -> MessageAction:
        """Add SVCB records to referrals."""
        message = response.message
        names = set(self._names(message))
        if not names:
            return None
        self.matched()
        for name in sorted(names):
            offers = ((Transport.DOT, Transport.DOT.port),)
            message.additional.append(svcb.make(name, offers, self.parameters.ttl, svcb.owner(name)))
        return Replace(message)

    def _names(self, message: dns.message.Message) -> Iterable[dns.name.Name]:
        """The servers that a referral is about, and that it does not have SVCB records of."""
        servers = svcb.delegated(message)
        if servers is None:
            return
        present = {server for server, _ in svcb.riding(message)}
        below = (name for name in self.scene.server_names.values() if name.is_subdomain(servers.name))
        for name in (*(rdata.target for rdata in servers), *below):
            if name not in present:
                yield name
