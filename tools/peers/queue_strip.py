"""Strips DS records from responses with NetfilterQueue and scapy. Takes the number of a queue."""

import sys

from netfilterqueue import NetfilterQueue, Packet
from scapy.layers.dns import DNS
from scapy.layers.inet import IP, UDP

DS = 43


def alter(packet: Packet) -> None:
    """Take the packet apart, strip it, and build it anew."""
    parsed = IP(packet.get_payload())
    message = parsed[DNS]
    kept = [record for record in message.ns if record.type != DS]
    if len(kept) < len(message.ns):
        message.ns = kept
        message.nscount = len(kept)
        del parsed[IP].len, parsed[IP].chksum, parsed[UDP].len, parsed[UDP].chksum
        packet.set_payload(bytes(parsed))
    packet.accept()


queue = NetfilterQueue()
queue.bind(int(sys.argv[1]), alter)
sys.stdout.write("ready\n")
sys.stdout.flush()
queue.run()
