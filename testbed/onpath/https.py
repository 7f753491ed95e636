"""DNS over HTTPS on a hop: a connection that an attacker terminates, and its own to the true server."""

from __future__ import annotations

import socket
from collections.abc import Callable
from functools import partial

from testbed.attack.actions import CertificateKind
from testbed.attack.pending import Pending
from testbed.core.tls_messages import ClientHello
from testbed.core.transport import Transport
from testbed.onpath.between import TIMEOUT, AnyPath, Between
from testbed.onpath.sockets import connection_in_the_name_of
from testbed.onpath.surroundings import Surroundings
from testbed.transports import Address
from testbed.transports.http2_server import Http2Connection, Http2Service
from testbed.transports.http2_session import Http2Session
from testbed.transports.http_messages import authority, request
from testbed.transports.server import IDLE_TIMEOUT
from testbed.transports.tls import ClientPump, ServerPump

_ALPN = (str(Transport.DOH.alpn),)


class HttpFlow(Http2Service):
    """A connection that was taken over with the ClientHello: ``octets`` as it came, ``hello`` as it was read.

    ``ends`` are the resolver and the server; ``gone`` is called once it is over.
    """

    def __init__(
        self,
        surroundings: Surroundings,
        sock: socket.socket,
        ends: tuple[Address, Address],
        hello: ClientHello,
        octets: bytes,
        kind: CertificateKind,
        gone: Callable[[HttpFlow], None],
    ) -> None:
        self._surroundings = surroundings
        self._resolver, self._server = ends
        self._sni = hello.sni
        self._gone = gone
        role = surroundings.role_at(self._server[0])
        pending = Pending(surroundings.chain, Transport.DOH, role)
        self._between = Between(pending, self._dial, self.abort)
        self._path = AnyPath()
        super().__init__(self._between.answer, self._path, IDLE_TIMEOUT)
        credential = surroundings.credential(kind, role)
        pump = ServerPump(credential, alpn=_ALPN, secrets=surroundings.secrets)
        connection = Http2Connection(self, sock, pump, self._resolver[0])
        self.live.add(connection)
        connection.received(octets)

    def abort(self) -> None:
        """Reset it, and close the one to the server."""
        for connection in list(self.live):
            connection.abort()

    def left(self, connection: Http2Connection) -> None:
        """The resolver's connection is over, and with it the other one."""
        super().left(connection)
        self._between.close()
        self._gone(self)

    async def _dial(self) -> Http2Session:
        """A session with the server, in the resolver's name."""
        sock = connection_in_the_name_of(self._surroundings.host, self._resolver, self._server)
        pump = ClientPump(sni=self._sni, alpn=_ALPN, secrets=self._surroundings.secrets)
        make_request = partial(request, self._path, "POST", authority(self._sni, self._server))
        session = Http2Session(self._server, sock, pump, make_request)
        await session.ready(TIMEOUT)
        return session
