"""Sorts the QUIC packets that one side of a hop saw by connection, before anything is opened."""

from __future__ import annotations

from dataclasses import dataclass, field

from testbed.verdict.frames import Packet as Carrier
from testbed.verdict.quic_packets import Kind, Packet, QuicFormatError, Version, split
from testbed.verdict.streams import SERVICES


@dataclass(slots=True)
class Datagram:
    """A datagram of a connection: the packets in it, and the IP packet that carried it.

    ``broken`` says that it does not consist of packets to its end.
    """

    from_client: bool
    carrier: Carrier
    packets: list[Packet] = field(default_factory=list)
    broken: bool = False

    @property
    def numbers(self) -> set[int]:
        """Numbers of all frames that carried it."""
        return {self.carrier.frame.number, *(frame.number for frame in self.carrier.others)}


@dataclass(slots=True)
class Connection:
    """A QUIC connection.

    ``client_ids`` and ``server_ids`` are the connection IDs that each end chose for itself;
    ``initial_ids`` those that the keys of Initial packets follow from. ``version`` is the one that the
    server answered with, or else the client's.
    """

    client_address: bytes
    server_address: bytes
    server_port: int
    version: Version
    datagrams: list[Datagram] = field(default_factory=list)
    client_ids: list[bytes] = field(default_factory=list)
    server_ids: list[bytes] = field(default_factory=list)
    initial_ids: list[bytes] = field(default_factory=list)
    answered: bool = False
    """Whether the server sent something in a version that is known."""
    retry: Datagram | None = None
    negotiation: Datagram | None = None

    def add_id(self, connection_id: bytes, *, of_client: bool) -> None:
        """Note a connection ID that an end chose for itself."""
        ids = self.client_ids if of_client else self.server_ids
        if connection_id not in ids:
            ids.append(connection_id)

    def take(self, datagram: Datagram, packet: Packet) -> None:
        """Take a packet, and what its header says."""
        if not self.datagrams or self.datagrams[-1] is not datagram:
            self.datagrams.append(datagram)
        datagram.packets.append(packet)
        if packet.kind is Kind.NEGOTIATION:
            self.negotiation = self.negotiation or datagram
        if packet.version is None:
            return
        self.add_id(packet.source, of_client=datagram.from_client)
        if not datagram.from_client:
            self.answered = True
            self.version = packet.version
        if packet.kind is Kind.RETRY:
            self.retry = self.retry or datagram
            self._add_initial_id(packet.source)
        elif datagram.from_client and packet.target not in self.server_ids:
            self._add_initial_id(packet.target)

    def _add_initial_id(self, connection_id: bytes) -> None:
        if connection_id not in self.initial_ids:
            self.initial_ids.append(connection_id)

    def belongs(self, packet: Packet, from_client: bool) -> bool:
        """Whether the header of a packet says that it belongs to this connection."""
        theirs = self.server_ids if from_client else self.client_ids
        if packet.kind is Kind.SHORT:
            return any(packet.data.startswith(each, 1) for each in theirs)
        if not from_client:
            return packet.target in theirs
        if not self.answered and packet.version != self.version:
            return False  # another attempt, after the server named its versions (RFC 9000 section 6.2)
        own = bool(packet.source) and packet.source in self.client_ids
        return packet.target in theirs or packet.target in self.initial_ids or own


class Connections:
    """All connections."""

    def __init__(self) -> None:
        self.all: list[Connection] = []
        self._open: dict[tuple[bytes, int, bytes, int], list[Connection]] = {}

    def knows(self, carrier: Carrier) -> bool:
        """Whether there is a connection between these ports already."""
        return any(ends in self._open for ends in _both_ways(carrier))

    def feed(self, carrier: Carrier) -> bool:
        """Take a datagram; False when it cannot be one of a QUIC connection."""
        key, reverse = _both_ways(carrier)
        if key in self._open:
            from_client = True
        elif reverse in self._open:
            from_client = False
        else:
            from_client = carrier.target_port in SERVICES or carrier.source_port not in SERVICES
        datagram = Datagram(from_client, carrier)
        client = key if from_client else reverse
        taken = False
        try:
            for packet in split(carrier.payload):
                connection = self._of(client, packet, from_client)
                if connection is None:
                    datagram.broken = taken
                    break
                connection.take(datagram, packet)
                taken = True
        except QuicFormatError:
            datagram.broken = taken
        return taken

    def _of(
        self, client: tuple[bytes, int, bytes, int], packet: Packet, from_client: bool
    ) -> Connection | None:
        """The connection of a packet. A client's Initial or early data may begin one."""
        known = self._open.get(client, [])
        for connection in reversed(known):
            if connection.belongs(packet, from_client):
                return connection
        begins = from_client and packet.kind in (Kind.INITIAL, Kind.EARLY)
        if known and not begins:
            return known[-1]
        if packet.version is None:
            return None
        connection = Connection(client[0], client[2], client[3], packet.version)
        self._open.setdefault(client, []).append(connection)
        self.all.append(connection)
        return connection


def _both_ways(carrier: Carrier) -> tuple[tuple[bytes, int, bytes, int], tuple[bytes, int, bytes, int]]:
    return (
        (carrier.source, carrier.source_port, carrier.target, carrier.target_port),
        (carrier.target, carrier.target_port, carrier.source, carrier.source_port),
    )
