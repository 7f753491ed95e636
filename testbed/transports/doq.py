"""DNS over QUIC (RFC 9250), with session resumption and 0-RTT."""

from __future__ import annotations

from testbed.core.pki import Credential
from testbed.core.transport import Transport
from testbed.transports import Address, Handler, Host, quic
from testbed.transports.capacity import Capacity
from testbed.transports.doq_server import DoqConnection, TooEarly
from testbed.transports.doq_session import DoqSession
from testbed.transports.quic_endpoint import dial
from testbed.transports.quic_listener import QuicListener
from testbed.transports.quic_session import IDLE_TIMEOUT, Accept
from testbed.transports.server import IDLE_TIMEOUT as SERVER_IDLE_TIMEOUT
from testbed.transports.tls import Secrets


async def connect(
    host: Host,
    local_address: str,
    remote: Address,
    *,
    sni: str | None,
    alpn: str | None = Transport.DOQ.alpn,
    timeout: float,
    secrets: Secrets | None = None,
    ticket: quic.QuicTicket | None = None,
    early: bool = False,
    accept: Accept | None = None,
) -> DoqSession:
    """A session whose handshake is complete and whose certificates nobody has looked at yet.

    ``timeout`` bounds the handshake. ``sni`` is a host name without a final dot; None sends none. A
    ticket is used for the ``sni`` that it was given for, and not once it has expired.

    With ``early`` and a ticket that allows 0-RTT, it returns at once. ``chain`` is then that of the
    ticket's session, ``handshake`` None until the handshake is complete, and what is sent meanwhile goes
    as 0-RTT data, other operations than QUERY and NOTIFY excepted (RFC 9250 section 4.5). What happens
    when the server refuses it, and what ``accept`` is for, is with ``QuicSession``.

    Raises TransportError: REFUSED (ICMP port unreachable, or CONNECTION_REFUSED), UNREACHABLE, TIMEOUT,
    RESET, CLOSED, PROTOCOL, or TLS with the alert's name.
    """
    sock, machine, ticket = dial(
        host,
        local_address,
        remote,
        sni=sni,
        alpn=alpn,
        idle_timeout=IDLE_TIMEOUT,
        secrets=secrets,
        ticket=ticket,
        early=early,
    )
    session = DoqSession(remote, sock, machine, timeout=timeout, ticket=ticket, accept=accept)
    await session.established()
    return session


def serve(
    host: Host,
    address: str,
    port: int,
    handler: Handler,
    *,
    credential: Credential,
    secrets: Secrets | None = None,
    idle_timeout: float = SERVER_IDLE_TIMEOUT,
    tickets: quic.TicketStore | None = None,
    too_early: TooEarly = "refuse",
    capacity: Capacity | None = None,
) -> QuicListener:
    """Answer on an address and port until closed. Raises OSError when they cannot be had.

    ``tickets`` is what the server knows of sessions to resume; without, it begins with none.
    """
    return QuicListener(
        host,
        address,
        port,
        Transport.DOQ,
        handler,
        lambda listener, machine, peer: DoqConnection(listener, machine, peer, too_early),
        credential=credential,
        alpn=(str(Transport.DOQ.alpn),),
        secrets=secrets,
        idle_timeout=idle_timeout,
        tickets=tickets,
        capacity=capacity,
    )
