"""A host, scripted peers and small messages for tests of the transports on the loopback interface."""

import asyncio
import contextlib
import socket
import struct

import pytest

from testbed.core import pki
from testbed.core.transport import Transport, TransportError
from testbed.transports import dot, sockets, tcp

NOW = 1767225600.0
VALID = {"not_before": NOW - 86400, "not_after": NOW + 86400}
ROOT = pki.Authority(1, **VALID)
CREDENTIAL = ROOT.subordinate("issuing").issue(["ns1.dnshost.net"], ["127.0.0.1"], **VALID)

QNAME = b"\x06secret\x07example\x03org\x00"
LOOPBACK = "127.0.0.1"


class LocalHost:
    """Opens sockets on this machine."""

    def socket(self, family, kind, proto=0):
        sock = socket.socket(family, kind, proto)
        sock.setblocking(False)
        return sock


HOST = LocalHost()


def query(number, qname=QNAME):
    return struct.pack("!6H", number, 0, 1, 0, 0, 0) + qname + b"\0\1\0\1"


def response(wire, payload=b""):
    return wire[:2] + bytes([wire[2] | 0x84]) + wire[3:] + payload


def echo(wire, transport, peer):
    return [response(wire)]


def free_port(address=LOOPBACK, kind=socket.SOCK_STREAM):
    with socket.socket(sockets.family(address), kind) as sock:
        sock.bind((address, 0))
        return sock.getsockname()[1]


def run(scenario):
    """Run a coroutine, and fail when anything went wrong behind its back."""
    unhandled = []

    async def guarded():
        asyncio.get_running_loop().set_exception_handler(lambda _, context: unhandled.append(context))
        async with asyncio.timeout(10):
            result = await scenario
        await asyncio.sleep(0.02)
        return result

    result = asyncio.run(guarded())
    assert unhandled == []
    return result


@contextlib.contextmanager
def fails(failure, detail=None):
    with pytest.raises(TransportError, match=detail) as caught:
        yield
    assert caught.value.failure is failure, caught.value


@contextlib.asynccontextmanager
async def peer(script, address=LOOPBACK):
    """A scripted server: one coroutine on a plain socket for each connection."""
    loop = asyncio.get_running_loop()
    listener = sockets.listening(HOST, address, 0)
    tasks = []

    async def play(sock):
        with sock:
            sock.setblocking(False)
            await script(loop, sock)

    async def accept():
        while True:
            sock, _ = await loop.sock_accept(listener)
            tasks.append(loop.create_task(play(sock)))

    accepting = loop.create_task(accept())
    try:
        yield listener.getsockname()[:2]
    finally:
        accepting.cancel()
        for task in tasks:
            task.cancel()
        results = await asyncio.gather(accepting, *tasks, return_exceptions=True)
        listener.close()
    assert [r for r in results if r and not isinstance(r, asyncio.CancelledError)] == []


async def until(condition):
    async with asyncio.timeout(3):
        while not condition():
            await asyncio.sleep(0.001)


def reset(sock):
    sockets.abort(sock)


class Tcp:
    name = Transport.TCP

    @staticmethod
    def serve(address, port, handler, **options):
        return tcp.serve(HOST, address, port, handler, **options)

    @staticmethod
    async def connect(remote, timeout=3):
        return await tcp.connect(HOST, remote[0], remote, timeout=timeout)


class Dot:
    name = Transport.DOT

    @staticmethod
    def serve(address, port, handler, **options):
        return dot.serve(HOST, address, port, handler, credential=CREDENTIAL, **options)

    @staticmethod
    async def connect(remote, timeout=3, **options):
        options.setdefault("sni", "ns1.dnshost.net")
        return await dot.connect(HOST, remote[0], remote, timeout=timeout, **options)


both = pytest.mark.parametrize("over", [Tcp, Dot])


def scripted(*chunks, then=None):
    async def script(loop, sock):
        await loop.sock_recv(sock, 65536)
        for chunk in chunks:
            await loop.sock_sendall(sock, chunk)
            await asyncio.sleep(0)
        if then is None:
            await asyncio.sleep(60)
        then(sock)

    return script


async def raw(remote):
    loop = asyncio.get_running_loop()
    sock = LocalHost().socket(sockets.family(remote[0]), socket.SOCK_STREAM)
    await loop.sock_connect(sock, remote)
    return sock


async def drain(sock):
    while await asyncio.get_running_loop().sock_recv(sock, 1 << 20):
        continue


async def everything(sock):
    loop = asyncio.get_running_loop()
    data = b""
    with contextlib.suppress(ConnectionError):
        while chunk := await loop.sock_recv(sock, 65536):
            data += chunk
    return data
