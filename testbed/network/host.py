"""Hosts of the network: sockets and programs inside their network namespaces."""

from __future__ import annotations

import contextlib
import os
import socket
import subprocess
import threading
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from testbed.network import libc


@dataclass(frozen=True, slots=True)
class Interface:
    """One end of a veth pair: ``peer_mac`` is the address of the other end, ``to`` the host it is on."""

    name: str
    index: int
    mac: str
    peer_mac: str
    to: str


class Host:
    """A host: a network namespace, kept alive by a Mininet node's shell.

    ``pid`` is that shell's. ``addresses`` are the host's IPv4 and IPv6 address, valid on all its
    interfaces. ``node`` is the Mininet node, for Mininet's own command line.
    """

    def __init__(self, name: str, pid: int, addresses: tuple[str, str], node: Any) -> None:
        self.name = name
        self.pid = pid
        self.addresses = addresses
        self.interfaces: tuple[Interface, ...] = ()
        self.node = node
        self._namespace = namespace_of(pid)

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.name} {' '.join(self.addresses)}>"

    def interface_to(self, name: str) -> Interface:
        """The interface that leads to a host. Raises KeyError when there is none."""
        for interface in self.interfaces:
            if interface.to == name:
                return interface
        raise KeyError(name)

    def entered(self) -> contextlib.AbstractContextManager[None]:
        """Run a ``with`` block inside the host: sockets, programs and /proc/sys are the host's.

        The calling thread is moved, so the block must not await.
        """
        return in_namespace(self._namespace)

    def socket(self, family: int, kind: int, proto: int = 0) -> socket.socket:
        """A new non-blocking socket of this host.

        A stream socket gets its protocol filled in, because asyncio switches Nagle's algorithm off
        (TCP_NODELAY) only where it is given.
        """
        if proto == 0 and kind == socket.SOCK_STREAM and family in (socket.AF_INET, socket.AF_INET6):
            proto = socket.IPPROTO_TCP
        with in_namespace(self._namespace):
            return socket.socket(family, kind | socket.SOCK_NONBLOCK, proto)

    def popen(self, argv: Sequence[str], **options: Any) -> subprocess.Popen[Any]:
        """Start a program on this host; ``options`` are those of subprocess.Popen."""
        with in_namespace(self._namespace), on_all_cpus():
            return subprocess.Popen(argv, **options)

    def configure(self, settings: Mapping[str, str | int]) -> None:
        """Write kernel settings (below /proc/sys/net) of this host's namespace.

        Raises OSError when a setting does not exist or the value is refused.
        """
        with in_namespace(self._namespace):
            write_settings(settings)

    def close(self) -> None:
        """Let go of the namespace; sockets inside live on."""
        os.close(self._namespace)


class Hop(Host):
    """The router in the middle of a link, where attackers sit and packets are captured.

    ``resolver_side`` leads to the resolver, or to the CA on its link, ``far_sides`` to the hosts at the far
    end.
    """

    @property
    def resolver_side(self) -> Interface:
        """The interface that leads to the resolver."""
        return self.interfaces[0]

    @property
    def far_sides(self) -> tuple[Interface, ...]:
        """The interfaces that lead away from the resolver, one for each host there."""
        return self.interfaces[1:]

    @property
    def far_side(self) -> Interface:
        """The first interface that leads away from the resolver: the only one on most links."""
        return self.interfaces[1]


def namespace_of(process: int | str = "thread-self") -> int:
    """A descriptor of the network namespace of a process, by default of the calling thread."""
    return os.open(f"/proc/{process}/ns/net", os.O_RDONLY | os.O_CLOEXEC)


class _Whereabouts(threading.local):
    """The namespace that each thread is in, so that it finds back; at first the one it was born in."""

    def __init__(self) -> None:
        self.namespace = namespace_of()


_whereabouts = _Whereabouts()


class in_namespace:  # noqa: N801 - used like a function
    """Move the calling thread into a network namespace for the length of a ``with`` block.

    Should the way back be barred, the process ends: nothing may happen in the wrong namespace.
    """

    def __init__(self, namespace: int) -> None:
        self._namespace = namespace

    def __enter__(self) -> None:
        home = _whereabouts.namespace
        libc.setns(self._namespace, libc.CLONE_NEWNET)
        _whereabouts.namespace, self._namespace = self._namespace, home

    def __exit__(self, *exception: object) -> None:
        home = self._namespace
        try:
            libc.setns(home, libc.CLONE_NEWNET)
        except OSError:
            os.abort()
        _whereabouts.namespace = home


@contextlib.contextmanager
def on_all_cpus() -> Iterator[None]:
    """Let what is started in a ``with`` block run on any CPU, even where the caller keeps to one."""
    own = os.sched_getaffinity(0)
    os.sched_setaffinity(0, os.sched_getaffinity(1))
    try:
        yield
    finally:
        os.sched_setaffinity(0, own)


def write_settings(settings: Mapping[str, str | int]) -> None:
    """Write settings below /proc/sys/net of the namespace that the calling thread is in.

    Raises OSError when a setting does not exist or the value is refused.
    """
    for name, value in settings.items():
        Path("/proc/sys/net", name).write_text(str(value))
