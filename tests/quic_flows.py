"""Forges what hops would have captured of QUIC: connections of aioquic, carried from end to end in memory."""

from __future__ import annotations

import ssl

import dns.message
from aioquic.buffer import Buffer
from aioquic.quic.configuration import QuicConfiguration
from aioquic.quic.connection import QuicConnection
from aioquic.quic.events import ConnectionTerminated
from aioquic.quic.packet import encode_quic_retry, pull_quic_header
from packets import Tape, credential

from testbed.evidence import Frame, TlsSecret

CLIENT_ADDRESS, SERVER_ADDRESS = ("198.51.100.1", 4000), ("198.51.100.6", 853)


class _KeyLog:
    def __init__(self, flow: QuicFlow) -> None:
        self.flow = flow

    def write(self, line: str) -> None:
        flow = self.flow
        flow.tape.secrets += (TlsSecret(line.strip(), holder) for holder in flow.holders)

    def flush(self) -> None:
        """All is written already."""


class QuicFlow:
    """A QUIC connection from the resolver to a server. ``holders`` get the lines of the key log.

    What each end sends waits in ``outbox`` when ``held``: towards, datagram.
    """

    protocol = "doq"

    def __init__(
        self,
        tape: Tape,
        role: str,
        *,
        sni: str | None = None,
        at: int = 853,
        scope: str = "both",
        holders: tuple[str, ...] | None = None,
        ticket=None,
        tickets: dict | None = None,
        fragment: int | None = None,
        retry: bool = False,
        **options,
    ) -> None:
        self.tape, self.role, self.at, self.scope = tape, role, at, scope
        self.holders = ("resolver", role) if holders is None else holders
        self.port = tape.port()
        self.now = tape.time
        self.tickets = []
        self.fragment = fragment
        name = tape.topology.by_role[role].name.to_text(omit_final_dot=True)
        store = {} if tickets is None else tickets
        common = {"alpn_protocols": [self.protocol], "secrets_log_file": _KeyLog(self), **options}
        client = QuicConfiguration(
            is_client=True,
            server_name=name if sni is None else sni,
            verify_mode=ssl.CERT_NONE,
            session_ticket=ticket,
            **common,
        )
        server = QuicConfiguration(is_client=False, **{**common, "secrets_log_file": None})
        server.private_key, server.certificate = credential(name)
        self.client = QuicConnection(configuration=client, session_ticket_handler=self.tickets.append)
        retried = {}
        if retry:
            self.client.connect(SERVER_ADDRESS, self.now)
            ((first, _),) = self.client.datagrams_to_send(self.now)
            self.pass_on("far", first)
            retried = self.retry(first)
        self.server = QuicConnection(
            configuration=server,
            original_destination_connection_id=(
                retried.get("original") or self.client.original_destination_connection_id
            ),
            retry_source_connection_id=retried.get("source"),
            session_ticket_fetcher=store.get,
            session_ticket_handler=lambda each: store.update({each.ticket: each}),
        )
        if not retry:
            self.client.connect(SERVER_ADDRESS, self.now)
        self.ends = {"far": self.client, "resolver": self.server}

    def retry(self, first: bytes) -> dict[str, bytes]:
        """Answer a client's first Initial with a Retry."""
        header = pull_quic_header(Buffer(data=first), host_cid_length=8)
        source = b"retried!"
        packet = encode_quic_retry(
            version=header.version,
            source_cid=source,
            destination_cid=header.source_cid,
            original_destination_cid=header.destination_cid,
            retry_token=b"token",
        )
        self.pass_on("resolver", packet)
        self.client.receive_datagram(packet, SERVER_ADDRESS, self.now)
        return {"original": header.destination_cid, "source": source}

    # -- carrying ----------------------------------------------------------------------------------

    def pass_on(self, towards: str, datagram: bytes, scope: str | None = None) -> Frame:
        """A frame with a datagram, which nobody receives."""
        return self.tape.datagram(self.role, datagram, towards, self.port, scope or self.scope, self.at)

    def sent(self, towards: str) -> list[bytes]:
        """What an end has to send now. Time goes on, so that it is not held back."""
        self.now += 0.01
        return [data for data, _ in self.ends[towards].datagrams_to_send(self.now)]

    def receive(self, towards: str, datagram: bytes) -> None:
        """Deliver a datagram to an end."""
        end = self.ends["resolver" if towards == "far" else "far"]
        end.receive_datagram(datagram, SERVER_ADDRESS if towards == "resolver" else CLIENT_ADDRESS, self.now)

    def flush(self, towards: str) -> Frame | None:
        """Carry what one end has to say to the other; the last frame."""
        last = None
        for datagram in self.sent(towards):
            last = self.pass_on(towards, datagram)
            self.receive(towards, datagram)
        return last

    def settle(self, rounds: int = 4) -> None:
        """Carry what there is to and fro until both ends are silent."""
        for _ in range(rounds):
            self.now += 0.05
            for towards in ("far", "resolver"):
                self.flush(towards)

    def wait(self) -> None:
        """Let the client wait for so long that it sends again what was lost."""
        self.client.get_timer()
        self.now += 1
        self.client.handle_timer(self.now)

    def hello(self) -> Frame:
        """The client's first flight."""
        return self.flush("far")

    def shake(self) -> QuicFlow:
        """The whole handshake, with the server's tickets."""
        self.hello()
        for towards in ("resolver", "far", "resolver"):
            self.flush(towards)
        return self

    # -- messages ----------------------------------------------------------------------------------

    def ask(self, query: dns.message.Message, stream: int | None = None) -> tuple[int, Frame]:
        """A query on a stream of its own; the stream, and the frame with the end of it."""
        wire = query.to_wire()
        stream = self.client.get_next_available_stream_id() if stream is None else stream
        self.client.send_stream_data(stream, len(wire).to_bytes(2) + wire, end_stream=True)
        return stream, self.flush("far")

    def answer(self, stream: int, response: dns.message.Message) -> Frame:
        """A response on the stream of its query."""
        wire = response.to_wire()
        self.server.send_stream_data(stream, len(wire).to_bytes(2) + wire, end_stream=True)
        return self.flush("resolver")

    def message(self, towards: str, message: dns.message.Message) -> Frame:
        """A query, or the response to the last one: like the flows over TCP."""
        if towards == "far":
            self.last, frame = self.ask(message)
            return frame
        return self.answer(self.last, message)

    def close(self, towards: str = "far", code: int = 0, frame_type: int | None = None) -> Frame:
        """CONNECTION_CLOSE from one end."""
        self.ends[towards].close(error_code=code, frame_type=frame_type)
        return self.flush(towards)

    def ended(self, towards: str) -> ConnectionTerminated | None:
        """How an end thinks that the connection ended."""
        events = iter(self.ends[towards].next_event, None)
        return next((event for event in events if isinstance(event, ConnectionTerminated)), None)
