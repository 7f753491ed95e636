"""How a question gets to the servers of a zone: to which one, over what, and what when that fails."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import dns.message
import dns.name
import dns.rcode

from testbed.core.delegation import Delegation, address_of, named_by
from testbed.core.resolver.cache import Standing
from testbed.core.resolver.mirror import Mirror
from testbed.core.resolver.plans import Plan, Plans, Resolve
from testbed.core.resolver.probe import Probe
from testbed.core.resolver.requests import Session, sni_text
from testbed.core.resolver.state import Memory, Path, ResolutionError
from testbed.core.resolver.tasks import Task
from testbed.core.resolver.wire import Peer, Question, Wire
from testbed.core.signal import Heard, Lookup
from testbed.core.transport import Transport, TransportError

CANDIDATES = 8
"""Server addresses that are tried for one question."""

NO_REACHABLE_AUTHORITY = 22
"""Extended DNS error (RFC 8914)."""


@dataclass(frozen=True, slots=True)
class Received:
    """A response, and how far what is unsigned in it can be believed."""

    message: dns.message.Message
    server: dns.name.Name
    address: str
    transport: Transport
    standing: Standing


class Contact:
    """Asks name servers. ``resolve_addresses`` and ``lookup`` find out what has to be known for it."""

    def __init__(self, memory: Memory, resolve_addresses: Resolve, lookup: Callable[[Path], Lookup]) -> None:
        self._memory = memory
        self._resolve_addresses = resolve_addresses
        self._plans = Plans(memory, resolve_addresses, lookup)
        self._wire = Wire(memory, lookup)
        self._probe = Probe(memory, self._wire)
        self.mirror = Mirror(memory, self._wire)

    def ask(
        self,
        delegation: Delegation,
        question: Question,
        path: Path,
        useless: Callable[[dns.message.Message], str | None],
    ) -> Task[Received]:
        """Ask the servers of a zone until one gives a response that is of use; of the root zone, the copy.

        ``useless`` says why a response is of no use, or None. Raises ResolutionError when no server is left.
        """
        if delegation.zone == dns.name.root:
            local = yield from self.mirror.answer(question, path)
            if local is not None and useless(local.message) is None:
                return Received(
                    local.message, local.source, "the local root", local.transport, local.standing
                )
        failures: list[str] = []
        code = NO_REACHABLE_AUTHORITY
        tried = 0
        for server in self._ordered(delegation):
            try:
                addresses = yield from self._find(delegation, server, path)
                offer = yield from self._plans.signalled(delegation, server, path)
            except ResolutionError as error:
                code = error.code or code
                failures.append(f"{sni_text(server)}: {error.text}")
                continue
            for address in addresses[: CANDIDATES - tried]:
                try:
                    plan = self._plans.make(delegation, server, address, offer, path)
                except ResolutionError as error:
                    code = error.code or code
                    failures.append(f"{sni_text(server)} at {address}: {error.text}")
                    continue
                tried += 1
                path.effort.spend()
                peer = Peer(server, address, plan.offer, plan.authenticate)
                try:
                    received = yield from self._exchange(delegation, peer, plan, question, path)
                except (TransportError, ResolutionError) as error:
                    failures.append(f"{sni_text(server)} at {address}: {error}")
                    continue
                self._memory.hear_agent(delegation.zone, received.message)
                reason = _failed_rcode(received.message) or useless(received.message)
                if reason is None:
                    self._learn(delegation, received)
                    return received
                failures.append(f"{sni_text(server)} at {address}: {reason}")
        raise ResolutionError(code, "; ".join(failures) or f"no address for a server of {delegation.zone}")

    def _ordered(self, delegation: Delegation) -> list[dns.name.Name]:
        """Servers at random, those with known addresses before those whose addresses have to be found.

        Those that are known by their addresses only stay in order, as the addresses of one server do. Those
        that are known to encrypt come first if the policy prefers them.
        """
        memory = self._memory
        servers = list(delegation.servers)
        memory.rng.shuffle(servers)
        bare = [address for address in map(address_of, servers) if address is not None]
        if bare:
            named = [server for server in servers if address_of(server) is None]
            servers = [*map(named_by, memory.in_order(bare)), *named]
        servers.sort(key=lambda server: not self._at_hand(delegation, server))
        if memory.policy.prefer_encrypted:
            servers.sort(key=lambda server: self._plans.known_offer(delegation, server) is None)
        return servers

    def _find(self, delegation: Delegation, server: dns.name.Name, path: Path) -> Task[list[str]]:
        addresses = self._at_hand(delegation, server)
        if not addresses:
            yield from self._resolve_addresses(server, path)
            addresses = self._memory.addresses(server)
        return self._memory.in_order(addresses)

    def _at_hand(self, delegation: Delegation, server: dns.name.Name) -> list[str]:
        """The addresses of a server that are at hand: the delegation's own, else those in memory."""
        endpoint = delegation.endpoints.get(server)
        if endpoint is not None and endpoint.addresses:
            return self._memory.reachable(endpoint.addresses)
        return self._memory.addresses(server)

    # -- one server address ------------------------------------------------------------------------

    def _exchange(
        self, delegation: Delegation, peer: Peer, plan: Plan, question: Question, path: Path
    ) -> Task[Received]:
        failure: TransportError | ResolutionError | None = None
        for transport, port in plan.encrypted:
            try:
                session, response = yield from self._encrypted(peer, transport, port, question, path)
            except (TransportError, ResolutionError) as error:
                failure = error
                continue
            return self._received(delegation, peer, transport, session, response)
        if not plan.clear:
            assert failure is not None
            raise failure
        if failure is not None:
            self._memory.note(
                "fallback",
                f"asks {sni_text(peer.server)} at {peer.address} in clear instead",
                server=peer.address,
            )
        if plan.probe:
            transport, probed, response = yield from self._probe.exchange(peer, question, path)
            return self._received(delegation, peer, transport, probed, response)
        transport, response = yield from self._wire.in_clear(peer.address, question, by_stream=path.by_stream)
        return self._received(delegation, peer, transport, None, response)

    def _encrypted(
        self, peer: Peer, transport: Transport, port: int, question: Question, path: Path
    ) -> Task[tuple[Session, dns.message.Message]]:
        """Ask in a session. One that was open already may have been closed meanwhile: then in a new one."""
        held = self._wire.held(peer, transport, port)
        session = yield from self._wire.session(peer, transport, port, path)
        try:
            return session, (yield from self._wire.over(session, question))
        except TransportError:
            if session is not held:
                raise
        session.open = False
        session = yield from self._wire.session(peer, transport, port, path)
        return session, (yield from self._wire.over(session, question))

    def _received(
        self,
        delegation: Delegation,
        peer: Peer,
        transport: Transport,
        session: Session | None,
        response: dns.message.Message,
    ) -> Received:
        standing = Standing.NONE
        if session is not None and session.authenticated:
            standing = Standing.PATH if delegation.standing >= Standing.PATH else Standing.LINK
        return Received(response, peer.server, peer.address, transport, standing)

    def _learn(self, delegation: Delegation, received: Received) -> None:
        """Let signals take from a response what servers say of themselves in passing."""
        memory = self._memory
        heard = Heard(
            zone=delegation.zone,
            server=received.server,
            address=received.address,
            transport=received.transport,
            standing=received.standing,
            message=received.message,
        )
        now = memory.clock()
        for signal in memory.configuration.signals:
            signal.read_response(heard, now)
        for server, offer in heard.offers:
            memory.offers.learn(server, offer, now)
            memory.note("signal", f"{offer.signal} for {sni_text(server)}: {offer}")
        if heard.promise is not None:
            memory.accept_promise(heard, now)


def _failed_rcode(response: dns.message.Message) -> str | None:
    rcode = response.rcode()
    if rcode in (dns.rcode.NOERROR, dns.rcode.NXDOMAIN):
        return None
    return dns.rcode.to_text(rcode)
