"""The attackers on one link: what they want to see is taken from the kernel, all else is left to it."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import Callable, Sequence

from testbed.attack.api import Attacker, CertificateKind
from testbed.attack.chain import Chain
from testbed.core.pki import Credential
from testbed.network import sandbox
from testbed.network.host import Hop
from testbed.onpath.datagrams import DatagramRelay
from testbed.onpath.nft import Nft
from testbed.onpath.streams import StreamRelay
from testbed.onpath.surroundings import Surroundings
from testbed.onpath.syn import SPARE_OUT, SynGate, made_up
from testbed.transports import Address
from testbed.transports.tls import Secrets

DATAGRAM_PORT, STREAM_PORT = 5053, 5054
"""Ports of the hop to which TPROXY hands what was taken."""

DNS_PORT = 53

_RULES = """
table inet attacker {{
  chain returning {{
    type filter hook prerouting priority mangle - 5
    iifname {{ {far} }} socket transparent 1 meta mark set 1 accept
  }}
  chain taken {{
    type filter hook prerouting priority mangle
{held}{taken}
  }}
}}
"""
_HELD = '    iifname "{near}" tcp dport {{ {ports} }} tcp flags & (syn | ack) == syn drop\n'
_TAKEN = (
    '    iifname {{ "{near}", "{spare}" }} meta nfproto {family} {protocol} dport {{ {ports} }}'
    " tproxy {ip} to :{port} meta mark set 1 accept\n"
)


_CONTEXTS: dict[int, Nft] = {}
"""By hop, by the process that keeps it alive; to let go of one takes the kernel ten milliseconds."""


class AttackedLink:
    """The on-path attackers of a link, in the order of the scenario; ``switch`` turns them on and off.

    The timeline of attackers that act in a part of it only begins now. Refuses to start outside a sandbox:
    raises NotInSandbox.
    """

    def __init__(
        self,
        hop: Hop,
        attackers: Sequence[Attacker],
        role_at: Callable[[str], str],
        credential: Callable[[CertificateKind, str], Credential],
        secrets: Secrets,
    ) -> None:
        sandbox.require()
        self._hop = hop
        loop = asyncio.get_running_loop()
        began = loop.time()
        self._chain = Chain(attackers, lambda: loop.time() - began)
        self._chain.active = set()
        self._role_at = role_at
        self._credential = credential
        self._secrets = secrets
        self._taking: list[DatagramRelay | StreamRelay | SynGate] = []

    def switch(self, active: set[int]) -> None:
        """Let exactly these attackers act, by their number on this link."""
        if active != self._chain.active:
            self._release()
            self._chain.active = set(active)
            self._take()

    def begin_step(self, number: int) -> None:
        """Another step of the scenario begins."""
        self._chain.begin_step(number)

    def close(self) -> None:
        """Leave the link."""
        self.switch(set())

    def _take(self) -> None:
        """Take the flows that the active attackers have hooks for."""
        chain = self._chain
        messages = chain.wants("query") or chain.wants("response")
        whole = messages or chain.wants("transfer")
        connections = chain.ports("connect")
        handshakes = chain.ports("handshake") - {DNS_PORT}
        datagrams = connections | handshakes | chain.ports("datagram") | ({DNS_PORT} if messages else set())
        sessions = handshakes | chain.ports("established") - {DNS_PORT}
        streams = sessions | ({DNS_PORT} if whole else set())
        if not datagrams and not streams and not connections:
            return
        surroundings = Surroundings(self._hop, chain, self._role_at, self._credential, self._secrets)
        if datagrams:
            self._taking.append(DatagramRelay(surroundings, DATAGRAM_PORT, self._refuse))
        if streams:
            self._taking.append(StreamRelay(surroundings, STREAM_PORT))
        if connections:
            self._taking.append(SynGate(self._hop, chain, connections, self._role_at))
        self._run(self._ruleset(datagrams, streams, connections))

    def _release(self) -> None:
        if self._taking:
            self._run("delete table inet attacker")
        for taking in self._taking:
            taking.close()
        self._taking.clear()

    def _run(self, commands: str) -> None:
        nft = _CONTEXTS.get(self._hop.pid)
        if nft is None:
            with self._hop.entered():
                nft = _CONTEXTS[self._hop.pid] = Nft()
        nft.run(commands)

    def _ruleset(self, datagrams: frozenset[int], streams: frozenset[int], held: frozenset[int]) -> str:
        hop = self._hop
        near, spare = hop.resolver_side.name, SPARE_OUT
        taken = ""
        for protocol, ports, port in (
            ("udp", datagrams, DATAGRAM_PORT),
            ("tcp", streams, STREAM_PORT),
        ):
            for family, ip in (("ipv4", "ip"), ("ipv6", "ip6")):
                if ports:
                    taken += _TAKEN.format(
                        near=near,
                        spare=spare,
                        family=family,
                        protocol=protocol,
                        ports=_listed(ports),
                        ip=ip,
                        port=port,
                    )
        holding = _HELD.format(near=near, ports=_listed(held)) if held else ""
        far = ", ".join(f'"{interface.name}"' for interface in hop.far_sides)
        return _RULES.format(far=far, held=holding, taken=taken)

    def _refuse(self, payload: bytes, source: Address, destination: Address, prohibited: bool) -> None:
        """Tell the resolver by ICMP that a datagram of its did not get through."""
        packet = made_up().unreachable_datagram(payload, source, destination, prohibited=prohibited)
        version = socket.AF_INET6 if ":" in source[0] else socket.AF_INET
        with contextlib.closing(self._hop.socket(version, socket.SOCK_RAW, socket.IPPROTO_RAW)) as raw:
            raw.sendto(packet, (source[0], 0))


def _listed(ports: frozenset[int]) -> str:
    return ", ".join(str(port) for port in sorted(ports))
