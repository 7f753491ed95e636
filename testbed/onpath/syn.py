"""Holds TCP SYNs until the attackers have said what becomes of the connection.

A socket would accept a connection before anybody could refuse it. So the kernel drops the SYNs to the ports
in question where they come in; a packet socket, which sees them before that, hands them to the attackers;
and one that may pass is fed in again on a spare interface, from where the kernel goes on with it as usual.
Nothing but SYNs takes this way.
"""

from __future__ import annotations

import asyncio
import contextlib
import importlib
import ipaddress
import socket
import struct
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from types import ModuleType

from testbed.attack.api import Connect, ConnectAction, Drop, Reset, Unreachable
from testbed.attack.chain import Chain
from testbed.network.host import Hop

ETHERTYPE_IPV4, ETHERTYPE_IPV6 = 0x0800, 0x86DD
_ALL = socket.htons(0x0003)
_ETHERNET = 14
_TCP = 6
_SYN, _ACK = 0x02, 0x10
_OUTGOING = 4


SPARE_IN, SPARE_OUT = "spare-in", "spare-out"
"""What is sent on the first comes in on the second."""

SPARE_MAC = bytes.fromhex("02ad05000001")
"""Address of the second; locally administered."""

_PREPARED: set[int] = set()
"""Hops, by the process that keeps them alive, that have the pair."""


@dataclass(frozen=True, slots=True)
class Syn:
    """What tells one connection attempt from another."""

    source: str
    source_port: int
    server: str
    port: int
    sequence: int


class Decisions:
    """What becomes of each connection attempt. One that is sent again meets the same fate as before."""

    def __init__(self, chain: Chain, role_at: Callable[[str], str]) -> None:
        self._chain = chain
        self._role_at = role_at
        self._made: dict[Syn, ConnectAction] = {}

    def on(self, syn: Syn) -> ConnectAction:
        """The attackers' decision, asked for once."""
        if syn not in self._made:
            self._made[syn] = self._chain.connect(Connect("tcp", syn.port, self._role_at(syn.server)))
        return self._made[syn]


class SynGate:
    """The attackers' say about TCP connections from the resolver over one hop."""

    def __init__(self, hop: Hop, chain: Chain, ports: frozenset[int], role_at: Callable[[str], str]) -> None:
        self._decisions = Decisions(chain, role_at)
        self._ports = ports
        made_up()
        self._loop = asyncio.get_running_loop()
        self._tap = hop.socket(socket.AF_PACKET, socket.SOCK_RAW, 0)
        self._tap.bind((hop.resolver_side.name, 0x0003))
        spare_pair(hop)
        self._feed = hop.socket(socket.AF_PACKET, socket.SOCK_RAW, 0)
        self._feed.bind((SPARE_IN, 0))
        self._loop.add_reader(self._tap, self._receive)

    def close(self) -> None:
        """Let go of the packet sockets."""
        self._loop.remove_reader(self._tap)
        self._tap.close()
        self._feed.close()

    def _receive(self) -> None:
        with contextlib.suppress(BlockingIOError):
            while True:
                frame, address = self._tap.recvfrom(65535)
                if address[2] != _OUTGOING:
                    self._consider(frame)

    def _consider(self, frame: bytes) -> None:
        syn = read_syn(frame)
        if syn is None or syn.port not in self._ports:
            return
        match self._decisions.on(syn):
            case None:
                self._feed.send(SPARE_MAC + frame[6:])
            case Reset():
                self._tap.send(made_up().reset_for_syn(frame))
            case Unreachable():
                self._tap.send(made_up().prohibited(frame))
            case Drop():
                return


def spare_pair(hop: Hop) -> None:
    """See to it that a hop has the pair of interfaces on which held packets are fed in again."""
    if hop.pid in _PREPARED:
        return
    commands = (
        f"link add {SPARE_IN} type veth peer name {SPARE_OUT} address {_mac_text(SPARE_MAC)}\n"
        f"link set {SPARE_IN} up\nlink set {SPARE_OUT} up\n"
    )
    with hop.entered():
        subprocess.run(["ip", "-batch", "-"], input=commands.encode(), check=True)
    _PREPARED.add(hop.pid)


def _mac_text(mac: bytes) -> str:
    return ":".join(f"{octet:02x}" for octet in mac)


def made_up() -> ModuleType:
    """The module that makes packets up. It loads scapy, which takes so long that SYNs would be sent again."""
    return importlib.import_module("testbed.onpath.packets")


def read_syn(frame: bytes) -> Syn | None:
    """The connection attempt in a frame that holds a TCP SYN without ACK; None for all others."""
    if len(frame) < _ETHERNET + 40:
        return None
    (ethertype,) = struct.unpack_from("!H", frame, 12)
    if ethertype == ETHERTYPE_IPV4:
        tcp = _ETHERNET + (frame[_ETHERNET] & 0x0F) * 4
        protocol, addresses = frame[_ETHERNET + 9], frame[_ETHERNET + 12 : _ETHERNET + 20]
    elif ethertype == ETHERTYPE_IPV6:
        tcp = _ETHERNET + 40
        protocol, addresses = frame[_ETHERNET + 6], frame[_ETHERNET + 8 : _ETHERNET + 40]
    else:
        return None
    if protocol != _TCP or len(frame) < tcp + 20 or frame[tcp + 13] & (_SYN | _ACK) != _SYN:
        return None
    source_port, port, sequence = struct.unpack_from("!HHI", frame, tcp)
    half = len(addresses) // 2
    source, server = (str(ipaddress.ip_address(one)) for one in (addresses[:half], addresses[half:]))
    return Syn(source, source_port, server, port, sequence)
