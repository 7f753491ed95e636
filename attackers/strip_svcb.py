"""Removes SVCB records that ride along in responses, so that a server seems to offer no encryption."""

import dns.rdatatype

from testbed.attack.api import Capability, MessageAction, Replace, Response, Rewriter


class StripSvcb(Rewriter):
    """Strips SVCB records, and signatures over them, from the additional section.

    What is asked for stands in the answer section and stays.
    """

    capability = Capability.ON_PATH
    source = "draft-rescorla-dprive-adox, security considerations"
    position = "the link of a parent"

    def response(self, response: Response) -> MessageAction:
        """Strip SVCB records where there are any."""
        message = response.message
        kept = [
            rrset for rrset in message.additional if dns.rdatatype.SVCB not in (rrset.rdtype, rrset.covers)
        ]
        if len(kept) == len(message.additional):
            return None
        self.matched()
        message.additional[:] = kept
        return Replace(message)
