"""Which response belongs to which query: the messages of one flow go through the attackers in pairs."""

from __future__ import annotations

from dataclasses import dataclass, field

import dns.exception
import dns.rdatatype

from testbed.attack.chain import Chain
from testbed.attack.events import Query
from testbed.attack.fates import Fate, Forward
from testbed.core.transfer import Incoming
from testbed.core.transport import Transport, TransportError

_TRANSFERS = (dns.rdatatype.AXFR, dns.rdatatype.IXFR)


class Pending:
    """The queries of one flow that wait for their responses, by message ID."""

    def __init__(self, chain: Chain, transport: Transport, server: str) -> None:
        self._chain = chain
        self._transport = transport
        self._server = server
        self._queries: dict[bytes, Query] = {}
        self._transfers: dict[bytes, _Collected] = {}

    def query(self, wire: bytes) -> Fate:
        """What becomes of a query."""
        fate, query = self._chain.query(Query(wire, self._transport, self._server))
        self._queries[query.wire[:2]] = query
        return fate

    def response(self, wire: bytes) -> Fate:
        """What becomes of a response; one that answers no query that was seen passes."""
        query = self._queries.get(wire[:2])
        return Forward(wire) if query is None else self._chain.response(wire, query)

    def responses(self, wire: bytes) -> tuple[Fate, ...]:
        """What becomes of a response where one query may have many, in order.

        The messages of a zone transfer are held back until the last one is there.
        """
        query = self._queries.get(wire[:2])
        fresh = _transfer(query) if query is not None else None
        if query is None or fresh is None:
            return (self.response(wire),)
        collected = self._transfers.setdefault(wire[:2], _Collected(fresh))
        collected.wires.append(wire)
        try:
            if not collected.incoming.take(wire) and not collected.incoming.unchanged:
                return ()
        except TransportError:
            pass  # no transfer, or no more of it; an attacker may still want to know
        del self._transfers[wire[:2]]
        if collected.incoming.unchanged:
            return (self.response(wire),)
        return self._chain.transfer(collected.wires, query)


@dataclass(slots=True)
class _Collected:
    """The messages of a zone transfer that came so far."""

    incoming: Incoming
    wires: list[bytes] = field(default_factory=list)


def _transfer(query: Query) -> Incoming | None:
    """What takes in the zone transfer that a query asks for, if it does."""
    try:
        asked = query.question
    except dns.exception.DNSException:
        return None
    if asked is None or asked.rdtype not in _TRANSFERS:
        return None
    return Incoming(asked.name, int.from_bytes(query.wire[:2], "big"), asked.rdtype)
