"""Peers for tests of transports over QUIC: aioquic's own, and a relay that delays, drops and remembers."""

import asyncio
import contextlib
import itertools
import os
import socket
import ssl

from aioquic.asyncio import QuicConnectionProtocol, serve
from aioquic.quic.configuration import QuicConfiguration
from aioquic.quic.connection import QuicConnection
from aioquic.quic.events import ConnectionTerminated
from loopback import CREDENTIAL, HOST, LOOPBACK

from testbed.network.loop import VirtualLoop
from testbed.transports import doq, sockets

SNI = "ns1.dnshost.net"


def run_virtual(scenario):
    """Run a coroutine in virtual time, and fail when anything went wrong behind its back."""
    unhandled = []
    loop = VirtualLoop()
    loop.set_exception_handler(lambda _, context: unhandled.append(context))
    try:
        result = loop.run_until_complete(asyncio.wait_for(scenario, 100000))
        loop.run_until_complete(asyncio.sleep(0.02))
    finally:
        loop.close()
    assert unhandled == []
    return result


class Doq:
    name = "doq"

    @staticmethod
    def serve(address, port, handler, **options):
        options.setdefault("credential", CREDENTIAL)
        return doq.serve(HOST, address, port, handler, **options)

    @staticmethod
    async def connect(remote, timeout=3, **options):
        options.setdefault("sni", SNI)
        return await doq.connect(HOST, remote[0], remote, timeout=timeout, **options)


# Outside the range of ports that the kernel gives away, so that no client's socket ever takes one of them.
PORTS = itertools.chain(range(10000 + os.getpid() * 131 % 20000, 32000), range(10000, 32000))


def udp_port(address=LOOPBACK):
    """A port that nobody has used before."""
    for port in PORTS:
        with socket.socket(sockets.family(address), socket.SOCK_DGRAM) as sock, contextlib.suppress(OSError):
            sock.bind((address, port))
            return port
    raise AssertionError("no port left")


class Relay:
    """Passes datagrams between clients and a server, each ``delay`` seconds late.

    ``keep(to_server, datagram)`` decides whether one goes on.
    """

    def __init__(self, server, delay=0.0, keep=lambda *_: True):
        self.loop = asyncio.get_running_loop()
        self.server = server
        self.delay = delay
        self.keep = keep
        self.passed = []
        self.sock = sockets.bound(HOST, socket.SOCK_DGRAM, (LOOPBACK, 0))
        self.remote = self.sock.getsockname()
        self.upstream = {}
        self.loop.add_reader(self.sock, self.from_client)

    def from_client(self):
        with contextlib.suppress(BlockingIOError):
            while True:
                datagram, client = self.sock.recvfrom(65535)
                if client not in self.upstream:
                    sock = sockets.bound(HOST, socket.SOCK_DGRAM, (LOOPBACK, 0))
                    sock.connect(self.server)
                    self.upstream[client] = sock
                    self.loop.add_reader(sock, self.from_server, client)
                self.passing(True, datagram, self.upstream[client].send, datagram)

    def from_server(self, client):
        with contextlib.suppress(BlockingIOError, ConnectionRefusedError):
            while True:
                datagram = self.upstream[client].recv(65535)
                self.passing(False, datagram, self.sock.sendto, datagram, client)

    def passing(self, to_server, datagram, function, *arguments):
        if self.keep(to_server, datagram):
            self.passed.append((to_server, datagram))
            self.loop.call_later(self.delay, self.carry, function, *arguments)

    @staticmethod
    def carry(function, *arguments):
        with contextlib.suppress(OSError):
            function(*arguments)

    def count(self):
        """Datagrams towards the server, and back."""
        up = sum(to_server for to_server, _ in self.passed)
        return up, len(self.passed) - up

    def close(self):
        for sock in (self.sock, *self.upstream.values()):
            self.loop.remove_reader(sock)
            sock.close()


class Protocol(QuicConnectionProtocol):
    """A peer that keeps what happened, and does what its script says of each event."""

    script = staticmethod(lambda *_: None)

    def __init__(self, *arguments, **options):
        super().__init__(*arguments, **options)
        self.seen = []

    def quic_event_received(self, event):
        self.seen.append(event)
        self.script(self, event)

    def send(self, stream, data, end=True):
        self._quic.send_stream_data(stream, data, end)
        self.transmit()

    @property
    def end(self):
        return next((event for event in self.seen if isinstance(event, ConnectionTerminated)), None)


def configuration(**options):
    options = {"alpn_protocols": ["doq"], "is_client": False} | options
    made = QuicConfiguration(**options)
    if not made.is_client:
        made.certificate, *made.certificate_chain = CREDENTIAL.chain
        made.private_key = CREDENTIAL.key
    return made


@contextlib.asynccontextmanager
async def scripted_server(script, retry=False, **options):
    """aioquic's own server; gives its address and the connections that it has."""
    made = []

    def create(*arguments, **further):
        protocol = Protocol(*arguments, **further)
        protocol.script = script
        made.append(protocol)
        return protocol

    tickets = {}
    server = await serve(
        LOOPBACK,
        0,
        configuration=configuration(**options),
        create_protocol=create,
        retry=retry,
        session_ticket_fetcher=tickets.get,
        session_ticket_handler=lambda ticket: tickets.update({ticket.ticket: ticket}),
    )
    try:
        yield server._transport.get_extra_info("sockname"), made
    finally:
        server.close()
        await asyncio.sleep(0)


async def scripted_client(remote, script=lambda *_: None, **options):
    """aioquic's own client, whose handshake is complete unless it uses 0-RTT."""
    loop = asyncio.get_running_loop()
    early = options.get("session_ticket") is not None
    made = configuration(is_client=True, verify_mode=ssl.CERT_NONE, server_name=SNI, **options)
    tickets = []
    connection = QuicConnection(configuration=made, session_ticket_handler=tickets.append)
    _, protocol = await loop.create_datagram_endpoint(lambda: Protocol(connection), local_addr=(LOOPBACK, 0))
    protocol.script = script
    protocol.tickets = tickets
    protocol.connect(remote, transmit=not early)
    if not early:
        await protocol.wait_connected()
    return protocol
