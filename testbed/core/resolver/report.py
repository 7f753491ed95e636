"""Reports of failures to the agents that servers name (RFC 9567)."""

from __future__ import annotations

from collections.abc import Callable

import dns.name
import dns.rdatatype

from testbed.core.resolver.iterate import Resolved
from testbed.core.resolver.state import CircleError, Effort, Memory, Path, ResolutionError
from testbed.core.resolver.tasks import Task
from testbed.core.transport import TransportError

LABEL = b"_er"

Resolve = Callable[[dns.name.Name, dns.rdatatype.RdataType, Path], Task[Resolved]]


def report_name(
    name: dns.name.Name, rdtype: dns.rdatatype.RdataType, code: int, agent: dns.name.Name
) -> dns.name.Name | None:
    """The name whose lookup is the report (RFC 9567 section 6.1.1); None if it would exceed 255 octets.

    ``code`` is the extended DNS error that the question of this name and type ended in.
    """
    subject = [label for label in name.labels if label]
    try:
        return dns.name.Name(
            (LABEL, str(int(rdtype)).encode(), *subject, str(code).encode(), LABEL, *agent.labels)
        )
    except dns.name.NameTooLong:
        return None


class Reporter:
    """Reports failed resolutions if the policy has it so; ``resolve`` looks names up."""

    def __init__(self, memory: Memory, resolve: Resolve) -> None:
        self._memory = memory
        self._resolve = resolve

    def report(self, error: ResolutionError) -> Task[None]:
        """Report a failure to the agent of the zone that it is about, if that has one.

        What comes back is kept for its TTL, and no second report is sent meanwhile. That a report fails is
        not reported (RFC 9567 section 6.1), nor are circles in the resolver's work, which are nobody's fault.
        """
        memory = self._memory
        if not memory.policy.error_reports or error.subject is None or isinstance(error, CircleError):
            return
        name, rdtype = error.subject
        agent = self._agent(name)
        qname = report_name(name, rdtype, error.code, agent) if agent is not None else None
        if qname is None:
            return
        memory.note("report", f"reports the failure of {name} to {agent}")
        try:
            yield from self._resolve(qname, dns.rdatatype.TXT, Path(Effort(), by_stream=True))
        except (ResolutionError, TransportError) as failure:
            memory.note("report", f"the report about {name} was not answered: {failure}")

    def _agent(self, name: dns.name.Name) -> dns.name.Name | None:
        """The agent that the servers of the zone of a name told of last.

        One that lies in that zone is of no use (RFC 9567): a report would have to be looked up
        where lookups fail.
        """
        zone = self._memory.zone_of(name)
        agent = self._memory.agents.get(zone)
        return None if agent is None or agent.is_subdomain(zone) else agent
